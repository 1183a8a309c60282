"""What the accuracy benchmarks share: train once through spaCy's own loop, score on test, keep runs in a file, put tables into pages."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from thinc.api import Config

from spacy_emerging.corpus.files import replacing
from spacy_emerging.corpus.reader import Corpus

SPEEDS = ("train_words_per_second", "predict_words_per_second")


class Measured(NamedTuple):
    """One training: the best pipeline, the test examples and spaCy's scores on them, words per second of processor time, weights."""

    pipeline: Language
    test: list[Example]

    scores: dict[str, Any]
    train_words_per_second: float
    predict_words_per_second: float
    parameters: int

    def speeds(self) -> dict[str, float]:
        """The two speeds by name."""
        return {name: getattr(self, name) for name in SPEEDS}


def gold_tokens(pipeline: Language, reference: Doc) -> Doc:
    """A Doc of the reference's words and nothing else."""
    return Doc(pipeline.vocab, words=[token.text for token in reference])


def train_and_score(config: Config, paths: Mapping[str, Path], seed: int, bare: Callable[[Language, Doc], Doc] = gold_tokens) -> Measured:
    """Trains a pipeline on `train`, chooses the best model on `dev`, scores it on `test`: on one thread, with gold sentences and tokens.

    bare: what the pipeline gets of a reference while the speed of prediction is measured.
    """
    torch.set_num_threads(1)
    config["system"]["seed"] = seed
    config["paths"] |= {split: str(paths[split]) for split in ("train", "dev")}
    nlp = init_nlp(config)
    with TemporaryDirectory() as folder:
        started = time.process_time()
        train(nlp, Path(folder))
        trained = time.process_time() - started
        best = spacy.load(Path(folder) / "model-best")
    test = list(Corpus(str(paths["test"]), gold_preproc=True)(best))
    words = sum(len(example.reference) for example in test)
    scores = best.evaluate(test)
    docs = [bare(best, example.reference) for example in test]
    started = time.process_time()
    for _ in best.pipe(docs):
        pass
    predicted = words / (time.process_time() - started)
    seen = config["training"]["batcher"]["size"] * config["training"]["max_steps"]
    return Measured(best, test, scores, seen / trained, predicted, count_parameters(best))


def shortened(config: Config, updates: int, eval_frequency: int) -> Config:
    """A config for so many updates on gold sentences and tokens, with spaCy's own logger."""
    for corpus in config["corpora"].values():
        corpus["gold_preproc"] = True
    logger = {"@loggers": "spacy.ConsoleLogger.v1"}
    config["training"] |= {"max_steps": updates, "patience": 0, "eval_frequency": max(eval_frequency, 1), "logger": logger}
    return config


def count_parameters(nlp: Language) -> int:
    """Weights of all components, each counted once."""
    total = 0
    for _, pipe in nlp.pipeline:
        for node in pipe.model.walk():
            total += sum(node.get_param(name).size for name in node.param_names if node.has_param(name))
            total += sum(p.numel() for shim in node.shims if shim._model is not None for p in shim._model.parameters())
    return total


def missing(output: Path, names: Sequence[str], keys: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Those keys of which the file has no run yet, looked up anew for each, as another process may be adding to it."""
    for key in keys:
        runs = json.loads(output.read_text()) if output.exists() else []
        if not any(tuple(entry[name] for name in names) == key for entry in runs):
            yield key


def add(output: Path, run: dict[str, Any]) -> None:
    """Adds one finished run to the file."""
    runs = json.loads(output.read_text()) if output.exists() else []
    save(output, json.dumps([*runs, run], indent=1))


def spread(values: Sequence[float]) -> str:
    """Mean, with the standard deviation where there are several."""
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"


def show(markdown: str, page: Path | None, name: str = "results") -> None:
    """Prints a table, or puts it between the markers of a page: those of this name. Raises ValueError where the page has none."""
    if page is None:
        print(markdown)
        return
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no place for the table: it needs the lines {begin} and {end}.")
    save(page, before + begin + "\n" + markdown + end + after)


def save(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
