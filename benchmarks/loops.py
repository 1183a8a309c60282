"""Encoders with and without the compiled loops: the table of loops in docs/performance.md.

    python benchmarks/loops.py --write docs/performance.md

The same module takes turns with the loops and without; a ratio is taken within a turn: median (least to most), by the processor time of
one thread. Sizes are those of encoders.py.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import typer
from measuring import BOTH, FORWARD, Case
from pages import circumstances, show
from subjects import ENCODERS, build
from tables import short

from spacy_emerging.kernels import native

BEGIN, END = "<!-- loops: begin -->", "<!-- loops: end -->"
LENGTHS = (25, 100, 1000)


def ratios(case: Case, passes: str, turns: int) -> list[float]:
    """How many times as fast a pass is with the loops, turn by turn."""
    found = []
    for _ in range(turns):
        with_loops = case.run(passes).process
        with native.switched_off():
            found.append(case.run(passes).process / with_loops)
    return found


def row(name: str, width: int, depth: int, turns: int) -> str:
    """A line of the table."""
    cells = []
    for length in LENGTHS:
        case = Case(build(f"encoder/{name}/concat", width, depth, length), width, length)
        for passes in (FORWARD, BOTH):
            found = ratios(case, passes, turns)
            cells.append(f"{short(statistics.median(found))}× ({short(min(found))}–{short(max(found))})")
    return f"| `{name}` | " + " | ".join(cells) + " |"


def main(
    encoders: Annotated[str, typer.Option(help="Comma list of encoders.")] = ",".join(ENCODERS),
    width: int = 256,
    depth: int = 2,
    turns: Annotated[int, typer.Option(help="Turns of each pass.")] = 7,
    write: Annotated[Path | None, typer.Option(help="A page that gets the table between its markers.")] = None,
) -> None:
    """Measures each encoder with and without the compiled loops."""
    if not native.available():
        raise SystemExit("The loops were not compiled on this machine: there is nothing to compare.")
    heads = [f"{length:,}, {passes}" for length in LENGTHS for passes in (FORWARD, BOTH)]
    lines = [
        f"{circumstances()} Speed with the loops beside the speed in plain torch, width {width}, depth {depth}:",
        "",
    ]
    lines += ["| encoder | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    lines += [row(name, width, depth, turns) for name in encoders.split(",")]
    show("\n".join(lines), write, BEGIN, END)


if __name__ == "__main__":
    typer.run(main)
