"""The selective scan, the sequence mixer of Mamba (arXiv 2312.00752, section 3.2): every channel has N decays of its own.

    state[t] = exp(dt[t] a) * state[t-1] + dt[t] x[t] b[t]^T          y[t] = state[t] c[t] + skip * x[t]

Letters: G groups of sequences with parameters of their own (the two directions), B sequences per group, L tokens, D channels,
N units of state per channel, S tokens of a segment, Q tokens of a block, R rows of a tile. Causal: padding belongs at the end,
where it influences no token.

Since each channel decays at rates of its own, there is no matrix product to go through as in Mamba-2. What costs time is to touch
(L, D, N) numbers a few times, so they are never laid out in memory: a step works on one token of many sequences, a tile that stays
in the cache. Where a batch has too few sequences to fill a tile, long ones are cut into segments that run side by side: a first
pass finds the state that each leaves behind, and the second starts from it. Only factors between 0 and 1 are ever multiplied, and
nothing is divided by them, so any step size is safe in float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

TILE = 131_072
"""Numbers of state in a tile on a CPU: few enough for its cache, enough to be worth a call. Measured; changes speed alone."""

WORTH_CUTTING = 16_384
"""Numbers of state in a step from which on sequences are not cut on a CPU: the first pass would cost more than it saves. Measured."""

ON_GPU = 4_194_304
"""Both of them on a GPU, where calls are dear and no cache holds a tile in any case. Our default."""

BLOCK = 8
"""Q: of so many tokens the backward pass computes the states anew and keeps them; it starts from states that are stored."""


def selective_scan_reference(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor) -> Tensor:
    """The recurrence token by token, as it is defined: slow, and right in any precision. Shapes as in `selective_scan`."""
    state = x.new_zeros((*x.shape[:2], *a.shape[1:]))  # (G, B, D, N)
    steps = []
    for t in range(x.shape[2]):
        decay = torch.exp(dt[:, :, t, :, None] * a[:, None])
        state = decay * state + (dt * x)[:, :, t, :, None] * b[:, :, t, None, :]
        steps.append((state * c[:, :, t, None, :]).sum(-1))
    return torch.stack(steps, 2) + skip[:, None, None] * x


def selective_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor, segments: int | None = None) -> Tensor:
    """The same, many sequences and segments of sequences at a time.

    x, dt: (G, B, L, D), dt at least 0. a: (G, D, N), at most 0. b, c: (G, B, L, N). skip: (G, D).
    segments: into how many parts each sequence is cut; None chooses. It changes speed, not results.
    Returns (G, B, L, D). Time and memory are linear in L; the backward pass keeps one state of D x N in BLOCK tokens. Computed in at
    least float32, whatever autocast says.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, dt, a, b, c, skip = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, dt, a, b, c, skip))
        if segments is None:
            segments = _segments(x, a)
        y = _Scan.apply(dt, dt * x, a.transpose(1, 2), b, c, segments)
        return torch.addcmul(y, x, skip[:, None, None])


