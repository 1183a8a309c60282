"""The lines of a CoNLL-U file as checked rows, one block per sentence, before anything is read from the columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .files import broken, numbered_lines

ID, FORM, LEMMA, UPOS, XPOS, FEATS, HEAD, DEPREL, DEPS, MISC, NER = range(11)
NAMES = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
MISSING = "_"
WORD = re.compile(r"[1-9][0-9]*")
RANGE = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)")
EMPTY_NODE = re.compile(r"(0|[1-9][0-9]*)\.[1-9][0-9]*")
NEW_DOC = re.compile(r"#\s*newdoc\b")
HEADER = re.compile(r"#\s*global\.(columns|Entity)\s*=\s*(\S.*?)\s*")


class Row(NamedTuple):
    """One line: its number in the file, the ten columns of CoNLL-U in their order, and the NER column ("_" if there is none)."""

    line: int
    cells: list[str]

    def misc(self) -> list[tuple[str, str]]:
        """The entries of the MISC column as (name, value)."""
        if self.cells[MISC] == MISSING:
            return []
        entries = (entry.partition("=") for entry in self.cells[MISC].split("|"))
        return [(name, value) for name, _, value in entries]

    def space_after(self) -> bool:
        """Whether a space follows."""
        return self.cells[MISC] == MISSING or "SpaceAfter=No" not in self.cells[MISC].split("|")


@dataclass
class Block:
    """The rows of one sentence: words (ids 1 to n), multiword tokens as (first id, last id, row), empty nodes as (words before, row)."""

    begins_doc: bool = False
    entity_fields: tuple[str, ...] = ()
    words: list[Row] = field(default_factory=list)
    ranges: list[tuple[int, int, Row]] = field(default_factory=list)
    empty: list[tuple[int, Row]] = field(default_factory=list)


def blocks(path: Path) -> Iterator[Block]:
    """The sentences of a CoNLL-U or CoNLL-U Plus file (`# global.columns = ID FORM ... NER`), in order and one at a time.

    Raises CorpusError with file and line for a wrong number of columns, ids that do not count up, an empty FORM, a range that
    does not fit its sentence.
    """
    columns = _Columns(path)
    block = Block()
    for line, text in numbered_lines(path):
        if not text.strip():
            if block.words or block.ranges or block.empty:
                yield _complete(path, block)
                block = Block(entity_fields=block.entity_fields)
        elif text.startswith("#"):
            block.begins_doc = block.begins_doc or NEW_DOC.match(text) is not None
            header = HEADER.fullmatch(text)
            if header and header[1] == "columns":
                columns.declare(line, header[2].split())
            elif header:
                block.entity_fields = tuple(header[2].split("-"))
        else:
            _add(path, block, Row(line, columns.cells(line, text)))
    if block.words or block.ranges or block.empty:
        yield _complete(path, block)


class _Columns:
    """Which column of the file is which column of CoNLL-U."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.width = len(NAMES)
        self.places: list[int | None] | None = None

    def declare(self, line: int, names: Sequence[str]) -> None:
        """Takes the columns that a CoNLL-U Plus header names."""
        if "ID" not in names or "FORM" not in names:
            raise broken(self.path, line, "global.columns must name ID and FORM.")
        ner = next((i for i, name in enumerate(names) if name.rpartition(":")[2].upper() == "NER"), None)
        self.width = len(names)
        self.places = [names.index(name) if name in names else None for name in NAMES] + [ner]

    def cells(self, line: int, text: str) -> list[str]:
        """The eleven cells of a line, in the order of CoNLL-U."""
        found = text.split("\t")
        if len(found) != self.width:
            raise broken(self.path, line, f"the line has {len(found)} columns, but {self.width} separated by tabs are needed.")
        if self.places is None:
            found.append(MISSING)
            return found
        return [MISSING if place is None else found[place] for place in self.places]


def _add(path: Path, block: Block, row: Row) -> None:
    """Sorts a row into its block, by its id."""
    text, count = row.cells[ID], len(block.words)
    if not row.cells[FORM]:
        raise broken(path, row.line, "the word form (column 2) is empty; write the word, or _ where it is unknown.")
    if WORD.fullmatch(text):
        if int(text) != count + 1:
            raise broken(path, row.line, f"the id is {text}, but {count + 1} comes next in this sentence.")
        block.words.append(row)
    elif match := RANGE.fullmatch(text):
        first, last = int(match[1]), int(match[2])
        if first != count + 1 or last < first or (block.ranges and block.ranges[-1][1] >= first):
            raise broken(path, row.line, f"the range {text} must stand before its first word, run forwards and overlap no other.")
        block.ranges.append((first, last, row))
    elif match := EMPTY_NODE.fullmatch(text):
        if int(match[1]) != count:
            raise broken(path, row.line, f"the empty node {text} must stand after word {match[1]}.")
        block.empty.append((count, row))
    else:
        raise broken(path, row.line, f"the id is {text!r}, but must be a number (3), a range (3-4) or an empty node (3.1).")


def _complete(path: Path, block: Block) -> Block:
    """The block, checked as a whole."""
    last_row = (block.ranges[-1][2] if block.ranges else block.empty[-1][1]) if not block.words else None
    if last_row is not None:
        raise broken(path, last_row.line, "the sentence has no words, only multiword tokens or empty nodes.")
    for first, last, row in block.ranges:
        if last > len(block.words):
            raise broken(path, row.line, f"the range {first}-{last} reaches beyond the sentence, which has {len(block.words)} words.")
    return block
