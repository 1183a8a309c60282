"""`spacy-emerging convert`: text corpora to .spacy files and back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .errors import one_sentence


class Format(StrEnum):
    """The formats that `convert` reads."""

    auto = "auto"
    conllu = "conllu"
    iob = "iob"
    ptb = "ptb"
    ptb_functions = "ptb-functions"
    sdp = "sdp"
    segmented = "segmented"
    segmented_blanks = "segmented-blanks"
    bmes = "bmes"
    spacy = "spacy"


def convert(
    input: Annotated[Path, typer.Argument(metavar="INPUT", help="A corpus file, or a folder of them.", show_default=False)],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file to write; its extension says how.", show_default=False)],
    n_sents: Annotated[int, typer.Option(min=1, help="Sentences per Doc where the file does not mark its documents.")] = 10,
    format: Annotated[Format, typer.Option(help="How the input is written; auto goes by the extension.")] = Format.auto,
    lang: Annotated[str, typer.Option(help="Language code of the vocabulary; xx is spaCy's multi-language one.")] = "xx",
) -> None:
    """Convert CoNLL-U, SDP, bracketed trees, segmented text, or token-per-line files with chunk tags to a .spacy file; or back to text."""
    # spaCy takes seconds to import, which --help need not wait for.
    from rich.console import Console
    from rich.markup import escape

    from ..corpus.convert import convert as write
    from ..corpus.convert import vocabulary

    with one_sentence():
        written = write(input, output, vocabulary(lang), n_sents=n_sents, format=format.value)
    Console().print(
        f"[green]Wrote[/green] {escape(str(output))}: {written.docs:,} docs, {written.sentences:,} sentences, "
        f"{written.tokens:,} tokens, {written.entities:,} entities"
        + (f", {written.constituents:,} constituents" if written.constituents else "")
        + (f", {written.arcs:,} arcs of graphs" if written.arcs else ""),
        soft_wrap=True,
        highlight=False,
    )
