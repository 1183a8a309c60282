"""Graphs as brackets in several relaxed planes."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import SettingError
from ..plane_brackets import read_brackets, write_brackets
from ..planes import Arc, relaxed_planes
from .relations import GraphLabels, heads_in_order


class BracketingGraph(GraphLabels):
    r"""The code of a word holds, plane by plane, one bracket for each end of an arc: `\`, `>`, `<`, `/` for dependents and heads to the
    left, heads and dependents to the right (Ezquerro et al. 2024, arXiv 2410.17972).

    planes: how many relaxed planes (no crossing between arcs of one direction) are written, at least 1. Arcs go greedily, by left
        and right end, into the first plane that takes them; the largest planes are kept, the rest is dropped.
    Coverage: every graph without arcs from a word to itself whose arcs the greedy assignment puts into at most `planes` planes.
    Raises SettingError for a number of planes below 1.
    """

    def __init__(self, planes: int = 2) -> None:
        if not isinstance(planes, int) or planes < 1:
            raise SettingError(f"BracketingGraph: setting 'planes' is {planes!r}, but must be a whole number of at least 1.")
        self.planes = planes

    def _write(self, n: int, arcs: list[Arc]) -> tuple[list[str], list[list[int | None]]]:
        planes = sorted(relaxed_planes(arcs), key=len, reverse=True)[: self.planes]
        return write_brackets(n, planes), heads_in_order(n, planes)

    def _read(self, codes: Sequence[str]) -> tuple[list[list[int]], int]:
        arcs, unmatched = read_brackets(codes, self.planes, root_planes=self.planes)
        heads: list[list[int]] = [[] for _ in range(len(codes) + 1)]
        for _, head, word in sorted(arcs):
            heads[word].append(head)
        return heads, unmatched
