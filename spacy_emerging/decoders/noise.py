"""Random numbers of decoders that sample, from generators of their own: nothing else moves them, and they move nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from random import Random

import torch
from torch import Tensor

BLOCK = 64
"""Positions that are drawn at once: the numbers of a position must not depend on how many come after it."""


def generator(*key: object) -> torch.Generator:
    """A generator of its own for every key."""
    return torch.Generator().manual_seed(Random("/".join(map(str, key))).getrandbits(63))


def aside(*tensors: Tensor) -> AbstractContextManager[None]:
    """Within, dropout draws as always, but whoever draws afterwards is not moved: the labeler's dropout stays that of a softmax."""
    return torch.random.fork_rng(devices={tensor.device.index for tensor in tensors if tensor.is_cuda})


def noise_of_positions(length: int, width: int, *key: object) -> Tensor:
    """(length, width) standard normal, float32: what stands at a position depends on that position and the key alone."""
    draw = generator(*key)
    blocks = [torch.randn(BLOCK, width, generator=draw) for _ in range(math.ceil(length / BLOCK))]
    return torch.cat(blocks)[:length] if blocks else torch.zeros(0, width)


def training_draws(lengths: Sequence[int], width: int, *key: object) -> Tensor:
    """(T, width + 2) for sequences end to end: noise, the time as a share of 1 which a sequence's tokens share, and a number for all.

    Times are spread evenly, from a common start that is drawn: each is uniform, and together they cover all times (arXiv 2107.00630,
    appendix I.1). Sequences are shuffled first, so that long ones do not lie together.
    """
    draw, count, tokens = generator(*key), len(lengths), sum(lengths)
    offset, common = torch.rand(2, generator=draw)
    shares = (offset + torch.randperm(count, generator=draw) / max(count, 1)) % 1
    noise = torch.randn(tokens, width, generator=draw)
    per_token = shares.repeat_interleave(torch.tensor(lengths, dtype=torch.int64))
    return torch.cat([noise, per_token[:, None], common.expand(tokens, 1)], dim=1)
