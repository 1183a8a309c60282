"""`spacy-emerging render`: pictures of trees and graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SettingError
from .errors import one_sentence

if TYPE_CHECKING:
    from spacy.tokens import Doc


def render(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="[INPUT] OUTPUT", help="A corpus (with --model: none), and the .html or .svg to write.", show_default=False),
    ],
    kind: Annotated[str, typer.Option(help="dependency, constituency, graph, or auto for what is annotated.")] = "auto",
    limit: Annotated[int, typer.Option(min=0, help="Sentences to draw at most; 0: all.")] = 25,
    model: Annotated[Path | None, typer.Option(help="A saved pipeline that parses --text.", show_default=False)] = None,
    text: Annotated[str | None, typer.Option(help="What the pipeline is to parse.", show_default=False)] = None,
    format: Annotated[str, typer.Option(help="How a text file is written; auto goes by the extension.")] = "auto",
    lang: Annotated[str, typer.Option(help="Language code of the vocabulary; xx is spaCy's multi-language one.")] = "xx",
) -> None:
    """Draw the structures of INPUT, or of what a pipeline makes of a text, as a web page or a picture."""
    # spaCy takes seconds to import, which --help need not wait for.
    from itertools import islice

    from rich.console import Console
    from rich.markup import escape

    from ..corpus.convert import read_corpus, vocabulary
    from ..corpus.structures import annotated_sentences
    from ..render.pictures import check_output, figures, write

    with one_sentence():
        if len(files) != (1 if model else 2) or (model is None) != (text is None):
            raise SettingError("render: give INPUT and OUTPUT, or OUTPUT alone with both --model and --text.")
        output = files[-1]
        check_output(output)
        docs = parsed(model, text) if model and text is not None else read_corpus(files[0], vocabulary(lang), format=format)
        sentences = (sentence for doc in docs for sentence in annotated_sentences(doc))
        title = str(model or files[0])
        drawn = write(figures(islice(sentences, limit or None), kind), output, title)
    Console().print(f"[green]Wrote[/green] {escape(str(output))}: {drawn:,} pictures", soft_wrap=True, highlight=False)


def parsed(model: Path, text: str) -> Iterator[Doc]:
    """The text as the pipeline annotates it. Raises SettingError where there is no pipeline."""
    import spacy

    try:
        nlp = spacy.load(model)
    except OSError as error:
        raise SettingError(
            f"render: {str(model)!r} is no saved pipeline; give the folder that training wrote, such as model-best."
        ) from error
    yield nlp(text)
