"""`spacy-emerging quantize`: a trained pipeline with weights of 8 bits, and what that costs and gains."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ..errors import SettingError
from .errors import one_sentence

if TYPE_CHECKING:
    from rich.table import Table
    from spacy.language import Language
    from spacy.training import Example


def quantize(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a trained pipeline.", show_default=False)],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The folder to write; new or empty.", show_default=False)],
    data: Annotated[Path | None, typer.Option(help="Gold Docs, .spacy, for scores and speed of both.", show_default=False)] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns in which speed is measured.")] = 5,
) -> None:
    """Write MODEL to OUTPUT with the weights of its linear layers as whole numbers of 8 bits; for use, not for further training."""
    # spaCy takes seconds to import, which --help need not wait for.
    from rich.console import Console
    from rich.markup import escape

    from ..corpus.files import check_folder, replacing_folder
    from ..corpus.reader import Corpus
    from ..pipeline.quantizing import quantize_pipeline

    with one_sentence():
        check_folder(output, model)
        original, quantized = loaded(model), loaded(model)
        examples = [] if data is None else list(Corpus(data)(original))
        layers = quantize_pipeline(quantized)
        with replacing_folder(output) as unfinished:
            quantized.to_disk(unfinished)
        sizes = size_of(model), size_of(output)
        console = Console()
        console.print(
            f"[green]Wrote[/green] {escape(str(output))}: {layers:,} layers quantised, "
            f"{sizes[1] / 1e6:,.1f} MB on disk instead of {sizes[0] / 1e6:,.1f} MB",
            soft_wrap=True,
            highlight=False,
        )
        if examples:
            pipelines = {"original": original, "quantised": loaded(output)}
            scores = [nlp.evaluate(fresh(nlp, examples)) for nlp in pipelines.values()]
            console.print(report(scores, speeds(pipelines, examples, repeats)))


class Speeds(NamedTuple):
    """Words per second of processor time, medians over the turns; the ratio is taken within each turn (median, least, most)."""

    words: tuple[float, float]
    ratio: tuple[float, float, float]


def loaded(model: Path) -> Language:
    """The pipeline. Raises SettingError where there is none."""
    import spacy

    try:
        return spacy.load(model)
    except OSError as error:
        raise SettingError(
            f"quantize: {str(model)!r} is no saved pipeline; give the folder that training wrote, such as model-best."
        ) from error


def size_of(folder: Path) -> int:
    """Bytes in all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fresh(nlp: Language, examples: Sequence[Example]) -> list[Example]:
    """The examples with nothing predicted yet, as Docs of this pipeline."""
    from spacy.tokens import Doc
    from spacy.training import Example

    made = []
    for example in examples:
        tokens = example.predicted
        doc = Doc(nlp.vocab, words=[token.text for token in tokens], spaces=[bool(token.whitespace_) for token in tokens])
        doc.user_data.update(tokens.user_data)
        made.append(Example(doc, example.reference))
    return made


def speeds(pipelines: Mapping[str, Language], examples: Sequence[Example], repeats: int) -> Speeds:
    """Both pipelines in turns over the same Docs, after one turn that fills caches and is not counted."""
    words = sum(len(example.predicted) for example in examples)
    turns = []
    for _ in range(repeats + 1):
        seconds = []
        for nlp in pipelines.values():
            docs = [example.predicted for example in fresh(nlp, examples)]
            started = time.process_time()
            for _ in nlp.pipe(docs):
                pass
            seconds.append(max(time.process_time() - started, 1e-9))
        turns.append(seconds)
    before, after = zip(*turns[1:], strict=True)
    ratios = [one / other for one, other in zip(before, after, strict=True)]
    medians = words / statistics.median(before), words / statistics.median(after)
    return Speeds(medians, (statistics.median(ratios), min(ratios), max(ratios)))


def report(scores: Sequence[Mapping[str, Any]], measured: Speeds) -> Table:
    """One row per score that is a number, and one for the speed."""
    from rich.table import Table

    table = Table("", "original", "quantised", "change")
    for column in table.columns[1:]:
        column.justify = "right"
    before, after = scores
    for name, score in before.items():
        if isinstance(score, float) and isinstance(after.get(name), float) and name != "speed":
            table.add_row(name, f"{100 * score:.2f}", f"{100 * after[name]:.2f}", f"{100 * (after[name] - score):+.2f}")
    middle, least, most = measured.ratio
    table.add_row("words/s", *(f"{speed:,.0f}" for speed in measured.words), f"{middle:.2f}× ({least:.2f}–{most:.2f})")
    return table
