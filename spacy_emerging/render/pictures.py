"""All pictures of a corpus, as one SVG or one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from ..corpus.files import replacing
from ..corpus.structures import AnnotatedSentence
from ..errors import CorpusError, SettingError, check_choice
from . import svg
from .constituency import constituency_svg
from .dependency import dependency_svg
from .graph import above_of, graph_svg

AUTO, DEPENDENCY, CONSTITUENCY, GRAPH = "auto", "dependency", "constituency", "graph"
KINDS = (AUTO, DEPENDENCY, CONSTITUENCY, GRAPH)
PAGE, PICTURE = ".html", ".svg"
HEAD = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 2rem; color: #1d2733; }}
figure {{ margin: 0 0 2.5rem; overflow-x: auto; }}
figcaption {{ color: #6b7a88; margin-bottom: 0.5rem; }}
</style>
</head>
<body>
"""


class Figure(NamedTuple):
    """A picture and the text it shows."""

    text: str
    picture: Element


def figures(sentences: Iterable[AnnotatedSentence], kind: str = AUTO) -> Iterator[Figure]:
    """The pictures of each sentence.

    kind: "dependency", "constituency" or "graph"; what a sentence lacks is passed over. "auto": its constituents, and its graph or
    else its dependency tree. Where a sentence has a graph and a tree, the arcs that both have are above the words.
    Raises SettingError for another kind.
    """
    check_choice("render", "kind", kind, KINDS)
    for number, sentence in enumerate(sentences):
        text = " ".join(sentence.words)
        tags = sentence.pos if any(sentence.pos) else sentence.tags
        if kind in (AUTO, CONSTITUENCY) and sentence.constituents is not None:
            yield Figure(text, constituency_svg(sentence.constituents, sentence.words, sentence.tags))
        with_graph = kind in (AUTO, GRAPH) and sentence.graph is not None
        if with_graph and sentence.graph is not None:
            above = None if sentence.tree is None else above_of(sentence.graph, sentence.tree)
            yield Figure(text, graph_svg(sentence.graph, sentence.words, tags, above))
        if kind in (AUTO, DEPENDENCY) and sentence.tree is not None and not with_graph:
            yield Figure(text, dependency_svg(sentence.tree, sentence.words, tags, name=f"tree-{number}"))


def check_output(path: Path) -> None:
    """Raises SettingError unless the name of the file says what to write."""
    if path.suffix.lower() not in (PAGE, PICTURE):
        raise SettingError(f"render: the output is {str(path)!r}, but its name must end in {PAGE} (a page) or {PICTURE} (one picture).")


def write(found: Iterable[Figure], path: Path, title: str) -> int:
    """Writes a page with a caption per picture, or a single picture with one below the other, by the extension; returns how many.

    Raises SettingError for another extension, CorpusError where there is nothing to draw.
    """
    check_output(path)
    all_found = list(found)
    if not all_found:
        raise CorpusError(f"{title}: no sentence has a structure of the kind that was asked for; choose another --kind or input.")
    with replacing(path) as unfinished:
        if path.suffix.lower() == PICTURE:
            unfinished.write_text(svg.to_text(svg.stacked([figure.picture for figure in all_found])), encoding="utf-8")
        else:
            unfinished.write_text("".join(_page(all_found, title)), encoding="utf-8")
    return len(all_found)


def _page(found: Iterable[Figure], title: str) -> Iterator[str]:
    yield HEAD.format(title=escape(svg.clean(title)))
    for figure in found:
        caption = escape(svg.clean(figure.text))
        yield f'<figure>\n<figcaption dir="auto">{caption}</figcaption>\n{svg.to_text(figure.picture)}\n</figure>\n'
    yield "</body>\n</html>\n"
