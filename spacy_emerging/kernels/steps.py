"""Sequences of unequal length laid out for a scan: step by step, without padding."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor


class Steps:
    """Where the tokens of a batch lie in step order: all first tokens, then all second ones, and so on.

    Sequences are ranked by length, the longest first, so that those which have a token at a step are always the first ones
    of the step before; a scan then works on slices, and padding takes part in nothing.

    Built from: lengths (B,) int64, tokens per sequence as they lie end to end in a flat (T, ...) tensor, and
    chosen (B,) bool, which of them take part; None for all. Empty ones never do. B and T below are of those that do.

    order: (B,) int64, which sequence has each rank. rank: (T,) int64, by token in step order.
    lengths: (B,) int64, by rank. sizes: sequences that have a token, per step. begins, begin_tensor: where each step begins among the
    T tokens in step order.
    """

    def __init__(self, lengths: Tensor, chosen: Tensor | None = None) -> None:
        starts = lengths.cumsum(0) - lengths
        if chosen is not None:
            lengths = lengths * chosen
        self.order = lengths.argsort(descending=True, stable=True)[: int((lengths > 0).sum())]
        ranked = lengths[self.order]
        steps = torch.arange(int(ranked[0]) if len(ranked) else 0, device=lengths.device)
        present = steps[:, None] < ranked[None, :]
        step, self.rank = present.nonzero().unbind(1)
        self.index = starts[self.order][self.rank] + step
        sizes = present.sum(1)
        self.sizes: list[int] = sizes.tolist()
        self.begin_tensor = sizes.cumsum(0) - sizes
        self.begins: list[int] = self.begin_tensor.tolist()
        self._step = step
        self.lengths = ranked

    @property
    def sequences(self) -> int:
        """B."""
        return len(self.order)

    @property
    def tokens(self) -> int:
        """T."""
        return len(self.index)

    @cached_property
    def last(self) -> Tensor:
        """(B,) int64: the place of each sequence's last token in step order, by rank."""
        return self.begin_tensor[self.lengths - 1] + torch.arange(self.sequences, device=self.rank.device)

    @cached_property
    def previous(self) -> Tensor:
        """(T - B,) int64: for every token in step order that is no first one, the place of the token before it."""
        return (self.begin_tensor[self._step - 1] + self.rank)[self.sequences :]

    def arranged(self, flat: Tensor) -> Tensor:
        """(T, ...) end to end to (T, ...) in step order."""
        return flat.index_select(0, self.index)

    def sums(self, stepwise: Tensor) -> Tensor:
        """(T,) in step order to (B,), summed over each sequence, by rank."""
        return stepwise.new_zeros(self.sequences).index_add(0, self.rank, stepwise)

    def slices(self) -> list[tuple[slice, slice]]:
        """Per step but the first: its tokens, and the tokens before them, as slices of the T tokens in step order."""
        places = zip(self.sizes[1:], self.begins[1:], self.begins, strict=False)
        return [(slice(begin, begin + size), slice(before, before + size)) for size, begin, before in places]
