"""How much of an encoder's time its matrix products take: the table of products in docs/performance.md.

    python benchmarks/products.py --write docs/performance.md
    python benchmarks/products.py --threads 2 --write docs/performance.md

Beside the encoder's forward and backward pass: the products of its linear layers alone, three for each (the result, and the gradients of
input and weight), by the fastest routine that this package has for each; and an `nn.LSTM` with as many parameters. All take turns, in the
processor time of one thread, or with more by the clock on the wall; medians, and ratios within a turn. Width 256, depth 2, some 1,600
words.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import torch
import typer
from measuring import BOTH, Case, Seconds
from pages import circumstances, show
from subjects import build, lstm_units
from tables import short
from torch import nn

from spacy_emerging.kernels.linear import linear

WIDTH, DEPTH = 256, 2


def alone(module: nn.Module, words: int) -> Callable[[], None]:
    """The products of all linear layers of a module over so many words."""
    layers = [each for each in module.modules() if isinstance(each, nn.Linear)]
    inputs = [torch.randn(words, layer.in_features, requires_grad=True) for layer in layers]
    gradients = [torch.randn(words, layer.out_features) for layer in layers]
    weights = [torch.randn_like(layer.weight, requires_grad=True) for layer in layers]

    def run() -> None:
        for x, weight, gradient in zip(inputs, weights, gradients, strict=True):
            x.grad = weight.grad = None
            linear(x, weight).backward(gradient)

    return run


def seconds(run: Callable[[], object]) -> Seconds:
    wall, process = time.perf_counter(), time.process_time()
    run()
    return Seconds(time.perf_counter() - wall, time.process_time() - process)


def row(name: str, length: int, turns: int, clock: str) -> str:
    """A line of the table. clock: "wall" or "process"."""
    case = Case(build(f"encoder/{name}/concat", WIDTH, DEPTH, length), WIDTH, length)
    units = lstm_units(case.subject.parameters, WIDTH, DEPTH)
    peer = Case(build(f"lstm/{units}", WIDTH, DEPTH, length), WIDTH, length)
    products = alone(case.subject.module, case.words)
    products()
    timed = [(case.run(BOTH), seconds(products), peer.run(BOTH)) for _ in range(turns)]
    found = [[getattr(each, clock) for each in turn] for turn in timed]
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
    write: Annotated[Path | None, typer.Option(help="A page that gets the table between its markers.")] = None,
) -> None:
    """Measures encoders, their products alone, and LSTMs of as many parameters."""
    torch.set_num_threads(threads)
    name, clock = ("products", "process") if threads == 1 else (f"products, {threads} threads", "wall")
    heads = ["encoder", "words", "encoder, ms", "products alone, ms", "share", "`nn.LSTM`, ms", "encoder beside it", "products beside it"]
    lines = [f"{circumstances()} Forward and backward, {turns} turns:", ""]
    lines += ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    lines += [row(encoder, int(length), turns, clock) for encoder in encoders.split(",") for length in lengths.split(",")]
    show("\n".join(lines), write, f"<!-- {name}: begin -->", f"<!-- {name}: end -->")


if __name__ == "__main__":
    typer.run(main)
