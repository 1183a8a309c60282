"""Pictures of constituency trees, read back from their XML."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.render.constituency import constituency_svg
from spacy_emerging.structures import ConstituencyTree

from .boxes import overlaps, parsed, text_box, texts

TREE = ConstituencyTree.from_brackets("(S (NP (DT The) (NN cat)) (VP (VBD sat) (PP (IN on) (NP (NN top)))) (. .))")


@st.composite
def trees(draw: st.DrawFn) -> ConstituencyTree:
    """Stretches inside stretches, unary chains and words outside of everything included."""
    n = draw(st.integers(0, 8))
    labels = st.sampled_from(["S", "NP", "WHADVP", "<&>", "a very long label", ""])
    spans: list[tuple[str, int, int]] = []
    waiting = [(0, n)]
    while waiting:
        start, end = waiting.pop()
        if start < end:
            spans += [(label, start, end) for label in draw(st.lists(labels, max_size=2))]
            cut = draw(st.integers(start, end))
            waiting += [(start, cut), (cut, end)] if start < cut < end else []
    return ConstituencyTree(n, spans)


def test_every_part_is_there() -> None:
    picture = parsed(constituency_svg(TREE))
    assert [element.text for element in texts(picture, "word")] == ["The", "cat", "sat", "on", "top", "."]
    assert [element.text for element in texts(picture, "tag")] == ["DT", "NN", "VBD", "IN", "NN", "."]
    assert [element.text for element in texts(picture, "constituent")] == ["S", "NP", "VP", "PP", "NP"]


def test_constituents_stand_above_their_parts_and_words_on_one_line() -> None:
    picture = parsed(constituency_svg(TREE))
    s, np, vp, pp, inner = [text_box(element) for element in texts(picture, "constituent")]
    assert s.bottom < np.top == vp.top < pp.top < inner.top
    words = [text_box(element) for element in texts(picture, "word")]
    assert len({word.bottom for word in words}) == 1
    assert inner.bottom < words[0].top
    assert words[0].left < (np.left + np.right) / 2 < words[1].right


@given(tree=trees(), rtl=st.booleans())
def test_texts_of_any_tree_are_apart_and_in_the_picture(tree: ConstituencyTree, rtl: bool) -> None:
    picture = parsed(constituency_svg(tree, [f"word{i}" for i in range(len(tree))], ["TAG"] * len(tree), rtl))
    boxes = [text_box(element) for role in ("word", "tag", "constituent") for element in texts(picture, role)]
    assert len(boxes) == 2 * len(tree) + len(tree.spans())
    assert overlaps(boxes) == []
    width, height = float(picture.get("width", 0)), float(picture.get("height", 0))
    assert all(box.left >= 0 and box.right <= width and box.top >= 0 and box.bottom <= height for box in boxes)


def test_text_that_runs_from_the_right_has_its_first_word_there() -> None:
    picture = parsed(constituency_svg(ConstituencyTree(2, [("S", 0, 2)]), ["ولد", "نام"]))
    first, second = texts(picture, "word")
    assert float(first.get("x", 0)) > float(second.get("x", 0))


def test_a_deep_tree_needs_no_recursion() -> None:
    n = 2000
    picture = parsed(constituency_svg(ConstituencyTree(n, [("X", i, n) for i in range(n)])))
    assert len(texts(picture, "constituent")) == n
