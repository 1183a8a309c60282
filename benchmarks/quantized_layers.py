"""Linear layers with weights of 8 bits beside the float32 routine taken otherwise: the table of layers in docs/performance.md.

    python benchmarks/quantized_layers.py

Processor time of one thread; both take turns, and a ratio is taken within a turn: median (quartiles).
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import torch
from torch import Tensor, nn

from spacy_emerging.kernels.linear import project
from spacy_emerging.kernels.quantized import QuantizedLinear

SIZES = ((1600, 128, 644), (1600, 256, 768), (1600, 512, 256), (200, 128, 644), (25, 128, 644))
TURNS, CALLS = 41, 10


def seconds(call: Callable[[], Tensor]) -> float:
    """Processor time of some calls."""
    started = time.process_time()
    for _ in range(CALLS):
        call()
    return time.process_time() - started


def ratios(tokens: int, inputs: int, outputs: int) -> list[float]:
    """How many times as fast the layer is with weights of 8 bits, turn by turn."""
    layer = nn.Linear(inputs, outputs)
    quantized = QuantizedLinear(layer)
    x = torch.randn(tokens, inputs)
    calls = [lambda: project(x, layer), lambda: project(x, quantized)]
    for call in calls:
        call()
    pairs = [[seconds(call) for call in calls] for _ in range(TURNS)]
    return [plain / small for plain, small in pairs]


def main() -> None:
    """The table."""
    torch.set_num_threads(1)
    print("| tokens, inputs, outputs | speed |\n|---|---:|")
    with torch.no_grad():
        for tokens, inputs, outputs in SIZES:
            low, median, high = statistics.quantiles(ratios(tokens, inputs, outputs), n=4)
            print(f"| {tokens:,} × {inputs} → {outputs} | {median:.2f}× ({low:.2f}–{high:.2f}) |")


if __name__ == "__main__":
    main()
