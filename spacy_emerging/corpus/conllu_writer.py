"""Docs to CoNLL-U: what official scorers read, and what `read_conllu` reads back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.tokens import Doc, Span, Token

from ..errors import CorpusError
from .annotations import MENTIONS_KEY, arcs_within, graph_arcs, surface_ranges
from .conllu_entities import escaped
from .conllu_rows import MISSING
from .files import replacing
from .tags import Chunk, iob2, outermost

HEADER = "# global.Entity = eid-etype"
UNWRITABLE = re.compile(r"[\t\n\r]|\s*")
COLUMNS = ("id", "token", "lemma", "pos", "tag", "morph", "head", "relation", "graph", "entities")
BREAKS = re.compile(r"[\t\n\r]")
UNWRITABLE_LABEL = re.compile(r"[|\s]")


def write_conllu(docs: Iterable[Doc], path: str | Path) -> None:
    """Writes Docs as CoNLL-U, in one piece: the file appears when all is written.

    Kept: words, spaces, lemmas, pos, tags, morphs, heads and relations, the graph, multiword tokens, Docs (`# newdoc`), sentences,
    mentions (`Entity=`) and, where they are not simply the outermost mentions, doc.ents (`NER=`). A root's relation "ROOT", as
    spaCy's own parser calls it, is written as `root`. A Doc without sentence boundaries is one sentence. Arcs of the graph from one
    sentence to another, or from a word to itself, are left out; a graph without arcs is told from none by the rest of the file, which
    annotates graphs if any Doc in it has arcs. Labels of paths through empty nodes (`conj>obj`) are written as they are.
    Raises CorpusError for a token that is white space, for a tab or line break in a token or its annotation, for a relation "_", and
    for a label in the graph that is empty or holds white space or "|": CoNLL-U has no way to write them.
    """
    with replacing(Path(path)) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as stream:
        headed = False
        for number, doc in enumerate(docs, start=1):
            # A file with this header annotates mentions, even if it has none.
            if not headed and MENTIONS_KEY in doc.spans:
                stream.write(f"{HEADER}\n")
                headed = True
            for text in _sentences(doc, number):
                stream.write(text)


def _sentences(doc: Doc, number: int) -> Iterator[str]:
    """The sentences of a Doc with their comments. number: of the Doc in the file, from 1."""
    if not len(doc):
        return
    sents = list(doc.sents) if doc.has_annotation("SENT_START") else [doc[:]]
    misc = _misc(doc)
    deps = _deps(doc, sents, number)
    ranges = {start: (end, form) for start, end, form in surface_ranges(doc)}
    for i, sent in enumerate(sents, start=1):
        rows = []
        inside_until = sent.start
        text = ""
        for token in sent:
            if token.i in ranges:
                inside_until, form = ranges[token.i]
                last = doc[inside_until - 1]
                space = [] if last.whitespace_ else ["SpaceAfter=No"]
                rows.append(f"{token.i - sent.start + 1}-{inside_until - sent.start}\t{form}" + "\t_" * 7 + f"\t{_joined(space)}")
                text += form + last.whitespace_
            inside = token.i < inside_until
            space = [] if inside or token.whitespace_ else ["SpaceAfter=No"]
            text += "" if inside else token.text_with_ws
            rows.append("\t".join(_columns(token, sent, number, i, deps[token.i], _joined(misc[token.i] + space))))
        comments = ["# newdoc"] if i == 1 else []
        comments += [f"# sent_id = {number}-{i}", f"# text = {text.rstrip()}"]
        yield "\n".join([*comments, *rows]) + "\n\n"


def _columns(token: Token, sent: Span, doc_number: int, sent_number: int, deps: str, misc: str) -> list[str]:
    """The ten columns of one word."""
    if UNWRITABLE.fullmatch(token.text) or any(mark in token.text for mark in "\t\n\r"):
        raise CorpusError(
            f"write_conllu: token {token.i} of Doc {doc_number} (sentence {sent_number}) is {token.text!r}, which CoNLL-U cannot hold; "
            "make the Docs from text without extra white space."
        )
    head, deprel = MISSING, MISSING
    if token.dep:
        is_root = token.head.i == token.i
        head = "0" if is_root else str(token.head.i - sent.start + 1)
        deprel = "root" if is_root and token.dep_ == "ROOT" else token.dep_
    cells = [
        str(token.i - sent.start + 1),
        token.text,
        token.lemma_ or MISSING,
        token.pos_ or MISSING,
        token.tag_ or MISSING,
        str(token.morph) or MISSING,
        head,
        deprel,
        deps,
        misc,
    ]
    for name, cell in zip(COLUMNS, cells, strict=True):
        if BREAKS.search(cell) or (name == "relation" and cell == MISSING != head):
            raise CorpusError(
                f"write_conllu: the {name} of token {token.i} of Doc {doc_number} (sentence {sent_number}) is {cell!r}, which CoNLL-U "
                "cannot hold; rename it."
            )
    return cells


def _deps(doc: Doc, sents: list[Span], number: int) -> list[str]:
    """The DEPS cell of each token. number: of the Doc in the file."""
    cells: list[list[str]] = [[] for _ in doc]
    units = [(sent.start, sent.end) for sent in sents]
    for (start, _), arcs in zip(units, arcs_within(graph_arcs(doc) or (), units), strict=True):
        for head, dependent, label in arcs:
            if not label or UNWRITABLE_LABEL.search(label):
                raise CorpusError(f"write_conllu: a label in the graph of Doc {number} is {label!r}, which CoNLL-U cannot hold; rename it.")
            if head != dependent:
                cells[start + dependent - 1].append(f"{head}:{label}")
    return [_joined(cell) for cell in cells]


def _misc(doc: Doc) -> list[list[str]]:
    """The MISC entries of each token that tell of entities."""
    entries: list[list[str]] = [[] for _ in doc]
    mentions = [(span.start, span.end, span.label_) for span in doc.spans[MENTIONS_KEY]] if MENTIONS_KEY in doc.spans else None
    entities = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
    for i, cell in enumerate(_brackets(len(doc), mentions or [])):
        if cell:
            entries[i].append(f"Entity={cell}")
    if doc.has_annotation("ENT_IOB") and (mentions is None or entities != outermost(mentions)):
        for i, tag in enumerate(iob2(len(doc), entities)):
            entries[i].append(f"NER={escaped(tag)}")
    return entries


def _brackets(n: int, mentions: list[Chunk]) -> list[str]:
    """The `Entity=` value of each token, "" where there is none. Mentions are numbered, so that crossing ones stay apart."""
    opening, closing = [""] * n, [""] * n
    for number, (start, end, label) in enumerate(mentions, start=1):
        one = end - start == 1
        opening[start] += f"({number}-{escaped(label)}" + (")" if one else "")
        if not one:
            closing[end - 1] = f"{number}){closing[end - 1]}"
    return [last + first for first, last in zip(opening, closing, strict=True)]


def _joined(entries: list[str]) -> str:
    return "|".join(entries) or MISSING
