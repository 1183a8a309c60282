"""Hydra: quasiseparable mixers (arXiv 2407.09941), which look at both sides of every token in one layer."""

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
from ..bridge.layout import Layout
from ..bridge.segments import AHEAD, BACK, Stage, token_wise
from ..errors import SettingError, check_whole, largest_divisor
from ..kernels import native
from ..kernels.backend import choose
from ..kernels.convolution import centred_convolution, convolution_of_sequences
from ..kernels.dropout import Dropout
from ..kernels.linear import linear, project
from ..kernels.looped_mixer import Side, looped_block, looped_mix
from ..kernels.norm import norm_then_gate
from ..kernels.quantized import QuantizedLinear, is_quantized
from ..kernels.quasiseparable import quasiseparable, quasiseparable_cuda
from ..kernels.quasiseparable_mixer import Parameters, QuasiseparableMixer
from ..kernels.ssd import ssd_segment
from ..kernels.ssd_loops import SSDSizes, Streams, ssd_forward
from .mamba_layers import SSDShape, step_biases
from .parts import DepthwiseWeights, RMSNorm

NAME = "spacy-emerging.HydraEncoder.v1"
DIRECTIONS: tuple[str, ...] = ("concat",)


class Shape(SSDShape):
    """Sizes of one mixer."""

    @property
    def channels(self) -> int:
        """x, and B and C of each direction: what goes through the convolution."""
        return self.inner + 4 * self.state_width


