"""What all tests share: one thread, one seed, and the devices that there are."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

from collections.abc import Iterator  # noqa: E402
from importlib.util import find_spec  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402
from thinc.api import fix_random_seed, require_cpu, require_gpu  # noqa: E402

torch.set_num_threads(1)
settings.register_profile("untimed", deadline=None)  # tests say nothing about time, so hypothesis must not either
settings.load_profile("untimed")

HAS_CUDA = torch.cuda.is_available() and find_spec("cupy") is not None


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same seed, so that it can be run alone."""
    fix_random_seed(0)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not HAS_CUDA, reason="needs a GPU and CuPy"))])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test once per device; Thinc's ops and torch's default device follow."""
    if request.param == "cuda":
        require_gpu()
    yield request.param
    require_cpu()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch has two threads during the test."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def loops_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled loops of linear layers, and those that hold some, are taken whatever the processor, and however few tokens."""
    monkeypatch.setattr("spacy_emerging.kernels.linear_loops.FASTEST", True)
    monkeypatch.setattr("spacy_emerging.kernels.linear_loops.WORTH_LAYING_OUT", 0)


@pytest.fixture
def loop_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """The compiled loops that a test calls, each with what it is given; where something need not be kept, None stands in its place."""
    from spacy_emerging.kernels import native

    calls, run = [], native.run
    monkeypatch.setattr(native, "run", lambda name, *given: (calls.append((name, given)), run(name, *given)))
    return calls


@pytest.fixture
def peak_source() -> str:
    """Source of `peak_kilobytes()`, for scripts that tell the peak memory of their own process.

    getrusage will not do: on Linux a child's ru_maxrss starts at its parent's, and growth below that goes unseen.
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc/self/status")
    return """
def peak_kilobytes():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""
