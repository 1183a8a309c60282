"""The benchmark of the encoders: what its tables say of given times, and that it runs from end to end."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts import one another by their names, as they do when one of them is run."""
    monkeypatch.syspath_prepend(FOLDER)


def row(name: str, length: int, seconds: list[float]) -> dict[str, Any]:
    clocks = [{"wall": 2 * each, "process": each} for each in seconds]
    return {
        "name": name,
        "length": length,
        "words": 1000,
        "parameters": 7,
        "seconds": {"forward": clocks, "forward+backward": clocks},
        "page_faults": {"forward": [1, 2, 3], "forward+backward": [5000, 0, length]},
        "peak_bytes_per_word": 2000.0 * length,
    }


@pytest.fixture
def results() -> dict[str, Any]:
    """An encoder that is twice, four times and three times as fast as the LSTM, without the peer of the same blocks."""
    ours = "encoder/XLSTMEncoder/concat"
    rows = []
    for length in (1000, 4000):
        rows += [row(ours, length, [1.0, 1.0, 1.0]), row("lstm", length, [2.0, 4.0, 3.0])]
        rows += [row("lstm like XLSTMEncoder", length, [0.5, 0.5, 0.5]), row("encoder/XLSTMEncoder/forward", length, [1.0, 1.0, 1.0])]
    machine = {"architecture": "x", "cores": 2, "system": "y"}
    settings = {"date": "2020-01-01", "command": "c", "machine": machine, "threads": 1, "versions": {"torch": "2", "xlstm": None}}
    chosen = {"clock": "process", "width": 8, "depth": 1, "repeats": 3, "chunks": {}, "peers": {"encoder/XLSTMEncoder/forward": "xlstm"}}
    return {**settings, **chosen, "rows": rows}


def test_ratios_are_medians_over_turns_with_least_and_most(results: dict[str, Any]) -> None:
    from tables import markdown

    lines = markdown(results).splitlines()

    assert "| `XLSTMEncoder`, concat | forward | 3.0× (2.0–4.0) | 3.0× (2.0–4.0) |" in lines
    assert "| `XLSTMEncoder`, concat | forward | 0.50× (0.50–0.50) | 0.50× (0.50–0.50) |" in lines


def test_a_missing_peer_is_said_to_be_missing(results: dict[str, Any]) -> None:
    from tables import markdown

    (line,) = (line for line in markdown(results).splitlines() if "xLSTMBlockStack" in line and "| forward |" in line)
    assert "spacy-emerging[peers]" in line


def test_growth_is_per_word(results: dict[str, Any]) -> None:
    """Given equal times for equal numbers of words, and memory per word that grows with the length."""
    from tables import markdown

    assert "| `XLSTMEncoder`, concat | 1.00 | 4.00 |" in markdown(results).splitlines()


def test_page_faults_are_medians_of_every_subject(results: dict[str, Any]) -> None:
    from tables import markdown

    lines = markdown(results).splitlines()
    table = lines[lines.index("**Page faults per pass, forward+backward**") :]
    for name in ("`XLSTMEncoder`, concat", "`XLSTMEncoder`, forward", "`nn.LSTM`, both directions", "`nn.LSTM` like `XLSTMEncoder`"):
        assert f"| {name} | 1,000 | 4,000 |" in table


def test_results_of_earlier_versions_have_no_table_of_page_faults(results: dict[str, Any]) -> None:
    from tables import markdown

    for each in results["rows"]:
        del each["page_faults"]
    text = markdown(results)
    assert "Page faults" not in text and "Peak memory" in text


def test_the_heading_says_whether_memory_is_kept(results: dict[str, Any]) -> None:
    from tables import markdown

    kept = "1 thread, the C library keeps memory, torch 2."
    assert kept not in markdown(results)
    assert kept not in markdown(results | {"keep_memory": False})
    assert kept in markdown(results | {"keep_memory": True})


def test_the_command_states_what_is_not_the_default() -> None:
    from encoders import DEFAULTS, conditions

    def command(**chosen: Any) -> str:
        said: str = conditions(argparse.Namespace(**DEFAULTS | chosen))["command"]
        return said

    assert command() == "python benchmarks/encoders.py"
    assert command(lengths=[25, 100], keep_memory=True) == "python benchmarks/encoders.py --lengths 25 100 --keep-memory"


def test_every_kind_of_run_has_its_own_markers() -> None:
    from pages import markers

    assert markers("encoders", 1, False) == ("<!-- encoders: begin -->", "<!-- encoders: end -->")
    assert markers("encoders", 1, True)[0] == "<!-- encoders, memory kept: begin -->"
    assert markers("encoders", 2, True)[0] == "<!-- encoders, 2 threads, memory kept: begin -->"


def test_tables_go_between_the_markers_and_nowhere_else(tmp_path: Path) -> None:
    from pages import put

    page = tmp_path / "page.md"
    page.write_text("a\n<begin>\nold\n<end>\nb\n")
    put(page, "new", "<begin>", "<end>")
    assert page.read_text() == "a\n<begin>\nnew\n<end>\nb\n"
    with pytest.raises(ValueError, match="no place for the tables"):
        put(page, "new", "<others>", "<end>")


@pytest.mark.parametrize(("width", "depth"), [(8, 1), (8, 3), (64, 2)])
def test_an_lstm_of_as_many_parameters_is_found(width: int, depth: int) -> None:
    from subjects import lstm_units

    for units in (3, 20):
        lstm = nn.LSTM(width, units, depth, bidirectional=True)
        assert lstm_units(sum(parameter.numel() for parameter in lstm.parameters()), width, depth) == units


def test_every_encoder_and_its_products_can_be_measured() -> None:
    from measuring import BOTH, Case
    from subjects import ENCODERS, build

    assert ENCODERS
    for kind in ("encoder", "products"):
        for name in ENCODERS:
            case = Case(build(f"{kind}/{name}/concat", 8, 1, 800), 8, 800)
            assert case.words == 1600
            found = case.run(BOTH)
            assert found.wall > 0 and found.page_faults >= 0
            assert all(parameter.grad is None for parameter in case.subject.module.parameters())


@pytest.mark.slow
def test_it_runs_from_end_to_end(tmp_path: Path) -> None:
    """On a tiny size; the pairs that compute the same are compared on the way, where the peers are installed."""
    with_peers = ["Mamba2Encoder", "MambaEncoder", "XLSTMEncoder"]
    sizes = ["--width", "16", "--depth", "1", "--repeats", "1", "--lengths", "3", "--encoders", *with_peers, "--keep-memory"]
    page = tmp_path / "page.md"
    page.write_text("<!-- encoders, memory kept: begin -->\n<!-- encoders, memory kept: end -->\n", encoding="utf-8")
    files = ["--output", str(tmp_path / "results.json"), "--write", str(page)]

    subprocess.run([sys.executable, str(FOLDER / "encoders.py"), *sizes, *files], check=True, capture_output=True, text=True)

    measured = {row["name"] for row in json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["rows"]}
    assert {f"encoder/{name}/{direction}" for name in with_peers for direction in ("concat", "forward")} <= measured
    text = page.read_text(encoding="utf-8")
    assert all(f"`{name}`, concat" in text for name in with_peers)
    assert "the C library keeps memory" in text and "Page faults per pass" in text and "--keep-memory\n" in text
