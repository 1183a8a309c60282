"""Whether the samples of a diffusion decoder disagree where it is wrong: the table of agreement in docs/decoders.md.

    python benchmarks/agreement.py --data DIR --seeds 0 --write docs/decoders.md

DIR holds `gum-train.spacy`, `gum-dev.spacy` and `gum-test.spacy`, written by `spacy-emerging convert`. Taggers with the Mamba-2 encoder are
trained with small and large bits (`snr_scale`) and asked for eight samples in several ways. What is told is how well the disagreement
of the samples, and how well the probability of the answer, part wrong tags from right ones: the probability that a wrong tag has
the larger one, halved where both are equal. 0.5 tells nothing, 1 all.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy
import spacy
import typer
from decoder_accuracy import CORPORA, configured, predicted
from pages import circumstances, show
from scipy.stats import mannwhitneyu
from spacy.training import Example
from training import shortened, spread, train_and_score

from spacy_emerging.corpus.reader import Corpus

BEGIN, END = "<!-- agreement: begin -->", "<!-- agreement: end -->"
SAMPLES = 8
TRAINED = (0.1, 1.0)
"""Sizes of a bit beside noise of variance 1; the first is the default."""
ASKED: dict[str, dict[str, Any]] = {"1 step": {"steps": 1}, "10 steps": {"steps": 10}, "50 steps": {"steps": 50}}


def runs(data: Path, updates: int, seed: int) -> Iterator[tuple[tuple[float, str], list[float]]]:
    """What was trained and how it was asked; accuracy, share of tags with disagreement, and how well both numbers tell what is wrong."""
    paths = {split: data / f"gum-{split}.spacy" for split in ("train", "dev", "test")}
    for scale in TRAINED:
        config = configured(CORPORA["gum"], ["tagger"], "diffusion", {"snr_scale": scale})
        config["components"]["tagger"]["store_scores"] = True
        trained = train_and_score(shortened(config, updates, updates // 4), paths, seed)
        with TemporaryDirectory() as folder:
            trained.pipeline.to_disk(folder)
            for name, settings in ASKED.items():
                decoder = {"samples": SAMPLES, **settings}
                nlp = spacy.load(folder, config={"components": {"tagger": {"model": {"decoder": decoder}}}})
                yield (scale, name), judged(predicted(nlp, Corpus(str(paths["test"]), gold_preproc=True)(nlp)))


def judged(examples: Sequence[Example]) -> list[float]:
    """Percent of right tags and of tags with disagreement, and how well disagreement and doubt tell wrong tags."""
    pairs = [pair for example in examples for pair in zip(example.reference, example.predicted, strict=True)]
    wrong = numpy.array([gold.tag_ != found.tag_ for gold, found in pairs])
    disagreement = numpy.array([1 - found._.label_agreement for _, found in pairs])
    doubt = numpy.array([1 - found._.label_score for _, found in pairs])
    return [100 * (1 - wrong.mean()), 100 * (disagreement > 0).mean(), telling(disagreement, wrong), telling(doubt, wrong)]


def telling(number: numpy.ndarray, wrong: numpy.ndarray) -> float:
    """The probability that a wrong one has the larger number: the area under the receiver operating characteristic."""
    return float(mannwhitneyu(number[wrong], number[~wrong]).statistic / (wrong.sum() * (~wrong).sum()))


def main(
    data: Annotated[Path, typer.Option(help="Folder of .spacy files.")],
    updates: Annotated[int, typer.Option(help="Updates of a training.")] = 400,
    seeds: Annotated[str, typer.Option(help="Comma list.")] = "0",
    write: Annotated[Path | None, typer.Option(help="A page that gets the table between its markers.")] = None,
) -> None:
    """Trains, asks, and prints or writes the table."""
    found: dict[tuple[float, str], list[list[float]]] = defaultdict(list)
    for seed in seeds.split(","):
        for key, numbers in runs(data, updates, int(seed)):
            found[key].append(numbers)
            print(json.dumps([seed, *key, *numbers]), flush=True)
    heads = ["`snr_scale`", "asked with", "XPOS", "tokens with disagreement, %", "disagreement tells", "probability tells"]
    lines = [f"{circumstances()} XPOS of GUM, {updates} updates, {SAMPLES} samples; seeds {seeds}:", ""]
    lines += ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for (scale, name), numbers in found.items():
        lines.append(f"| {scale} | {name} | " + " | ".join(spread(column) for column in zip(*numbers, strict=True)) + " |")
    show("\n".join(lines), write, BEGIN, END)


if __name__ == "__main__":
    typer.run(main)
