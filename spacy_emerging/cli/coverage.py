"""`spacy-emerging coverage`: what each encoding can represent of a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import one_sentence


def coverage(
    corpora: Annotated[
        list[Path], typer.Argument(metavar="CORPUS...", help="Files or folders: .spacy, or what convert reads.", show_default=False)
    ],
    train: Annotated[Path | None, typer.Option(help="A corpus whose labels count as seen.", show_default=False)] = None,
    encodings: Annotated[str, typer.Option(help="Parts of the names of the encodings to measure, with commas.", show_default="all")] = "",
    csv: Annotated[Path | None, typer.Option(help="A file for all numbers.", show_default=False)] = None,
    plot: Annotated[Path | None, typer.Option(help="A picture to draw: .svg, .png or .pdf.", show_default=False)] = None,
    format: Annotated[str, typer.Option(help="How text files are written; auto goes by the extension.")] = "auto",
    lang: Annotated[str, typer.Option(help="Language code of the vocabulary; xx is spaCy's multi-language one.")] = "xx",
) -> None:
    """Measure what each encoding can represent of CORPUS, how many labels that takes, and how fast it is."""
    # spaCy takes seconds to import, which --help need not wait for.
    from rich.console import Console
    from rich.progress import track

    from ..corpus.convert import read_corpus, vocabulary
    from ..corpus.files import check_writable
    from ..coverage.encodings import chosen
    from ..coverage.encodings import encodings as known
    from ..coverage.report import check_picture, tables, write_csv, write_plot
    from ..coverage.run import rows_of
    from ..coverage.samples import samples_of

    with one_sentence():
        if plot is not None:
            check_picture(plot)
        outputs = [output for output in (csv, plot) if output is not None]
        for number, output in enumerate(outputs):
            check_writable(output, [*corpora, *([train] if train else []), *outputs[:number]])
        wanted = chosen([part.strip() for part in encodings.split(",") if part.strip()], known())
        vocab = vocabulary(lang)
        read = {path: samples_of(read_corpus(path, vocab, format=format)) for path in [*corpora, *([train] if train else [])]}
        samples = {str(path): read[path] for path in corpora}
        errors = Console(stderr=True)
        measured = rows_of(samples, wanted, read[train] if train else None)
        rows = list(track(measured, description="Measuring", console=errors, transient=True, disable=not errors.is_terminal))
        for table in tables(rows):
            # Names and numbers stay whole: a file or a narrow terminal gets longer lines, not columns of three letters.
            unbounded = Console(width=1000)
            Console(width=max(Console().width, unbounded.measure(table).maximum)).print(table)
        if csv is not None:
            write_csv(rows, csv)
        if plot is not None:
            write_plot(rows, plot)
