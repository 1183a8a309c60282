"""Accuracy and speed of every encoder beside spaCy's own components: the numbers of docs/results.md.

    python benchmarks/results.py --data DIR --treebank gum --systems lstm mamba2 stock --seeds 0 1 --output results.json
    python benchmarks/results.py --output results.json --write docs/results.md

DIR holds `<treebank>-train.spacy`, `-dev.spacy` and `-test.spacy`, written by `spacy-emerging convert`. Every run trains one
pipeline with one shared encoder through spaCy's own training loop on gold sentences and tokens, keeps the best model on dev,
and scores it on test. Finished runs in the output file are not repeated, so that a table can grow over several calls.
Speeds are words per second of processor time, on one thread: they hold when the machine is shared.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer
from thinc.api import Config
from training import SPEEDS, add, missing, shortened, show, spread, train_and_score

from spacy_emerging.cli.compose import Choices, compose

SYSTEMS = ("lstm", "transformer", "xlstm", "mamba2", "stock", "torch-bilstm")
TASKS = {"gum": ["tagger", "parser", "ner"], "latin": ["tagger", "parser"], "wnut": ["ner"]}
LANGUAGES = {"gum": "en", "latin": "la", "wnut": "en"}
SCORES = {"tag_acc": "XPOS", "dep_uas": "UAS", "dep_las": "LAS", "ents_f": "NER F1"}
KEY = ("system", "treebank", "seed", "steps")

STOCK_MODELS = {
    "tagger": {"@architectures": "spacy.Tagger.v2"},
    "parser": {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "parser",
        "extra_state_tokens": False,
        "hidden_width": 128,
        "maxout_pieces": 3,
        "use_upper": True,
        "nO": None,
    },
    "ner": {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": True,
        "nO": None,
    },
}


def config_for(system: str, treebank: str, steps: int) -> Config:
    """The config of a system: one of our encoders, `stock` (spaCy's CNN and components), or `torch-bilstm` under our decoders."""
    encoder = system if system not in ("stock", "torch-bilstm") else "lstm"
    config = compose(Choices(encoder=encoder, tasks=TASKS[treebank], lang=LANGUAGES[treebank]))
    if system == "torch-bilstm":
        encode = config["components"]["tok2vec"]["model"]["encode"]
        block = {"@architectures": "spacy.TorchBiLSTMEncoder.v1", "width": encode["width"], "depth": encode["depth"], "dropout": 0.2}
        config["components"]["tok2vec"]["model"]["encode"] = block
    if system == "stock":
        config = _stock(config, treebank)
    return shortened(config, steps, steps // 8)


def _stock(config: Config, treebank: str) -> Config:
    """spaCy's own components, as `spacy init config` sets them for efficiency on a CPU, with spaCy's own optimizer settings."""
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "tok2vec"}
    cnn = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "width": 96,
        "depth": 4,
        "embed_size": 2000,
        "window_size": 1,
        "maxout_pieces": 3,
        "subword_features": True,
        "pretrained_vectors": None,
    }
    components: dict[str, Any] = {"tok2vec": {"factory": "tok2vec", "model": cnn}}
    for task in TASKS[treebank]:
        components[task] = {"factory": task, "model": {**STOCK_MODELS[task], "tok2vec": listener}}
    config = Config({**config, "components": components})
    config["training"] |= {"dropout": 0.1, "optimizer": {"@optimizers": "Adam.v1", "learn_rate": 0.001}}
    return config


def run(system: str, treebank: str, seed: int, steps: int, data: Path) -> dict[str, Any]:
    """Trains and scores one system once."""
    config = config_for(system, treebank, steps)
    measured = train_and_score(config, {split: data / f"{treebank}-{split}.spacy" for split in ("train", "dev", "test")}, seed)
    scores = {name: 100 * measured.scores[name] for name in SCORES if measured.scores.get(name) is not None}
    key = {"system": system, "treebank": treebank, "seed": seed, "steps": steps}
    return {**key, "scores": scores, **measured.speeds(), "parameters": measured.parameters}


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown, a table per treebank; mean and, where there are several seeds, standard deviation."""
    lines: list[str] = []
    for treebank in dict.fromkeys(entry["treebank"] for entry in runs):
        grouped: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        for entry in runs:
            if entry["treebank"] == treebank:
                grouped[entry["system"], entry["steps"]].append(entry)
        names = [name for name in SCORES if any(name in entry["scores"] for group in grouped.values() for entry in group)]
        header = ["system", "seeds", "steps", *(SCORES[name] for name in names), "training words/s", "prediction words/s", "parameters"]
        lines += [f"\n### {treebank}\n", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        for (system, steps), group in sorted(grouped.items()):
            cells = [system, str(len(group)), f"{steps:,}", *(spread([entry["scores"][name] for entry in group]) for name in names)]
            cells += [f"{statistics.mean(entry[speed] for entry in group):,.0f}" for speed in SPEEDS]
            lines.append("| " + " | ".join([*cells, f"{group[0]['parameters']:,}"]) + " |")
    return "\n".join(lines) + "\n"


def main(
    output: Annotated[Path, typer.Option(help="Finished runs, as JSON; added to.")] = Path("benchmarks/results.json"),
    data: Annotated[Path | None, typer.Option(help="Folder of .spacy files; without it nothing is run.")] = None,
    treebank: Annotated[str, typer.Option(help="gum, latin or wnut.")] = "gum",
    systems: Annotated[str, typer.Option(help="Comma list of encoders, stock, torch-bilstm.")] = ",".join(SYSTEMS),
    seeds: Annotated[str, typer.Option(help="Comma list.")] = "0",
    steps: Annotated[int, typer.Option(help="Updates of about 1,000 words.")] = 2000,
    write: Annotated[Path | None, typer.Option(help="A page whose table, between markers, is written anew.")] = None,
) -> None:
    """Runs what is missing, and prints or writes the table."""
    if data is not None:
        keys = [(system, treebank, int(seed), steps) for seed in seeds.split(",") for system in systems.split(",")]
        for key in missing(output, KEY, keys):
            add(output, run(*key, data))
    show(table(json.loads(output.read_text())), write)


if __name__ == "__main__":
    typer.run(main)
