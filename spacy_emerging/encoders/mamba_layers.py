"""What the Mamba encoders share: layers that read in one or both directions, around a scan that each encoder defines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.layout import Carried, Layout
from ..bridge.segments import AHEAD, BOTH, Stage, token_wise
from ..kernels.backend import choose
from ..kernels.convolution import causal_convolution, causal_convolution_cuda, convolution_segment, kernel_fits
from ..kernels.dropout import Dropout
from ..kernels.linear import linear, project
from ..kernels.looped_mixer import LoopedMixer, Side, looped_block, looped_mix
from ..kernels.quantized import is_quantized
from .parts import DepthwiseWeights, RMSNorm

DIRECTIONS: tuple[str, ...] = ("concat", "add", "forward")


@dataclass(frozen=True)
class SSDShape:
    """Sizes of a mixer of state space duality. width: D of its input. inner: width of x and z. heads x head_width = inner.
    depth: layers of the encoder."""

    width: int
    inner: int
    head_width: int
    state_width: int
    conv_width: int
    depth: int

    @property
    def heads(self) -> int:
        return self.inner // self.head_width


class Scan(nn.Module):
    """Convolution and state space of one or two mixers in one batched call. It has no parameters of its own.

    A mixer holds the parameters of one direction, among them `conv1d` and, unless it shares those of another, `in_proj` and `out_proj`.
    """

    def __init__(self, backend: str) -> None:
        super().__init__()
        self.backend = backend

    def split(self, projected: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the in-projection gives, (T, ...), to the gate z (T, inner) and the streams (T, ...) that are scanned."""
        raise NotImplementedError

    @property
    def looped(self) -> LoopedMixer:
        """Both passes of a mixer by compiled loops."""
        raise NotImplementedError

    def parameters_of(self, mixer: Any) -> Sequence[Tensor]:
        """Those of a mixer but its projections, as its loops take them."""
        raise NotImplementedError

    def block(self, norms: Sequence[RMSNorm], mixers: Sequence[Any], dropout: Dropout, tokens: Tensor, layout: Layout) -> Tensor | None:
        """One or two residual blocks, x + dropout(mixer(norm(x))): (T, mixers x D) to the same. One step of the graph without dropout.

        Each has columns of its own; the second one reads every sequence from its end.
        None where the loops do not run or are not the fastest: then the parts do it, one after the other.
        """
        if layout.carried is not None or any(map(is_quantized, mixers)) or self._on_kernels("mamba_ssm", tokens):
            return None
        orders = None, layout.reverse_index if len(mixers) == 2 else None
        sides = [
            Side(norm.weight, mixer.in_proj.weight, mixer.out_proj.weight, self.parameters_of(mixer), order, not dropout.active)
            for norm, mixer, order in zip(norms, mixers, orders, strict=False)
        ]
        made = looped_block(self.looped, tokens, sides, layout.begins)
        return tokens + dropout(made) if made is not None and dropout.active else made

    def by_loops(self, mixer: Any, projected: Tensor, layout: Layout) -> Tensor | None:
        """`mix` of one mixer by compiled loops; None where they do not run."""
        return looped_mix(self.looped, projected, self.parameters_of(mixer), layout.begins)

    def segment_by_loops(self, mixer: Any, projected: Tensor, layout: Layout, carried: Carried, name: str) -> Tensor | None:
        """The same for a segment, whose states are carried under this name."""
        raise NotImplementedError

    def gated(self, mixer: Any, y: Tensor, gate: Tensor) -> Tensor:
        """What was scanned and the gate, both (T, inner), to (T, inner): what goes into the out-projection."""
        raise NotImplementedError

    def by_torch(self, mixers: Sequence[Any], carried: Carried | None, *streams: Tensor) -> Tensor:
        """(G, B, L, ...) per stream to (G, B, L, inner), one mixer per group. carried: see Layout."""
        raise NotImplementedError

    def by_kernels(self, mixer: Any, *streams: Tensor) -> Tensor:
        """The same for one mixer, by the vendors' kernels: (B, L, ...) per stream to (B, L, inner)."""
        raise NotImplementedError

    def mix(self, mixers: Sequence[Any], projected: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """Per mixer what the in-projection gives, (T, ...), in its own reading order, to (T, inner), what goes into the out-projection.

        Segments go without the vendors' kernels, as that of Mamba-1 can neither start from a state nor give one back.
        """
        if layout.carried is not None or not self._on_kernels("mamba_ssm", projected[0]):
            looped = self._looped(mixers, projected, layout)
            if looped is not None:
                return looped
        gates, streams = zip(*(self.split(each) for each in projected), strict=True)
        scanned = zip(mixers, self._scanned(mixers, streams, layout), gates, strict=True)
        return [self.gated(mixer, y, gate) for mixer, y, gate in scanned]

    def _looped(self, mixers: Sequence[Any], projected: Sequence[Tensor], layout: Layout) -> list[Tensor] | None:
        """`mix` by compiled loops, one mixer after the other; None where they do not run."""
        found: list[Tensor] = []
        for number, (mixer, each) in enumerate(zip(mixers, projected, strict=True)):
            if layout.carried is None:
                mixed = self.by_loops(mixer, each, layout)
            else:
                mixed = self.segment_by_loops(mixer, each, layout, layout.carried, f"mixer {number}")
            if mixed is None:
                return None
            found.append(mixed)
        return found

    def _scanned(self, mixers: Sequence[Any], streams: Sequence[tuple[Tensor, ...]], layout: Layout) -> list[Tensor]:
        """Per mixer its streams (T, ...) to (T, inner), in one batched call."""
        groups, carried = len(mixers), layout.carried
        if groups == 2:
            layout = layout.doubled()
        padded = [layout.pad(_join(parts)).unflatten(0, (groups, -1)) for parts in zip(*streams, strict=True)]
        if carried is None and self._on_kernels("mamba_ssm", padded[0]):
            y = torch.stack([self.by_kernels(*each) for each in zip(mixers, *padded, strict=True)])
        else:
            y = self.by_torch(mixers, carried, *padded)
        return list(layout.unpad(y.flatten(0, 1)).chunk(groups))

    def convolved(self, mixers: Sequence[Any], carried: Carried | None, x: Tensor) -> Tensor:
        """(G, B, L, channels), then SiLU."""
        weight = torch.stack([mixer.conv1d.weight.squeeze(1) for mixer in mixers])[:, None, None]
        bias = torch.stack([mixer.conv1d.bias for mixer in mixers])[:, None, None]
        if carried is None:
            return functional.silu(causal_convolution(x, weight, bias))
        mixed, carried["convolution"] = convolution_segment(x, weight, bias, carried.get("convolution"))
        return functional.silu(mixed)

    def convolved_by_kernels(self, conv: DepthwiseWeights, x: Tensor) -> Tensor:
        """The same for one mixer, (B, L, channels), by the vendors' kernel where it takes these sizes."""
        weight = conv.weight.squeeze(1)
        if kernel_fits(*weight.shape) and self._on_kernels("causal_conv1d", x):
            return causal_convolution_cuda(x, weight, conv.bias)
        return functional.silu(causal_convolution(x, weight, conv.bias))

    def _on_kernels(self, module: str, tensor: Tensor) -> bool:
        return choose(self.backend, module, tensor, self.training) == "cuda"


def step_biases(units: int) -> Tensor:
    """(units,): biases whose softplus, the step dt, is log-uniform in 0.001 to 0.1, as in the authors' code (arXiv 2312.00752)."""
    step = torch.exp(torch.empty(units).uniform_(math.log(0.001), math.log(0.1)))
    return step + torch.log(-torch.expm1(-step))


def _join(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(tuple(parts)) if len(parts) > 1 else parts[0]


class ForwardLayer(nn.Module):
    """One block from left to right: x + mixer(norm(x)).

    mixer: makes one, with or without projections. width: D of the mixers. dropout: rate on what the block adds.
    """

    def __init__(self, mixer: Any, scan: Scan, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.forward_mixer = mixer(projections=True)
        self.scan = scan
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        mixer = self.forward_mixer
        made = self.scan.block([self.norm], [mixer], self.dropout, tokens, layout)
        if made is not None:
            return made
        (mixed,) = self.scan.mix([mixer], [project(self.norm(tokens), mixer.in_proj)], layout)
        return tokens + self.dropout(project(mixed, mixer.out_proj))

    def stage(self) -> Stage:
        """The layer over segments."""
        return Stage(lambda streams, layout: [self(streams[0], layout)], AHEAD)


class AddLayer(nn.Module):
    """One block in both directions with one pair of projections, as Caduceus (arXiv 2403.03234, section 3.2): outputs are added.

    All other parameters are each direction's own.
    """

    def __init__(self, mixer: Any, scan: Scan, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.forward_mixer = mixer(projections=True)
        self.backward_mixer = mixer(projections=False)
        self.scan = scan
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        projected = project(self.norm(tokens), self.forward_mixer.in_proj)
        left, right = self.scan.mix([self.forward_mixer, self.backward_mixer], [projected, layout.flip(projected)], layout)
        return tokens + self.dropout(project(left + layout.flip(right), self.forward_mixer.out_proj))

    def stage(self) -> Stage:
        """The layer over segments. The out-projection is linear, so that each direction's part of the sum can be projected alone."""
        return Stage(self._sides, BOTH, added=True)

    def _sides(self, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        projected = [project(self.norm(tokens), self.forward_mixer.in_proj) for tokens in streams]
        mixed = self.scan.mix([self.forward_mixer, self.backward_mixer], projected, layout)
        left, right = (project(each, self.forward_mixer.out_proj) for each in mixed)
        return [streams[0] + left, right]


class ConcatLayer(nn.Module):
    """Each direction maps D to D / 2 and runs one block of its own there; the halves are concatenated (see MambaStack)."""

    def __init__(self, mixer: Any, scan: Scan, width: int, dropout: float) -> None:
        super().__init__()
        self.down = nn.Linear(2 * width, 2 * width)  # the maps of both directions, one above the other
        self.forward_norm, self.backward_norm = RMSNorm(width), RMSNorm(width)
        self.forward_mixer, self.backward_mixer = mixer(projections=True), mixer(projections=True)
        self.scan = scan
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        mapped = project(tokens, self.down)
        made = self.scan.block(self._norms, self._mixers, self.dropout, mapped, layout)
        return layout.join(*self._mixed(layout.part(mapped), layout)) if made is None else made

    @property
    def _norms(self) -> list[RMSNorm]:
        return [self.forward_norm, self.backward_norm]

    @property
    def _mixers(self) -> list[Any]:
        return [self.forward_mixer, self.backward_mixer]

    def stage(self) -> Stage:
        """The layer over segments."""
        return Stage(self._sides, BOTH)

    def _sides(self, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        maps = zip(streams, self.down.weight.chunk(2), self.down.bias.chunk(2), strict=True)
        return self._mixed([linear(*parts) for parts in maps], layout)

    def _mixed(self, streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
        """Both directions' (T, D / 2), each in its own order, to the same."""
        projected = [project(norm(x), mixer.in_proj) for norm, mixer, x in zip(self._norms, self._mixers, streams, strict=True)]
        mixed = self.scan.mix(self._mixers, projected, layout)
        added = [project(each, mixer.out_proj) for mixer, each in zip(self._mixers, mixed, strict=True)]
        return [x + self.dropout(each) for x, each in zip(streams, added, strict=True)]


LAYERS = {"concat": ConcatLayer, "add": AddLayer, "forward": ForwardLayer}


class MambaStack(nn.Module):
    """Layers, and a final norm.

    "concat": both directions of a layer feed both of the next, the wiring of a stacked BiLSTM and of the BixLSTM of
    arXiv 2509.25918. "add": both directions share the projections. "forward": left to right only.
    """

    def __init__(self, layers: Sequence[nn.Module], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = RMSNorm(width)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        for layer in self.layers:
            tokens = layer(tokens, layout)
        return self.norm(tokens)

    def stages(self) -> list[Stage]:
        """See `bridge/segments.py`."""
        layers: list[Any] = list(self.layers)
        return [*(layer.stage() for layer in layers), token_wise(self.norm)]
