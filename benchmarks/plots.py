"""The plots of docs/performance.md.

    python benchmarks/plots.py speed --input encoders.json --output docs/images/speed.svg
    python benchmarks/plots.py accuracy --docs gum-dev.spacy --output docs/images/accuracy.svg

`speed` draws what `encoders.py --output` has measured: words per second against the length of a sequence. `accuracy` draws XPOS accuracy on
GUM test, as results.py has measured it (mean of the seeds), against the speed of tagging alone, measured here: the same embedding, encoder
and tagger, in turns, with freshly drawn weights, by the processor time of one thread (median).
"""

from __future__ import annotations

import json
import os
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import spacy
import torch
import typer
from matplotlib import rc_context
from matplotlib.figure import Figure
from pipelines import in_turns
from results import config_for
from spacy.tokens import DocBin
from spacy.training import Example
from taggers import untagged
from thinc.api import Config

from spacy_emerging.corpus.files import replacing

TITLES = {"lstm": "LSTM", "transformer": "Transformer", "xlstm": "xLSTM", "mamba2": "Mamba-2", "stock": "spaCy's CNN"}
TITLES |= {"torch-bilstm": "TorchBiLSTM"}
PEERS = {
    "lstm": "nn.LSTM",
    "xlstm": "xLSTM of NX-AI",
    "transformers": "Mamba-2 of transformers",
    "transformers-mamba": "Mamba of transformers",
}
app = typer.Typer(help=__doc__)


def save(figure: Figure, path: Path) -> None:
    """Letters stay text: smaller, and they can be searched for."""
    with replacing(path) as unfinished, rc_context({"svg.fonttype": "none"}):
        figure.savefig(unfinished, format=path.suffix[1:].lower())


def title_of(row: dict[str, Any]) -> str | None:
    """How a row of encoders.py is called in the plot; None for those that repeat others in another size or direction."""
    kind, _, rest = row["name"].partition("/")
    if kind == "encoder":
        name, direction = rest.split("/")
        return name.removesuffix("Encoder") if direction == "concat" else None
    return PEERS.get(row["name"])


@app.command()
def speed(
    input: Annotated[Path, typer.Option(help="What encoders.py wrote with --output.")],
    output: Annotated[Path, typer.Option(help="The picture.")] = Path("docs/images/speed.svg"),
) -> None:
    """Words per second of forward and backward pass against the length of a sequence."""
    measured = json.loads(input.read_text(encoding="utf-8"))
    lines: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in measured["rows"]:
        title = title_of(row)
        if title is not None:
            seconds = statistics.median(each[measured["clock"]] for each in row["seconds"]["forward+backward"])
            lines[title].append((row["length"], row["words"] / seconds))
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axis = figure.subplots()
    for number, (title, points) in enumerate(sorted(lines.items(), key=lambda item: -item[1][0][1])):
        look = ":" if title in PEERS.values() else "-"
        axis.plot(*zip(*sorted(points), strict=True), marker="osD^v"[number % 5], linestyle=look, label=title)
    axis.set(xscale="log", yscale="log", xlabel="words per sequence", ylabel="words per second, forward and backward")
    axis.set_xticks(measured_lengths := sorted({row["length"] for row in measured["rows"]}), [f"{length:,}" for length in measured_lengths])
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    save(figure, output)


def tagging(config: Config) -> Config:
    """The pipeline without what is no part of tagging."""
    for name in list(config["components"]):
        if name not in ("tok2vec", "tagger"):
            del config["components"][name]
    config["nlp"]["pipeline"] = ["tok2vec", "tagger"]
    return config


@app.command()
def accuracy(
    docs: Annotated[Path, typer.Option(help="Gold Docs of GUM, .spacy.")],
    results: Annotated[Path, typer.Option(help="What results.py wrote.")] = Path("benchmarks/results.json"),
    output: Annotated[Path, typer.Option(help="The picture.")] = Path("docs/images/accuracy.svg"),
    repeats: Annotated[int, typer.Option(help="Turns.")] = 5,
) -> None:
    """XPOS accuracy of trained pipelines against the speed of tagging."""
    torch.set_num_threads(1)
    scores: dict[str, list[float]] = defaultdict(list)
    for run in json.loads(results.read_text(encoding="utf-8")):
        if run["treebank"] == "gum":
            scores[run["system"]].append(run["scores"]["tag_acc"])
    work: dict[str, Any] = {}
    for system in scores:
        nlp = spacy.util.load_model_from_config(tagging(config_for(system, "gum", steps=0)), auto_fill=True)
        gold = list(DocBin().from_disk(docs).get_docs(nlp.vocab))
        given = untagged(nlp, gold)
        nlp.initialize(lambda gold=gold, given=given: [Example(tokens, doc) for tokens, doc in zip(given(), gold, strict=True)])
        work[system] = lambda nlp=nlp, given=given: [None for _ in nlp.pipe(given())]
    in_turns(work, 1)  # the first calls fill caches
    words = sum(map(len, gold))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    for system, seconds in in_turns(work, repeats).items():
        point = words / statistics.median(seconds), statistics.mean(scores[system])
        print(f"{TITLES[system]}: {point[0]:,.0f} words/s, XPOS {point[1]:.2f}")
        axis.scatter(*point)
        axis.annotate(TITLES[system], point, xytext=(6, 4), textcoords="offset points", fontsize=9)
    axis.set(xlabel="words tagged per second", ylabel="XPOS accuracy, GUM test (%)")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.margins(0.15)
    axis.grid(alpha=0.3)
    save(figure, output)


if __name__ == "__main__":
    app()
