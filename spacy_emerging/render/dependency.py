"""Dependency trees as displaCy draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from spacy.displacy import DependencyRenderer

from ..structures import DependencyTree
from . import svg


def dependency_svg(
    tree: DependencyTree, words: Sequence[str] | None = None, tags: Sequence[str] | None = None, rtl: bool | None = None, name: str = "tree"
) -> Element:
    """A picture of the tree.

    words, tags: n strings each; None: the words' numbers, no tags. rtl: whether the first word is on the right; None: if the words are
    written so. name: begins the ids in the picture, which must differ between pictures of one page.
    """
    words = list(words or map(str, range(1, len(tree) + 1)))
    tags = list(tags or [""] * len(tree))
    rtl = svg.is_right_to_left(words) if rtl is None else rtl
    # displaCy escapes words, but neither tags nor relations.
    shown = [{"text": svg.clean(word), "tag": escape(svg.clean(tag)), "lemma": None} for word, tag in zip(words, tags, strict=True)]
    arcs = [_arc(head - 1, i, deprel) for i, (head, deprel) in enumerate(zip(tree.heads, tree.deprels, strict=True)) if head]
    # In compact form arcs are angular, and long sentences stay narrow enough to be read.
    renderer = DependencyRenderer(options={"compact": True, "distance": 110, "color": svg.TEXT, "bg": "#ffffff", "font": "sans-serif"})
    renderer.direction = "rtl" if rtl else "ltr"
    if not words:
        return svg.picture(0, 0, [], "")
    return ElementTree.fromstring(renderer.render_svg(name, shown, arcs))


def _arc(head: int, word: int, deprel: str) -> dict[str, Any]:
    """An arc as displaCy wants it: from left to right, with the side of its arrowhead."""
    return {"start": min(head, word), "end": max(head, word), "label": escape(svg.clean(deprel)), "dir": "left" if word < head else "right"}
