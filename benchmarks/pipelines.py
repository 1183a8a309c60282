"""Whole pipelines beside spaCy's own, Stanza's and Flair's: the tables of pipelines in docs/performance.md.

    python benchmarks/pipelines.py --docs gum-dev.spacy
    python benchmarks/pipelines.py --docs gum-dev.spacy --train gum-train.spacy --write docs/performance.md

Prediction: taggers of equal width on given tokens with freshly drawn weights, ours and spaCy's over one embedding, in turns. Training:
one epoch of `spacy train` with the default tagger of `spacy-emerging config` beside spaCy's default CNN tagger, in turns. Processor time
on one thread; ratios are taken within a turn, and given as median (least to most).
Stanza and Flair are compared with where they are installed. Flair wants an older `conllu` than this package, which this script does
not need, so an environment of its own is best: `pip install -e . stanza && pip install flair`.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import spacy
import taggers
import torch
import typer
from pages import circumstances, put
from results import config_for
from spacy.tokens import Doc, DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from tables import short

BEGIN, END = "<!-- pipelines: begin -->", "<!-- pipelines: end -->"
OURS = ("LSTMEncoder", "Mamba2Encoder", "XLSTMEncoder")
DEPTH = 2
STOCK = "spaCy: CNN, depth 4, `tagger`"
STANZA, FLAIR = "Stanza: BiLSTM, depth 2", "Flair: BiLSTM, depth 2"


def subjects(docs: Sequence[Doc], encoders: Sequence[str]) -> dict[str, taggers.Tagger]:
    """What is compared at prediction; spaCy's own first."""
    found = {STOCK: taggers.spacy_tagger(docs, taggers.CNN, "tagger")}
    for name in encoders:
        found[f"`{name}`, depth {DEPTH}, `emerging_tagger`"] = taggers.spacy_tagger(docs, taggers.encoder(name, DEPTH), "emerging_tagger")
    for package, title, make in (
        ("stanza", STANZA, taggers.stanza_tagger),
        ("flair", FLAIR, taggers.flair_tagger),
    ):
        if importlib.util.find_spec(package) is not None:
            found[title] = make(docs)
    return found


def in_turns(work: Mapping[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds of processor time per turn."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, run in work.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    return seconds


def epoch(encoder: str, train: Path) -> Callable[[], None]:
    """One epoch of training, from an initialized pipeline, without evaluation."""
    config = config_for(encoder, "gum", steps=0)
    for name in list(config["components"]):
        if name not in ("tok2vec", "tagger"):
            del config["components"][name]
    config["nlp"]["pipeline"] = ["tok2vec", "tagger"]
    config["paths"] |= {"train": str(train), "dev": str(train)}
    config["corpora"]["dev"]["limit"] = 1
    config["training"] |= {"max_steps": 0, "max_epochs": 1, "eval_frequency": 10**6, "score_weights": {}}
    config["training"]["optimizer"] = {"@optimizers": "Adam.v1"}
    nlp = init_nlp(config)

    def run() -> None:
        train_loop(nlp)

    return run


def table(seconds: Mapping[str, Sequence[float]], words: int, what: str) -> list[str]:
    """Markdown: words per second, and ratios to spaCy's, which is the first row, and to Stanza's and Flair's where they are there."""
    peers = {"spaCy": next(iter(seconds)), "Stanza": STANZA, "Flair": FLAIR}
    beside = {peer: seconds[name] for peer, name in peers.items() if name in seconds}
    heads = [what, "words/s", *(f"beside {peer}'s" for peer in beside)]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for name, spent in seconds.items():
        ratios = [_ratio(of_peer, spent) for of_peer in beside.values()]
        lines.append(f"| {name} | {words / statistics.median(spent):,.0f} | {' | '.join(ratios)} |")
    return lines


def _ratio(peer: Sequence[float], ours: Sequence[float]) -> str:
    """Median (least to most) over turns."""
    ratios = [one / other for one, other in zip(peer, ours, strict=True)]
    return f"{short(statistics.median(ratios))}× ({short(min(ratios))}–{short(max(ratios))})"


def main(
    docs: Annotated[Path, typer.Option(help="Gold Docs to be tagged, .spacy.")],
    train: Annotated[Path | None, typer.Option(help="Gold Docs to train on for an epoch, .spacy; without it nothing is trained.")] = None,
    encoders: Annotated[str, typer.Option(help="Comma list of registered encoders.")] = ",".join(OURS),
    repeats: Annotated[int, typer.Option(help="Turns.")] = 5,
    write: Annotated[Path | None, typer.Option(help="A page that gets the tables between its markers.")] = None,
) -> None:
    """Measures, and prints or writes the tables."""
    torch.set_num_threads(1)
    gold = list(DocBin().from_disk(docs).get_docs(spacy.blank("en").vocab))
    words = sum(map(len, gold))
    work = subjects(gold, encoders.split(","))
    in_turns(work, 1)  # the first calls fill caches
    lines = [circumstances(), "", f"Prediction, {words:,} words, width {taggers.WIDTH}, freshly drawn weights, {repeats} turns:", ""]
    lines += table(in_turns(work, repeats), words, "tagger")
    if train is not None:
        size = sum(map(len, DocBin().from_disk(train).get_docs(spacy.blank("en").vocab)))
        turns = max(repeats // 2, 1)
        work = {"spaCy's CNN (96 × 4)": epoch("stock", train), "default `mamba2` (256 × 2)": epoch("mamba2", train)}
        lines += ["", f"Training, one epoch of `spacy train` over {size:,} words, shared tok2vec and tagger, {turns} turns:", ""]
        lines += table(in_turns(work, turns), size, "pipeline")
    text = "\n".join(lines) + "\n"
    if write is None:
        print(text)
        return
    put(write, text, BEGIN, END)


if __name__ == "__main__":
    typer.run(main)
