"""Pictures of graphs, read back from their XML."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_emerging.render.graph import above_of, graph_svg
from spacy_emerging.structures import DependencyGraph, DependencyTree

from .boxes import Box, overlaps, parsed, text_box, texts, uprights

WORDS = ("Ann", "seems", "to", "want", "to", "leave")
TREE = DependencyTree((2, 0, 4, 2, 6, 4), ("nsubj", "root", "mark", "xcomp", "mark", "xcomp"))
GRAPH = DependencyGraph(
    6,
    frozenset(
        {(2, 1, "nsubj"), (0, 2, "root"), (4, 3, "mark"), (2, 4, "xcomp"), (6, 5, "mark"), (4, 6, "xcomp")}
        | {(4, 1, "nsubj:xsubj"), (6, 1, "nsubj:xsubj")}
    ),
)

# what a label of a relation may look like; no two arcs have to differ
relations = st.sampled_from(["x", "nsubj", "nmod:poss", "<&>", "補語", "a very long relation", ""])


@st.composite
def graphs(draw: st.DrawFn) -> DependencyGraph:
    n = draw(st.integers(1, 7))
    return DependencyGraph(n, draw(st.frozensets(st.tuples(st.integers(0, n), st.integers(1, n), relations), max_size=12)))


def labels_at(picture) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = {}
    for element in texts(picture, "label"):
        found.setdefault(element.text or "", []).append(text_box(element))
    return found


def test_every_word_tag_and_arc_is_there() -> None:
    picture = parsed(graph_svg(GRAPH, WORDS, ["A"] * 6))
    assert [element.text for element in texts(picture, "word")] == list(WORDS)
    assert [element.text for element in texts(picture, "tag")] == ["A"] * 6
    assert sorted(element.text or "" for element in texts(picture, "label")) == sorted(label for _, _, label in GRAPH.arcs)


def test_arcs_go_above_or_below_by_direction() -> None:
    picture = parsed(graph_svg(GRAPH, WORDS))
    line = text_box(texts(picture, "word")[0])
    labels = labels_at(picture)
    assert all(box.bottom < line.top for box in labels["root"] + labels["xcomp"])
    assert all(box.top > line.bottom for box in labels["nsubj"] + labels["mark"] + labels["nsubj:xsubj"])


def test_what_a_tree_lacks_goes_below_it() -> None:
    picture = parsed(graph_svg(GRAPH, WORDS, above=above_of(GRAPH, TREE)))
    line = text_box(texts(picture, "word")[0])
    below = [label for label, boxes in labels_at(picture).items() for box in boxes if box.top > line.bottom]
    assert below == ["nsubj:xsubj", "nsubj:xsubj"]


@pytest.mark.parametrize("above", [None, above_of(GRAPH, TREE), frozenset(), GRAPH.arcs], ids=["by direction", "tree", "none", "all"])
def test_neither_texts_overlap_nor_do_arcs_run_through_them(above) -> None:
    picture = parsed(graph_svg(GRAPH, WORDS, ["PROPN"] * 6, above))
    boxes = [text_box(element) for role in ("word", "tag", "label") for element in texts(picture, role)]
    assert len(boxes) == 6 + 6 + 8
    assert overlaps(boxes) == []
    assert [(line, box) for line in uprights(picture) for box in boxes if line.overlaps(box)] == []


@settings(max_examples=150)
@given(graph=graphs(), rtl=st.booleans(), by_direction=st.booleans())
def test_texts_of_any_graph_are_apart_and_in_the_picture(graph: DependencyGraph, rtl: bool, by_direction: bool) -> None:
    picture = parsed(graph_svg(graph, above=None if by_direction else graph.arcs, rtl=rtl))
    boxes = [text_box(element) for role in ("word", "label") for element in texts(picture, role)]
    assert overlaps(boxes) == []
    width, height = float(picture.get("width", 0)), float(picture.get("height", 0))
    assert all(box.left >= 0 and box.right <= width and box.top >= 0 and box.bottom <= height for box in boxes + uprights(picture))


def test_text_that_runs_from_the_right_has_its_first_word_there() -> None:
    graph = DependencyGraph(3, frozenset({(2, 1, "nsubj"), (0, 2, "root"), (2, 3, "obj")}))
    picture = parsed(graph_svg(graph, ["הילד", "אכל", "תפוח"]))
    words = texts(picture, "word")
    places = [float(element.get("x", 0)) for element in words]
    assert places == sorted(places, reverse=True)
    # each word is whole and in logical order: the renderer of the picture turns it
    assert [element.text for element in words] == ["הילד", "אכל", "תפוח"]
    assert {element.get("direction") for element in words} == {"rtl"}
    obj = labels_at(picture)["obj"][0]
    assert places[2] < (obj.left + obj.right) / 2 < places[1]


def test_characters_of_xml_are_escaped_and_those_it_cannot_hold_replaced() -> None:
    graph = DependencyGraph(2, frozenset({(1, 2, "a<b&\"c'"), (0, 1, "root\x00")}))
    picture = parsed(graph_svg(graph, ["<b>", "\ud800&amp;\x0b"]))
    assert [element.text for element in texts(picture, "word")] == ["<b>", "\ufffd&amp;\ufffd"]
    assert sorted(element.text or "" for element in texts(picture, "label")) == ["a<b&\"c'", "root\ufffd"]


def test_an_empty_sentence_is_an_empty_picture() -> None:
    assert texts(parsed(graph_svg(DependencyGraph(0))), "word") == []
