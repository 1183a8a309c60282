"""What is where in a picture: boxes and lines read back from the SVG."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from spacy_emerging.render import svg
from spacy_emerging.render.svg import tag, text_width


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom


def parsed(picture: Element) -> Element:
    """The picture as a reader of its XML sees it."""
    return ElementTree.fromstring(svg.to_text(picture))


def texts(picture: Element, role: str) -> list[Element]:
    return [element for element in picture.iter(tag("text")) if element.get("class") == role]


def text_box(element: Element) -> Box:
    """The box of a centred text; a descender takes a fifth of its size."""
    x, y, size = (float(element.get(name, "nan")) for name in ("x", "y", "font-size"))
    half = text_width(element.text or "", size) / 2
    return Box(x - half, y - 0.8 * size, x + half, y + 0.2 * size)


def uprights(picture: Element) -> list[Box]:
    """The vertical lines of all arcs, without width."""
    found = []
    for element in picture.iter(tag("path")):
        if element.get("class") == "arc":
            steps = re.findall(r"([MVQH]) ([-\d. ]+)", element.get("d", ""))
            x = y = 0.0
            for command, rest in steps:
                values = [float(value) for value in rest.split()]
                if command == "V":
                    found.append(Box(x, min(y, values[0]), x, max(y, values[0])))
                    y = values[0]
                elif command == "H":
                    x = values[0]
                else:
                    x, y = values[-2:]
    return found


def overlaps(boxes: list[Box]) -> list[tuple[Box, Box]]:
    return [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
