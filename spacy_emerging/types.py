"""The named arrows of the data flow, and the letters that docstrings use for shapes.

    B  sequences in a batch          T  all tokens of the batch, laid end to end
    L  tokens of the longest one     D  width of a token vector
    F  label fields                  K  labels of one field

A label travels  Doc -> LabelTuples -> LabelIds -> loss,  and back  scores -> structure -> Doc.
This module imports neither torch nor spaCy, so that everything may import it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy
    import torch

LabelTuple: TypeAlias = tuple[str, ...]
"""One label per field for one word, as a linearization writes it."""

GoldLabels: TypeAlias = Sequence[Sequence[str | None]]
"""Label tuples of one unit (a Doc or a sentence); None where a word is not annotated."""


class Transitions(NamedTuple):
    """Which labels may begin a sequence, follow one another, and end it."""

    start: numpy.ndarray  # (K,) bool
    between: numpy.ndarray  # (K, K) bool, [previous, next]
    end: numpy.ndarray  # (K,) bool


@dataclass(frozen=True)
class Field:
    """One label field of a decoder: its name, its labels in id order, and what the linearization knows of them."""

    name: str
    labels: tuple[str, ...]
    allowed: Transitions | None = None
    bits: tuple[tuple[int, ...], ...] | None = None


LEVEL = "accuracy"
"""Ending of the names of logged values of which the latest stands, where losses are summed over updates, as spaCy does."""


class LossOutput(NamedTuple):
    """A decoder's loss: summed over annotated tokens, how many they were, and what the logger shows: means over these tokens."""

    total: torch.Tensor  # scalar
    count: int  # type: ignore[assignment] # hides tuple.count, which nobody asks of a loss
    logged: dict[str, float]


class Prediction(NamedTuple):
    """A decoder's answer: per field log-probabilities (B, L, K), and the best label ids (B, L, F).

    agreement: (B, L), of a decoder that samples: the share of samples in which a token has all of its best labels.
    Without padding, tokens end to end, (T, ...) stands for (B, L, ...); and there are no scores where nobody wants them.
    """

    scores: list[torch.Tensor]
    best: torch.Tensor
    agreement: torch.Tensor | None = None


class UnitScores(NamedTuple):
    """The same for one unit, on the numpy side: per field (n, K) log-probabilities, (n, F) label ids, and (n,) agreement."""

    scores: list[Any]
    best: Any
    agreement: Any = None
