"""What every decoder costs in a whole pipeline, beside the softmax in the same run.

    python benchmarks/decoders.py
    python benchmarks/decoders.py --labels 50 300 --decoders CRFDecoder DiffusionDecoder
    python benchmarks/decoders.py --labels 50 300 --training --write docs/decoders.md

A tagger with its default embedding and encoder, one field, drawn weights (what labels come out does not matter to the time), and
texts of 8 to 45 words. All decoders take turns, and a ratio is taken within a turn, so that it holds on a machine that is shared; the
table gives the median over turns, with the least and the most. Processor time of one thread.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam, fix_random_seed
from training import show

from spacy_emerging.registry import ARCHITECTURES

SOFTMAX = "SoftmaxDecoder"
DECODERS = sorted(name.split(".")[1] for name in ARCHITECTURES if name.endswith("Decoder.v1"))
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "CRFDecoder": [{}, {"order": 2}],
    "DiffusionDecoder": [{"steps": 1}, {"steps": 5}, {"steps": 10}, {"structured": True}],
}
"""Settings to be measured; a decoder that is not listed is measured as it comes."""

MOST_LABELS = {("CRFDecoder", "order"): 100}
"""Settings that a decoder takes up to a number of labels only."""


def subjects(decoders: list[str], labels: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names for the table, and configs of decoders; the softmax first."""
    for name in [SOFTMAX, *(name for name in decoders if name != SOFTMAX)]:
        for settings in VARIANTS.get(name, [{}]):
            if all(labels <= MOST_LABELS.get((name, setting), labels) for setting in settings):
                shown = ", ".join(f"{setting} = {value}" for setting, value in settings.items())
                yield f"{name}, {shown}" if shown else name, {"@architectures": f"spacy-emerging.{name}.v1", **settings}


def texts(nlp: Language, count: int) -> list[Doc]:
    """Docs of words that are drawn from 2,000, the frequent ones more often."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(2000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    return [Doc(nlp.vocab, words=draw.choices(words, weights, k=draw.randint(8, 45))) for _ in range(count)]


class Subject:
    """A pipeline with one decoder, initialized, and gold of as many labels as were asked for."""

    def __init__(self, decoder: dict[str, Any], labels: int, count: int) -> None:
        fix_random_seed(0)
        self.nlp = spacy.blank("en")
        self.nlp.add_pipe("emerging_tagger", config={"model": {"decoder": decoder}})
        self.docs = texts(self.nlp, count)
        self.texts = [doc.text for doc in self.docs]
        draw = random.Random(1)
        tags = [f"T{number}" for number in range(labels)]
        self.gold = [Doc(self.nlp.vocab, words=[t.text for t in doc], tags=draw.choices(tags, k=len(doc))) for doc in self.docs]
        self.nlp.initialize(lambda: [Example(doc, gold) for doc, gold in zip(self.docs, self.gold, strict=True)])
        self.optimizer = Adam(0.001)

    def predict(self, batch: int) -> None:
        """All texts through `nlp.pipe`."""
        for _ in self.nlp.pipe(self.texts, batch_size=batch):
            pass

    def train(self, batch: int) -> None:
        """One pass over all texts."""
        examples = [Example(doc.copy(), gold) for doc, gold in zip(self.docs, self.gold, strict=True)]
        for start in range(0, len(examples), batch):
            self.nlp.update(examples[start : start + batch], sgd=self.optimizer)


def seconds(run: Callable[[], None]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def measured(chosen: argparse.Namespace, labels: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of every turn, by name and by what was done."""
    built = {name: Subject(decoder, labels, chosen.texts) for name, decoder in subjects(chosen.decoders, labels)}
    work: dict[str, Callable[[Subject], None]] = {
        f"prediction, batches of {batch}": lambda subject, batch=batch: subject.predict(batch)  # type: ignore[misc]
        for batch in chosen.batches
    }
    if chosen.training:
        work["training"] = lambda subject: subject.train(chosen.batches[0])
    found: dict[str, dict[str, list[float]]] = {name: {what: [] for what in work} for name in built}
    for turn in range(chosen.turns + 1):
        for what, run in work.items():
            for name, subject in built.items():
                spent = seconds(lambda subject=subject, run=run: run(subject))  # type: ignore[misc]
                if turn:  # the first one warms up
                    found[name][what].append(spent)
    return found


def table(found: dict[str, dict[str, list[float]]], labels: int) -> str:
    """Markdown: ratios to the softmax; of the softmax itself, seconds."""
    base = found[SOFTMAX]
    lines = [f"| {labels} labels | {' | '.join(base)} |", f"|---|{'---|' * len(base)}"]
    lines.append(f"| {SOFTMAX} | {' | '.join(f'{statistics.median(spent):.2f} s' for spent in base.values())} |")
    for name, runs in found.items():
        if name != SOFTMAX:
            lines.append(f"| {name} | {' | '.join(ratio(spent, base[what]) for what, spent in runs.items())} |")
    return "\n".join(lines) + "\n"


def conditions(chosen: argparse.Namespace) -> str:
    """What the tables were measured with."""
    versions = f"spaCy {spacy.__version__}, torch {torch.__version__.partition('+')[0]}"
    command = " ".join(["python benchmarks/decoders.py", *sys.argv[1:]])
    what = f"{chosen.texts} texts of 8 to 45 words, {chosen.turns} turns"
    return f"Measured on {date.today().isoformat()} with {versions}: {what}, one thread. `{command}`\n"


def ratio(ours: list[float], softmax: list[float]) -> str:
    """Median (least to most) over turns."""
    ratios = [one / other for one, other in zip(ours, softmax, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    """Measures one table per number of labels, and prints or writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=DECODERS, help="default: all that are registered")
    parser.add_argument("--labels", nargs="+", type=int, default=[50], help="default: %(default)s")
    parser.add_argument("--texts", type=int, default=400, help="default: %(default)s")
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128], help="texts per batch (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--training", action="store_true", help="also measure updates, in batches of the first size")
    parser.add_argument("--write", type=Path, help="put the tables into this page, between markers")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    tables = [table(measured(chosen, labels), labels) for labels in chosen.labels]
    show("\n".join(["", conditions(chosen), *tables]), chosen.write, "costs")


if __name__ == "__main__":
    main()
