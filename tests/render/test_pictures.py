"""Which pictures a sentence gives, and what is written of them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from spacy_emerging.corpus.structures import AnnotatedSentence
from spacy_emerging.errors import CorpusError, SettingError
from spacy_emerging.render.dependency import dependency_svg
from spacy_emerging.render.pictures import figures, write
from spacy_emerging.render.svg import tag, to_text
from spacy_emerging.structures import ConstituencyTree, DependencyGraph, DependencyTree

TREE = DependencyTree((2, 0), ("nsubj", "root"))
GRAPH = DependencyGraph(2, frozenset({(2, 1, "nsubj"), (0, 2, "root")}))
CONSTITUENTS = ConstituencyTree(2, [("S", 0, 2)])


def sentence(**structures) -> AnnotatedSentence:
    nothing = {"tree": None, "constituents": None, "graph": None}
    return AnnotatedSentence(words=("A<b", "left"), tags=("NN", "VBD"), pos=("NOUN", "VERB"), **{**nothing, **structures})


def kinds(one: AnnotatedSentence, kind: str) -> list[str]:
    """By what is in the picture and in no other kind of picture."""
    found = []
    for _, picture in figures([one], kind):
        classes = {element.get("class") for element in picture.iter()}
        found.append("constituency" if "constituent" in classes else "dependency" if "displacy-word" in classes else "graph")
    return found


def test_auto_draws_constituents_and_the_graph_or_else_the_tree() -> None:
    assert kinds(sentence(tree=TREE, graph=GRAPH, constituents=CONSTITUENTS), "auto") == ["constituency", "graph"]
    assert kinds(sentence(tree=TREE), "auto") == ["dependency"]
    assert kinds(sentence(), "auto") == []


@pytest.mark.parametrize("kind", ["dependency", "constituency", "graph"])
def test_one_kind_can_be_chosen(kind: str) -> None:
    assert kinds(sentence(tree=TREE, graph=GRAPH, constituents=CONSTITUENTS), kind) == [kind]
    assert kinds(sentence(), kind) == []


def test_a_tree_is_what_displacy_draws() -> None:
    picture = ElementTree.fromstring(to_text(dependency_svg(TREE, ["A<b", "left"], ["NOUN", "VERB"])))
    words = [element.text for element in picture.iter(tag("tspan")) if element.get("class") == "displacy-word"]
    assert words == ["A<b", "left"]
    assert [element.text for element in picture.iter(tag("textPath"))] == ["nsubj"]


def test_words_tags_and_relations_of_any_characters_are_drawn() -> None:
    # given characters that mean something in XML, and one that it cannot hold
    drawn = dependency_svg(DependencyTree((0, 1), ("root", "obj<&>")), ["<b>", "\x01"], ["N&", "<V"])
    # then the picture shows them, and a replacement for what cannot be shown
    assert {"<b>", "\ufffd", "N&", "<V", "obj<&>"} <= {text.strip() for text in drawn.itertext()}


def test_a_tree_that_runs_from_the_right_has_its_first_word_there() -> None:
    picture = dependency_svg(TREE, ["הילד", "אכל"])
    first, second = [float(element.get("x", 0)) for element in picture.iter(tag("tspan")) if element.get("class") == "displacy-word"]
    assert first > second


def test_a_picture_holds_all_of_them_one_below_the_other(tmp_path: Path) -> None:
    assert write(figures([sentence(graph=GRAPH), sentence(tree=TREE)]), tmp_path / "a.svg", "corpus") == 2
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    first, second = root.findall(tag("svg"))
    assert float(first.get("y", 0)) + float(first.get("height", 0)) < float(second.get("y", 0))
    assert float(root.get("height", 0)) >= float(second.get("y", 0)) + float(second.get("height", 0))


def test_a_page_has_a_caption_for_each_and_escapes_it(tmp_path: Path) -> None:
    write(figures([sentence(tree=TREE), sentence(tree=TREE)]), tmp_path / "out" / "a.html", "<corpus>")
    page = (tmp_path / "out" / "a.html").read_text(encoding="utf-8")
    assert page.count('<figcaption dir="auto">A&lt;b left</figcaption>') == 2
    assert "<title>&lt;corpus&gt;</title>" in page
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_nothing_to_draw_and_unknown_kinds_and_extensions_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="corpus: no sentence has a structure"):
        write(figures([sentence()]), tmp_path / "a.svg", "corpus")
    with pytest.raises(SettingError, match="'kind' is 'cube'"):
        list(figures([sentence()], "cube"))
    with pytest.raises(SettingError, match=r"must end in .html \(a page\) or .svg"):
        write([], tmp_path / "a.png", "corpus")
    assert list(tmp_path.iterdir()) == []
