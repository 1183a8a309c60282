"""Every registered encoding of trees and graphs, with its main settings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from .. import registry
from ..errors import SettingError
from ..linearizations.base import Linearization
from .samples import KINDS

SETTINGS: dict[str, Sequence[Any]] = {
    "planes": (1, 2, 3),
    "subsets": (2, 3, 4),
    "variant": ("projective", "nonprojective"),
    "pseudo_projective": (None, "head", "head+path", "path"),
    "root_label": (True, False),
}
"""Settings that change what an encoding covers, and the values that are measured."""


@dataclass(frozen=True)
class Encoding:
    """A registered linearization with chosen settings, for structures of one kind (one of `KINDS`)."""

    name: str  # such as BracketingDependency
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As in `BracketingDependency(planes=2)`; settings that are None are left out."""
        return f"{self.name}({self.chosen})" if self.chosen else self.name

    @property
    def chosen(self) -> str:
        """As in `planes=2`."""
        return ", ".join(f"{name}={value}" for name, value in self.settings.items() if value is not None)

    def make(self) -> Linearization:
        """A new linearization. Raises SettingError for settings that do not go together."""
        return registry.linearization(self.name, **self.settings)


def encodings(kinds: Iterable[str] = KINDS) -> list[Encoding]:
    """All encodings of structures of these kinds, in the order of the registry; only settings that go together."""
    found = []
    for full in registry.LINEARIZATIONS:
        name = full.split(".")[1]
        kind = next((kind for kind in kinds if name.lower().endswith(kind)), None)
        if kind is not None:
            found += [encoding for settings in _choices(name) if _works(encoding := Encoding(name, kind, settings))]
    return found


def chosen(wanted: Sequence[str], known: Sequence[Encoding]) -> list[Encoding]:
    """The encodings whose title has one of these parts in it, in any case; all of them where none is wanted.

    Raises SettingError, which lists all titles, for a part that no title has.
    """
    for part in wanted:
        if not any(part.lower() in encoding.title.lower() for encoding in known):
            titles = ", ".join(encoding.title for encoding in known)
            raise SettingError(f"coverage: no encoding is called {part!r}; give a part of one of these names: {titles}.")
    return [encoding for encoding in known if not wanted or any(part.lower() in encoding.title.lower() for part in wanted)]


def _choices(name: str) -> list[dict[str, Any]]:
    known = inspect.signature(getattr(registry, name)).parameters
    varied = [setting for setting in SETTINGS if setting in known]
    return [dict(zip(varied, values, strict=True)) for values in product(*(SETTINGS[setting] for setting in varied))]


def _works(encoding: Encoding) -> bool:
    try:
        encoding.make()
    except SettingError:
        return False
    return True
