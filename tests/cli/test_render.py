"""`spacy-emerging render` from the outside."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import spacy
from spacy.language import Language
from typer.testing import CliRunner

from spacy_emerging.cli.app import app
from spacy_emerging.corpus.annotations import set_graph_arcs
from spacy_emerging.render.svg import tag

TREE = "1\tAnn\t_\tPROPN\t_\t_\t2\tnsubj\t_\t_\n2\tleft\t_\tVERB\t_\t_\t0\troot\t_\t_\n\n"


def run(*arguments: object):
    return CliRunner().invoke(app, ["render", *map(str, arguments)])


def pictures(path: Path) -> list[ElementTree.Element]:
    root = ElementTree.parse(path).getroot()
    return root.findall(tag("svg")) or [root]


@pytest.fixture
def corpus(tmp_path) -> Path:
    (tmp_path / "a.conllu").write_text(TREE * 3)
    return tmp_path / "a.conllu"


def test_a_corpus_becomes_a_picture(corpus, tmp_path):
    result = run(corpus, tmp_path / "a.svg")
    assert result.exit_code == 0, result.output
    assert "3 pictures" in result.stdout
    assert len(pictures(tmp_path / "a.svg")) == 3


def test_a_limit_holds(corpus, tmp_path):
    run(corpus, tmp_path / "a.svg", "--limit", 2)
    assert len(pictures(tmp_path / "a.svg")) == 2


def test_brackets_become_a_page(tmp_path):
    (tmp_path / "a.brackets").write_text("(S (NP (NNP Ann)) (VP (VBD left)))\n")
    result = run(tmp_path / "a.brackets", tmp_path / "a.html", "--kind", "constituency")
    assert result.exit_code == 0, result.output
    assert ">VP</text>" in (tmp_path / "a.html").read_text()


@Language.component("tests_loop_graph")
def loops(doc):
    """Every word governs itself."""
    set_graph_arcs(doc, [(i, i, f"loop{i}") for i in range(1, len(doc) + 1)])
    return doc


def test_a_saved_pipeline_parses_a_text(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("tests_loop_graph")
    nlp.to_disk(tmp_path / "model")
    result = run(tmp_path / "a.svg", "--model", tmp_path / "model", "--text", "Ann left")
    assert result.exit_code == 0, result.output
    assert ">loop2</text>" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.svg"], "give INPUT and OUTPUT, or OUTPUT alone with both --model and --text"),
        (["a.svg", "--model", "m"], "give INPUT and OUTPUT, or OUTPUT alone"),
        (["a.svg", "--model", "m", "--text", "t"], "'m' is no saved pipeline"),
        (["a.conllu", "a.pdf"], "must end in .html (a page) or .svg (one picture)"),
        (["a.conllu", "a.svg", "--kind", "graph"], "no sentence has a structure of the kind that was asked for"),
        (["a.conllu", "a.svg", "--kind", "cube"], "'kind' is 'cube'"),
        (["absent.conllu", "a.svg"], "absent.conllu: there is no such file"),
    ],
)
def test_bad_input_gives_one_sentence_and_no_file(corpus, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.conllu"]
