"""Mamba: selective state space layers (arXiv 2312.00752), in one or in both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from thinc.api import Model
from thinc.types import Floats2d
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..bridge.layout import Carried, Layout
from ..errors import check_whole
from ..kernels.convolution import convolution_of_sequences
from ..kernels.linear import linear, project
from ..kernels.quantized import QuantizedLinear
from ..kernels.selective_mixer import Parameters, SelectiveMixer, selective_mixer_segment
from ..kernels.selective_scan import selective_scan, selective_scan_cuda, selective_scan_segment
from ..kernels.selective_scan_loops import Parameters as ScanParameters
from ..kernels.selective_scan_loops import selective_scan_of_sequences
from .mamba_layers import DIRECTIONS, LAYERS, MambaStack, Scan, step_biases
from .parts import DepthwiseWeights

NAME = "spacy-emerging.MambaEncoder.v1"


@dataclass(frozen=True)
class Shape:
    """Sizes of one mixer. width: D of its input. inner: channels. step_rank: units that the step sizes of all channels come from."""

    width: int
    inner: int
    state_width: int
    step_rank: int
    conv_width: int
    depth: int


class Mixer(nn.Module):
    """The parameters of one direction, with the names and shapes of `mamba_ssm.modules.mamba_simple.Mamba`.

    projections: whether it has an in- and an out-projection of its own.
    Drawn as by the authors (arXiv 2312.00752, section 3.6, and their code): steps dt log-uniform in 0.001 to 0.1, decay rates 1 to N
    in every channel (S4D-real, arXiv 2206.11893), the out-projection scaled down by the square root of the depth.
    """

    no_weight_decay: ClassVar[frozenset[str]] = frozenset({"A_log"})
    """As in the authors' code, which also lists D; that is a vector."""

    def __init__(self, shape: Shape, projections: bool = True) -> None:
        super().__init__()
        if projections:
            self.in_proj = nn.Linear(shape.width, 2 * shape.inner, bias=False)  # x, z
            self.out_proj = nn.Linear(shape.inner, shape.width, bias=False)
            with torch.no_grad():
                self.out_proj.weight /= math.sqrt(shape.depth)
        self.conv1d = DepthwiseWeights(shape.inner, shape.conv_width)
        self.x_proj = nn.Linear(shape.inner, shape.step_rank + 2 * shape.state_width, bias=False)  # dt, B, C
        self.dt_proj = nn.Linear(shape.step_rank, shape.inner)
        with torch.no_grad():
            self.dt_proj.weight.uniform_(-1, 1).mul_(shape.step_rank**-0.5)
            self.dt_proj.bias.copy_(step_biases(shape.inner))
        self.A_log = nn.Parameter(torch.arange(1.0, shape.state_width + 1).log().repeat(shape.inner, 1))
        self.D = nn.Parameter(torch.ones(shape.inner))


