"""Constituency trees as SVG: the root on top, all words on one line below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from ..structures import ConstituencyTree
from . import svg

ROW = 46
"""Pixels from one level of the tree to the next."""
GAP = 14
"""Pixels between neighbours on a line."""
MARGIN = 16
LIFT = 5  # from the base line of a label up to its middle, and to where lines end beside it


@dataclass
class _Node:
    """A constituent, or a word if it has no parts. width: what it and all below it need. left: where that begins."""

    label: str
    depth: int
    width: float
    tag: str = ""
    parts: list[_Node] = field(default_factory=list)
    left: float = 0.0

    @property
    def x(self) -> float:
        return self.left + self.width / 2


def constituency_svg(
    tree: ConstituencyTree, words: Sequence[str] | None = None, tags: Sequence[str] | None = None, rtl: bool | None = None
) -> Element:
    """A picture of the tree.

    words, tags: n strings each; None: those of the tree, else the words' numbers and no tags. Words in no constituent stand alone.
    rtl: whether the first word is on the right; None: if the words are written so.
    """
    words = list(words or tree.words or [str(i + 1) for i in range(len(tree))])
    tags = list(tags or tree.tags or [""] * len(tree))
    rtl = svg.is_right_to_left(words) if rtl is None else rtl
    top, nodes = _nodes(tree, words, tags)
    _place(top, nodes, rtl)
    deepest = max((node.depth for node in nodes if node.parts), default=-1)
    baseline = MARGIN + svg.WORD_SIZE + (deepest + 1) * ROW  # of the words' tags
    with_tags = any(tags)
    parts = []
    for node in nodes:
        if node.parts:
            y = MARGIN + svg.LABEL_SIZE + node.depth * ROW
            parts += [_edge(node, y, part, baseline) for part in node.parts]
            parts.append(svg.text(node.x, y, node.label, svg.LABEL_SIZE, svg.LABEL, "constituent"))
        else:
            if with_tags:
                parts.append(svg.text(node.x, baseline, node.tag, svg.TAG_SIZE, svg.FAINT, "tag"))
            parts.append(svg.text(node.x, baseline + 20 * with_tags, node.label, svg.WORD_SIZE, svg.TEXT, "word", rtl))
    height = baseline + 20 * with_tags + MARGIN
    return svg.picture(top.width + 2 * MARGIN, height, parts, " ".join(words))


def _nodes(tree: ConstituencyTree, words: Sequence[str], tags: Sequence[str]) -> tuple[_Node, list[_Node]]:
    """A node around everything, and all others in pre-order."""
    top = _Node("", -1, 0.0)
    nodes: list[_Node] = []
    open_nodes = [(top, len(tree))]
    spans = list(tree.spans())[::-1]
    for i, (word, tag) in enumerate(zip(words, tags, strict=True)):
        while spans and spans[-1][1] == i:
            label, _, end = spans.pop()
            nodes.append(_Node(label, open_nodes[-1][0].depth + 1, svg.text_width(label, svg.LABEL_SIZE) + GAP))
            open_nodes[-1][0].parts.append(nodes[-1])
            open_nodes.append((nodes[-1], end))
        width = max(svg.text_width(word, svg.WORD_SIZE), svg.text_width(tag, svg.TAG_SIZE)) + GAP
        nodes.append(_Node(word, open_nodes[-1][0].depth + 1, width, tag))
        open_nodes[-1][0].parts.append(nodes[-1])
        while len(open_nodes) > 1 and open_nodes[-1][1] == i + 1:
            open_nodes.pop()
    return top, nodes


def _place(top: _Node, nodes: Sequence[_Node], rtl: bool) -> None:
    """Gives every node a stretch of its own beside those of its siblings, so that no two texts of one line can overlap."""
    for node in [*reversed(nodes), top]:
        node.width = max(node.width, sum(part.width for part in node.parts))
    top.left = MARGIN
    for node in [top, *nodes]:
        left = node.left + (node.width - sum(part.width for part in node.parts)) / 2
        for part in reversed(node.parts) if rtl else node.parts:
            part.left = left
            left += part.width


def _edge(node: _Node, y: float, part: _Node, baseline: float) -> Element:
    """A slanted line down to the next level, and on from there straight to a word."""
    begin = f"M {svg.number(node.x)} {svg.number(y + LIFT)}"
    knee = y + ROW - svg.LABEL_SIZE - 2
    line = f"{begin} L {svg.number(part.x)} {svg.number(knee)}"
    if not part.parts and baseline - svg.WORD_SIZE > knee:
        line += f" L {svg.number(part.x)} {svg.number(baseline - svg.WORD_SIZE)}"
    return svg.path(line, "edge")
