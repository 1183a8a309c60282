"""Words out of characters: F1 of `emerging_segmenter`, with every encoder, in docs/components.md.

    python benchmarks/segmentation.py --data DIR --systems lstm,mamba2 --steps 150 --output segmentation.json
    python benchmarks/segmentation.py --output segmentation.json --write docs/components.md

DIR holds `zh-train.spacy`, `zh-dev.spacy` and `zh-test.spacy`, written by `spacy-emerging convert`. A run trains the config of
`spacy-emerging config --task segmenter`, keeps the best model on dev, and scores it on test; words are unknown if train lacks them.
Speeds are per second of processor time, on one thread.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from training import SPEEDS, add, missing, show, spread, train_and_score

from spacy_emerging.cli.compose import Choices, compose
from spacy_emerging.corpus.convert import read_corpus
from spacy_emerging.scoring.segmentation import score_segmentation

SYSTEMS = ("lstm", "transformer", "xlstm", "mamba2")
SCORES = {"segments_p": "precision", "segments_r": "recall", "segments_f": "F1", "segments_oov_r": "recall of unknown words"}
KEY = ("system", "seed", "steps")


def characters(pipeline: Language, reference: Doc) -> Doc:
    """The reference's text as the pipeline's tokenizer cuts it."""
    return pipeline.make_doc(reference.text)


def run(system: str, seed: int, steps: int, data: Path) -> dict[str, Any]:
    """Trains and scores one encoder once."""
    config = compose(Choices(encoder=system, tasks=["segmenter"], lang="xx"))
    logger = {"@loggers": "spacy.ConsoleLogger.v1"}
    config["training"] |= {"max_steps": steps, "patience": 0, "eval_frequency": max(steps // 3, 1), "logger": logger}
    paths = {split: data / f"zh-{split}.spacy" for split in ("train", "dev", "test")}
    measured = train_and_score(config, paths, seed, bare=characters)
    known = {token.text for doc in read_corpus(paths["train"], spacy.blank("xx").vocab) for token in doc}
    references = [example.reference for example in measured.test]
    found = measured.pipeline.pipe([characters(measured.pipeline, reference) for reference in references])
    scores = score_segmentation([Example(doc, reference) for doc, reference in zip(found, references, strict=True)], known)
    key = {"system": system, "seed": seed, "steps": steps}
    shares = {name: 100 * scores[name] for name in (*SCORES, "segments_oov_rate")}
    return {**key, "scores": shares, **measured.speeds(), "parameters": measured.parameters}


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown; mean and, where there are several seeds, standard deviation."""
    grouped: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for entry in runs:
        grouped[entry["system"], entry["steps"]].append(entry)
    header = ["encoder", "seeds", "updates", *SCORES.values(), "training characters/s", "prediction words/s", "parameters"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for (system, steps), group in sorted(grouped.items()):
        cells = [system, str(len(group)), f"{steps:,}", *(spread([entry["scores"][name] for entry in group]) for name in SCORES)]
        cells += [f"{statistics.mean(entry[speed] for entry in group):,.0f}" for speed in SPEEDS]
        lines.append("| " + " | ".join([*cells, f"{group[0]['parameters']:,}"]) + " |")
    return "\n".join(lines) + "\n"


def main(
    output: Annotated[Path, typer.Option(help="Finished runs, as JSON; added to.")] = Path("benchmarks/segmentation.json"),
    data: Annotated[Path | None, typer.Option(help="Folder of .spacy files; without it nothing is run.")] = None,
    systems: Annotated[str, typer.Option(help="Comma list of encoders.")] = ",".join(SYSTEMS),
    seeds: Annotated[str, typer.Option(help="Comma list.")] = "0",
    steps: Annotated[int, typer.Option(help="Updates.")] = 150,
    write: Annotated[Path | None, typer.Option(help="A page whose table, between markers, is written anew.")] = None,
) -> None:
    """Runs what is missing, and prints or writes the table."""
    if data is not None:
        keys = [(system, int(seed), steps) for seed in seeds.split(",") for system in systems.split(",")]
        for key in missing(output, KEY, keys):
            add(output, run(*key, data))
    show(table(json.loads(output.read_text())), write)


if __name__ == "__main__":
    typer.run(main)
