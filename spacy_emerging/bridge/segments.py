"""One sequence of any length through an encoder in bounded memory: layer by layer, a segment at a time, states carried over.

Beyond the vectors of all tokens that go into a layer and those that come out of it, there is never more in memory than a segment
takes. Results are those of the whole sequence but for rounding: every direction reads the whole sequence in its own order, and what
its mixers remember is handed on at the border of two segments (`Layout.carried`). The two directions of a layer meet in its output
alone, so they walk side by side, one from either end of the sequence, and share their calls as they do on short ones.

A module can be run so if it has a method `stages`, which gives its layers in order. For prediction only: no gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layout import Carried, Layout

AHEAD, BACK, BOTH = (False,), (True,), (False, True)
"""Directions of a stage: for each, whether it reads from right to left."""


@dataclass(frozen=True)
class Stage:
    """One layer of an encoder, or a part of one, as it runs over segments.

    run: given what each direction reads next, (S, D) per direction in its own order, and their layout, gives what each says of
    these tokens, (S, K) per direction in the same order. Its mixers keep their states in `layout.carried`.
    directions: AHEAD, BACK or BOTH. added: whether what both say is added up; else it stands side by side.
    neighbours: so many tokens on either side of a segment are given as well, (neighbours + S + neighbours, D), zeros beyond the ends.
    """

    run: Callable[[Sequence[Tensor], Layout], Sequence[Tensor]]
    directions: tuple[bool, ...] = AHEAD
    added: bool = False
    neighbours: int = 0


def token_wise(layer: Callable[[Tensor], Tensor]) -> Stage:
    """A stage that mixes no tokens."""
    return Stage(lambda streams, _: [layer(stream) for stream in streams])


def can_stream(module: nn.Module) -> bool:
    """Whether the module can run in segments now: it knows how, and no gradients are wanted."""
    return hasattr(module, "stages") and not torch.is_grad_enabled()


def in_segments(module: Any, tokens: Tensor, size: int) -> Tensor:
    """(T, D) of one sequence to (T, D), as `module(tokens, Layout([T]))`, in segments of `size` tokens. `tokens` are left as they are."""
    outputs = tokens
    for stage in module.stages():
        outputs = _through(stage, outputs, size, own=outputs is not tokens)
    return outputs


def _through(stage: Stage, tokens: Tensor, size: int, own: bool) -> Tensor:
    """All segments through one stage. own: whether outputs may replace `tokens`, as they do behind a single direction."""
    carried: Carried = {}
    outputs = None
    for start in range(0, len(tokens), size):
        end = min(start + size, len(tokens))
        places = [slice(len(tokens) - end, len(tokens) - start) if back else slice(start, end) for back in stage.directions]
        read = [_with_neighbours(tokens, place, stage.neighbours) for place in places]
        streams = [_turned(piece, back) for piece, back in zip(read, stage.directions, strict=True)]
        found = stage.run(streams, Layout([end - start], tokens.device, carried))
        if outputs is None:
            width = found[0].shape[1] if stage.added else sum(part.shape[1] for part in found)
            if own and len(found) == 1 and width == tokens.shape[1] and not stage.neighbours:
                outputs = tokens
            else:
                outputs = tokens.new_zeros(len(tokens), width) if stage.added else tokens.new_empty(len(tokens), width)
        column = 0
        for part, place, back in zip(found, places, stage.directions, strict=True):
            target = outputs[place, column : column + part.shape[1]]
            if stage.added:
                target.add_(_turned(part, back))
            else:
                target.copy_(_turned(part, back))
                column += part.shape[1]
    return tokens if outputs is None else outputs


def _with_neighbours(tokens: Tensor, place: slice, count: int) -> Tensor:
    start, end = place.start - count, place.stop + count
    present = tokens[max(0, start) : end]
    return present if len(present) == end - start else functional.pad(present, (0, 0, max(0, -start), max(0, end - len(tokens))))


def _turned(stream: Tensor, back: bool) -> Tensor:
    return stream.flip(0) if back else stream
