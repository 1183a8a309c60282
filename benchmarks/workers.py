"""Subjects in processes of their own, which take turns. For Linux and macOS.

    python benchmarks/workers.py CONNECTION KEY WIDTH DEPTH LENGTH THREADS

builds a subject and does what it is asked over the connection, an open socket of the process that started it. In one process with others
a subject would find memory that they have left, or wait for memory that they hold: what it takes would depend on who else is measured.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy
import torch
from measuring import Case, Pass, environment
from numpy.typing import NDArray
from subjects import build

TOGETHER = 2
"""Workers that start at the same time. Nothing is measured meanwhile."""

ERRORS = 2
"""The stream to which workers print, since what they are part of prints its tables to the other one."""

PR_SET_PDEATHSIG = 1
"""Of Linux: the signal that a process gets when the one that started it ends."""


class Worker:
    """A subject in a process of its own, which waits while it is not asked for anything."""

    words: int
    parameters: int

    def __init__(self, name: str, key: str, sizes: Sequence[int], threads: int, keep_memory: bool) -> None:
        self.name = name
        self._connection, other = Pipe()
        command = [sys.executable, __file__, *map(str, (other.fileno(), key, *sizes, threads))]
        self.process = subprocess.Popen(command, env=environment(keep_memory), pass_fds=[other.fileno()], stdout=ERRORS)
        other.close()

    def wait(self) -> None:
        """Until the subject is built and has made its first passes."""
        self.words, self.parameters = self._answer()

    def run_warm(self, passes: str) -> Pass:
        """`Case.run_warm` over there."""
        found: Pass = self._ask("run_warm", passes)
        return found

    def output(self) -> NDArray[numpy.float32]:
        """`Case.output` over there."""
        found: NDArray[numpy.float32] = self._ask("output")
        return found

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        self._connection.close()

    def _ask(self, method: str, *given: str) -> Any:
        try:
            self._connection.send((method, *given))
        except OSError:
            raise self._died() from None
        return self._answer()

    def _answer(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise self._died() from None

    def _died(self) -> RuntimeError:
        code = self.process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}, for the reason that is printed above"
        return RuntimeError(f"The process that measures {self.name} has ended {how}.")


@contextmanager
def working(keys: Mapping[str, str], sizes: Sequence[int], threads: int, keep_memory: bool) -> Iterator[dict[str, Worker]]:
    """A worker for every subject: {name: key} to {name: worker}. They end with the block.

    sizes: width, depth and length. keep_memory: whether their C library keeps memory. Raises RuntimeError where one of them ends too early.
    """
    workers: dict[str, Worker] = {}
    names = list(keys)
    try:
        for first in range(0, len(names), TOGETHER):
            starting = names[first : first + TOGETHER]
            for name in starting:
                workers[name] = Worker(name, keys[name], sizes, threads, keep_memory)
            for name in starting:
                workers[name].wait()
        yield workers
    finally:
        for worker in workers.values():
            worker.end()


def in_turns(workers: Mapping[str, Worker], repeats: int, kinds: Sequence[str]) -> dict[str, dict[str, list[Pass]]]:
    """Every worker once in each turn, so that what slows the machine down for a while slows all of them: {name: {kind: passes}}.

    kinds: FORWARD, BOTH or one of them.
    """
    found: dict[str, dict[str, list[Pass]]] = {name: {kind: [] for kind in kinds} for name in workers}
    for _ in range(repeats):
        for kind in kinds:
            for name, worker in workers.items():
                found[name][kind].append(worker.run_warm(kind))
    return found


def _end_with(connection: Connection) -> None:
    """This process ends when that at the other end of the connection does, so that no pass goes on alone.

    Elsewhere than on Linux it ends when the pass is over that it is at. An interrupt from the keyboard is for the other one to deal with.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if connection.poll():  # nothing is asked before the first answer, so there is an end to be read
        raise SystemExit


def _serve(connection: Connection, key: str, width: int, depth: int, length: int, threads: int) -> None:
    torch.set_num_threads(threads)
    case = Case(build(key, width, depth, length), width, length)
    connection.send((case.words, case.subject.parameters))
    while True:
        try:
            method, *given = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(getattr(case, method)(*given))


if __name__ == "__main__":
    to_parent = Connection(int(sys.argv[1]))
    _end_with(to_parent)
    _serve(to_parent, sys.argv[2], *map(int, sys.argv[3:]))
