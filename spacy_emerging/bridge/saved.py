"""How a module is saved: what it was built from and its weights, under a checksum, so that damage is noticed on load."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import safetensors.torch
import srsly
from torch import Tensor, nn

from ..errors import ModelDataError

FORMAT = 1
"""Version of what `pack` writes."""


class Saved(NamedTuple):
    """What a module was built from, and its weights by name; None where it was saved before initialize."""

    cfg: dict[str, Any]
    weights: dict[str, Tensor] | None


def pack(cfg: dict[str, Any], module: nn.Module | None) -> bytes:
    """Bytes from which `unpack` restores both. Weights are stored as safetensors, in CPU memory.

    Parts that the module lists in `left_out` are not saved.
    """
    weights = None
    if module is not None:
        # Cloned, as safetensors takes no two tensors that share memory (tied weights do).
        kept = _without(module.state_dict(), getattr(module, "left_out", ()))
        weights = safetensors.torch.save({name: tensor.detach().cpu().clone() for name, tensor in kept.items()})
    payload = srsly.msgpack_dumps({"cfg": cfg, "weights": weights})
    return srsly.msgpack_dumps({"format": FORMAT, "checksum": zlib.crc32(payload), "payload": payload})


def unpack(owner: str, data: bytes) -> Saved:
    """The way back. Raises ModelDataError, which names `owner`, where the data are damaged or of another format."""
    try:
        outer = srsly.msgpack_loads(data)
        version, checksum, payload = outer["format"], outer["checksum"], outer["payload"]
        intact = version != FORMAT or zlib.crc32(payload) == checksum
    except Exception as error:
        raise _damaged(owner) from error
    if not intact:
        raise _damaged(owner)
    if version != FORMAT:
        raise ModelDataError(f"{owner}: the saved model has format {version!r}, this version of spacy-emerging reads {FORMAT}.")
    inner = srsly.msgpack_loads(payload)
    return Saved(inner["cfg"], None if inner["weights"] is None else safetensors.torch.load(inner["weights"]))


def _of(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """The weights of a submodule, under their full names."""
    return {name: tensor for name, tensor in weights.items() if name.startswith(f"{part}.")}


def _without(weights: dict[str, Tensor], parts: Iterable[str]) -> dict[str, Tensor]:
    """All weights but those of these submodules."""
    return {name: tensor for name, tensor in weights.items() if not any(name.startswith(f"{part}.") for part in parts)}


def _damaged(owner: str) -> ModelDataError:
    return ModelDataError(f"{owner}: the saved model is truncated or was edited; restore it from a backup.")


def load(owner: str, module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Puts the weights into the module. Raises ModelDataError, which names the first weight that does not fit.

    Parts that the module lists in `training_only` may be missing from the weights, where it keeps its own, or from the module.
    """
    own = module.state_dict()
    for part in getattr(module, "training_only", ()):
        if not _of(weights, part):
            weights = {**weights, **_of(own, part)}
        elif not _of(own, part):
            weights = _without(weights, [part])
    wanted = {name: tuple(tensor.shape) for name, tensor in own.items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if wanted != found:
        name = next(n for n in sorted({*wanted, *found}) if wanted.get(n) != found.get(n))
        raise ModelDataError(
            f"{owner}: weight '{name}' has shape {found.get(name)} in the saved model, but the config's settings make it "
            f"{wanted.get(name)}; load it with the config that it was trained with."
        )
    module.load_state_dict(weights)
