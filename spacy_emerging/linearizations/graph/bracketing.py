"""Graphs as brackets in several relaxed planes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy

from ...errors import check_choice, check_whole
from ..base import Decoded, needs_labels
from ..legal_search import Legality, best_legal_labels
from ..plane_brackets import Move, head_brackets, legality_of, parse_brackets, read_brackets, write_brackets
from ..planes import MOST, Arc, relaxed_planes
from .relations import GraphLabels, heads_in_order, split


class BracketingGraph(GraphLabels):
    r"""The code of a word holds, plane by plane, one bracket for each end of an arc: `\`, `>`, `<`, `/` for dependents and heads to the
    left, heads and dependents to the right (Ezquerro et al. 2024, arXiv 2410.17972).

    planes: how many relaxed planes (no crossing between arcs of one direction) are written, 1 to 256. Arcs go greedily, by left
        and right end, into the first plane that takes them; the largest planes are kept, the rest is dropped.
    search: how scores are decoded. "greedy": the best-scored labels and nothing else. "legal": the best codes among those in which every
        bracket finds its partner, see `legal_search.py`, each with relations for as many heads as it has; on GUM a little better, and
        slower than the model itself.
    Coverage: every graph without arcs from a word to itself whose arcs the greedy assignment puts into at most `planes` planes.
    Raises SettingError for a number of planes out of that range, or another search.
    """

    def __init__(self, planes: int = 2, search: str = "greedy") -> None:
        check_whole("BracketingGraph", "planes", planes, at_most=MOST)
        check_choice("BracketingGraph", "search", search, ("legal", "greedy"))
        self.planes = planes
        self.search = search

    def _write(self, n: int, arcs: list[Arc]) -> tuple[list[str], list[list[int | None]]]:
        planes = sorted(relaxed_planes(arcs), key=len, reverse=True)[: self.planes]
        return write_brackets(n, planes), heads_in_order(n, planes)

    def _read(self, codes: Sequence[str]) -> tuple[list[list[int]], int]:
        arcs, unmatched = read_brackets(codes, self.planes, root_planes=self.planes)
        heads: list[list[int]] = [[] for _ in range(len(codes) + 1)]
        for _, head, word in sorted(arcs):
            heads[word].append(head)
        return heads, unmatched

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """The graph of the best-scored labels, or, where they take repairs, of those that the search finds.

        scores: (n, K) log-probabilities per field; vocab: their K labels each. repairs counts, besides those of the structure, the
        labels that are not the best-scored ones.
        """
        plain = super().decode_scores(scores, vocab)
        if self.search == "greedy" or not plain.repairs or not len(scores[0]):
            return plain
        moves, by_heads, legality = _fitting(tuple(vocab[0]), tuple(vocab[1]), self.planes)
        codes, relations = (numpy.nan_to_num(numpy.asarray(field, dtype=numpy.float64), nan=-1e9, neginf=-1e9) for field in scores)
        fitting = {heads: relations[:, ids].argmax(axis=1) for heads, ids in by_heads.items()}
        joint = codes.copy()
        words = numpy.arange(len(codes))
        for label, move in enumerate(moves):
            if move is not None:
                heads = head_brackets(move)
                joint[:, label] += relations[words, by_heads[heads][fitting[heads]]]
        found = best_legal_labels(joint, legality)
        if found is None:
            return plain
        chosen = [int(by_heads[heads][fitting[heads][i]]) for i, heads in enumerate(head_brackets(moves[label] or ()) for label in found)]
        decoded = self.decode([(vocab[0][label], vocab[1][relation]) for label, relation in zip(found, chosen, strict=True)])
        changed = int((codes.argmax(axis=1) != found).sum() + (relations.argmax(axis=1) != chosen).sum())
        return Decoded(decoded.structure, decoded.repairs + changed)


@lru_cache(maxsize=8)
def _fitting(
    codes: tuple[str, ...], relations: tuple[str, ...], planes: int
) -> tuple[list[Move | None], dict[int, numpy.ndarray], Legality[tuple[int, ...]]]:
    """What each code says, None for one with unknown parts or that no relations fit; ids of relations by the number of heads;
    and which codes may follow one another."""
    by_heads: dict[int, list[int]] = {}
    for i, joined in enumerate(relations):
        by_heads.setdefault(len(split(joined)) if joined else 0, []).append(i)
    parsed = [parse_brackets(code, planes) for code in codes]
    moves = [None if unknown or head_brackets(move) not in by_heads else move for move, unknown in parsed]
    return moves, {heads: numpy.array(ids) for heads, ids in by_heads.items()}, legality_of(moves, planes, one_root=False)
