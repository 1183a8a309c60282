"""`spacy-emerging coverage` from the outside."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from spacy_emerging.cli.app import app

TREE = "1\tAnn\t_\tPROPN\t_\t_\t2\tnsubj\t_\t_\n2\tleft\t_\tVERB\t_\t_\t0\troot\t_\t_\n\n"
OTHER = "1\tGo\t_\tVERB\t_\t_\t0\troot\t_\t_\n2\thome\t_\tADV\t_\t_\t1\tadvmod\t_\t_\n\n"
BRACKETS = "(S (NP (NNP Ann)) (VP (VBD left)))\n"


def run(*arguments: object, columns: int = 200):
    return CliRunner().invoke(app, ["coverage", *map(str, arguments)], env={"COLUMNS": str(columns)})


@pytest.fixture
def corpora(tmp_path) -> tuple[Path, Path]:
    (tmp_path / "dev.conllu").write_text(TREE * 3)
    (tmp_path / "train.conllu").write_text(OTHER)
    return tmp_path / "dev.conllu", tmp_path / "train.conllu"


def test_a_table_shows_each_encoding(corpora):
    result = run(corpora[0], "--encodings", "absolute,sevenbit")
    assert result.exit_code == 0, result.output
    assert "3 dependency structures, 6 words, 6 arcs" in result.stdout
    assert "AbsoluteDependency" in result.stdout and "SevenBitDependency" in result.stdout
    assert "HexaTag" not in result.stdout


def test_names_stay_whole_where_lines_are_short(corpora):
    result = run(corpora[0], "--encodings", "FourBitDependency", columns=40)
    assert "FourBitDependency" in result.stdout and "pseudo_projective=head+path" in result.stdout


def test_all_numbers_go_to_a_csv_file(corpora, tmp_path):
    dev, train = corpora
    result = run(dev, train, "--train", train, "--encodings", "relative", "--csv", tmp_path / "out" / "all.csv")
    assert result.exit_code == 0, result.output
    with (tmp_path / "out" / "all.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["corpus"], row["encoding"]) for row in rows] == [
        (str(path), name) for path in (dev, train) for name in ("RelativeDependency", "PosRelativeDependency")
    ]
    first = rows[0]
    assert (first["structures"], first["parts_exact"], first["labels"], first["tuples"]) == ("3", "1.000000", "offset=2 deprel=2", "2")
    assert (first["unseen_types"], first["out_of_reach"]) == ("offset=2 deprel=1", "1.000000")  # 1 and -2, where -1 was seen
    assert rows[2]["unseen_types"] == "offset=0 deprel=0"


@pytest.mark.parametrize("option", ["--csv", "--plot"])
def test_a_place_that_cannot_be_written_to_is_named_before_anything_is_measured(corpora, tmp_path, option, monkeypatch):
    measured = []
    monkeypatch.setattr("spacy_emerging.coverage.run.measured", lambda *given: measured.append(given))
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.svg").mkdir()
    for place in (tmp_path / "file" / "out.svg", tmp_path / "folder.svg"):
        result = run(corpora[0], option, place)
        assert result.exit_code == 1 and not measured
        assert f"{place}: the file cannot be written" in result.stderr
    assert not list(tmp_path.glob(".*"))


def test_no_output_takes_the_place_of_the_corpus_or_of_another_output(corpora, tmp_path):
    both = tmp_path / "both.svg"
    for options in (["--csv", corpora[0]], ["--train", corpora[1], "--csv", corpora[1]], ["--csv", both, "--plot", both]):
        result = run(corpora[0], *options)
        assert result.exit_code == 1
        assert f"{options[-1]}: the output is also read or written for something else" in result.stderr
    assert corpora[0].read_text() == TREE * 3 and not both.exists()


def test_brackets_are_measured_with_constituency_encodings(tmp_path):
    (tmp_path / "dev.ptb").write_text(BRACKETS)
    result = run(tmp_path / "dev.ptb")
    assert result.exit_code == 0, result.output
    assert "1 constituency structures, 2 words, 3 constituents" in result.stdout
    assert "TetraTagConstituency" in result.stdout


def test_a_plot_is_a_picture(corpora, tmp_path):
    pytest.importorskip("matplotlib")
    result = run(corpora[0], "--encodings", "bit", "--plot", tmp_path / "a.svg")
    assert result.exit_code == 0, result.output
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encodings", "octa"], "no encoding is called 'octa'"),
        (["--plot", "plot.txt"], "must end in one of .svg, .png, .pdf"),
        (["--encodings", "tetra"], "no sentence is annotated with a structure of these kinds: constituency"),
        (["--format", "xml"], "'format' is 'xml'"),
        (["--train", "absent.conllu"], "absent.conllu: there is no such file"),
    ],
)
def test_bad_input_gives_one_sentence(corpora, options, message):
    result = run(corpora[0], *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