class Mixer(nn.Module):
    """The quasiseparable mixer, with the parameter names and shapes of `hydra.modules.hydra.Hydra` of goombalab (one group of B and C).

        y[t] = forward(x)[t - 1] + backward(x)[t + 1] + (fc_D x[t] + D) x[t]

    where forward and backward are state space dualities with the same A and bias of dt, and with B, C and dt of their own. Drawn as in
    the authors' code: steps dt log-uniform in 0.001 to 0.1, decay rates 1, the out-projection scaled down by the square root of the
    depth.
    """

    def __init__(self, shape: Shape, backend: str, chunk: int) -> None:
        super().__init__()
        self.shape, self.backend, self.chunk = shape, backend, chunk
        self.in_proj = nn.Linear(shape.width, shape.inner + shape.channels + 2 * shape.heads, bias=False)  # z, x, B and C, dt
        self.conv1d = DepthwiseWeights(shape.channels, shape.conv_width)
        self.dt_bias = nn.Parameter(step_biases(shape.heads))
        self.A_log = nn.Parameter(torch.zeros(shape.heads))
        self.D = nn.Parameter(torch.ones(shape.heads))
        self.fc_D = nn.Linear(shape.inner, shape.heads, bias=False)
        self.norm = RMSNorm(shape.inner)
        self.out_proj = nn.Linear(shape.inner, shape.width, bias=False)
        with torch.no_grad():
            self.out_proj.weight /= math.sqrt(shape.depth)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        projected = project(tokens, self.in_proj)
        if choose(self.backend, "mamba_ssm", projected, self.training) == "torch":
            mixed_by_loops = looped_mix(self._looped, projected, self._parameters_of_looped, layout.begins)
            if mixed_by_loops is not None:
                return project(mixed_by_loops, self.out_proj)
        gate, mixed, dt = self._split(projected, self.shape.inner, self.shape.channels)
        mixed = centred_convolution(layout.pad(mixed), self.conv1d.weight.squeeze(1), self.conv1d.bias)
        mixed = layout.pad(layout.unpad(functional.silu(mixed)))  # zeros again in the padding, which tokens before it look at
        y = self._mixed(mixed, layout.pad(functional.softplus(dt + self.dt_bias.repeat(2))), layout)
        return project(norm_then_gate(layout.unpad(y), gate, self.norm.weight), self.out_proj)

    def block(self, norm: RMSNorm, dropout: Dropout, tokens: Tensor, layout: Layout) -> Tensor | None:
        """x + dropout(mixer(norm(x))), (T, D) to (T, D), but for the dropout in one step of the graph.

        None where the loops do not run or are not the fastest.
        """
        if is_quantized(self) or choose(self.backend, "mamba_ssm", tokens, self.training) == "cuda":
            return None
        side = Side(norm.weight, self.in_proj.weight, self.out_proj.weight, self._parameters_of_looped, None, not dropout.active)
        made = looped_block(self._looped, tokens, [side], layout.begins)
        return tokens + dropout(made) if made is not None and dropout.active else made

    @property
    def _looped(self) -> QuasiseparableMixer:
        shape = self.shape
        return QuasiseparableMixer(SSDSizes(shape.heads, shape.head_width, shape.state_width, self.chunk))

    @property
    def _parameters_of_looped(self) -> Parameters:
        conv = self.conv1d
        return Parameters(conv.weight.squeeze(1), conv.bias, self.dt_bias, self.A_log, self.fc_D.weight, self.D, self.norm.weight)

    def _mixed(self, mixed: Tensor, dt: Tensor, layout: Layout) -> Tensor:
        """x, B and C (B, L, channels) and dt of both sides (B, L, 2 H) to (B, L, inner)."""
        shape = self.shape
        x, *sides = self._split(mixed, shape.inner, 2 * shape.state_width)
        diagonal = functional.linear(x, self.fc_D.weight) + self.D
        x = x.unflatten(-1, (shape.heads, shape.head_width))
        b, c = torch.stack(sides).chunk(2, -1)
        dt, a = torch.stack(dt.chunk(2, -1)), -torch.exp(self.A_log.float())
        if choose(self.backend, "mamba_ssm", x, self.training) == "cuda":
            return quasiseparable_cuda(x, dt, a, b, c, diagonal, layout.length_tensor).flatten(2)
        return quasiseparable(x, dt, a, b, c, diagonal, self.chunk).flatten(2)

    def beside(self, side: int, stream: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """x after the convolution, and what tokens get from those on one side of them: (S, inner) each, of a segment.

        stream: (edge + S + edge, D), read from that side on, with half of the convolution's width on either edge.
        A side is a state space duality, read one token later; carried between segments are its states and what it read last.
        """
        carried = layout.carried
        assert carried is not None
        mixed, dt = self._side(side, stream, layout)
        y, carried["state"] = self._scanned(mixed, dt, layout, carried.get("state"))
        first = carried.get("last", torch.zeros_like(y[:1]))
        carried["last"] = y[-1:].clone()
        return mixed[:, : self.shape.inner], torch.cat([first, y[:-1]])

    def segment(self, stream: Tensor, after: Tensor, layout: Layout) -> Tensor:
        """The mixer over a segment: stream as above, and what comes from after its tokens, (S, inner), to (S, D)."""
        shape, edge = self.shape, self.shape.conv_width // 2
        x, before = self.beside(0, stream, layout)
        diagonal = functional.linear(x, self.fc_D.weight) + self.D
        by_head = (shape.heads, shape.head_width)
        y = before.add_(after).unflatten(1, by_head).addcmul_(x.unflatten(1, by_head), diagonal[..., None]).flatten(1)
        gate = self._projected(stream[edge : edge + len(x)], slice(shape.inner))
        return project(norm_then_gate(y, gate, self.norm.weight), self.out_proj)

    def _side(self, side: int, stream: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """x, B and C of one side after the convolution, (S, inner + 2 N), and its steps (S, H)."""
        shape, edge, (tokens,) = self.shape, self.shape.conv_width // 2, layout.lengths
        of_side = torch.arange(2 * shape.state_width) + shape.inner + 2 * side * shape.state_width
        own = torch.cat([torch.arange(shape.inner), of_side]).to(stream.device)
        taps, bias = self.conv1d.weight.squeeze(1)[own], self.conv1d.bias[own]
        taps = taps.flip(-1) if side else taps
        mixed = self._projected(stream, own + shape.inner)
        wider = layout.begins + layout.begins.new_tensor([0, 2 * edge])
        convolved = convolution_of_sequences(mixed, taps, bias, wider, ahead=edge)
        if convolved is None:
            convolved = functional.silu(centred_convolution(mixed[None], taps, bias)[0])
        before = shape.inner + shape.channels + side * shape.heads
        dt = self._projected(stream[edge : edge + tokens], slice(before, before + shape.heads))
        return convolved[edge : edge + tokens], functional.softplus(dt + self.dt_bias)

    def _projected(self, x: Tensor, rows: slice | Tensor) -> Tensor:
        """Some of what the in-projection gives."""
        if isinstance(self.in_proj, QuantizedLinear):
            return project(x, self.in_proj)[:, rows]
        return linear(x, self.in_proj.weight[rows])

    def _scanned(self, mixed: Tensor, dt: Tensor, layout: Layout, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """A side's state space duality of x, B and C, (S, inner + 2 N), to (S, inner); and its state after the segment."""
        shape, a = self.shape, -torch.exp(self.A_log.float())
        x, b, c = mixed.split([shape.inner, shape.state_width, shape.state_width], 1)
        if native.usable(mixed, dt, a):
            sizes = SSDSizes(shape.heads, shape.head_width, shape.state_width, self.chunk)
            end = mixed.new_empty(1, shape.heads, shape.state_width, shape.head_width)
            y, _ = ssd_forward(Streams(x, b, c), dt, a, None, layout.begins, sizes, keep=False, start=before, end=end)
            return y, end
        by_head, a = x.unflatten(1, (shape.heads, shape.head_width))[None, None], a[None]
        y, after = ssd_segment(by_head, dt[None, None], a, b[None, None], c[None, None], torch.zeros_like(a), self.chunk, before)
        return y[0, 0].flatten(1), after

    @staticmethod
    def _split(x: Tensor, first: int, second: int) -> tuple[Tensor, ...]:
        return x.split([first, second, x.shape[-1] - first - second], -1)


class Layer(nn.Module):
    """x + mixer(norm(x))."""

    def __init__(self, shape: Shape, backend: str, chunk: int, dropout: float) -> None:
        super().__init__()
        self.norm = RMSNorm(shape.width)
        self.mixer = Mixer(shape, backend, chunk)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        made = self.mixer.block(self.norm, self.dropout, tokens, layout)
        return tokens + self.dropout(self.mixer(self.norm(tokens), layout)) if made is None else made

    def stages(self) -> list[Stage]:
        """The layer over segments: first what comes from after every token, which is kept beside it, then all else."""
        edge = self.mixer.shape.conv_width // 2
        return [Stage(self._after, BACK, neighbours=edge), Stage(self._whole, AHEAD, neighbours=edge)]

    def _after(self, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        (stream,) = streams
        _, after = self.mixer.beside(1, self.norm(stream), layout)
        return [torch.cat([self._own(stream, layout), after], 1)]

    def _whole(self, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """Tokens and what comes from after them, (edge + S + edge, D + inner), to (S, D)."""
        stream, after = streams[0].tensor_split([self.mixer.shape.width], 1)
        mixed = self.mixer.segment(self.norm(stream.contiguous()), self._own(after, layout), layout)
        return [self._own(stream, layout) + self.dropout(mixed)]

    def _own(self, stream: Tensor, layout: Layout) -> Tensor:
        """Without the edges."""
        edge = self.mixer.shape.conv_width // 2
        return stream[edge : edge + layout.tokens]


class Hydra(nn.Module):
    """Stacked Hydra layers with a final norm.

    Settings: see HydraEncoder. Any even width works, since the head width falls to the largest divisor of the inner width.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        direction: str = "concat",
        dropout: float = 0.0,
        backend: str = "auto",
        state_width: int = 64,
        expand: int = 2,
        head_width: int = 64,
        conv_width: int = 7,
        chunk: int = 64,
    ) -> None:
        super().__init__()
        inner = expand * width
        shape = Shape(width, inner, largest_divisor(inner, head_width), state_width, conv_width, depth)
        self.layers = nn.ModuleList(Layer(shape, backend, chunk, dropout) for _ in range(depth))
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


def HydraEncoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    state_width: int = 64,
    expand: int = 2,
    head_width: int = 64,
    conv_width: int = 7,
    chunk: int = 64,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """A stack of Hydra layers [Hwang et al. 2024, arXiv 2407.09941], linear in the length of a Doc.

    width (int): Input and output width D. Even; recommended 128 to 512.
    depth (int): Layers. Recommended 1 to 6.
    direction (str): "concat": every token sees both sides by nature of the mixer, at the full width; the name is the one that all
        encoders share.
    dropout (float): Rate on the output of each block, until spaCy sets `training.dropout`. Recommended 0.1 to 0.3.
    backend (str): "torch", "cuda" (mamba-ssm, on a GPU) or "auto". The weights are the same.
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    state_width (int): Units of state per unit of a head, on each side. Recommended 16 to 128; the authors' default 64.
    expand (int): Inner width in widths. The authors' default 2.
    head_width (int): Units per head; falls to the largest divisor of the inner width. The authors' default 64.
    conv_width (int): Tokens that the centred convolution sees, itself included. Odd; the authors' default 7.
    chunk (int): Tokens per chunk; changes speed and memory, not results. Recommended 32 to 128.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    for size in ("state_width", "expand", "head_width", "conv_width", "chunk"):
        check_whole(NAME, size, settings[size])
    if conv_width % 2 == 0:
        raise SettingError(f"{NAME}: setting 'conv_width' is {conv_width}, but a centred convolution needs an odd number, such as 7.")
    return build_encoder(NAME, Hydra, DIRECTIONS, settings, kernels="mamba_ssm")
