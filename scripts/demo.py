"""`make demo`: a tagger, a parser and an entity recognizer over one shared encoder, trained on the sample corpus while you watch."""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import spacy
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from spacy import displacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from thinc.api import Config

from spacy_emerging.cli.compose import Choices, compose
from spacy_emerging.cli.fragments import choices
from spacy_emerging.corpus.convert import convert, vocabulary
from spacy_emerging.corpus.files import replacing
from spacy_emerging.corpus.reader import Corpus

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "assets" / "sample"
TASKS = ("tagger", "parser", "ner")
SCORES = {"TAG": "tag_acc", "UAS": "dep_uas", "LAS": "dep_las", "sentences F1": "sents_f", "entities F1": "ents_f"}
SHOWN = 6
"""Test sentences on the page."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>spacy-emerging: what the demo pipeline sees</title></head>
<body style="font-family: sans-serif; margin: 3rem; max-width: 100%; overflow-x: auto">
<h1>What the demo pipeline sees</h1>
<p>Predictions for sentences it was not trained on: entities, tags and dependencies.</p>
{body}
</body>
</html>
"""

console = Console()


@spacy.registry.loggers("demo.Progress.v1")
def progress_logger(steps: int) -> Callable[..., tuple[Callable[[dict[str, Any] | None], None], Callable[[], None]]]:
    """A progress bar over all steps, with the latest scores on the development part beside it."""

    def setup(nlp: Language, stdout: IO[str], stderr: IO[str]) -> tuple[Callable[[dict[str, Any] | None], None], Callable[[], None]]:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[scores]}"))
        bar = Progress(TextColumn("Training"), *columns, console=console)
        task = bar.add_task("steps", total=steps, scores="")
        bar.start()

        def step(info: dict[str, Any] | None) -> None:
            if info is not None:
                found = (f"{name} {100 * (info['other_scores'][key] or 0):.1f}" for name, key in SCORES.items())
                bar.update(task, completed=info["step"], scores="  ".join(found))
            else:
                bar.advance(task)

        return step, bar.stop

    return setup


def corpora(folder: Path) -> dict[str, Path]:
    """The three parts of the sample as .spacy files."""
    paths = {part: folder / f"{part}.spacy" for part in ("train", "dev", "test")}
    for part, path in paths.items():
        convert(SAMPLE / f"{part}.conllu", path, vocabulary("en"))
    return paths


def training_config(encoder: str, steps: int, paths: dict[str, Path]) -> Config:
    """What `spacy-emerging config --task tagger,parser,ner` prints, for a short training on the sample."""
    config = compose(Choices(encoder=encoder, tasks=TASKS, width=128))
    config["paths"].update({"train": str(paths["train"]), "dev": str(paths["dev"])})
    config["training"].update({"max_steps": steps, "eval_frequency": max(steps // 5, 1)})
    config["training"]["logger"] = {"@loggers": "demo.Progress.v1", "steps": steps}
    return config


def trained(config: Config, folder: Path) -> Language:
    """The best pipeline of the training, loaded from disk like any other."""
    with console.status("Collecting labels and drawing weights"):
        nlp = init_nlp(config)
    quiet = io.StringIO()
    train(nlp, folder, stdout=quiet, stderr=quiet)
    return spacy.load(folder / "model-best")


def words_per_second(nlp: Language, texts: list[str]) -> float:
    """Speed of the whole pipeline, from text to annotated Docs, after one pass to warm up."""
    list(nlp.pipe(texts))
    start = time.perf_counter()
    words = sum(len(doc) for doc in nlp.pipe(texts))
    return words / (time.perf_counter() - start)


def score_table(nlp: Language, examples: list[Example], seconds: float) -> Table:
    """Scores on the test part, speed, and the time the training took."""
    texts = [example.reference.text for example in examples]
    scores = nlp.evaluate(examples)
    table = Table(title="On the test part of the sample, from raw text")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, key in SCORES.items():
        table.add_row(name, f"{100 * scores[key]:.1f} %")
    table.add_row("speed", f"{words_per_second(nlp, texts):,.0f} words/s")
    table.add_row("training", f"{seconds:,.0f} s")
    return table


def write_page(docs: list[Doc], path: Path) -> None:
    """A page with entities and trees of the first sentences that have both an entity and more than a few words."""
    sentences = [sentence for doc in docs for sentence in doc.sents if sentence.ents and 6 <= len(sentence) <= 16]
    body = [
        displacy.render(sentence, style="ent", page=False, jupyter=False)
        + displacy.render(
            sentence, style="dep", page=False, jupyter=False, options={"compact": True, "distance": 110, "fine_grained": True}
        )
        for sentence in sentences[:SHOWN]
    ]
    with replacing(path) as unfinished:
        unfinished.write_text(PAGE.format(body="<hr>\n".join(body)), encoding="utf-8")


def main() -> None:
    """Converts, trains, scores, shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="mamba2", choices=choices("encoder"), help="the shared encoder (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=600, help="updates (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "demo", help="folder to write to (default: demo/)")
    arguments = parser.parse_args()

    paths = corpora(arguments.output / "corpus")
    console.print(f"One shared {arguments.encoder} encoder; components: {', '.join(TASKS)}", highlight=False)
    start = time.perf_counter()
    nlp = trained(training_config(arguments.encoder, arguments.steps, paths), arguments.output)
    seconds = time.perf_counter() - start
    examples = list(Corpus(paths["test"])(nlp))
    console.print(score_table(nlp, examples, seconds))
    page = arguments.output / "index.html"
    write_page(list(nlp.pipe(example.reference.text for example in examples)), page)
    console.print(f"Trees and entities: {page}\nThe pipeline: {arguments.output / 'model-best'}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
