"""`nlp.pipe(n_process=2)` ends, and gives what one process gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .cases import CASES, blank

SECONDS = 900
"""Only to tell a deadlock from slowness."""


@pytest.mark.parametrize("together", [("tag", "ner", "spans", "parser"), ("segmenter",)], ids=" ".join)
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_two_processes_end_and_agree_with_one(method: str, together: tuple[str, ...], tmp_path: Path) -> None:
    """Given components in one pipeline and torch threads that run already, when texts go to two processes, they are answered."""
    nlp = blank()
    cases = [case for case in CASES if case.id in together]
    data = cases[0].examples(nlp.vocab)
    for case in cases:
        case.add_to(nlp, name=case.id)
    nlp.initialize(lambda: data)
    nlp.to_disk(tmp_path / "model")
    command = [sys.executable, str(Path(__file__).with_name("parallel.py")), str(tmp_path / "model"), method]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (done.returncode, done.stdout) == (0, "alike\n"), done.stderr
