"""Every encoding of trees and graphs, learned by one encoder: the table of docs/linearizations.md.

    python benchmarks/encodings.py --data DIR --task parser --seeds 0,1,2 --output encodings.json
    python benchmarks/encodings.py --output encodings.json --write docs/linearizations.md

DIR holds `gum-train.spacy`, `gum-dev.spacy`, `gum-test.spacy` for `--task parser` and `graph`, and `gum-const-*.spacy` for
`constituency`, written by `spacy-emerging convert`. A run trains one component on gold sentences and tokens, as results.py does.
Well-formed is the share of sentences whose labels needed no repair; the column `argmax` is LAS or F1 of the same
weights without the encoding's search.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer
from training import SPEEDS, Measured, add, missing, shortened, show, spread, train_and_score

from spacy_emerging.cli.compose import Choices, compose
from spacy_emerging.linearizations.base import Linearization

KEY = ("task", "encoding", "encoder", "seed", "steps")
Settings = dict[str, Any]
ENCODINGS: dict[str, dict[str, tuple[str, Settings]]] = {
    "parser": {
        "absolute": ("AbsoluteDependency", {}),
        "relative": ("RelativeDependency", {}),
        "PoS-relative": ("PosRelativeDependency", {}),
        "bracketing, 1 plane": ("BracketingDependency", {"planes": 1}),
        "bracketing, 2 planes": ("BracketingDependency", {"planes": 2}),
        "4-bit, head": ("FourBitDependency", {"pseudo_projective": "head"}),
        "7-bit": ("SevenBitDependency", {}),
        "hexatagging, head": ("HexaTagDependency", {"pseudo_projective": "head"}),
        "hierarchical, head": ("HierarchicalBracketingDependency", {"variant": "projective", "pseudo_projective": "head"}),
        "hierarchical, non-projective": ("HierarchicalBracketingDependency", {"variant": "nonprojective"}),
        "arc-eager": ("ArcEagerDependency", {}),
    },
    "constituency": {
        "absolute": ("AbsoluteConstituency", {}),
        "relative": ("RelativeConstituency", {}),
        "dynamic": ("DynamicConstituency", {}),
        "tetratagging": ("TetraTagConstituency", {}),
        "juxtaposed": ("JuxtaposedConstituency", {}),
    },
    "graph": {
        "absolute": ("AbsoluteGraph", {}),
        "relative": ("RelativeGraph", {}),
        "bracketing, 2 planes": ("BracketingGraph", {"planes": 2, "search": "legal"}),
        "bracketing, 3 planes": ("BracketingGraph", {"planes": 3, "search": "legal"}),
        "4-bit, 4 subsets": ("FourBitGraph", {"subsets": 4}),
        "6-bit, 4 subsets": ("SixBitGraph", {"subsets": 4}),
    },
}
CORPORA = {"parser": "gum", "constituency": "gum-const", "graph": "gum"}
RANKED = {"parser": "dep_las", "constituency": "constituents_f", "graph": "graph_f"}
"""The score that orders a table, and that is also measured without a search."""
SCORES = {
    "parser": {"dep_uas": "UAS", "dep_las": "LAS", "dep_well_formed": "well-formed"},
    "constituency": {"constituents_f": "F1", "constituents_complete_match": "complete match", "constituents_well_formed": "well-formed"},
    "graph": {"graph_unlabeled_f": "UF", "graph_f": "LF", "graph_exact_match": "exact match", "graph_well_formed": "well-formed"},
}


def run(task: str, encoding: str, encoder: str, seed: int, steps: int, data: Path) -> dict[str, Any]:
    """Trains and scores one component with one encoding."""
    name, settings = ENCODINGS[task][encoding]
    config = compose(Choices(encoder=encoder, tasks=[task]))
    config["components"][task]["linearization"] = {"@linearizations": f"spacy-emerging.{name}.v1", **settings}
    # One component alone learns fastest without a hidden layer and with a high rate; joint training, as in results.py, does not.
    config["components"][task]["model"]["decoder"]["hidden_width"] = 0
    config["training"]["optimizer"]["learn_rate"]["initial_rate"] = 0.004
    paths = {split: data / f"{CORPORA[task]}-{split}.spacy" for split in ("train", "dev", "test")}
    measured = train_and_score(shortened(config, steps, steps // 4), paths, seed)
    scores = {key: 100 * measured.scores[key] for key in SCORES[task] if measured.scores.get(key) is not None}
    scores["argmax"] = 100 * without_search(measured, task)[RANKED[task]]
    key = {"task": task, "encoding": encoding, "encoder": encoder, "seed": seed, "steps": steps}
    return {**key, "scores": scores, **measured.speeds(), "parameters": measured.parameters}


def without_search(measured: Measured, task: str) -> dict[str, Any]:
    """Scores of the same weights where the best label of every word is decoded as it is, whatever the encoding could search for."""
    pipe: Any = measured.pipeline.get_pipe(task)
    linearization = pipe.task.linearization
    searching = type(linearization).decode_scores
    try:
        type(linearization).decode_scores = Linearization.decode_scores
        return measured.pipeline.evaluate(measured.test)
    finally:
        type(linearization).decode_scores = searching


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown, a table per task, best first; mean and, where there are several seeds, standard deviation."""
    lines: list[str] = []
    for task, names in SCORES.items():
        grouped: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
        for entry in runs:
            if entry["task"] == task:
                grouped[entry["encoding"], entry["encoder"], entry["steps"]].append(entry)
        if not grouped:
            continue
        ranked = RANKED[task]
        names = {**names, "argmax": f"{names[ranked]}, argmax"}
        header = ["encoding", "encoder", "seeds", "updates", *names.values(), *(f"{name.split('_')[0]} words/s" for name in SPEEDS)]
        lines += [f"\n### {task}\n", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        best_first = sorted(grouped.items(), key=lambda item: -sum(run["scores"][ranked] for run in item[1]) / len(item[1]))
        for (encoding, encoder, steps), group in best_first:
            cells = [encoding, encoder, str(len(group)), f"{steps:,}"]
            cells += [spread([entry["scores"][name] for entry in group if name in entry["scores"]] or [float("nan")]) for name in names]
            cells += [f"{sum(entry[speed] for entry in group) / len(group):,.0f}" for speed in SPEEDS]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(
    output: Annotated[Path, typer.Option(help="Finished runs, as JSON; added to.")] = Path("benchmarks/encodings.json"),
    data: Annotated[Path | None, typer.Option(help="Folder of .spacy files; without it nothing is run.")] = None,
    task: Annotated[str, typer.Option(help="parser, constituency or graph.")] = "parser",
    encodings: Annotated[str, typer.Option(help="Names divided by semicolons; all by default.")] = "",
    encoder: Annotated[str, typer.Option(help="Name of an encoder fragment.")] = "mamba2",
    seeds: Annotated[str, typer.Option(help="Comma list.")] = "0",
    steps: Annotated[int, typer.Option(help="Updates of about 1,000 words.")] = 500,
    write: Annotated[Path | None, typer.Option(help="A page whose table, between markers, is written anew.")] = None,
) -> None:
    """Runs what is missing, and prints or writes the table."""
    if data is not None:
        chosen = [name.strip() for name in encodings.split(";")] if encodings else list(ENCODINGS[task])
        keys = [(task, name, encoder, int(seed), steps) for seed in seeds.split(",") for name in chosen]
        for key in missing(output, KEY, keys):
            add(output, run(*key, data))
    show(table(json.loads(output.read_text())), write)


if __name__ == "__main__":
    typer.run(main)
