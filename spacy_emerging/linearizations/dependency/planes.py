"""Arcs cut into relaxed planes: in a plane, no two arcs of the same direction cross."""

from __future__ import annotations

from collections.abc import Iterable

Arc = tuple[int, int]
"""(head, dependent), 1-based, head 0 = root."""


def relaxed_planes(arcs: Iterable[Arc]) -> list[list[Arc]]:
    """The arcs, sorted by (left end, right end), each put into the first plane where it crosses no arc of its direction
    (Strzyz et al. 2020, as separ assigns them). Arcs that share an end do not cross.

    Arcs of one left end cannot cross each other, so they are tried longest first: then the arcs that are open at a position
    lie on one stack per plane and direction, and only its top can cross.
    """
    planes: list[list[Arc]] = []
    stacks: list[tuple[list[int], list[int]]] = []
    for head, dependent in sorted(arcs, key=lambda arc: (min(arc), -max(arc))):
        left, right, direction = (head, dependent, 0) if head < dependent else (dependent, head, 1)
        for plane in range(len(planes) + 1):
            if plane == len(planes):
                planes.append([])
                stacks.append(([], []))
            open_ends = stacks[plane][direction]
            while open_ends and open_ends[-1] <= left:
                open_ends.pop()
            if not open_ends or open_ends[-1] >= right:
                break
        open_ends.append(right)
        planes[plane].append((head, dependent))
    return planes


def kept_planes(planes: list[list[Arc]], limit: int) -> list[list[Arc]]:
    """At most `limit` planes: the one with the (first) root arc first, whatever its size, then the largest ones."""
    with_root = next((plane for plane in planes if any(head == 0 for head, _ in plane)), None)
    ordered = sorted(planes, key=lambda plane: (plane is not with_root, -len(plane)))
    return ordered[:limit]
