"""Entity mentions in the MISC column of CoNLL-U: `Entity=` brackets, and chunk tags in `NER=`, `NE=`, `name=` or a NER column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .conllu_rows import MISSING, NER, Block, Row
from .files import broken
from .tags import OUTSIDE, Chunk, chunks, is_chunk_tag

BRACKET = re.compile(r"\(([^()]+)(\))?|([^()]+)\)")
IDENTITY = re.compile(r"[A-Za-z]{0,3}[0-9]+(\[[0-9]+/[0-9]+\])?")
PART = re.compile(r"\[[0-9]+/[0-9]+\]$")
TYPE_FIELDS = ("etype", "entity")
TAG_NAMES = ("NER", "NE", "name")
ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
RESERVED = re.compile(r"[%()|=\s]")


def mentions_of(path: Path, block: Block) -> list[Chunk]:
    """The mentions that `Entity=` brackets mark in one sentence, in the order of their opening brackets.

    The bracket style of CoNLL-U Plus coreference corpora and GUM: `(person-1` opens, `person-1)` or `1)` closes, `(person-1)` does
    both; several may stand in one cell. The fields between hyphens are those of `# global.Entity = eid-etype-...`; without that
    header the type is the first field that is not an identifier such as 1 or e12. A closing bracket ends the last open mention
    whose fields begin with what it says. Mentions of a part of a discontinuous entity (`e1[1/2]`), without a type, or of empty
    nodes alone are left out, since no span of words carries them. Brackets in the MISC of multiword tokens are not read.
    Raises CorpusError with file and line for brackets that do not match within the sentence.
    """
    marks = [(i, i + 1, row) for i, row in enumerate(block.words)]
    for before, row in block.empty:
        marks.append((before, before, row))
    marks.sort(key=lambda mark: mark[2].line)
    waiting: list[tuple[int, str, Row, int]] = []
    found: dict[int, Chunk] = {}
    opened_so_far = 0
    for start, end, row in marks:
        for name, value in row.misc():
            if name == "Entity":
                for mention, opens, closes in _brackets(path, row, value):
                    if opens:
                        waiting.append((start, mention, row, opened_so_far))
                        opened_so_far += 1
                    if closes:
                        first, opened, _, order = waiting.pop(_match(path, row, [text for _, text, _, _ in waiting], mention))
                        found[order] = (first, end, mention_type(opened, block.entity_fields))
    if waiting:
        _, mention, row, _ = waiting[-1]
        raise broken(path, row.line, f"the entity bracket '({mention}' is not closed within its sentence.")
    return [(first, end, label) for _, (first, end, label) in sorted(found.items()) if label and first < end]


def _brackets(path: Path, row: Row, value: str) -> list[tuple[str, bool, bool]]:
    """The brackets of one `Entity=` value as (text, opens, closes)."""
    found = []
    at = 0
    while at < len(value):
        match = BRACKET.match(value, at)
        if match is None:
            raise broken(path, row.line, f"the entity brackets {value!r} cannot be read; write (type-id, type-id) or id).")
        opening, closed, closing = match.groups()
        found.append((opening or closing, opening is not None, opening is None or closed is not None))
        at = match.end()
    return found


def _match(path: Path, row: Row, waiting: Sequence[str], closing: str) -> int:
    """Which of the open mentions a closing bracket ends."""
    for place in range(len(waiting) - 1, -1, -1):
        if waiting[place] == closing or waiting[place].startswith(f"{closing}-"):
            return place
    raise broken(path, row.line, f"the entity bracket '{closing})' closes a mention that is not open in this sentence.")


def mention_type(mention: str, fields: Sequence[str]) -> str:
    """The type of a mention from the text of its opening bracket; "" if it has none or is a part of a discontinuous entity.

    fields: the names in the file's `global.Entity` header, none if it has no such header; the last one takes the rest of the text.
    """
    place = next((i for i, name in enumerate(fields) if name in TYPE_FIELDS), None)
    values = mention.split("-", maxsplit=len(fields) - 1) if place is not None else mention.split("-")
    if PART.search(values[0]):
        return ""
    if place is None:
        place = 1 if IDENTITY.fullmatch(values[0]) else 0
    return unescaped(values[place]) if place < len(values) else ""


def tagged_entities(path: Path, block: Block) -> list[Chunk] | None:
    """The entities that chunk tags mark in one sentence; None if no word of it has a tag.

    Raises CorpusError with file and line for a value of the NER column or of `NER=` that is no tag; other values of `NE=` and
    `name=` are something else than a tag in some corpora and pass.
    """
    tags = [_tag(path, row) for row in block.words]
    if all(tag is None for tag in tags):
        return None
    return chunks(tag or OUTSIDE for tag in tags)


def _tag(path: Path, row: Row) -> str | None:
    """The chunk tag of one word, None if it has none."""
    values = [("NER", row.cells[NER])] if row.cells[NER] != MISSING else [entry for entry in row.misc() if entry[0] in TAG_NAMES]
    for name, value in values:
        if is_chunk_tag(value):
            return unescaped(value)
        if name == "NER":
            raise broken(path, row.line, f"the entity tag is {value!r}, but must be O or a letter of BILUES, a hyphen and a type.")
    return None


def escaped(text: str) -> str:
    """The text with the characters that mean something in MISC written as % and two hexadecimal digits."""
    return RESERVED.sub(lambda match: f"%{ord(match[0]):02X}" if ord(match[0]) < 256 else "_", text)


def unescaped(text: str) -> str:
    """What `escaped` was made from."""
    return ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
