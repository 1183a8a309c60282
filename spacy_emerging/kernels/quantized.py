"""Linear layers with weights of 8 bits, for inference: a quarter of the memory, and integer products where the processor has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGEST = 127
"""Of a quantised number; the range is symmetric, so that zero stays zero."""

LEAST_WIDTH = 64
"""Inputs and outputs from which a layer is quantised. Our default: below, rounding the inputs takes longer than the product."""

WORTH_PREPARING = 16_000_000
"""Multiply-adds from which oneDNN is taken, which prepares code for every new shape. Our default: where both take as long."""

HAS_INT8: bool = (
    torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.onednn, "qlinear_pointwise")
    and hasattr(torch.ops.onednn, "qlinear_prepack")
    and torch.cpu._is_vnni_supported()
)
"""Whether products of bytes are exact and fast here: without VNNI instructions oneDNN adds pairs of them in 16 bits, which saturate."""


class QuantizedLinear(nn.Module):
    """A linear layer whose weights are whole numbers of -127 to 127, with a scale per output; it cannot be trained.

    Dynamic quantisation: the inputs are rounded likewise, with a scale per row, so that a token's result does not depend on
    what it is computed with. Sums are exact; what is lost is lost in rounding the two factors.

    integers: (O, I), int8. scale: (O,). bias: (O,) or None.
    """

    integers: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Linear) -> None:
        """Rounds the weights of a layer; an output whose weights are all zero keeps them."""
        super().__init__()
        integers, scale = rounded(layer.weight.detach().float())
        self.register_buffer("integers", integers.to(torch.int8))
        self.register_buffer("scale", scale.squeeze(1))
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().float().clone())
        self._prepared: tuple[Tensor, Tensor] | None = None

    @property
    def weight(self) -> Tensor:
        """(O, I), float32: what the integers stand for, for whoever multiplies by the weights on their own."""
        return self.integers * self.scale[:, None]

    @property
    def out_features(self) -> int:
        """O."""
        return len(self.scale)

    @property
    def in_features(self) -> int:
        """I."""
        return self.integers.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) to (..., O), in float32 whatever autocast says."""
        with torch.autocast(x.device.type, enabled=False):
            rows, scale = rounded(x.detach().reshape(-1, x.shape[-1]).float())
            large = len(rows) * self.integers.numel() >= WORTH_PREPARING
            multiply = self._bytes if HAS_INT8 and large and x.device.type == "cpu" else self._floats
            y = multiply(rows)
            # in one pass and in place: such passes over wide results take as long as the product itself
            y = y.mul_(scale) if self.bias is None else torch.addcmul(self.bias, y, scale, out=y)
        return y.view(*x.shape[:-1], self.out_features)

    def _floats(self, rows: Tensor) -> Tensor:
        """Float32 holds the sums exactly as long as they stay below 2^24."""
        return functional.linear(rows, self.integers.float()).mul_(self.scale)

    def _bytes(self, rows: Tensor) -> Tensor:
        if self._prepared is None:
            zeros = torch.zeros(self.out_features, dtype=torch.int64)
            self._prepared = torch.ops.onednn.qlinear_prepack(self.integers, None), zeros
        weight, zeros = self._prepared
        # Inputs without a sign, with the number that stands for zero: those with a sign take a routine of no speed at all.
        # Another first bit adds 128 to them; torch is slow in making such numbers out of floats.
        middle = LARGEST + 1
        unsigned = rows.to(torch.int8).view(torch.uint8).bitwise_xor_(middle)
        factors = unsigned, 1.0, middle, weight, self.scale, zeros
        return torch.ops.onednn.qlinear_pointwise(*factors, None, 1.0, 0, torch.float32, "none", [], "")

    # Prepared weights are in the processor's own order: they are made again wherever the weights are new.

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_prepared": None}

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._prepared = None
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._prepared = None
        super()._load_from_state_dict(*arguments)


def is_quantized(module: nn.Module) -> bool:
    """Whether any layer of a module is."""
    return any(isinstance(each, QuantizedLinear) for each in module.modules())


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(N, I) to whole numbers of -127 to 127, still float, and the scale of each row (N, 1): rows = numbers * scale, nearly."""
    scale = rows.abs().amax(1, keepdim=True).clamp_(min=torch.finfo(torch.float32).tiny * LARGEST).div_(LARGEST)
    return rows.div(scale).round_(), scale


def quantizable(module: nn.Module) -> list[str]:
    """Names of the layers that are worth quantising: every nn.Linear with at least LEAST_WIDTH inputs and outputs.

    Not in parts that the module lists in `training_only`, which a saved module may come without.
    """
    passed_over = tuple(f"{part}." for part in getattr(module, "training_only", ()))
    return [
        name
        for name, layer in module.named_modules(remove_duplicate=False)
        if type(layer) is nn.Linear and min(layer.in_features, layer.out_features) >= LEAST_WIDTH and not name.startswith(passed_over)
    ]


def quantize_layers(module: nn.Module, names: Iterable[str]) -> None:
    """Puts quantised layers in place of those named; a layer that is shared stays shared.

    Raises AttributeError where the module has no linear layer of that name.
    """
    done: dict[int, QuantizedLinear] = {}
    found = {name: _linear(module, name) for name in names}
    for name, layer in found.items():
        above, _, last = name.rpartition(".")
        setattr(module.get_submodule(above), last, done.setdefault(id(layer), QuantizedLinear(layer)))


def _linear(module: nn.Module, name: str) -> nn.Linear:
    layer = module.get_submodule(name)
    if type(layer) is not nn.Linear:
        raise AttributeError(f"'{name}' is no nn.Linear")
    return layer
