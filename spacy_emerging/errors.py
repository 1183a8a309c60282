"""Typed errors: one sentence that names what was wrong, where, and what to do. All are ValueErrors."""

from __future__ import annotations

import math
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


class QuantizationError(EmergingError):
    """A pipeline cannot be quantised, or a quantised one was asked to learn."""


def check_choice(owner: str, setting: str, value: object, choices: Iterable[object]) -> None:
    """Raises SettingError unless `value` is one of `choices`."""
    known = list(choices)
    if value not in known:
        listed = ", ".join(repr(choice) for choice in known)
        raise SettingError(f"{owner}: setting '{setting}' is {value!r}, but must be one of {listed}.")


def check_whole(owner: str, setting: str, value: object, at_least: int = 1, even: bool = False, at_most: int | None = None) -> None:
    """Raises SettingError unless `value` is a whole number (true and 7.0 are none) of at least `at_least` and at most `at_most`."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= at_least  # type: ignore[operator]
    if not whole or (even and value % 2) or (at_most is not None and value > at_most):  # type: ignore[operator]
        kind = "an even whole number" if even else "a whole number"
        most = "" if at_most is None else f" and at most {at_most}"
        raise SettingError(f"{owner}: setting '{setting}' is {value!r}, but must be {kind} of at least {at_least}{most}.")


def check_number(owner: str, setting: str, value: object, below: float = math.inf, above_zero: bool = False) -> None:
    """Raises SettingError unless `value` is a number of at least 0 (or above it) and below `below`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 <= value < below and (value or not above_zero)):  # type: ignore[operator]
        least = "above 0" if above_zero else "of at least 0"
        most = "finite" if below == math.inf else f"below {below:g}"
        raise SettingError(f"{owner}: setting '{setting}' is {value!r}, but must be a number {least} and {most}.")


def check_flag(owner: str, setting: str, value: object) -> None:
    """Raises SettingError unless `value` is true or false."""
    if not isinstance(value, bool):
        raise SettingError(f"{owner}: setting '{setting}' is {value!r}, but must be true or false.")


def check_training(owner: str, lr_scale: object, max_grad_norm: object) -> None:
    """Raises SettingError unless the settings of the update can work."""
    check_number(owner, "lr_scale", lr_scale)
    check_number(owner, "max_grad_norm", max_grad_norm)


def largest_divisor(width: int, at_most: int) -> int:
    """The largest divisor of `width` that is no larger than `at_most`: how head counts follow any width."""
    return next(count for count in range(min(at_most, width), 0, -1) if width % count == 0)
