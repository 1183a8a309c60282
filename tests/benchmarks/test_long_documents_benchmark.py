"""The benchmark of very long Docs: what its table says of given measurements, and that it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_further_words_are_counted_beyond_the_doc_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    from long_documents import table

    rows = [{"words": 1000, "bytes": 5e6, "seconds": 0.1}, {"words": 3000, "bytes": 7e6, "seconds": 0.15}]
    lines = table(rows, "LSTMEncoder", 8, 1, 64, "command").splitlines()
    assert "| 1,000 | 5 | 5,000 |  | 100.0 |" in lines
    assert "| 3,000 | 7 | 2,333 | 1,000 | 50.0 |" in lines


def test_speed_is_a_ratio_within_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    from long_speed import Turn, row

    turns = [Turn(long=3e-5, short=2e-5), Turn(long=1e-5, short=1e-5), Turn(long=4e-5, short=2e-5)]
    assert row("LSTMEncoder", turns) == "| `LSTMEncoder` | 20.0 | 30.0 | 1.50 (1.00–2.00) |"


@pytest.mark.slow
def test_speed_is_measured_and_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- long speed: begin -->\n<!-- long speed: end -->\n")
    options = ["--encoders", "LSTMEncoder,HydraEncoder", "--words", "2000", "--short", "1", "--turns", "1", "--width", "8"]
    subprocess.run([sys.executable, str(FOLDER / "long_speed.py"), *options, "--write", str(page)], timeout=300, check=True)
    assert [line.split(" | ")[0] for line in page.read_text().splitlines()[-3:-1]] == ["| `LSTMEncoder`", "| `HydraEncoder`"]


@pytest.mark.slow
def test_it_runs_from_end_to_end(peak_source: str) -> None:
    options = ["--words", "50,3000", "--encoder", "LSTMEncoder", "--width", "8", "--depth", "1", "--max-batch-tokens", "100"]
    command = [sys.executable, str(FOLDER / "long_documents.py"), *options]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    assert f"python benchmarks/long_documents.py {' '.join(options)}" in printed
    assert [line.split(" | ")[0] for line in printed.splitlines()[-3:-1]] == ["| 50", "| 3,000"]