class SelectiveScan(Scan):
    """Convolution and selective scan."""

    def __init__(self, shape: Shape, backend: str) -> None:
        super().__init__(backend)
        self.shape = shape

    def split(self, projected: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """To the gate z and x, both (T, inner)."""
        x, gate = projected.chunk(2, -1)
        return gate, (x,)

    @property
    def looped(self) -> SelectiveMixer:
        """See Scan."""
        return SelectiveMixer()

    def parameters_of(self, mixer: Mixer) -> Parameters:
        """See Scan."""
        conv, steps = mixer.conv1d, mixer.dt_proj
        return Parameters(conv.weight.squeeze(1), conv.bias, mixer.x_proj.weight, steps.weight, steps.bias, mixer.A_log, mixer.D)

    def by_loops(self, mixer: Mixer, projected: Tensor, layout: Layout) -> Tensor | None:
        """See Scan."""
        conv, steps = mixer.conv1d, mixer.dt_proj
        of_convolution = conv.weight.squeeze(1), conv.bias
        if not isinstance(mixer.x_proj, QuantizedLinear):
            return super().by_loops(mixer, projected, layout)
        gate, (x,) = self.split(projected)
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        convolved = convolution_of_sequences(x, *of_convolution, layout.begins)
        if convolved is None:
            return None
        scan = ScanParameters(steps.weight, steps.bias, -torch.exp(mixer.A_log), mixer.D)
        return selective_scan_of_sequences(convolved, gate, mixer.x_proj(convolved), scan, layout.begins)

    def segment_by_loops(self, mixer: Mixer, projected: Tensor, layout: Layout, carried: Carried, name: str) -> Tensor | None:
        """See Scan."""
        if isinstance(mixer.x_proj, QuantizedLinear):
            return None
        done = selective_mixer_segment(projected, self.parameters_of(mixer), layout.begins, carried.get(name))
        if done is None:
            return None
        mixed, carried[name] = done
        return mixed

    def gated(self, mixer: Mixer, y: Tensor, gate: Tensor) -> Tensor:
        """See Scan."""
        return y * functional.silu(gate)

    def by_torch(self, mixers: Sequence[Mixer], carried: Carried | None, *streams: Tensor) -> Tensor:
        """See Scan."""
        x = self.convolved(mixers, carried, *streams)
        selected = [self._select(mixer, part) for mixer, part in zip(mixers, x, strict=True)]
        dt, b, c = (torch.stack(parts) for parts in zip(*selected, strict=True))
        a = -torch.exp(torch.stack([mixer.A_log for mixer in mixers]))
        skip = torch.stack([mixer.D for mixer in mixers])
        if carried is None:
            return selective_scan(x, dt, a, b, c, skip)
        y, carried["state"] = selective_scan_segment(x, dt, a, b, c, skip, carried.get("state"))
        return y

    def by_kernels(self, mixer: Mixer, *streams: Tensor) -> Tensor:
        """See Scan."""
        x = self.convolved_by_kernels(mixer.conv1d, *streams)
        dt, b, c = self._select(mixer, x)
        return selective_scan_cuda(x, dt, -torch.exp(mixer.A_log.float()), b, c, mixer.D.float())

    def _select(self, mixer: Mixer, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, inner) to the steps dt (B, L, inner), B and C (B, L, N)."""
        shape = self.shape
        dt, b, c = project(x.flatten(0, 1), mixer.x_proj).split([shape.step_rank, shape.state_width, shape.state_width], -1)
        dt = functional.softplus(linear(dt, mixer.dt_proj.weight) + mixer.dt_proj.bias)  # the sum is in float32, whatever autocast says
        size = x.shape[:2]
        return dt.unflatten(0, size), b.unflatten(0, size), c.unflatten(0, size)


class Mamba(MambaStack):
    """Stacked Mamba layers with a final norm. Settings: see MambaEncoder."""

    def __init__(
        self,
        width: int,
        depth: int,
        direction: str = "concat",
        dropout: float = 0.0,
        backend: str = "auto",
        state_width: int = 16,
        expand: int = 2,
        conv_width: int = 4,
        step_rank: int | None = None,
    ) -> None:
        stream = width // 2 if direction == "concat" else width
        shape = Shape(stream, expand * stream, state_width, step_rank or math.ceil(stream / 16), conv_width, depth)
        layer, mixer = LAYERS[direction], partial(Mixer, shape)
        super().__init__([layer(mixer, SelectiveScan(shape, backend), stream, dropout) for _ in range(depth)], width)


def MambaEncoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    state_width: int = 16,
    expand: int = 2,
    conv_width: int = 4,
    step_rank: int | None = None,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """A stack of Mamba layers [Gu and Dao 2023, arXiv 2312.00752], linear in the length of a Doc.

    width (int): Input and output width D. Even; recommended 128 to 512.
    depth (int): Layers. Recommended 1 to 6.
    direction (str): "concat" (both directions, D / 2 units each, own weights), "add" (both directions at width D, in- and
        out-projection shared, outputs added; arXiv 2403.03234) or "forward".
    dropout (float): Rate on the output of each block, until spaCy sets `training.dropout`. Recommended 0.1 to 0.3.
    backend (str): "torch", "cuda" (mamba-ssm and causal-conv1d, on a GPU) or "auto". The weights are the same.
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    state_width (int): Units of state per channel; time grows with it. Recommended 8 to 32; the authors' default 16.
    expand (int): Channels, in units of a direction's width. The authors' default 2.
    conv_width (int): Tokens that the convolution sees, itself included. The authors' default 4.
    step_rank (Optional[int]): Units that the step sizes of all channels are computed from. null: a direction's width / 16, rounded up,
        as by the authors.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    for size in ("state_width", "expand", "conv_width", "step_rank"):
        if settings[size] is not None or size != "step_rank":
            check_whole(NAME, size, settings[size])
    return build_encoder(NAME, Mamba, DIRECTIONS, settings, kernels="mamba_ssm")
