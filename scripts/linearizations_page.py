"""Writes the label tables in docs/linearizations.md anew, between their markers, and the pictures beside it.

A marker names an encoding and its settings: `<!-- labels: BracketingDependency planes=2 -->` up to `<!-- end of labels -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spacy_emerging.linearizations.base import Linearization
from spacy_emerging.registry import linearization
from spacy_emerging.render.constituency import constituency_svg
from spacy_emerging.render.graph import above_of, arcs_of_tree, graph_svg
from spacy_emerging.render.svg import to_text
from spacy_emerging.structures import ConstituencyTree, DependencyGraph, DependencyTree, Segments, Spans

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "linearizations.md"
MARKED = re.compile(r"<!-- labels: (\w+)((?: [\w=+]+)*) -->\n(.*?)<!-- end of labels -->", re.DOTALL)

WORDS = ("Ann", "bought", "a", "boat", "today", "that", "leaks")
POS = ("PROPN", "VERB", "DET", "NOUN", "NOUN", "PRON", "VERB")
TREE = DependencyTree((2, 0, 4, 2, 2, 7, 4), ("nsubj", "root", "det", "obj", "obl", "nsubj", "acl"))
GRAPH = DependencyGraph(
    7,
    frozenset(
        {(2, 1, "nsubj"), (0, 2, "root"), (4, 3, "det"), (2, 4, "obj"), (2, 5, "obl"), (4, 7, "acl")} | {(4, 6, "ref"), (7, 4, "nsubj")}
    ),
)
CONSTITUENTS = ConstituencyTree.from_brackets(
    "(S (NP (NNP Ann)) (VP (VBD bought) (NP (DT a) (NN boat)) (NP (NN today)) (SBAR (WHNP (WDT that)) (S (VP (VBZ leaks))))))"
)
ENTITIES = Spans(7, (("PERSON", 0, 1), ("PRODUCT", 2, 4), ("DATE", 4, 5)))
CHARACTERS = "a boat"
SEGMENTS = Segments(6, ((0, 1), (2, 6)))


def example(name: str) -> tuple[Any, Sequence[str]]:
    """The structure that an encoding is shown on, and what its labels stand on."""
    for ending, structure in (("Dependency", TREE), ("Constituency", CONSTITUENTS), ("Graph", GRAPH)):
        if name.endswith(ending):
            return structure, WORDS
    return {
        "TokenTags": ([(tag,) for tag in POS], WORDS),
        "SpanTags": (ENTITIES, WORDS),
        "SegmentTags": (SEGMENTS, [character.replace(" ", "(blank)") for character in CHARACTERS]),
    }[name]


def table(name: str, settings: dict[str, Any]) -> str:
    """The labels of the example as a table with one column per word, and what decoding gives back."""
    encoder = linearization(name, **settings)
    structure, heads = example(name)
    labels = encoder.encode(structure, POS) if name == "PosRelativeDependency" else encoder.encode(structure)  # type: ignore[call-arg]
    rows = [["", *heads], ["---"] * (len(heads) + 1)]
    for field, column in zip(encoder.fields, zip(*labels, strict=True), strict=True):
        if not (field == "deprel" and column == TREE.deprels):
            rows.append([f"**{field}**", *map(_code, column)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", _given_back(encoder, structure, labels)]) + "\n"


def _code(label: str) -> str:
    return f"`{label}`".replace("|", "\\|") if label else "(empty)"


def _given_back(encoder: Linearization, structure: Any, labels: Sequence[tuple[str, ...]]) -> str:
    decoded, repairs = encoder.decode(labels)
    if decoded == structure:
        return "Decoded: the same again."
    differing = [WORDS[i] for i, (head, found) in enumerate(zip(structure.heads, decoded.heads, strict=True)) if head != found]
    return f"Decoded: all but the head of *{'*, *'.join(differing)}*, with {repairs} repair{'' if repairs == 1 else 's'}."


def settings_of(text: str) -> dict[str, Any]:
    """`planes=2 variant=projective` as settings."""
    values = dict(part.split("=") for part in text.split())
    return {name: int(value) if value.isdigit() else {"true": True, "false": False}.get(value, value) for name, value in values.items()}


def written(page: str) -> str:
    """The page with every table as it should be."""

    def anew(match: re.Match[str]) -> str:
        name, settings, _ = match.groups()
        return f"<!-- labels: {name}{settings} -->\n{table(name, settings_of(settings))}<!-- end of labels -->"

    return MARKED.sub(anew, page)


def pictures() -> Iterator[tuple[str, str]]:
    """Names and contents of the pictures of the sentence."""
    yield "sentence-graph.svg", to_text(graph_svg(GRAPH, WORDS, POS, above_of(GRAPH, TREE))) + "\n"
    tree = DependencyGraph(7, frozenset(arcs_of_tree(TREE)))
    yield "sentence-tree.svg", to_text(graph_svg(tree, WORDS, POS, tree.arcs)) + "\n"
    yield "sentence-constituents.svg", to_text(constituency_svg(CONSTITUENTS)) + "\n"


def main() -> None:
    """Writes page and pictures."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    (DOCS / "images").mkdir(exist_ok=True)
    for name, content in pictures():
        (DOCS / "images" / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
