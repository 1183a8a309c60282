"""Where the tokens of a batch lie: end to end in a flat (T, D) array, or padded in a (B, L, D) one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .halves import flipped, joined, parted

Carried = dict[str, Any]
"""What the mixers of a layer remember of the segments before, by names of their own."""


class Layout:
    """The shape of one batch of sequences of unequal length.

    Token-wise layers work on flat tensors (T, ...), in which the sequences lie end to end without padding; only a sequence
    mixer asks for `pad` and gives back through `unpad`. `flip` reverses every sequence by its own length, so padding never
    enters a backward pass first.

    lengths: tokens per sequence (B of them), each at least 1.
    device: where index tensors are made.
    carried: None, or this is a segment of one long sequence: mixers start from the states that they find here, and leave here those
    from which the next segment starts (see `segments.py`).
    """

    def __init__(self, lengths: Sequence[int], device: torch.device | str = "cpu", carried: Carried | None = None) -> None:
        self.lengths = tuple(int(length) for length in lengths)
        self.device = torch.device(device)
        self.carried = carried
        self.batch = len(self.lengths)
        self.longest = max(self.lengths, default=0)
        self.tokens = sum(self.lengths)
        self.even = self.tokens == self.batch * self.longest

    @cached_property
    def length_tensor(self) -> Tensor:
        """(B,) int64."""
        return torch.tensor(self.lengths, dtype=torch.int64, device=self.device)

    @cached_property
    def begins(self) -> Tensor:
        """(B + 1,) int64: where each sequence begins among the T tokens, and T. On the CPU, whose compiled loops read it."""
        return functional.pad(torch.tensor(self.lengths, dtype=torch.int64, device="cpu").cumsum(0), (1, 0))

    @cached_property
    def mask(self) -> Tensor:
        """(B, L) bool, True where there is a token."""
        steps = torch.arange(self.longest, device=self.device)
        return steps[None, :] < self.length_tensor[:, None]

    @cached_property
    def padded_index(self) -> Tensor:
        """(T,) int64: the place of every flat token in the padded (B * L) order."""
        return self.mask.reshape(-1).nonzero().squeeze(1)

    @cached_property
    def position(self) -> Tensor:
        """(T,) int64: the place of every token in its own sequence, from 0."""
        return self.padded_index % max(self.longest, 1)

    @cached_property
    def reverse_index(self) -> Tensor:
        """(T,) int64: `x[reverse_index]` reverses every sequence of flat x in place; it is its own inverse."""
        ends = self.length_tensor.cumsum(0)
        last_and_first = (2 * ends - self.length_tensor - 1).repeat_interleave(self.length_tensor)
        return last_and_first - torch.arange(self.tokens, device=self.device)

    def pad(self, flat: Tensor) -> Tensor:
        """(T, ...) to (B, L, ...), zeros after the end of a sequence."""
        shape = (self.batch, self.longest, *flat.shape[1:])
        if self.even:
            return flat.reshape(shape)
        padded = flat.new_zeros((self.batch * self.longest, *flat.shape[1:]))
        return padded.index_copy(0, self.padded_index, flat).reshape(shape)

    def unpad(self, padded: Tensor) -> Tensor:
        """(B, L, ...) to (T, ...), what stands after the end of a sequence is left out."""
        joined = padded.reshape(self.batch * self.longest, *padded.shape[2:])
        return joined if self.even else joined.index_select(0, self.padded_index)

    def flip(self, flat: Tensor) -> Tensor:
        """(T, ...) to (T, ...), every sequence reversed by its own length."""
        return flipped(flat, self.reverse_index)

    def part(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """(T, 2 D) to two (T, D): the left half, and the right half with every sequence reversed."""
        return parted(flat, self.reverse_index)

    def join(self, left: Tensor, right: Tensor) -> Tensor:
        """Two (T, D) to (T, 2 D), the inverse of `part`."""
        return joined(left, right, self.reverse_index)

    def doubled(self) -> Layout:
        """The layout of the same sequences twice (2B): how both directions go through one batched call."""
        return self._doubled

    @cached_property
    def _doubled(self) -> Layout:
        return Layout(self.lengths * 2, self.device)


def buckets(lengths: Sequence[int], max_batch_tokens: int) -> list[list[int]]:
    """Groups sequences of similar length, so that a long one never pads short ones.

    lengths: tokens per sequence; empty ones get into no bucket.
    max_batch_tokens: a bucket's padded size (sequences x longest) stays within it, unless one sequence alone exceeds it.
    Returns lists of positions in `lengths`, longest sequences first. A bucket also ends where padding would come to more
    than half of its tokens and the bucket holds enough work to be worth a call of its own.
    """
    order = sorted((i for i, length in enumerate(lengths) if length), key=lambda i: -lengths[i])
    result: list[list[int]] = []
    filled = 0
    for i in order:
        longest = lengths[result[-1][0]] if result else 0
        padded = longest * (len(result[-1]) + 1) if result else 0
        full = padded > max_batch_tokens
        wasteful = 2 * lengths[i] < longest and filled >= WORTH_A_CALL
        if not result or full or wasteful:
            result.append([])
            filled = 0
        result[-1].append(i)
        filled += lengths[i]
    return result


WORTH_A_CALL = 512
"""Tokens below which a bucket is not split for its padding: the call would cost more than the padding. Our default."""
