"""Dependency graphs as SVG: arcs above and below the words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from xml.etree.ElementTree import Element

from ..structures import DependencyGraph, DependencyTree
from . import svg
from .arcs import DrawnArc, Side, columns, lay_out

Arc = tuple[int, int, str]
LEVEL = 26
"""Pixels from one level of arcs to the next."""
GAP = 12
"""Least number of pixels between two words."""
MARGIN = 16
CORNER = 6
ARROW = 6.0
LABEL_HEIGHT = svg.LABEL_SIZE + 4.0


def graph_svg(
    graph: DependencyGraph,
    words: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    above: Collection[Arc] | None = None,
    rtl: bool | None = None,
) -> Element:
    """A picture of the graph.

    words, tags: n strings each; None: the words' numbers, no tags.
    above: the arcs drawn above the words, the rest is below; None: those from a word to a later one, and from the root.
    rtl: whether the first word is on the right; None: if the words are written so.
    """
    words = list(words or map(str, range(1, len(graph) + 1)))
    tags = list(tags or [""] * len(graph))
    rtl = svg.is_right_to_left(words) if rtl is None else rtl
    upper = {arc for arc in graph.arcs if (arc in above if above is not None else arc[0] <= arc[1])}
    sides = [_side(upper), _side(graph.arcs - upper)]
    widths = [max(svg.text_width(word, svg.WORD_SIZE), svg.text_width(tag, svg.TAG_SIZE)) for word, tag in zip(words, tags, strict=True)]
    middles = columns(widths, sides, GAP)
    heights = [lay_out(side, middles) * LEVEL for side in sides]
    reach = [end for side in sides for arc in side.arcs for end in arc.stretch]
    ends = [middles[i] + sign * widths[i - 1] / 2 for i in range(1, len(middles)) for sign in (-1, 1)]
    left, right = min([*reach, *ends], default=0.0) - MARGIN, max([*reach, *ends], default=0.0) + MARGIN

    def x(place: float) -> float:
        return right - place if rtl else place - left

    row = MARGIN + heights[0] + svg.LABEL_SIZE  # where the arcs above meet the words
    baseline = row + svg.WORD_SIZE + 2
    below = baseline + (24 if any(tags) else 8)
    lines: list[Element] = []
    labels: list[Element] = []
    for side, start, step in ((sides[0], row, -LEVEL), (sides[1], below, LEVEL)):
        for arc in sorted(side.arcs, key=lambda arc: arc.level):
            lines += _line(arc, x, start, step)
            labels += _label(arc, x(arc.label_at), start + arc.level * step)
    texts = []
    for i, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
        texts.append(svg.text(x(middles[i]), baseline, word, svg.WORD_SIZE, svg.TEXT, "word", rtl))
        if tag:
            texts.append(svg.text(x(middles[i]), baseline + 17, tag, svg.TAG_SIZE, svg.FAINT, "tag"))
    height = below + heights[1] + svg.LABEL_SIZE + MARGIN
    return svg.picture(right - left, height, [*lines, *labels, *texts], " ".join(words))


def arcs_of_tree(tree: DependencyTree) -> set[Arc]:
    """The arcs of a tree as those of a graph."""
    return {(head, word, deprel) for word, (head, deprel) in enumerate(zip(tree.heads, tree.deprels, strict=True), 1)}


def above_of(graph: DependencyGraph, tree: DependencyTree) -> set[Arc]:
    """The arcs of the graph that the tree has too, whatever their labels: what is drawn above where a sentence has both."""
    known = {(head, word) for head, word, _ in arcs_of_tree(tree)}
    return {arc for arc in graph.arcs if arc[:2] in known}


def _side(arcs: Collection[Arc]) -> Side:
    return Side([DrawnArc(*arc, svg.text_width(arc[2], svg.LABEL_SIZE)) for arc in sorted(arcs)])


def _line(arc: DrawnArc, x: Callable[[float], float], start: float, step: float) -> list[Element]:
    """The line from head to dependent and its arrowhead; start: y of the words' edge, step: to the next level."""
    away = 1 if step > 0 else -1
    line_y = start + arc.level * step
    begin, end = x(arc.begin), x(arc.end)
    tip = f"M {svg.number(end)} {svg.number(start)} l -3.5 {svg.number(away * ARROW)} h 7 z"
    foot = svg.number(start + away * ARROW)
    if arc.is_root:
        drawing = f"M {svg.number(end)} {svg.number(line_y - away * LABEL_HEIGHT / 2)} V {foot}"
    else:
        turn = CORNER if end > begin else -CORNER
        drawing = (
            f"M {svg.number(begin)} {svg.number(start)} V {svg.number(line_y - away * CORNER)} "
            f"Q {svg.number(begin)} {svg.number(line_y)} {svg.number(begin + turn)} {svg.number(line_y)} "
            f"H {svg.number(end - turn)} "
            f"Q {svg.number(end)} {svg.number(line_y)} {svg.number(end)} {svg.number(line_y - away * CORNER)} V {foot}"
        )
    return [svg.path(drawing, "arc"), svg.path(tip, "arrow", filled=True)]


def _label(arc: DrawnArc, middle: float, line_y: float) -> list[Element]:
    return [
        svg.box(middle - arc.width / 2 - 2, line_y - LABEL_HEIGHT / 2, arc.width + 4, LABEL_HEIGHT, "label-ground"),
        svg.text(middle, line_y + svg.LABEL_SIZE / 3, arc.label, svg.LABEL_SIZE, svg.LABEL, "label"),
    ]
