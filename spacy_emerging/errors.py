"""Typed errors: one sentence that names what was wrong, where, and what to do. All are ValueErrors."""

from __future__ import annotations

from collections.abc import Iterable


class EmergingError(ValueError):
    """Whatever this package raises on bad input."""


class SettingError(EmergingError):
    """A setting in a config or a call has a value that cannot work."""


class CorpusError(EmergingError):
    """A corpus file is malformed; the message names file and line."""


class LabelError(EmergingError):
    """Labels are missing, unknown or cannot be added."""


class ModelDataError(EmergingError):
    """Saved weights are truncated, edited, or belong to another model."""


def check_choice(owner: str, setting: str, value: object, choices: Iterable[str]) -> None:
    """Raises SettingError unless `value` is one of `choices`."""
    known = list(choices)
    if value not in known:
        listed = ", ".join(repr(choice) for choice in known)
        raise SettingError(f"{owner}: setting '{setting}' is {value!r}, but must be one of {listed}.")


def check_encoder(owner: str, width: int, depth: int, dropout: float, max_batch_tokens: int) -> None:
    """Raises SettingError unless the settings that every encoder shares can work."""
    if not isinstance(width, int) or width < 2 or width % 2:
        raise SettingError(f"{owner}: setting 'width' is {width!r}, but must be an even whole number of at least 2.")
    if not isinstance(depth, int) or depth < 1:
        raise SettingError(f"{owner}: setting 'depth' is {depth!r}, but must be a whole number of at least 1.")
    if not 0.0 <= dropout < 1.0:
        raise SettingError(f"{owner}: setting 'dropout' is {dropout!r}, but must be at least 0 and below 1.")
    if max_batch_tokens < 1:
        raise SettingError(f"{owner}: setting 'max_batch_tokens' is {max_batch_tokens!r}, but must be at least 1.")


def largest_divisor(width: int, at_most: int) -> int:
    """The largest divisor of `width` that is no larger than `at_most`: how head counts follow any width."""
    return next(count for count in range(min(at_most, width), 0, -1) if width % count == 0)
