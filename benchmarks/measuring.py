"""How it is measured: time in turns, memory in a process of its own.

    python benchmarks/measuring.py KEY WIDTH DEPTH LENGTH THREADS

prints the peak memory of one forward and backward pass in bytes per word.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from subjects import MAMBA2, Subject, build
from torch import Tensor

WORDS = 1600
"""Words of a batch; one sequence where that is longer."""

FORWARD, BOTH = "forward", "forward+backward"
CHUNKS = (4, 8, 16, 25, 32, 50, 64, 128)
"""Chunk sizes that are tried for the peer that has one: powers of 2, and divisors of the default lengths."""

HOPELESS = 1.5
"""The search goes on until a chunk size takes so many times as long as the best."""

LOOPED = 100
"""Longest sequences at which the loop of transformers is measured: the time of its backward pass grows with their square, to minutes."""

SHORT = 1.0
"""Seconds on the wall up to which a pass is run once more before it is timed."""

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Seconds(NamedTuple):
    """Duration of a pass by the clock on the wall, and in processor time of this process."""

    wall: float
    process: float


class Case:
    """A subject with its input (B, L, D) and a gradient of its output."""

    def __init__(self, subject: Subject, width: int, length: int) -> None:
        draw = torch.Generator().manual_seed(1)
        self.subject = subject
        self.x = torch.randn(max(1, WORDS // length), length, width, generator=draw).requires_grad_()
        self.output = subject.forward(self.x)
        self.gradient = torch.randn(self.output.shape, generator=draw)
        self.latest = {FORWARD: 0.0, BOTH: self.run(BOTH).wall}

    @property
    def words(self) -> int:
        return self.x.shape[0] * self.x.shape[1]

    def run(self, passes: str) -> Seconds:
        """Times one pass, or both."""
        wall, process = time.perf_counter(), time.process_time()
        if passes == FORWARD:
            self.subject.forward(self.x)
        else:
            self.subject.backward(self.x, self.gradient)
        seconds = Seconds(time.perf_counter() - wall, time.process_time() - process)
        self.subject.forget(self.x)
        return seconds

    def run_warm(self, passes: str) -> Seconds:
        """Times a pass right after the same one, as a training or a prediction makes it again and again: caches and memory hold its own.

        A long one fills them by itself.
        """
        if self.latest[passes] < SHORT:
            self.run(passes)
        seconds = self.run(passes)
        self.latest[passes] = seconds.wall
        return seconds


def in_turns(cases: Mapping[str, Case], repeats: int) -> dict[str, dict[str, list[Seconds]]]:
    """Every case once in each turn, so that what slows the machine down for a while slows all of them: {key: {passes: seconds}}."""
    found: dict[str, dict[str, list[Seconds]]] = {key: {FORWARD: [], BOTH: []} for key in cases}
    for _ in range(repeats):
        for passes in (FORWARD, BOTH):
            for key, case in cases.items():
                found[key][passes].append(case.run_warm(passes))
    return found


def best_chunk(width: int, depth: int, length: int) -> int:
    """The chunk size with which the Mamba-2 of transformers is fastest at this length, both passes.

    Its largest arrays grow with length x chunk and with head width x chunks^2, so sizes are tried in the order of the sum: far from
    the least, they would not even fit into memory.
    """
    head_width = build(MAMBA2, width, depth, length).module.layers[0].scan.shape.head_width
    size = {chunk: length * chunk + head_width * (length / chunk + 1) ** 2 for chunk in CHUNKS if chunk < 2 * length}
    best, least = 0, float("inf")
    for chunk in sorted(size, key=size.__getitem__):
        case = Case(build(f"transformers/{chunk}", width, depth, length), width, length)
        seconds = min(case.run(BOTH).process for _ in range(2))
        if seconds < least:
            best, least = chunk, seconds
        elif seconds > HOPELESS * least:
            break
    return best


def best_scan(width: int, depth: int, length: int) -> str | None:
    """The scan with which the Mamba of transformers is fastest at this length, both passes; None where it has none for it."""
    scans = [scan for scan, present in (("mambapy", find_spec("mambapy")), ("loop", length <= LOOPED)) if present]

    def seconds(scan: str) -> float:
        case = Case(build(f"transformers-mamba/{scan}", width, depth, length), width, length)
        return min(case.run(BOTH).process for _ in range(2))

    return min(scans, key=seconds) if len(scans) > 1 else next(iter(scans), None)


def peak_bytes_per_word(key: str, width: int, depth: int, length: int, threads: int) -> float | None:
    """Peak memory of both passes above what there was before, weights included; None where the system does not tell."""
    if not CLEAR.exists():
        return None
    command = [sys.executable, __file__, key, *map(str, (width, depth, length, threads))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def status(field: str) -> int:
    """A size in /proc/self/status, in bytes."""
    found = re.search(rf"^{field}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


def _peak(key: str, width: int, depth: int, length: int, threads: int) -> float:
    torch.set_num_threads(threads)
    subject = build(key, width, depth, length)
    x: Tensor = torch.randn(max(1, WORDS // length), length, width).requires_grad_()
    # First calls load libraries, whose memory is not that of the pass.
    short = x[:1, : min(length, 8)].detach().requires_grad_()
    subject.call(short).sum().backward()
    subject.forget(short)
    before = status("VmRSS")
    CLEAR.write_text("5")  # the peak of the process starts anew from what it holds now
    subject.call(x).sum().backward()
    return (status("VmHWM") - before) / (x.shape[0] * x.shape[1])


if __name__ == "__main__":
    print(_peak(sys.argv[1], *map(int, sys.argv[2:])))
