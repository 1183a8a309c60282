"""Mamba-2: state-space duality layers (arXiv 2405.21060), in one or in both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from thinc.api import Model
from thinc.types import Floats2d
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..bridge.layout import Layout
from ..errors import check_whole, largest_divisor
from ..kernels.backend import choose
from ..kernels.convolution import causal_convolution, causal_convolution_cuda, kernel_fits
from ..kernels.linear import project
from ..kernels.ssd import ssd, ssd_cuda
from .parts import DepthwiseWeights, RMSNorm

NAME = "spacy-emerging.Mamba2Encoder.v1"
DIRECTIONS: tuple[str, ...] = ("concat", "add", "forward")


@dataclass(frozen=True)
class Shape:
    """Sizes of one mixer. width: D of its input. inner: width of x and z. heads x head_width = inner. depth: layers of the encoder."""

    width: int
    inner: int
    head_width: int
    state_width: int
    conv_width: int
    depth: int

    @property
    def heads(self) -> int:
        return self.inner // self.head_width

    @property
    def channels(self) -> int:
        """x, B and C: what goes through the convolution."""
        return self.inner + 2 * self.state_width


class Mixer(nn.Module):
    """The parameters of one direction, with the names and shapes of `mamba_ssm.modules.mamba2.Mamba2` (one group of B and C).

    projections: whether it has an in- and an out-projection of its own.
    Drawn as by the authors (arXiv 2312.00752, section 3.6, and their code): steps dt log-uniform in 0.001 to 0.1, decay rates
    uniform in 1 to 16, the out-projection scaled down by the square root of the depth.
    """

    def __init__(self, shape: Shape, projections: bool = True) -> None:
        super().__init__()
        if projections:
            self.in_proj = nn.Linear(shape.width, shape.inner + shape.channels + shape.heads, bias=False)  # z, x, B, C, dt
            self.out_proj = nn.Linear(shape.inner, shape.width, bias=False)
            with torch.no_grad():
                self.out_proj.weight /= math.sqrt(shape.depth)
        self.conv1d = DepthwiseWeights(shape.channels, shape.conv_width)
        step = torch.exp(torch.empty(shape.heads).uniform_(math.log(0.001), math.log(0.1)))
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus of this is the step
        self.A_log = nn.Parameter(torch.empty(shape.heads).uniform_(1.0, 16.0).log())
        self.D = nn.Parameter(torch.ones(shape.heads))
        self.norm = RMSNorm(shape.inner)


class Scan(nn.Module):
    """Convolution and SSD of one or two mixers in one batched call. It has no parameters of its own."""

    def __init__(self, shape: Shape, backend: str, chunk: int) -> None:
        super().__init__()
        self.shape, self.backend, self.chunk = shape, backend, chunk

    def enter(self, mixer: Mixer, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(T, D) to the gate z (T, inner), x + B + C (T, channels) and dt (T, H)."""
        gate, mixed, dt = project(tokens, mixer.in_proj).split([self.shape.inner, self.shape.channels, self.shape.heads], -1)
        return gate, mixed, dt

    def forward(self, mixers: Sequence[Mixer], mixed: Sequence[Tensor], dt: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """Per mixer x + B + C (T, channels) and dt (T, H), in its own reading order, to (T, inner)."""
        groups = len(mixers)
        if groups == 2:
            layout = layout.doubled()
        all_mixed, all_dt = (layout.pad(_join(parts)).unflatten(0, (groups, -1)) for parts in (mixed, dt))  # (G, B, L, ...)
        if self._on_kernels(all_dt):
            y = torch.stack([self._by_kernels(*each) for each in zip(mixers, all_mixed, all_dt, strict=True)])
        else:
            y = self._by_torch(mixers, all_mixed, all_dt)
        return list(layout.unpad(y.flatten(0, 1).flatten(2)).chunk(groups))

    def _on_kernels(self, tensor: Tensor) -> bool:
        return choose(self.backend, "mamba_ssm", tensor, self.training) == "cuda"

    def _by_torch(self, mixers: Sequence[Mixer], mixed: Tensor, dt: Tensor) -> Tensor:
        """(G, B, L, x + B + C) and (G, B, L, H) to (G, B, L, H, P)."""
        weight = torch.stack([mixer.conv1d.weight.squeeze(1) for mixer in mixers])[:, None, None]
        bias = torch.stack([mixer.conv1d.bias for mixer in mixers])[:, None, None]
        x, b, c = self._split(functional.silu(causal_convolution(mixed, weight, bias)))
        dt = functional.softplus(dt + torch.stack([mixer.dt_bias for mixer in mixers])[:, None, None])
        a = -torch.exp(torch.stack([mixer.A_log for mixer in mixers]))
        return ssd(x, dt, a, b, c, torch.stack([mixer.D for mixer in mixers]), self.chunk)

    def _by_kernels(self, mixer: Mixer, mixed: Tensor, dt: Tensor) -> Tensor:
        """The same for one mixer: (B, L, x + B + C) and (B, L, H) to (B, L, H, P)."""
        weight, bias = mixer.conv1d.weight.squeeze(1), mixer.conv1d.bias
        if kernel_fits(*weight.shape) and choose(self.backend, "causal_conv1d", mixed, self.training) == "cuda":
            mixed = causal_convolution_cuda(mixed, weight, bias)
        else:
            mixed = functional.silu(causal_convolution(mixed, weight, bias))
        x, b, c = self._split(mixed)
        return ssd_cuda(x, functional.softplus(dt + mixer.dt_bias), -torch.exp(mixer.A_log.float()), b, c, mixer.D)

    def _split(self, mixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, b, c = mixed.split([self.shape.inner, self.shape.state_width, self.shape.state_width], -1)
        return x.unflatten(-1, (self.shape.heads, self.shape.head_width)), b, c


def _join(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(tuple(parts)) if len(parts) > 1 else parts[0]


class ForwardLayer(nn.Module):
    """One block from left to right: x + mixer(norm(x))."""

    def __init__(self, shape: Shape, scan: Scan, dropout: float) -> None:
        super().__init__()
        self.norm = RMSNorm(shape.width)
        self.forward_mixer = Mixer(shape)
        self.scan = scan
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        gate, mixed, dt = self.scan.enter(self.forward_mixer, self.norm(tokens))
        (y,) = self.scan([self.forward_mixer], [mixed], [dt], layout)
        return tokens + self.dropout(_leave(self.forward_mixer, y, gate))


class AddLayer(nn.Module):
    """One block in both directions with one pair of projections, as Caduceus (arXiv 2403.03234, section 3.2): outputs are added.

    Convolution, step, decay, skip and inner norm are each direction's own.
    """

    def __init__(self, shape: Shape, scan: Scan, dropout: float) -> None:
        super().__init__()
        self.norm = RMSNorm(shape.width)
        self.forward_mixer = Mixer(shape)
        self.backward_mixer = Mixer(shape, projections=False)
        self.scan = scan
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        gate, mixed, dt = self.scan.enter(self.forward_mixer, self.norm(tokens))
        mixers = [self.forward_mixer, self.backward_mixer]
        y, reverse = self.scan(mixers, [mixed, layout.flip(mixed)], [dt, layout.flip(dt)], layout)
        both = self.forward_mixer.norm(y, gate) + self.backward_mixer.norm(layout.flip(reverse), gate)
        return tokens + self.dropout(project(both, self.forward_mixer.out_proj))


class ConcatLayer(nn.Module):
    """Each direction maps D to D / 2 and runs one block of its own there; the halves are concatenated (see Mamba2)."""

    def __init__(self, shape: Shape, scan: Scan, dropout: float) -> None:
        super().__init__()
        self.down = nn.Linear(2 * shape.width, 2 * shape.width)  # the maps of both directions, one above the other
        self.forward_norm, self.backward_norm = RMSNorm(shape.width), RMSNorm(shape.width)
        self.forward_mixer, self.backward_mixer = Mixer(shape), Mixer(shape)
        self.scan = scan
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        left, right = project(tokens, self.down).chunk(2, -1)
        right = layout.flip(right)
        left_gate, left_mixed, left_dt = self.scan.enter(self.forward_mixer, self.forward_norm(left))
        right_gate, right_mixed, right_dt = self.scan.enter(self.backward_mixer, self.backward_norm(right))
        mixers = [self.forward_mixer, self.backward_mixer]
        left_y, right_y = self.scan(mixers, [left_mixed, right_mixed], [left_dt, right_dt], layout)
        left = left + self.dropout(_leave(self.forward_mixer, left_y, left_gate))
        right = right + self.dropout(_leave(self.backward_mixer, right_y, right_gate))
        return torch.cat([left, layout.flip(right)], -1)


def _leave(mixer: Mixer, y: Tensor, gate: Tensor) -> Tensor:
    """What was scanned and the gate z, both (T, inner), to (T, D)."""
    return project(mixer.norm(y, gate), mixer.out_proj)


class Mamba2(nn.Module):
    """Stacked Mamba-2 layers with a final norm.

    "concat": both directions of a layer feed both of the next, the wiring of a stacked BiLSTM and of the BixLSTM of
    arXiv 2509.25918. "add": both directions share the projections. "forward": left to right only.
    Settings: see Mamba2Encoder. Any even width works, since the head width falls to the largest divisor of the inner width.
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
        conv_width: int = 4,
        chunk: int = 64,
    ) -> None:
        super().__init__()
        layer = {"concat": ConcatLayer, "add": AddLayer, "forward": ForwardLayer}[direction]
        stream = width // 2 if direction == "concat" else width
        inner = expand * stream
        shape = Shape(stream, inner, largest_divisor(inner, head_width), state_width, conv_width, depth)
        self.layers = nn.ModuleList(layer(shape, Scan(shape, backend, chunk), dropout) for _ in range(depth))
        self.norm = RMSNorm(width)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        for layer in self.layers:
            tokens = layer(tokens, layout)
        return self.norm(tokens)


def Mamba2Encoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    state_width: int = 64,
    expand: int = 2,
    head_width: int = 64,
    conv_width: int = 4,
    chunk: int = 64,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """A stack of Mamba-2 layers [Dao and Gu 2024, arXiv 2405.21060], linear in the length of a Doc.

    width (int): Input and output width D. Even; recommended 128 to 512.
    depth (int): Layers. Recommended 1 to 6.
    direction (str): "concat" (both directions, D / 2 units each, own weights), "add" (both directions at width D, in- and
        out-projection shared, outputs added; arXiv 2403.03234) or "forward".
    dropout (float): Rate on the output of each block, until spaCy sets `training.dropout`. Recommended 0.1 to 0.3.
    backend (str): "torch", "cuda" (mamba-ssm and causal-conv1d, on a GPU) or "auto". The weights are the same.
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    state_width (int): Units of state per unit of a head. Recommended 16 to 128; the authors use 64 to 256, our default 64.
    expand (int): Inner width in units of a direction's width. The authors' default 2.
    head_width (int): Units per head; falls to the largest divisor of the inner width. The authors' default 64.
    conv_width (int): Tokens that the convolution sees, itself included. The authors' default 4.
    chunk (int): Tokens per chunk of the plain-torch form; changes speed and memory, not results. Recommended 32 to 128.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    for size in ("state_width", "expand", "head_width", "conv_width", "chunk"):
        check_whole(NAME, size, settings[size])
    return build_encoder(NAME, Mamba2, DIRECTIONS, settings, kernels="mamba_ssm")
