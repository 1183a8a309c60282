"""S4D: layers of diagonal state spaces, a long convolution per channel (arXiv 2206.11893)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from thinc.api import Model
from thinc.types import Floats2d
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..bridge.layout import Carried, Layout
from ..bridge.segments import AHEAD, BOTH, Stage, token_wise
from ..errors import check_whole
from ..kernels.diagonal_ssm import diagonal_ssm, diagonal_ssm_segment, discretised
from ..kernels.dropout import Dropout
from ..kernels.linear import project
from .parts import RMSNorm, scale_down

NAME = "spacy-emerging.StateSpaceEncoder.v1"
DIRECTIONS: tuple[str, ...] = ("concat", "add", "forward")

LEAST_STEP, LARGEST_STEP = 0.001, 0.1
"""Between which steps are drawn (the authors' defaults)."""


class Kernel(nn.Module):
    """The state spaces of D channels, parametrised as the authors' S4D and starting from S4D-Lin (section 4).

    directions: 1, or 2 for kernels of both directions, which share all but C, as in the authors' bidirectional S4.
    log_dt: (D,), log-uniform. log_A_real: (D, N), decays exp(log_A_real) = 1/2. A_imag_shift: (D, N), by how much frequencies
    differ from the first ones, 0, pi, 2 pi, ...; small steps are not lost beside the large ones.
    C: (directions x D, N, 2), real and imaginary parts of the read-out. B is 1, without loss, since the read-out is free.
    """

    no_weight_decay = ("A_imag_shift", "log_A_real")

    def __init__(self, channels: int, state_width: int, directions: int) -> None:
        super().__init__()
        pairs, self.directions = state_width // 2, directions
        self.log_dt = nn.Parameter(torch.empty(channels).uniform_(math.log(LEAST_STEP), math.log(LARGEST_STEP)))
        self.log_A_real = nn.Parameter(torch.full((channels, pairs), math.log(0.5)))
        self.A_imag_shift = nn.Parameter(torch.zeros(channels, pairs))
        self.C = nn.Parameter(torch.randn(directions * channels, pairs, 2) * math.sqrt(0.5))

    def forward(self, x: Tensor, chunk: int, exactly_causal: bool = False, carried: Carried | None = None) -> Tensor:
        """(B, L, directions x D) to the same. carried: see Layout."""
        shift = self.A_imag_shift
        frequency = math.pi * torch.arange(shift.shape[1], dtype=shift.dtype, device=shift.device) + shift
        log_transition, entering = discretised(self.log_dt, self.log_A_real, frequency)
        if self.directions > 1:
            log_transition, entering = log_transition.repeat(self.directions, 1), entering.repeat(self.directions, 1)
        # Each state stands for itself and for its conjugate, hence the 2.
        weight = 2 * torch.view_as_complex(self.C) * entering
        if carried is None:
            return diagonal_ssm(x, log_transition, weight, chunk, exactly_causal)
        y, carried["state"] = diagonal_ssm_segment(x, log_transition, weight, chunk, carried.get("state"), exactly_causal)
        return y


class Layer(nn.Module):
    """x + GLU(output(GELU(y + D u))), y the convolution of u = norm(x).

    In direction "concat" the first half of the channels reads from left to right and the other from right to left; the output
    projection mixes both. In "add" every channel has a kernel of either direction, and that from right to left leaves out the
    token itself, which the other one has.
    """

    def __init__(self, width: int, depth: int, direction: str, state_width: int, chunk: int, dropout: float) -> None:
        super().__init__()
        self.direction, self.chunk = direction, chunk
        self.norm = RMSNorm(width)
        self.kernel = Kernel(width, state_width, 2 if direction == "add" else 1)
        self.D = nn.Parameter(torch.randn(width))
        self.output = nn.Linear(width, 2 * width)
        scale_down(self.output, depth)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        normed = self.norm(tokens)
        with torch.autocast(tokens.device.type, enabled=False):
            y = layout.unpad(self._mix(layout.pad(normed), layout.carried))
        return self._leave(tokens, normed, y)

    def stages(self) -> list[Stage]:
        """The layer over segments. What both directions found has to meet before the output layer, so it is kept with the tokens."""
        if self.direction == "forward":
            return [Stage(lambda streams, layout: [self(streams[0], layout)], AHEAD)]
        return [Stage(self._sides, BOTH), token_wise(self._join)]

    def _sides(self, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """Two (S, D) to the first of them beside what is read from left to right, and to what is read from right to left."""
        carried, channels = layout.carried, streams[0].shape[1] // 2
        assert carried is not None
        left, right = (self.norm(stream) for stream in streams)
        if self.direction == "concat":
            left, right = left[:, :channels], right[:, channels:]
        with torch.autocast(left.device.type, enabled=False):
            left, right = self.kernel(torch.cat([left, right], -1)[None], self.chunk, carried=carried)[0].chunk(2, -1)
        if self.direction == "add":  # what is read from right to left belongs to the token after it, in that order
            before = carried.get("last", torch.zeros_like(right[:1]))
            carried["last"] = right[-1:].clone()
            right = torch.cat([before, right[:-1]])
        return [torch.cat([streams[0], left], -1), right]

    def _join(self, found: Tensor) -> Tensor:
        """What `_sides` gives to (S, D)."""
        tokens, y = found.tensor_split([len(self.D)], -1)
        if self.direction == "add":
            left, right = y.chunk(2, -1)
            y = left + right
        return self._leave(tokens, self.norm(tokens), y)

    def _leave(self, tokens: Tensor, normed: Tensor, y: Tensor) -> Tensor:
        """The tokens, their norms and what was read, all (T, D), to (T, D)."""
        raised = project(functional.gelu(torch.addcmul(y, normed.to(y.dtype), self.D)), self.output)
        return tokens + self.dropout(functional.glu(raised, -1))

    def _mix(self, x: Tensor, carried: Carried | None) -> Tensor:
        """(B, L, D) to (B, L, D). Zeros after the end of a sequence are as good as no tokens to a filter that starts from rest."""
        if self.direction == "forward":
            return self.kernel(x, self.chunk, exactly_causal=True, carried=carried)
        left, right = (x, x) if self.direction == "add" else x.chunk(2, -1)
        left, right = self.kernel(torch.cat([left, right.flip(1)], -1), self.chunk).chunk(2, -1)
        if self.direction == "concat":
            return torch.cat([left, right.flip(1)], -1)
        return left + functional.pad(right.flip(1)[:, 1:], (0, 0, 0, 1))


class StateSpace(nn.Module):
    """Stacked S4D layers with a final norm. Settings: see StateSpaceEncoder."""

    def __init__(
        self, width: int, depth: int, direction: str = "concat", dropout: float = 0.0, state_width: int = 64, chunk: int = 32
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, depth, direction, state_width, chunk, dropout) for _ in range(depth))
        self.norm = RMSNorm(width)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        for layer in self.layers:
            tokens = layer(tokens, layout)
        return self.norm(tokens)

    def stages(self) -> list[Stage]:
        """See `bridge/segments.py`."""
        layers: list[Any] = list(self.layers)
        return [*(stage for layer in layers for stage in layer.stages()), token_wise(self.norm)]


def StateSpaceEncoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    state_width: int = 64,
    chunk: int = 32,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """A stack of S4D layers [Gu et al. 2022, arXiv 2206.11893; the same model without B and steps: DLR, arXiv 2212.00768].

    A layer is norm, diagonal state spaces (S4D-Lin, discretised by zero-order hold), skip, GELU, GLU projection, residual. How
    far a channel sees and what it sees does not depend on the words: it is a learned convolution, linear in the length of a Doc.
    width (int): Input and output width D. Even; recommended 128 to 512.
    depth (int): Layers. Recommended 2 to 6.
    direction (str): "concat" (half of the channels read from left to right, half from right to left, and each layer's output
        projection mixes both), "add" (every channel has a kernel to either side, as in the authors' bidirectional S4) or "forward".
    dropout (float): Rate on the output of each layer, until spaCy sets `training.dropout`. Recommended 0.1 to 0.3.
    backend (str): "auto", "torch" or "cuda": all run the same operations of torch. It has no effect, of which "cuda" warns.
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    state_width (int): States per channel, in conjugate pairs. Even; recommended 16 to 64, the authors' default 64.
    chunk (int): Tokens per chunk; changes speed and memory, not results. Recommended 16 to 64, our default 32.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    check_whole(NAME, "state_width", state_width, at_least=2, even=True)
    check_whole(NAME, "chunk", chunk)
    return build_encoder(NAME, StateSpace, DIRECTIONS, settings)
