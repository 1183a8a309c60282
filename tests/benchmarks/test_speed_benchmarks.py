"""The benchmarks of speed: what their tables say of given measurements, and that they run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spacy_emerging.kernels import native

FOLDER = Path(__file__).parents[2] / "benchmarks"
SAMPLE = Path(__file__).parents[2] / "assets" / "sample"
needs_loops = pytest.mark.skipif(not native.available(), reason="compares the compiled loops, which are not there")


def printed(script: str, *options: str) -> str:
    """What a script prints, called as its page says."""
    return subprocess.run([sys.executable, str(FOLDER / script), *options], capture_output=True, text=True, timeout=600, check=True).stdout


def test_taggers_are_compared_with_every_peer_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    from pipelines import STANZA, STOCK, table

    lines = table({STOCK: [2.0, 2.0, 2.0], "ours": [1.0, 0.5, 1.0], STANZA: [4.0, 5.0, 6.0]}, 100, "tagger")
    assert lines[0] == "| tagger | words/s | beside spaCy's | beside Stanza's |"
    assert lines[3] == "| ours | 100 | 2.0× (2.0–4.0) | 6.0× (4.0–10) |"


@pytest.mark.slow
def test_training_step() -> None:
    lines = printed("step.py", "--encoder", "lstm", "--repeats", "1").splitlines()
    assert lines[0].startswith("Measured on ") and any(line.startswith("| encoder: backward pass |") for line in lines)
    assert any("mkldnn_rnn_layer_backward" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("encoder,threads,kept", [("Mamba2Encoder", "1", []), ("XLSTMEncoder", "2", ["--keep-memory"])])
def test_products(encoder: str, threads: str, kept: list[str]) -> None:
    lines = printed("products.py", "--encoders", encoder, "--lengths", "25", "--turns", "1", "--threads", threads, *kept).splitlines()
    assert lines[0].startswith("Measured on ") and f", {threads} thread" in lines[0] and lines[-1].startswith(f"| `{encoder}` | 25 |")
    assert ("the C library keeps memory" in lines[0]) == bool(kept)


@needs_loops
@pytest.mark.slow
def test_loops() -> None:
    lines = printed("loops.py", "--encoders", "MinGRUEncoder", "--width", "16", "--depth", "1", "--turns", "1").splitlines()
    assert lines[-1].startswith("| `MinGRUEncoder` |") and lines[-1].count("×") == 6


@pytest.mark.slow
def test_quantized_layers() -> None:
    assert printed("quantized_layers.py").count("×") > 0


@pytest.mark.slow
def test_pipelines(tmp_path: Path) -> None:
    gold = tmp_path / "dev.spacy"
    convert = [str(Path(sys.executable).parent / "spacy-emerging"), "convert", str(SAMPLE / "dev.conllu"), str(gold), "--lang", "en"]
    subprocess.run(convert, check=True, timeout=300)
    lines = printed("pipelines.py", "--docs", str(gold), "--encoders", "LSTMEncoder", "--repeats", "1").splitlines()
    assert any(line.startswith("| `LSTMEncoder`, depth 2, `emerging_tagger` |") for line in lines)
