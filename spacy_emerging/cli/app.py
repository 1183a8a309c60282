"""The `spacy-emerging` script: a list of its commands."""

from __future__ import annotations

import typer

from .config import config
from .convert import convert
from .coverage import coverage
from .quantize import quantize
from .render import render

app = typer.Typer(name="spacy-emerging", no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Post-Transformer sequence models for spaCy: prepare corpora and configs, then train with `spacy train`."""


app.command()(convert)
app.command()(config)
app.command()(coverage)
app.command()(quantize)
app.command()(render)
