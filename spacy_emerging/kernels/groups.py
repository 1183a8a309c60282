"""Blocks that take a group of sequences through all of their steps before the next one, by compiled loops (native/groups.h)."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from . import native
from .looped_mixer import Kept, LoopedMixer, Side
from .ssd_loops import enough_sequences, longest

GROUP = 128
"""Tokens that go through together, as in groups.h."""

LONGEST = 512
"""Tokens of the longest sequence up to which a block is taken as a whole: of longer ones, too little stays in the caches. Our default."""

PANEL = 32
"""Columns of a panel of weights at most, as in panels.h."""

SLACK = 512
"""Numbers that are left out at most where arrays begin at lines. Rooms of threads are a multiple of it, so that they do so, too."""


def worth_groups(begins: Tensor, *weights: Tensor) -> bool:
    """Whether a block stays in the caches, there are whole sequences for every thread, and gradients for each do not take much memory."""
    of_threads = torch.get_num_threads() * sum(weight.numel() * weight.element_size() for weight in weights)
    return enough_sequences(begins) and longest(begins) <= LONGEST and of_threads <= native.LARGEST


def memory_of_groups(x: Tensor, begins: Tensor, per_token: int, *weights: Tensor) -> tuple[Tensor, int, int]:
    """Working memory, the tokens of the largest group, and the numbers that a thread has for it.

    per_token: numbers that a loop takes for each token of a group. weights: matrices that it lays out in panels, as they are or turned.
    """
    most = max(GROUP, longest(begins))
    room = (most * per_token // SLACK + 2) * SLACK
    panels = sum(weight.numel() + PANEL * max(weight.shape) for weight in weights)
    return native.workspace("block", x, torch.get_num_threads() * room + panels), most, room


class GroupedMixer(LoopedMixer):
    """A mixer whose whole block is one loop where groups are worth it; elsewhere its parts are taken, one after the other."""

    kept_by_block: ClassVar[int]
    """Arrays that a forward pass of a whole block keeps: fewer than that of its parts."""

    @abstractmethod
    def block_forward(self, x: Tensor, side: Side, begins: Tensor, wanted: bool, into: Tensor) -> Kept:
        """`side_forward` by the one loop."""

    @abstractmethod
    def block_backward(self, x: Tensor, side: Side, begins: Tensor, kept: Kept, grad: Tensor, into: Tensor) -> tuple[Tensor, ...]:
        """`side_backward` by the one loop."""

    def side_forward(self, x: Tensor, side: Side, begins: Tensor, wanted: bool, into: Tensor) -> Kept:
        """See LoopedBlock."""
        whole = worth_groups(begins, side.in_weight, side.out_weight)
        return (self.block_forward if whole else super().side_forward)(x, side, begins, wanted, into)

    def side_backward(self, x: Tensor, side: Side, begins: Tensor, kept: Kept, grad: Tensor, into: Tensor) -> tuple[Tensor, ...]:
        """See LoopedBlock."""
        whole = len(kept) == self.kept_by_block
        return (self.block_backward if whole else super().side_backward)(x, side, begins, kept, grad, into)
