"""How it is measured: the time of a pass, and memory in a process of its own.

    python benchmarks/measuring.py KEY WIDTH DEPTH LENGTH THREADS

prints the peak memory of one forward and backward pass in bytes per word.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from subjects import MAMBA2, Subject, batch, build
from torch import Tensor

FORWARD, BOTH = "forward", "forward+backward"
CHUNKS = (4, 8, 16, 25, 32, 50, 64, 128)
"""Chunk sizes that are tried for the peer that has one: powers of 2, and divisors of the default lengths."""

HOPELESS = 1.5
"""The search goes on until a chunk size takes so many times as long as the best."""

LOOPED = 100
"""Longest sequences at which the loop of transformers is measured: the time of its backward pass grows with their square, to minutes."""

SHORT = 1.0
"""Seconds on the wall up to which a pass is run once more before it is timed."""

KEEPING = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""With these in its environment, glibc hands back to the system arrays of 32 MB or more, and what is free at the end beyond 64 MB.

By itself it begins with 128 kB for both, and goes up to these bounds as it sees larger arrays come and go.
"""

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Pass(NamedTuple):
    """Seconds of a pass by the clock on the wall, and in processor time of its process; and how many pages of memory it was given anew."""

    wall: float
    process: float
    page_faults: int


class Case:
    """A subject with its input (B, L, D) and a gradient of its output."""

    def __init__(self, subject: Subject, width: int, length: int) -> None:
        draw = torch.Generator().manual_seed(1)
        self.subject = subject
        self.x = torch.randn(batch(length), length, width, generator=draw).requires_grad_()
        self.gradient = torch.randn(subject.forward(self.x).shape, generator=draw)
        self.latest = {FORWARD: 0.0, BOTH: self.run(BOTH).wall}

    @property
    def words(self) -> int:
        return self.x.shape[0] * self.x.shape[1]

    def output(self) -> NDArray[numpy.float32]:
        """What the subject makes of the input."""
        found: NDArray[numpy.float32] = self.subject.forward(self.x).numpy()
        return found

    def run(self, passes: str) -> Pass:
        """Measures one pass, or both."""
        before = page_faults()
        wall, process = time.perf_counter(), time.process_time()
        if passes == FORWARD:
            self.subject.forward(self.x)
        else:
            self.subject.backward(self.x, self.gradient)
        seconds = time.perf_counter() - wall, time.process_time() - process
        found = Pass(*seconds, page_faults() - before)
        self.subject.forget(self.x)
        return found

    def run_warm(self, passes: str) -> Pass:
        """Measures a pass right after the same one, as a training or a prediction makes it again and again: caches and memory hold its own.

        A long one fills them by itself.
        """
        if self.latest[passes] < SHORT:
            self.run(passes)
        found = self.run(passes)
        self.latest[passes] = found.wall
        return found


def page_faults() -> int:
    """Pages that the system has given this process so far, without a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def environment(keep_memory: bool) -> dict[str, str]:
    """Of a process that measures: the C library keeps memory if it shall, and else does as it does by itself."""
    own = {name: value for name, value in os.environ.items() if name not in KEEPING}
    return own | KEEPING if keep_memory else own


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


def peak_bytes_per_word(key: str, width: int, depth: int, length: int, threads: int, keep_memory: bool) -> float | None:
    """Peak memory of both passes above what there was before, weights included; None where the system does not tell."""
    if not CLEAR.exists():
        return None
    command = [sys.executable, __file__, key, *map(str, (width, depth, length, threads))]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(keep_memory))
    return float(ended.stdout.split()[-1])


def status(field: str) -> int:
    """A size in /proc/self/status, in bytes."""
    found = re.search(rf"^{field}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


def _peak(key: str, width: int, depth: int, length: int, threads: int) -> float:
    torch.set_num_threads(threads)
    subject = build(key, width, depth, length)
    x: Tensor = torch.randn(batch(length), length, width).requires_grad_()
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
