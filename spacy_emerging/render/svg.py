"""Pictures as element trees, so that escaping is done in one place, and how wide text is when nobody knows the font."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

NAMESPACE = "http://www.w3.org/2000/svg"
FONT = "Helvetica, Arial, 'Noto Sans', sans-serif"
LINE, TEXT, FAINT, LABEL = "#5b7083", "#1d2733", "#6b7a88", "#1f5fa8"
"""Colours of lines, words, tags and labels."""
WORD_SIZE, TAG_SIZE, LABEL_SIZE = 16, 12, 12
"""Font sizes in pixels."""
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

ElementTree.register_namespace("", NAMESPACE)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def picture(width: float, height: float, parts: Iterable[Element], title: str) -> Element:
    """An <svg> of this size on a white ground, with a title for those who cannot see it."""
    attributes = {"width": number(width), "height": number(height), "viewBox": f"0 0 {number(width)} {number(height)}", "role": "img"}
    root = Element(tag("svg"), attributes | {"font-family": FONT})
    name = ElementTree.SubElement(root, tag("title"))
    name.text = clean(title)
    root.append(box(0, 0, width, height, "ground"))
    root.extend(parts)
    return root


def stacked(pictures: Sequence[Element], gap: float = 20) -> Element:
    """One picture of several, from top to bottom."""
    if len(pictures) == 1:
        return pictures[0]
    heights = [size(one)[1] + gap for one in pictures]
    width = max((size(one)[0] for one in pictures), default=0.0)
    for one, top in zip(pictures, [0.0, *accumulate(heights)], strict=False):
        one.set("y", number(top))
    return picture(width, max(sum(heights) - gap, 0), pictures, f"{len(pictures)} pictures")


def size(element: Element) -> tuple[float, float]:
    """Width and height of a picture."""
    return float(element.get("width", 0)), float(element.get("height", 0))


def box(x: float, y: float, width: float, height: float, role: str) -> Element:
    """A white rectangle by its upper left corner; role: its class."""
    place = {"x": number(x), "y": number(y), "width": number(width), "height": number(height)}
    return Element(tag("rect"), {"class": role, **place, "fill": "#ffffff"})


def text(x: float, y: float, content: str, font_size: float, colour: str, role: str, rtl: bool = False) -> Element:
    """One line of text, centred at x, on the base line y; role: its class. rtl: whether it belongs to text that runs from the right."""
    attributes = {"class": role, "x": number(x), "y": number(y), "font-size": number(font_size), "fill": colour, "text-anchor": "middle"}
    element = Element(tag("text"), attributes)
    element.text = clean(content)
    if rtl:
        element.set("direction", "rtl")
    return element


def path(drawing: str, role: str, filled: bool = False) -> Element:
    """A line along a path, or a filled shape; role: its class."""
    look = {"fill": LINE} if filled else {"fill": "none", "stroke": LINE, "stroke-width": "1.3"}
    return Element(tag("path"), {"class": role, "d": drawing, **look})


def tag(name: str) -> str:
    """An element's name in the namespace of SVG."""
    return f"{{{NAMESPACE}}}{name}"


def to_text(element: Element) -> str:
    """The picture as XML."""
    return ElementTree.tostring(element, encoding="unicode")


def clean(content: str) -> str:
    """The text with a replacement character for what XML cannot hold at all."""
    return NOT_IN_XML.sub("\ufffd", content)


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def text_width(content: str, font_size: float) -> float:
    """An upper estimate of how wide the text is in any usual font: marks take no room, full-width characters one em, m, w, capitals and
    the letters of South and East Asia nearly so, others 0.62."""
    return font_size * sum(map(_ems, content))


@lru_cache(maxsize=4096)
def _ems(character: str) -> float:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in "mwMW@%" or "\u0900" <= character < "\u1e00":
        return 0.95
    return 0.8 if character.isupper() or character in "&#…—" else 0.62


def is_right_to_left(words: Iterable[str]) -> bool:
    """Whether most letters that have a direction run from right to left."""
    directions = [unicodedata.bidirectional(character) for word in words for character in word]
    return sum(direction in ("R", "AL") for direction in directions) > sum(direction == "L" for direction in directions)
