"""How commands fail: one sentence on standard error and exit code 1, never a traceback, for whatever bad input is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..errors import EmergingError


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns this package's errors into a message and exit code 1."""
    try:
        yield
    except EmergingError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(code=1) from error
