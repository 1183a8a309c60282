r"""Arcs in planes as brackets: `\` and `/` one per dependent to the left and right, `>` and `<` one per head to the left and right;
plane p (from 0) writes p stars after each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from .legal_search import Legality
from .planes import Arc

Move = tuple[tuple[int, int, int, int, int], ...]
r"""(plane, number of `\`, of `>`, of `<`, of `/`) of one word, in the order of planes."""

BRACKET = re.compile(r"([\\></])(\**)")


def write_brackets(n: int, planes: Sequence[Sequence[Arc]]) -> list[str]:
    r"""The brackets of words 1..n, plane by plane, in each in the order `\ > < /`; arcs from the root have one at their dependent only."""
    brackets = [""] * n
    for plane, arcs in enumerate(planes):
        stars = "*" * plane
        left_of, right_of, incoming = [0] * (n + 1), [0] * (n + 1), [""] * (n + 1)
        for head, word in arcs:
            if head < word:
                right_of[head] += 1
                incoming[word] = ">" + stars + incoming[word]
            else:
                left_of[head] += 1
                incoming[word] += "<" + stars
        opening, closing = "/" + stars, "\\" + stars
        for word in range(1, n + 1):
            brackets[word - 1] += closing * left_of[word] + incoming[word] + opening * right_of[word]
    return brackets


def read_brackets(texts: Sequence[str], planes: int, root_planes: int) -> tuple[list[tuple[int, int, int]], int]:
    r"""The arcs as (plane, head, dependent) and how many brackets or other characters found no use. Linear.

    Per plane, two stacks: `\` takes the nearest open `<`, `>` the nearest open `/`, or the root in the first `root_planes` planes.
    """
    waiting: list[list[int]] = [[] for _ in range(planes)]  # words with an open `<`, one list per plane
    offering: list[list[int]] = [[] for _ in range(planes)]  # words with an open `/`
    arcs: list[tuple[int, int, int]] = []
    unmatched = 0
    for word, text in enumerate(texts, 1):
        parsed, unknown = parse_brackets(text, planes)
        unmatched += unknown
        for plane, to_left, from_left, to_right, from_right in parsed:
            dependents, heads = waiting[plane], offering[plane]
            taken = min(to_left, len(dependents))
            unmatched += to_left - taken
            arcs.extend((plane, word, dependents.pop()) for _ in range(taken))
            for _ in range(from_left):
                if heads:
                    arcs.append((plane, heads.pop(), word))
                elif plane < root_planes:
                    arcs.append((plane, 0, word))
                else:
                    unmatched += 1
            dependents.extend([word] * to_right)
            heads.extend([word] * from_right)
    return arcs, unmatched + sum(map(len, waiting)) + sum(map(len, offering))


@lru_cache(maxsize=16384)
def parse_brackets(label: str, planes: int) -> tuple[Move, int]:
    r"""((plane, number of `\`, of `>`, of `<`, of `/`), ...) in the order of planes, and how many characters or brackets
    belong to no plane below `planes`. The order of brackets within a plane is taken to be the one in which they are written."""
    counts: dict[int, list[int]] = {}
    unknown = len(BRACKET.sub("", label))
    for symbol, stars in BRACKET.findall(label):
        if len(stars) < planes:
            counts.setdefault(len(stars), [0, 0, 0, 0])["\\></".index(symbol)] += 1
        else:
            unknown += 1
    return tuple((plane, *counts[plane]) for plane in sorted(counts)), unknown  # type: ignore[misc]


def head_brackets(move: Move) -> int:
    """How many heads the brackets give their word."""
    return sum(from_left + to_right for _, _, from_left, to_right, _ in move)


def legality_of(moves: Sequence[Move | None], planes: int, one_root: bool) -> Legality[tuple[int, ...]]:
    """What a search for brackets that all find their partner must know; see `legal_search.py`.

    moves: what each label says, None for one that is illegal everywhere. one_root: whether exactly one `>` must have the root for its
    partner, in the first plane; else any number may, in any plane.
    States are, per plane, how many `<` and `/` are open, and at the end whether the root has its one word.
    """

    def step(state: tuple[int, ...], label: int, last: bool) -> tuple[int, ...] | None:
        move = moves[label]
        if move is None:
            return None
        left_open = list(state)
        for plane, to_left, from_left, to_right, from_right in move:
            waiting, offering = 2 * plane, 2 * plane + 1
            for_root = max(from_left - left_open[offering], 0)
            if for_root and one_root:
                if plane or for_root > 1 or left_open[-1]:
                    return None
                left_open[-1] = 1
            if to_left > left_open[waiting]:
                return None
            left_open[waiting] += to_right - to_left
            left_open[offering] += from_right - (from_left - for_root)
        return tuple(left_open)

    end = (0,) * (2 * planes) + (int(one_root),)
    return Legality((0,) * (2 * planes + 1), step, end.__eq__)
