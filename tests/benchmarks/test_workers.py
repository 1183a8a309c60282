"""Subjects of benchmarks in processes of their own: what they answer, and that none is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SIZES = (8, 1, 25)
KEY = "encoder/MinGRUEncoder/forward"
LEFT_ALONE = f"""
import os, signal
from workers import Worker
worker = Worker("left alone", {KEY!r}, {SIZES!r}, 1, False)
worker.wait()
print(worker.process.pid, flush=True)
os.kill(worker.process.pid, signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGKILL)
"""
"""The worker is stopped, so that it hears no more of its parent than it would amid a long pass."""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts import one another by their names, as they do when one of them is run."""
    monkeypatch.syspath_prepend(FOLDER)


def test_workers_take_turns_and_end_with_the_block() -> None:
    """One of the two dies on the way."""
    from measuring import BOTH, FORWARD, Case
    from subjects import build
    from workers import in_turns, working

    here = Case(build(KEY, *SIZES), SIZES[0], SIZES[2])
    with working({"ours": KEY, "lstm like ours": "lstm/3"}, SIZES, 1, keep_memory=True) as workers:
        ours, other = workers.values()
        assert (ours.words, ours.parameters) == (here.words, here.subject.parameters)
        numpy.testing.assert_allclose(ours.output(), here.output(), rtol=1e-5, atol=1e-6)

        found = in_turns(workers, 2, (FORWARD, BOTH))
        assert list(found) == ["ours", "lstm like ours"]
        for kinds in found.values():
            assert {kind: len(passes) for kind, passes in kinds.items()} == {FORWARD: 2, BOTH: 2}
            assert all(each.wall > 0 and each.page_faults >= 0 for passes in kinds.values() for each in passes)

        other.process.kill()
        with pytest.raises(RuntimeError, match="The process that measures lstm like ours has ended by SIGKILL."):
            in_turns(workers, 1, [BOTH])
        assert ours.process.poll() is None
    assert ours.process.poll() is not None


def test_a_worker_that_does_not_start_is_named_and_the_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    import workers

    started = []

    class Broken(workers.Worker):
        def wait(self) -> None:
            started.append(self.process)
            self.process.kill()
            super().wait()

    monkeypatch.setattr(workers, "Worker", Broken)
    keys = {"first": KEY, "second": KEY}
    with pytest.raises(RuntimeError, match="The process that measures first has ended"), workers.working(keys, SIZES, 1, False):
        raise AssertionError("The block was entered.")
    assert all(process.poll() is not None for process in started)


def test_only_a_worker_that_shall_keep_memory_has_it_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from measuring import environment

    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    kept = environment(keep_memory=True)
    assert (kept["MALLOC_MMAP_THRESHOLD_"], kept["MALLOC_TRIM_THRESHOLD_"]) == ("33554432", "67108864")
    plain = environment(keep_memory=False)
    assert plain == {name: value for name, value in os.environ.items() if name != "MALLOC_TRIM_THRESHOLD_"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker finishes its pass first")
def test_no_worker_outlives_its_parent() -> None:
    command = [sys.executable, "-c", LEFT_ALONE]
    ended = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True, timeout=300)
    assert ended.returncode < 0
    worker = int(ended.stdout)
    until = time.monotonic() + 60
    while _lives(worker) and time.monotonic() < until:
        time.sleep(0.1)
    assert not _lives(worker)


def _lives(process: int) -> bool:
    """Whether there is such a process; one that has ended and waits to be noticed by its parent is none."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
