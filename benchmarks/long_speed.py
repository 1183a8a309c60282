"""Time per word of one very long Doc beside short ones, for every encoder that takes long Docs in segments: a table of docs/performance.md.

    python benchmarks/long_speed.py --write docs/performance.md

The taggers and Docs of long_documents.py: one Doc of 100,000 words, and some of 1,000, one at a time, so that no batch helps the short
ones. All take turns, in the processor time of one thread; medians, and the ratio within a turn.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Annotated, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import torch
import typer
from long_documents import SHORT, doc, pipeline
from pages import circumstances, show
from spacy.language import Language
from spacy.tokens import Doc
from subjects import ENCODERS

BEGIN, END = "<!-- long speed: begin -->", "<!-- long speed: end -->"
WHOLE = "TransformerEncoder"
"""Takes every Doc as a whole: its time per word grows with the length."""


class Turn(NamedTuple):
    """Seconds per word of the long Doc and of the short ones."""

    long: float
    short: float


def per_word(nlp: Language, docs: list[Doc]) -> float:
    """Seconds of processor time."""
    started = time.process_time()
    for each in docs:
        nlp(each)
    return (time.process_time() - started) / sum(map(len, docs))


def turn(nlp: Language, words: int, short: int) -> Turn:
    """Tags fresh Docs."""
    return Turn(per_word(nlp, [doc(nlp, words)]), per_word(nlp, [doc(nlp, SHORT) for _ in range(short)]))


def row(name: str, turns: list[Turn]) -> str:
    """A line of the table."""
    ratios = [each.long / each.short for each in turns]
    long, short = (1e6 * statistics.median(column) for column in zip(*turns, strict=True))
    return f"| `{name}` | {short:.1f} | {long:.1f} | {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |"


def main(
    encoders: Annotated[str, typer.Option(help="Comma list of encoders.")] = ",".join(name for name in ENCODERS if name != WHOLE),
    words: Annotated[int, typer.Option(help="Words of the long Doc.")] = 100_000,
    short: Annotated[int, typer.Option(help=f"Docs of {SHORT:,} words in a turn.")] = 20,
    width: Annotated[int, typer.Option(help="Width of token vectors.")] = 128,
    depth: Annotated[int, typer.Option(help="Layers.")] = 2,
    turns: Annotated[int, typer.Option(help="Turns.")] = 5,
    write: Annotated[Path | None, typer.Option(help="A page that gets the table between its markers.")] = None,
) -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    names = encoders.split(",")
    taggers = {name: pipeline(name, width, depth, max_batch_tokens=8192) for name in names}
    for nlp in taggers.values():
        turn(nlp, 2 * 8192, 1)
    found = [{name: turn(nlp, words, short) for name, nlp in taggers.items()} for _ in range(turns)]
    lines = [
        f"{circumstances()} Width {width}, depth {depth}, segments of 8,192 words, {turns} turns; µs per word:",
        "",
        f"| encoder | Docs of {SHORT:,} words | one Doc of {words:,} | ratio |",
        "| --- | ---: | ---: | ---: |",
        *(row(name, [each[name] for each in found]) for name in names),
    ]
    show("\n".join(lines), write, BEGIN, END)


if __name__ == "__main__":
    typer.run(main)
