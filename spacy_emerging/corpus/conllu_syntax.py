"""The HEAD, DEPREL and DEPS columns of one CoNLL-U sentence, checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .annotations import Arc
from .conllu_rows import DEPREL, DEPS, HEAD, ID, MISSING, Block, Row
from .files import broken

NUMBER = re.compile(r"[0-9]+")


def read_tree(path: Path, rows: Sequence[Row]) -> tuple[list[int], list[str]] | None:
    """Heads as positions from 0 (the root's own) and relations as spelled in the file; None where every HEAD is "_".

    rows: the words of the sentence, at least one.
    Raises CorpusError with file and line for a head that is missing, not a number or out of range, for a missing relation, for no
    or several roots, for a cycle. Several roots are an error since CoNLL-U allows one, and spaCy would cut the sentence there.
    """
    if all(row.cells[HEAD] == MISSING for row in rows):
        return None
    heads = [_head(path, row, len(rows)) for row in rows]
    for row in rows:
        if row.cells[DEPREL] in (MISSING, ""):
            raise broken(path, row.line, f"word {row.cells[ID]} has a head but no relation (column 8).")
    roots = [row for row, head in zip(rows, heads, strict=True) if head == 0]
    if not roots:
        raise broken(path, rows[0].line, "the sentence that begins here has no root: one of its words must have the head 0.")
    if len(roots) > 1:
        raise broken(path, roots[1].line, f"the sentence has a second root here (the first is on line {roots[0].line}); give it one.")
    stuck = word_on_cycle(heads)
    if stuck is not None:
        raise broken(path, rows[stuck].line, f"the heads run in a circle through word {stuck + 1}; every word must lead to the root.")
    return [head - 1 if head else i for i, head in enumerate(heads)], [row.cells[DEPREL] for row in rows]


def _head(path: Path, row: Row, n: int) -> int:
    """The head of one word, from 0 (root) to n."""
    text = row.cells[HEAD]
    if not NUMBER.fullmatch(text) or int(text) > n:
        raise broken(path, row.line, f"the head of word {row.cells[ID]} is {text!r}, but must be a whole number from 0 to {n}.")
    return int(text)


def word_on_cycle(heads: Sequence[int]) -> int | None:
    """The position (from 0) of a word on a cycle, None if there is no cycle. heads: from 1, 0 for roots. Linear time."""
    walk = [0] * (len(heads) + 1)
    walk[0] = -1
    for start in range(1, len(heads) + 1):
        word = start
        while not walk[word]:
            walk[word] = start
            word = heads[word - 1]
        if walk[word] == start:
            return word - 1
        # What leads into an earlier walk leads to the root, since that walk found no cycle.
    return None


def read_graph(path: Path, block: Block) -> list[Arc]:
    """The arcs of the DEPS column as (head, dependent, label) from 1, head 0 = root.

    Empty nodes are no tokens, so paths through them are drawn together, as in the evaluation of the IWPT 2020 shared task (Bouma
    et al. 2020): a word that depends as `dep` on an empty node, which depends as `conj` on word 4, becomes a dependent of word 4
    with the label `conj>dep`. A path that leads a word to itself is dropped.
    Raises CorpusError with file and line for an entry that is not `head:label`, a head that is not in the sentence, a self-loop.
    """
    rows = [*block.words, *(row for _, row in block.empty)]
    known = {"0", *(row.cells[ID] for row in rows)}
    incoming = {row.cells[ID]: _incoming(path, row, known) for row in rows}
    above = {row.cells[ID]: incoming[row.cells[ID]] for _, row in block.empty}
    arcs: set[Arc] = set()
    for dependent, row in enumerate(block.words, start=1):
        for node, label in incoming[row.cells[ID]]:
            arcs.update((head, dependent, path_label) for head, path_label in _words_above(node, label, above) if head != dependent)
    return sorted(arcs, key=lambda arc: (arc[1], arc[0], arc[2]))


def _incoming(path: Path, row: Row, known: set[str]) -> list[tuple[str, str]]:
    """The (head id, label) pairs of one DEPS cell."""
    if row.cells[DEPS] == MISSING:
        return []
    pairs = []
    for entry in row.cells[DEPS].split("|"):
        head, _, label = entry.partition(":")
        if not label:
            raise broken(path, row.line, f"the enhanced dependency {entry!r} (column 9) must be a head, a colon and a relation.")
        if head not in known:
            raise broken(path, row.line, f"the enhanced dependency {entry!r} (column 9) has a head that is not in the sentence.")
        if head == row.cells[ID]:
            raise broken(path, row.line, f"the enhanced dependency {entry!r} (column 9) makes the word its own head.")
        pairs.append((head, label))
    return pairs


def _words_above(node: str, label: str, above: Mapping[str, list[tuple[str, str]]]) -> Iterator[tuple[int, str]]:
    """The words (or 0) that a path through empty nodes leads up to, each with the labels of the path joined from top to bottom."""
    waiting: list[tuple[str, str, frozenset[str]]] = [(node, label, frozenset())]
    while waiting:
        node, label, passed = waiting.pop()
        if node not in above:
            yield int(node), label
            continue
        for upper, upper_label in above[node]:
            if upper not in passed:
                waiting.append((upper, f"{upper_label}>{label}", passed | {node}))
