"""Keeps `nlp.pipe(n_process=2)` from hanging: a forked child must not use the parent's thread pool.

OpenMP threads do not survive a fork, but torch in the child still waits for them at its first parallel operation.
One thread per worker process needs no pool, and is what one wants anyway when the processes share the cores.
"""

from __future__ import annotations

import os

import torch


def _one_thread() -> None:
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_one_thread)
