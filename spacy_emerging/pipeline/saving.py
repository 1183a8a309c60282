"""Saving and loading a component: damage anywhere in what was saved becomes one clear error."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import ModelDataError

CHECKSUM = "model_checksum"
"""Key in a component's cfg of the CRC-32 of its saved model, Thinc layers included."""


@contextmanager
def loading(name: str, where: str) -> Iterator[None]:
    """Turns whatever reading damaged files raises into a ModelDataError that names the component and the place."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        advice = "restore it from a backup or save the pipeline again"
        raise ModelDataError(f"{name}: cannot load {where}, which is damaged or incomplete ({error}); {advice}.") from error


def check(name: str, where: str, cfg: Mapping[str, Any], model: bytes | None) -> None:
    """Raises ModelDataError unless the model's bytes are those that were saved; a model saved without a checksum passes."""
    if model is not None and CHECKSUM in cfg and cfg[CHECKSUM] != zlib.crc32(model):
        raise ModelDataError(f"{name}: the model in {where} is not the one that was saved; restore it from a backup.")
