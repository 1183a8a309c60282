"""How much of an encoder's time its matrix products take: the table of products in docs/performance.md.

    python benchmarks/products.py --write docs/performance.md
    python benchmarks/products.py --threads 2 --write docs/performance.md

Beside the encoder's forward and backward pass: the products of its linear layers alone, three for each (the result, and the gradients of
input and weight), by the fastest routine that this package has for each; and an `nn.LSTM` with as many parameters. Each of the three has a
process of its own. They take turns, in the processor time of one thread, or with more by the clock on the wall; medians, and ratios within
a turn. As in encoders.py, a pass is run once before it is timed. Width 256, depth 2, some 1,600 words.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import torch
import typer
from measuring import BOTH
from pages import KEPT, circumstances, markers, show
from subjects import build, lstm_units
from tables import short
from workers import in_turns, working

WIDTH, DEPTH = 256, 2


def row(name: str, length: int, turns: int, threads: int, keep_memory: bool) -> str:
    """A line of the table."""
    sizes = (WIDTH, DEPTH, length)
    encoder = f"encoder/{name}/concat"
    units = lstm_units(build(encoder, *sizes).parameters, WIDTH, DEPTH)
    keys = [encoder, f"products/{name}/concat", f"lstm/{units}"]
    with working({key: key for key in keys}, sizes, threads, keep_memory) as workers:
        passes = in_turns(workers, turns, [BOTH])
    clock = "process" if threads == 1 else "wall"
    found = [[getattr(each, clock) for each in turn] for turn in zip(*(passes[key][BOTH] for key in keys), strict=True)]
    whole, part, other = (1000 * statistics.median(column) for column in zip(*found, strict=True))
    shares = [100 * one[1] / one[0] for one in found]
    ratios = [short(statistics.median(one[2] / one[place] for one in found)) for place in (0, 1)]
    share = f"{statistics.median(shares):.0f} % ({min(shares):.0f}–{max(shares):.0f})"
    return f"| `{name}` | {length:,} | {whole:.0f} | {part:.0f} | {share} | {other:.0f} | {ratios[0]}× | {ratios[1]}× |"


def main(
    encoders: Annotated[str, typer.Option(help="Comma list of encoders.")] = "Mamba2Encoder,HydraEncoder,MinLSTMEncoder,XLSTMEncoder",
    lengths: Annotated[str, typer.Option(help="Comma list of words per sequence.")] = "25,100",
    turns: Annotated[int, typer.Option(help="Turns.")] = 9,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    keep_memory: Annotated[bool, typer.Option("--keep-memory", help="The C library keeps memory from pass to pass (glibc).")] = False,
    write: Annotated[Path | None, typer.Option(help="A page that gets the table between its markers.")] = None,
) -> None:
    """Measures encoders, their products alone, and LSTMs of as many parameters."""
    torch.set_num_threads(threads)
    heads = ["encoder", "words", "encoder, ms", "products alone, ms", "share", "`nn.LSTM`, ms", "encoder beside it", "products beside it"]
    kept = f", {KEPT}" if keep_memory else ""
    lines = [f"{circumstances()} Forward and backward, {turns} turns{kept}:", ""]
    lines += ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    lines += [row(encoder, int(length), turns, threads, keep_memory) for encoder in encoders.split(",") for length in lengths.split(",")]
    show("\n".join(lines), write, *markers("products", threads, keep_memory))


if __name__ == "__main__":
    typer.run(main)
