"""Arcs cut into relaxed planes: in a plane, no two arcs of the same direction cross."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import groupby

Arc = tuple[int, int]
"""(head, dependent), 1-based, head 0 = root."""

MOST = 256
"""Planes or subsets that may be asked for: far more than any sentence fills, and each costs memory. Our default."""


def relaxed_planes(arcs: Iterable[Arc], only_one: Callable[[Arc], Hashable] | None = None) -> list[list[Arc]]:
    """The arcs, sorted by (left end, right end), each put into the first plane where it crosses no arc of its direction
    (Strzyz et al. 2020, as separ assigns them). Arcs that share an end do not cross.

    only_one: a plane takes at most one of the arcs for which it returns the same; None: any number.
    Per plane and direction, the arcs open at a position lie on one stack, the longest below; only its top can cross a new arc. Arcs
    of one left end cannot cross each other, so they go onto the stacks after all of them are placed.
    """
    planes: list[list[Arc]] = []
    stacks: list[tuple[list[int], list[int]]] = []
    taken: list[set[Hashable]] = []
    ends = sorted((min(arc), max(arc), arc[0] > arc[1]) for arc in arcs)
    for left, group in groupby(ends, key=lambda end: end[0]):
        begun: list[list[int]] = []
        rights: list[int] = []
        for _, right, leftwards in group:
            arc = (right, left) if leftwards else (left, right)
            key = only_one(arc) if only_one else None
            for plane in range(len(planes) + 1):
                if plane == len(planes):
                    planes.append([])
                    stacks.append(([], []))
                    taken.append(set())
                open_ends = stacks[plane][leftwards]
                while open_ends and open_ends[-1] <= left:
                    open_ends.pop()
                if (not open_ends or open_ends[-1] >= right) and (only_one is None or key not in taken[plane]):
                    break
            planes[plane].append(arc)
            taken[plane].add(key)
            begun.append(open_ends)
            rights.append(right)
        for open_ends, right in zip(reversed(begun), reversed(rights), strict=True):
            open_ends.append(right)
    return planes


def kept_planes(planes: list[list[Arc]], limit: int) -> list[list[Arc]]:
    """At most `limit` planes: the one with the (first) root arc first, whatever its size, then the largest ones."""
    with_root = next((plane for plane in planes if any(head == 0 for head, _ in plane)), None)
    ordered = sorted(planes, key=lambda plane: (plane is not with_root, -len(plane)))
    return ordered[:limit]
