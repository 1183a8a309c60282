"""Reading labels of any shape: one clean column of strings per field, and the numbers that strings write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache


def columns(labels: Sequence[Sequence[str]], arity: int) -> tuple[list[list[str]], int]:
    """One list of n strings per field, and how many words had a label of another shape.

    A missing field, and one that is no string, becomes ""; fields beyond `arity` are ignored. A bare string counts as one field, and
    what is no sequence at all (None, a number) as none.
    """
    if set(map(type, labels)) <= {tuple, list} and set(map(len, labels)) <= {arity}:  # the usual case, without a step per label
        result = [list(column) for column in zip(*labels, strict=True)] if labels else [[] for _ in range(arity)]
        if all(set(map(type, column)) == {str} for column in result if column):
            return result, 0
    result = [[] for _ in range(arity)]
    malformed = 0
    for label in labels:
        values = [label] if isinstance(label, str) else list(label) if isinstance(label, Iterable) else []
        whole = len(values) == arity and all(isinstance(value, str) for value in values) and not isinstance(label, str)
        malformed += not (whole or (isinstance(label, str) and arity == 1))
        for f in range(arity):
            value = values[f] if f < len(values) else ""
            result[f].append(value if isinstance(value, str) else "")
    return result, malformed


@lru_cache(maxsize=65536)
def whole_number(text: str) -> int | None:
    """The number that `text` writes in the one way that `str` would write it, else None."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text else None
