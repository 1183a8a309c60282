"""The benchmark of the encodings: from treebanks to a page, on very small ones."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
TREE = "1\tAnn\t_\tPROPN\t_\t_\t2\tnsubj\t_\t_\n2\tleft\t_\tVERB\t_\t_\t0\troot\t_\t_\n\n"
OTHER = "1\tGo\t_\tVERB\t_\t_\t0\troot\t_\t_\n2\thome\t_\tADV\t_\t_\t1\tadvmod\t_\t_\n\n"
PAGE = "# Page\n\n<!-- coverage: begin -->\nold\n<!-- coverage: end -->\n\nThe end.\n"


def test_tables_are_put_between_the_markers_of_a_page(tmp_path: Path) -> None:
    # given two treebanks, one with a training file, and what is no treebank
    for name, text in {
        "UD_A/a-ud-train.conllu": OTHER,
        "UD_A/a-ud-dev.conllu": TREE,
        "UD_A/README.md": "train",
        "CONST_B/test.ptb": "(S (NNP Ann))\n",
        "NER_C/train.iob2": "Ann B-PER\n",
    }.items():
        (tmp_path / "treebanks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "treebanks" / name).write_text(text)
    (tmp_path / "page.md").write_text(PAGE)
    # when they are measured
    options = ["--write", tmp_path / "page.md", "--csv", tmp_path / "all.csv"]
    command = [sys.executable, str(BENCHMARK), str(tmp_path / "treebanks"), *map(str, options)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    # then both are on the page, each beside the encodings of its structures
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("# Page\n") and page.endswith("\nThe end.\n") and "old" not in page
    assert "Sentences / words / arcs: A 2 / 4 / 4." in page
    assert "Sentences / words / constituents: B 1 / 1 / 1." in page
    assert "| `Relative` | 100 |" in page
    # and both words of dev have an offset that train lacks
    lacking = page.partition("**Words in dev and test with a label that train lacks, %**")[2]
    assert "| `Relative` | 100 |" in lacking.partition("**Speed")[0]
    with (tmp_path / "all.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["corpus"], row["kind"]) for row in rows} == {("A", "dependency"), ("B", "constituency")}