def selective_scan_segment(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor, before: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`selective_scan` of a part of longer sequences, and the state after it. Without gradients.

    before: (G, B, N, D), the state before the first token, as the call before this one returned it; None at the start.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, dt, a, b, c, skip = (t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in (x, dt, a, b, c, skip))
        segments = _segments(x, a)
        tiles = _tiles(a.transpose(1, 2).contiguous(), *(_cut(t, segments) for t in (dt, dt * x, b, c)))
        if before is None:
            before = x.new_zeros(*x.shape[:2], b.shape[-1], x.shape[-1])
        ends = [tile.end() if segments > 1 else tile.zeros() for tile in tiles]
        states = _carried(tiles, ends, segments, range(segments), before)
        found = [tile.read(state, keep=False)[0] for tile, state in zip(tiles, states, strict=True)]  # overwrites the states
        after = torch.cat([tile.grouped(state) for tile, state in zip(tiles, states, strict=True)], 1)
        y = torch.addcmul(_join(found, x.shape[:3], segments), x, skip[:, None, None])
        return y, after[:, segments - 1 :: segments].contiguous()


def _segments(x: Tensor, a: Tensor) -> int:
    batch, length = x.shape[1:3]
    step, on_cpu = batch * a.numel(), x.device.type == "cpu"
    if step >= (WORTH_CUTTING if on_cpu else ON_GPU):
        return 1
    return max(1, min((TILE if on_cpu else ON_GPU) // step, length // (2 * BLOCK)))


class _Scan(torch.autograd.Function):
    """dt, u = dt x: (G, B, L, D), a: (G, N, D), b, c: (G, B, L, N) to (G, B, L, D), without the skip."""

    @staticmethod
    def forward(ctx: Any, dt: Tensor, u: Tensor, a: Tensor, b: Tensor, c: Tensor, segments: int) -> Tensor:
        a = a.contiguous()
        tiles = _tiles(a, *(_cut(t, segments) for t in (dt, u, b, c)))
        keep = any(ctx.needs_input_grad)
        done = [tile.read(start, keep) for tile, start in zip(tiles, _starts(tiles, segments), strict=True)]
        if keep:
            ctx.size, ctx.segments = dt.shape[:3], segments
            ctx.save_for_backward(a, *(t for tile, (_, kept) in zip(tiles, done, strict=True) for t in (*tile.steps, kept)))
        return _join([y for y, _ in done], dt.shape[:3], segments)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, *saved = ctx.saved_tensors
        tiles = [_Tile(a, *saved[i : i + 4]) for i in range(0, len(saved), 5)]
        grads = _in_steps(_cut(grad, ctx.segments), [tile.rows for tile in tiles])
        ends = _ends(tiles, grads, ctx.segments)
        space = tiles[0].space()
        found = [tile.gradients(*each, space) for tile, each in zip(tiles, zip(grads, ends, saved[4::5], strict=True), strict=True)]
        dt, u, b, c = (_join([gradients[i] for gradients in found], ctx.size, ctx.segments) for i in range(4))
        return dt, u, torch.stack([gradients[4] for gradients in found]).sum(0), b, c, None


class _Tile:
    """Rows (sequences, or segments of them) of all groups, each step of which is one operation on their states (G R, N, D).

    a: (G, N, D). dt, u: (S, G R, D). b, c: (S, G R, N).
    """

    def __init__(self, a: Tensor, dt: Tensor, u: Tensor, b: Tensor, c: Tensor) -> None:
        self.steps = dt, u, b, c
        self.groups, self.rows, self.length = len(a), dt.shape[1] // len(a), len(dt)
        self.a, self.log_2 = a[:, None], a[:, None] / math.log(2)
        self.dt = self.grouped(dt.unsqueeze(-2), 1).unbind()  # of each token (G, R, 1, D)
        self.u, self.b, self.c = (_rows(step) for step in (u, b, c))  # (G R, 1, D) and (G R, 1, N)
        self.b_up, self.c_up = b.unsqueeze(-1).unbind(), c.unsqueeze(-1).unbind()  # (G R, N, 1)

    def grouped(self, x: Tensor, axis: int = 0) -> Tensor:
        return x.unflatten(axis, (self.groups, self.rows))

    def zeros(self) -> Tensor:
        """(G R, N, D)."""
        return self.a.new_zeros((self.groups * self.rows, *self.a.shape[2:]))

    def decay(self, t: int, out: Tensor) -> None:
        """(G, R, N, D): the factor of token t on the state before it. A power of 2 takes a fourth of the time of one of e."""
        torch.mul(self.dt[t], self.log_2, out=out).exp2_()

    def total(self) -> Tensor:
        """(G R, N, D): the factor of all tokens together."""
        return torch.exp2(self.grouped(self.steps[0].sum(0).unsqueeze(-2)) * self.log_2).flatten(0, 1)

    def read(self, state: Tensor | None, keep: bool) -> tuple[Tensor, Tensor | None]:
        """What is read, (S, G R, D), and where they are kept, the states before every block, (blocks, G R, N, D).

        state: the one before the first token; None is zero. It is overwritten.
        """
        state = self.zeros() if state is None else state
        decay, found = torch.empty_like(state), torch.empty_like(self.steps[1])
        grouped = self.grouped(decay)
        kept = state.new_empty((-(-self.length // BLOCK), *state.shape)) if keep else None
        for t, out in enumerate(_rows(found)):
            if kept is not None and t % BLOCK == 0:
                kept[t // BLOCK] = state
            self.decay(t, grouped)
            state.mul_(decay).addcmul_(self.b_up[t], self.u[t])
            torch.bmm(self.c[t], state, out=out)
        return found, kept

    def end(self) -> Tensor:
        """(G R, N, D): the state after the last token, where that before the first is zero."""
        state = self.zeros()
        decay = torch.empty_like(state)
        grouped = self.grouped(decay)
        for t in range(self.length):
            self.decay(t, grouped)
            state.mul_(decay).addcmul_(self.b_up[t], self.u[t])
        return state

    def start(self, grad: Tensor) -> Tensor:
        """(G R, N, D): the gradient of the state before the first token, given that of what is read, and none of the last state."""
        state = self.zeros()
        decay = torch.empty_like(state)
        grouped = self.grouped(decay)
        for t, read in reversed(list(enumerate(_rows(grad)))):
            self.decay(t, grouped)
            state.addcmul_(self.c_up[t], read).mul_(decay)
        return state

    def space(self) -> Tensor:
        """(2 Q + 1, G R, N, D) for decays and states of a block. One for all tiles: new memory costs more than the numbers in it."""
        return self.a.new_empty((2 * min(BLOCK, self.length) + 1, self.groups * self.rows, *self.a.shape[2:]))

    def gradients(self, grad: Tensor, end: Tensor | None, kept: Tensor, space: Tensor) -> tuple[Tensor, ...]:
        """Those of dt, u, b and c as they lie here, and of a, (G, N, D).

        grad: that of what was read. end: that of the state after the last token; None is zero. It is overwritten.
        kept: the states before every block. space: of this tile or one with more rows.
        """
        end = self.zeros() if end is None else end
        along, by_a = torch.empty_like(end), self.grouped(torch.zeros_like(end))
        grouped, end_up = self.grouped(along), end.mT
        factors, before = space[:, : len(end)].tensor_split([len(space) // 2])
        decays, states, states_up = factors.unbind(), before.unbind(), before.mT.unbind()
        in_groups = self.grouped(factors, 1).unbind()
        found = [torch.empty_like(step) for step in self.steps]
        by_dt, by_u, by_b, by_c = map(_rows, found)
        read = _rows(grad)
        for first in reversed(range(0, self.length, BLOCK)):
            before[0] = kept[first // BLOCK]
            block = list(enumerate(range(first, min(first + BLOCK, self.length))))
            for i, t in block:
                self.decay(t, in_groups[i])
                torch.mul(states[i], decays[i], out=states[i + 1]).addcmul_(self.b_up[t], self.u[t])
                torch.bmm(read[t], states_up[i + 1], out=by_c[t])
            for i, t in reversed(block):
                end.addcmul_(self.c_up[t], read[t])
                torch.bmm(self.b[t], end, out=by_u[t])
                torch.bmm(self.u[t], end_up, out=by_b[t])
                torch.mul(end.mul_(decays[i]), states[i], out=along)
                by_a.addcmul_(grouped, self.dt[t])
                grouped.mul_(self.a)
                torch.sum(along, 1, keepdim=True, out=by_dt[t])
        return (*found, by_a.sum(1))


def _rows(steps: Tensor) -> tuple[Tensor, ...]:
    """(S, G R, K) as S tensors (G R, 1, K)."""
    return steps.unsqueeze(-2).unbind()


def _cut(x: Tensor, segments: int) -> Tensor:
    """(G, B, L, K) to (G, B x segments, S, K), with zeros after the last segment's end: no step there, and no state."""
    missing = -x.shape[2] % segments
    if missing:
        x = functional.pad(x, (0, 0, 0, missing))
    return x.unflatten(2, (segments, -1)).flatten(1, 2)


def _join(parts: Sequence[Tensor], size: Sequence[int], segments: int) -> Tensor:
    """Per tile (S, G R, K) to (G, B, L, K), the way back; size: G, B, L."""
    groups, batch, length = size
    steps, _, width = parts[0].shape
    x = parts[0].new_empty((groups, batch * segments, steps, width))
    in_groups = [part.unflatten(1, (groups, -1)).permute(1, 2, 0, 3) for part in parts]
    for place, part in zip(x.split([part.shape[1] for part in in_groups], 1), in_groups, strict=True):
        place.copy_(part)
    return x.view(groups, batch, segments * steps, width)[:, :, :length]


def _in_steps(x: Tensor, rows: Sequence[int]) -> list[Tensor]:
    """(G, B x segments, S, K) to (S, G R, K) per tile."""
    return [part.permute(2, 0, 1, 3).flatten(1, 2).contiguous() for part in x.split(list(rows), 1)]


def _tiles(a: Tensor, *inputs: Tensor) -> list[_Tile]:
    """dt, u, b and c in segments to tiles of about equal size."""
    rows = inputs[0].shape[1]
    most = max(1, (TILE if a.device.type == "cpu" else ON_GPU) // a.numel())
    count = max(1, -(-rows // most))
    sizes = [rows // count + (i < rows % count) for i in range(count)]
    return [_Tile(a, *parts) for parts in zip(*(_in_steps(t, sizes) for t in inputs), strict=True)]


def _starts(tiles: Sequence[_Tile], segments: int) -> Sequence[Tensor | None]:
    """Per tile the states (G R, N, D) before the first tokens of its rows; None for zero."""
    if segments == 1:
        return [None] * len(tiles)
    return _carried(tiles, [tile.end() for tile in tiles], segments, range(segments))


def _ends(tiles: Sequence[_Tile], grads: Sequence[Tensor], segments: int) -> Sequence[Tensor | None]:
    """Per tile the gradients (G R, N, D) of the states after the last tokens of its rows; None for zero."""
    if segments == 1:
        return [None] * len(tiles)
    return _carried(tiles, [tile.start(grad) for tile, grad in zip(tiles, grads, strict=True)], segments, range(segments)[::-1])


def _carried(
    tiles: Sequence[_Tile], left: Sequence[Tensor], segments: int, order: Sequence[int], before: Tensor | None = None
) -> list[Tensor]:
    """What reaches each segment from all those before it in this order, given what each leaves to the next by itself.

    before: (G, B, N, D), what reaches the first; None is zero.
    """
    joined = torch.cat([tile.grouped(each) for tile, each in zip(tiles, left, strict=True)], 1).unflatten(1, (-1, segments))
    totals = torch.cat([tile.grouped(tile.total()) for tile in tiles], 1).unflatten(1, (-1, segments))
    carried = torch.zeros_like(joined)
    if before is not None:
        carried[:, :, order[0]] = before
    for earlier, segment in zip(order, order[1:], strict=False):
        torch.addcmul(joined[:, :, earlier], totals[:, :, earlier], carried[:, :, earlier], out=carried[:, :, segment])
    return [part.flatten(0, 1).contiguous() for part in carried.flatten(1, 2).split([tile.rows for tile in tiles], 1)]


def selective_scan_cuda(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor) -> Tensor:
    """The same for one group, by the vendors' kernel: x, dt (B, L, D), a (D, N), b, c (B, L, N), skip (D,)."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    x, dt, b, c = (t.transpose(1, 2).contiguous() for t in (x, dt, b, c))
    return selective_scan_fn(x, dt, a, b, c, skip).transpose(1, 2)
