"""Warnings that everyone who is concerned gets, and gets once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Notices:
    """Who is warned, and of what already.

    Python's own filter shows a text once per process, so a second pipeline would never be told. It still applies where it ignores
    warnings or makes errors of them.

    owner: the layer or component that messages name.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.given: set[str] = set()

    def once(self, key: str, message: str) -> None:
        """Warns of `message` behind the owner's name, unless this owner was warned under `key` before."""
        if key not in self.given:
            self.given.add(key)
            warnings.warn_explicit(f"{self.owner}: {message}", UserWarning, filename=__file__, lineno=0, module=__name__)


_current: ContextVar[Notices | None] = ContextVar("notices", default=None)


@contextmanager
def on_behalf_of(notices: Notices) -> Iterator[None]:
    """What runs inside, such as a kernel that knows no layer, finds `notices` by `current`."""
    token = _current.set(notices)
    try:
        yield
    finally:
        _current.reset(token)


def current(otherwise: Notices) -> Notices:
    """The notices of whoever is running; `otherwise` outside of `on_behalf_of`."""
    return _current.get() or otherwise
