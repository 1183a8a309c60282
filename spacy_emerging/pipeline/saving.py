"""Saving and loading a component: damage anywhere in what was saved becomes one clear error."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import srsly
from spacy.pipeline import TrainablePipe

from ..errors import ModelDataError

CHECKSUM = "model_checksum"
"""Key in a component's cfg of the CRC-32 of its saved model, Thinc layers included."""

BYTES = "the given bytes"
"""How messages name what has no path."""


@contextmanager
def loading(name: str, where: str) -> Iterator[None]:
    """Turns whatever reading damaged files raises into a ModelDataError that names the component and the place."""
    try:
        yield
    except Exception as error:  # damaged bytes may raise anything
        advice = "restore it from a backup or save the pipeline again"
        raise ModelDataError(f"{name}: cannot load {where}, which is damaged or incomplete ({error}); {advice}.") from error


class CheckedPipe(TrainablePipe):
    """A trainable pipe that saves a checksum of its whole model and compares it on load."""

    cfg: dict[str, Any]
    checksum_required: ClassVar[bool] = False
    """Whether a cfg without a checksum, such as one that was deleted, is an error."""

    def to_bytes(self, *, exclude: Sequence[str] = ()) -> bytes:
        """The cfg, the weights, and a checksum of the model."""
        self.cfg[CHECKSUM] = zlib.crc32(self.model.to_bytes())
        return super().to_bytes(exclude=exclude)

    def to_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> None:
        """The cfg, the weights, and a checksum of the model."""
        self.cfg[CHECKSUM] = zlib.crc32(self.model.to_bytes())
        super().to_disk(path, exclude=exclude)

    def from_bytes(self, bytes_data: bytes, *, exclude: Sequence[str] = ()) -> Self:
        """Loads what `to_bytes` wrote; raises ModelDataError where it is damaged."""
        self.cfg.pop(CHECKSUM, None)
        with loading(self.name, BYTES):
            super().from_bytes(bytes_data, exclude=exclude)
            model = None if "model" in exclude else srsly.msgpack_loads(bytes_data).get("model")
            self.after_loading()
        self._check(BYTES, model, exclude)
        return self

    def from_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> Self:
        """Loads what `to_disk` wrote; raises ModelDataError, which names the directory, where it is damaged."""
        self.cfg.pop(CHECKSUM, None)
        with loading(self.name, str(path)):
            super().from_disk(path, exclude=exclude)
            model = None if "model" in exclude else (Path(path) / "model").read_bytes()
            self.after_loading()
        self._check(str(path), model, exclude)
        return self

    def after_loading(self) -> None:
        """For subclasses: makes ready what depends on the cfg; whatever it raises counts as damage."""

    def check_loaded(self, where: str) -> None:
        """For subclasses: raises ModelDataError where cfg, model and settings do not go together."""

    def _check(self, where: str, model: bytes | None, exclude: Sequence[str]) -> None:
        self.check_loaded(where)
        if model is None or "cfg" in exclude:
            return
        if self.checksum_required and CHECKSUM not in self.cfg:
            raise ModelDataError(f"{self.name}: the cfg file of {where} is missing or lacks the checksum; restore it from a backup.")
        if CHECKSUM in self.cfg and self.cfg[CHECKSUM] != zlib.crc32(model):
            raise ModelDataError(f"{self.name}: the model in {where} is not the one that was saved; restore it from a backup.")
