"""Mamba-2: state-space duality layers (arXiv 2405.21060), in one or in both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from thinc.api import Model
from thinc.types import Floats2d
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..bridge.layout import Carried, Layout
from ..errors import check_whole, largest_divisor
from ..kernels.ssd import ssd, ssd_cuda, ssd_segment
from ..kernels.ssd_loops import SSDSizes
from ..kernels.ssd_mixer import Parameters, SSDMixer, ssd_mixer_segment
from .mamba_layers import DIRECTIONS, LAYERS, MambaStack, Scan, SSDShape, step_biases
from .parts import DepthwiseWeights, RMSNorm

NAME = "spacy-emerging.Mamba2Encoder.v1"


class Shape(SSDShape):
    """Sizes of one mixer."""

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
        self.dt_bias = nn.Parameter(step_biases(shape.heads))
        self.A_log = nn.Parameter(torch.empty(shape.heads).uniform_(1.0, 16.0).log())
        self.D = nn.Parameter(torch.ones(shape.heads))
        self.norm = RMSNorm(shape.inner)


class SSDScan(Scan):
    """Convolution and state-space duality."""

    def __init__(self, shape: Shape, backend: str, chunk: int) -> None:
        super().__init__(backend)
        self.shape, self.chunk = shape, chunk

    def split(self, projected: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """To the gate z (T, inner), and x + B + C (T, channels) and dt (T, H)."""
        gate, *streams = projected.split([self.shape.inner, self.shape.channels, self.shape.heads], -1)
        return gate, tuple(streams)

    @property
    def looped(self) -> SSDMixer:
        """See Scan."""
        return SSDMixer(self._sizes)

    def parameters_of(self, mixer: Mixer) -> Parameters:
        """See Scan."""
        conv = mixer.conv1d
        return Parameters(conv.weight.squeeze(1), conv.bias, mixer.dt_bias, mixer.A_log, mixer.D, mixer.norm.weight)

    def segment_by_loops(self, mixer: Mixer, projected: Tensor, layout: Layout, carried: Carried, name: str) -> Tensor | None:
        """See Scan."""
        done = ssd_mixer_segment(projected, self.parameters_of(mixer), layout.begins, self._sizes, carried.get(name))
        if done is None:
            return None
        mixed, carried[name] = done
        return mixed

    @property
    def _sizes(self) -> SSDSizes:
        return SSDSizes(self.shape.heads, self.shape.head_width, self.shape.state_width, self.chunk)

    def gated(self, mixer: Mixer, y: Tensor, gate: Tensor) -> Tensor:
        """See Scan."""
        return mixer.norm(y, gate)

    def by_torch(self, mixers: Sequence[Mixer], carried: Carried | None, *streams: Tensor) -> Tensor:
        """See Scan."""
        mixed, dt = streams
        x, b, c = self._split(self.convolved(mixers, carried, mixed))
        dt = functional.softplus(dt + torch.stack([mixer.dt_bias for mixer in mixers])[:, None, None])
        a = -torch.exp(torch.stack([mixer.A_log for mixer in mixers]))
        skip = torch.stack([mixer.D for mixer in mixers])
        if carried is None:
            return ssd(x, dt, a, b, c, skip, self.chunk).flatten(-2)
        y, carried["state"] = ssd_segment(x, dt, a, b, c, skip, self.chunk, carried.get("state"))
        return y.flatten(-2)

    def by_kernels(self, mixer: Mixer, *streams: Tensor) -> Tensor:
        """See Scan."""
        mixed, dt = streams
        x, b, c = self._split(self.convolved_by_kernels(mixer.conv1d, mixed))
        dt = functional.softplus(dt + mixer.dt_bias)
        return ssd_cuda(x, dt, -torch.exp(mixer.A_log.float()), b, c, mixer.D).flatten(-2)

    def _split(self, mixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, b, c = mixed.split([self.shape.inner, self.shape.state_width, self.shape.state_width], -1)
        return x.unflatten(-1, (self.shape.heads, self.shape.head_width)), b, c


class Mamba2(MambaStack):
    """Stacked Mamba-2 layers with a final norm.

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
        stream = width // 2 if direction == "concat" else width
        inner = expand * stream
        shape = Shape(stream, inner, largest_divisor(inner, head_width), state_width, conv_width, depth)
        layer, mixer = LAYERS[direction], partial(Mixer, shape)
        super().__init__([layer(mixer, SSDScan(shape, backend, chunk), stream, dropout) for _ in range(depth)], width)


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
    chunk (int): Tokens per chunk; changes speed and memory, not results. Recommended 32 to 128.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    for size in ("state_width", "expand", "head_width", "conv_width", "chunk"):
        check_whole(NAME, size, settings[size])
    return build_encoder(NAME, Mamba2, DIRECTIONS, settings, kernels="mamba_ssm")
