"""CoNLL-U to Docs.

What goes where: FORM, SpaceAfter -> text; LEMMA -> lemma; UPOS -> pos; XPOS -> tag (UPOS if the file has no XPOS); FEATS -> morph
(unset if the file has no FEATS); HEAD, DEPREL -> head, dep (as spelled, `root` included; spaCy's root is its own head); DEPS -> the
graph of `annotations.graph_arcs`; entities -> doc.ents, and mentions, nested ones too, -> doc.spans.

The rules for what spaCy has no place for:
- Words become tokens, multiword tokens do not: their range and surface form are kept beside the Doc (`annotations.surface_ranges`).
  No space stands inside a range, and SpaceAfter of the range holds for its last word.
- Empty nodes are no tokens; `conllu_syntax.read_graph` says what becomes of the arcs through them.
- A file annotates graphs or it does not: with one DEPS cell that is not "_", every Doc has a graph, if need be without arcs; with none, no
  Doc has one.
- doc.ents takes entity tags if the file has any, else the outermost mentions.
- `# newdoc` begins a Doc; a file without it is cut every n_sents sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spacy.parts_of_speech import IDS as PARTS_OF_SPEECH
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import CorpusError
from .conllu_entities import TAG_NAMES, mentions_of, tagged_entities
from .conllu_rows import DEPS, FEATS, FORM, LEMMA, MISSING, NER, UPOS, XPOS, Block, Row, blocks
from .conllu_syntax import read_graph, read_tree
from .documents import Sentence, grouped, make_doc
from .files import broken
from .tags import is_chunk_tag, outermost

FEATURES = re.compile(r"[^=|]+=[^=|]+(\|[^=|]+=[^=|]+)*")


class Annotated(NamedTuple):
    """What a file annotates anywhere: a field that is "_" throughout stays unset instead of being taught as empty."""

    upos: bool
    xpos: bool
    feats: bool
    lemmas: bool
    graphs: bool
    mentions: bool
    tags: bool


def read_conllu(path: str | Path, vocab: Vocab, n_sents: int = 10) -> Iterator[Doc]:
    """The Docs of a CoNLL-U (or CoNLL-U Plus) file, one at a time; the file is read twice, never held in memory.

    n_sents: sentences per Doc where the file does not mark its documents; at least 1, recommended 1-20, 10 is our default.
    Source of the format: universaldependencies.org/format.html; of the entity brackets: the CorefUD format.
    Raises CorpusError with file and line for malformed input and with the file for one without sentences.
    """
    path = Path(path)
    annotated = survey(path)
    for group in grouped(_sentences(path, annotated), n_sents):
        yield make_doc(vocab, group)


def survey(path: Path) -> Annotated:
    """What the file annotates. Raises CorpusError if it is malformed or holds no sentence."""
    columns: set[int] = set()
    graphs = mentions = tags = False
    empty = True
    for block in blocks(path):
        empty = False
        mentions = mentions or bool(block.entity_fields)
        graphs = graphs or any(row.cells[DEPS] != MISSING for row in [*block.words, *(row for _, row in block.empty)])
        for row in block.words:
            columns.update(column for column in (UPOS, XPOS, FEATS, LEMMA) if row.cells[column] not in (MISSING, ""))
            tags = tags or row.cells[NER] != MISSING
            if not (mentions and tags):
                for name, value in row.misc():
                    mentions = mentions or name == "Entity"
                    tags = tags or name == "NER" or (name in TAG_NAMES and is_chunk_tag(value))
    if empty:
        raise CorpusError(f"{path}: the file holds no sentences; check that it is the right file and not truncated.")
    return Annotated(UPOS in columns, XPOS in columns, FEATS in columns, LEMMA in columns, graphs, mentions, tags)


def _sentences(path: Path, annotated: Annotated) -> Iterator[Sentence]:
    """The sentences of the file, which must all have heads or all have none: a Doc cannot be parsed in part."""
    parsed: bool | None = None
    for block in blocks(path):
        sentence = _sentence(path, block, annotated)
        if parsed is not None and parsed != (sentence.heads is not None):
            missing = "no heads although sentences before it have them" if parsed else "heads although sentences before it have none"
            raise broken(path, block.words[0].line, f"the sentence that begins here has {missing}; parse all or none.")
        parsed = sentence.heads is not None
        yield sentence


def _sentence(path: Path, block: Block, annotated: Annotated) -> Sentence:
    """One sentence from its rows."""
    rows = block.words
    for row in rows:
        _check_word(path, row)
    tree = read_tree(path, rows)
    mentions = mentions_of(path, block) if annotated.mentions else None
    entities = (tagged_entities(path, block) or []) if annotated.tags else None
    pos = _column(rows, UPOS) if annotated.upos else None
    return Sentence(
        words=[row.cells[FORM] for row in rows],
        spaces=_spaces(block),
        begins_doc=block.begins_doc,
        # A lemma "_" is the lemma of the word "_", and else missing.
        lemmas=[row.cells[LEMMA] if row.cells[FORM] == MISSING else _value(row, LEMMA) for row in rows] if annotated.lemmas else None,
        pos=pos,
        tags=_column(rows, XPOS) if annotated.xpos else pos,
        morphs=_column(rows, FEATS) if annotated.feats else None,
        heads=tree[0] if tree else None,
        deprels=tree[1] if tree else None,
        arcs=read_graph(path, block) if annotated.graphs else None,
        mentions=mentions,
        entities=outermost(mentions) if entities is None and mentions is not None else entities,
        ranges=[(first - 1, last, row.cells[FORM]) for first, last, row in block.ranges],
    )


def _check_word(path: Path, row: Row) -> None:
    """Raises CorpusError for what spaCy would reject without naming the line."""
    upos, feats = _value(row, UPOS), row.cells[FEATS]
    if upos not in PARTS_OF_SPEECH:
        raise broken(path, row.line, f"the part of speech (column 4) is {upos!r}, which is none of Universal Dependencies.")
    if feats != MISSING and not FEATURES.fullmatch(feats):
        raise broken(path, row.line, f"the features (column 6) are {feats!r}, but must be Name=Value pairs joined by |.")


def _spaces(block: Block) -> list[bool]:
    """Whether a space follows each word."""
    spaces = [row.space_after() for row in block.words]
    for first, last, row in block.ranges:
        spaces[first - 1 : last] = [False] * (last - first) + [row.space_after()]
    return spaces


def _value(row: Row, column: int) -> str:
    """A cell, "" where it says that nothing is annotated."""
    return "" if row.cells[column] == MISSING else row.cells[column]


def _column(rows: list[Row], column: int) -> list[str]:
    return [_value(row, column) for row in rows]
