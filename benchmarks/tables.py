"""The numbers of `encoders.py` as tables: ratios first, with their spread, then what they are ratios of."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from measuring import BOTH, FORWARD
from pages import KEPT

PASSES = (FORWARD, BOTH)
TITLES = {
    "lstm": "`nn.LSTM`, both directions",
    "xlstm": "`xlstm.xLSTMBlockStack`",
    "transformers": "Mamba-2 of `transformers`",
    "transformers-mamba": "Mamba of `transformers`",
}
LIKE = "lstm like "
"""Begins the name of an nn.LSTM with as many parameters as an encoder, whose name follows."""

INSTALL = "not installed: `pip install 'spacy-emerging[peers]'`"
LINEAR_FROM = 1000
"""Length from which on growth is shown."""


class Run:
    """What one run measured, by name and length."""

    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results
        self.rows: dict[tuple[str, int], dict[str, Any]] = {(row["name"], row["length"]): row for row in results["rows"]}
        self.names = list(dict.fromkeys(row["name"] for row in results["rows"]))
        self.lengths = sorted({row["length"] for row in results["rows"]})

    def speeds(self, name: str, length: int, passes: str) -> list[float]:
        """Words per second of every turn, by the clock of the run."""
        row = self.rows[name, length]
        return [row["words"] / seconds[self.results["clock"]] for seconds in row["seconds"][passes]]

    def ratio(self, ours: str, peer: str, length: int, passes: str) -> str:
        """Our speed over the peer's, turn by turn: median (least to most)."""
        pairs = zip(self.speeds(ours, length, passes), self.speeds(peer, length, passes), strict=True)
        ratios = [one / other for one, other in pairs]
        return f"{short(statistics.median(ratios))}× ({short(min(ratios))}–{short(max(ratios))})"

    def growth(self, name: str, quantity: str, length: int) -> str:
        """Time or memory per word at this length over that at LINEAR_FROM; 1 is linear."""
        return f"{self._per_word(name, quantity, length) / self._per_word(name, quantity, LINEAR_FROM):.2f}"

    def _per_word(self, name: str, quantity: str, length: int) -> float:
        if quantity == "memory":
            return self.rows[name, length]["peak_bytes_per_word"]
        return 1 / statistics.median(self.speeds(name, length, BOTH))

    def page_faults(self, name: str, length: int) -> str:
        """Of both passes, median over the turns."""
        return f"{statistics.median(self.rows[name, length]['page_faults'][BOTH]):,.0f}"

    def load(self) -> float:
        """How much longer passes took by the clock on the wall than in processor time; 1 where the machine is idle, one thread."""
        seconds = [each for row in self.results["rows"] for found in row["seconds"].values() for each in found]
        return sum(each["wall"] for each in seconds) / sum(each["process"] for each in seconds)


def markdown(results: dict[str, Any], plain: bool = False) -> str:
    """All tables. plain: columns padded to equal width, to be read on a terminal."""
    run = Run(results)
    parts = [_conditions(run)]
    for heading, rows in _sections(run):
        head, *body = rows
        parts += ["", f"**{heading}**", "", *_table(head, body, plain)]
    return "\n".join(parts)


def _conditions(run: Run) -> str:
    results = run.results
    machine, threads = results["machine"], results["threads"]
    versions = ", ".join(f"{name} {found}" for name, found in results["versions"].items() if found)
    kept = f"{KEPT}, " if results.get("keep_memory") else ""  # results of earlier versions do not say
    clock = "processor time" if results["clock"] == "process" else "time on the wall"
    sentences = [
        f"Measured on {results['date']}: {machine['cores']} cores ({machine['architecture']}, {machine['system']}), "
        f"{threads} thread{'s' if threads > 1 else ''}, {kept}{versions}.",
        f"Width {results['width']}, depth {results['depth']}, float32.",
        f"Speeds and ratios by {clock}; time on the wall was {run.load():.2f} times the processor time.",
        f"Ratios are medians of {results['repeats']} turns, with the least and the most.",
    ]
    return f"{' '.join(sentences)}\n\n    {results['command']}"


def _sections(run: Run) -> Iterable[tuple[str, list[list[str]]]]:
    encoders = [name for name in run.names if name.endswith("/concat")]
    lengths = [f"{length:,}" for length in run.lengths]
    if run.results["peers"]:
        rows = [["ours, beside", "passes", *lengths]]
        for ours, peer in run.results["peers"].items():
            rows += [[f"{title(ours)}, {title(peer)}", passes, *_ratios(run, ours, peer, passes)] for passes in PASSES]
        chunks = ", ".join(f"{chunk} at {int(length):,}" for length, chunk in run.results["chunks"].items())
        yield "Same blocks, same weights, same outputs" + (f" (chunk size of transformers: {chunks})" if chunks else ""), rows
    rows = [["ours", "passes", *lengths]]
    rows += [[title(ours), passes, *_ratios(run, ours, "lstm", passes)] for ours in encoders for passes in PASSES]
    yield "Beside a bidirectional `nn.LSTM` of the same width and depth", rows
    rows = [["ours", "passes", *lengths]]
    rows += [[title(o), passes, *_ratios(run, o, LIKE + o.split("/")[1], passes)] for o in encoders for passes in PASSES]
    yield "Beside a bidirectional `nn.LSTM` with as many parameters and the same depth", rows
    shown = [name for name in run.names if not name.startswith(LIKE)]
    rows = [["", "parameters", *lengths]]
    for name in shown:
        speeds = [f"{statistics.median(run.speeds(name, length, BOTH)):,.0f}" for length in run.lengths]
        rows.append([title(name), f"{run.rows[name, run.lengths[0]]['parameters']:,}", *speeds])
    yield f"Words per second, {BOTH}", rows
    known = all(run.rows[name, length]["peak_bytes_per_word"] is not None for name in shown for length in run.lengths)
    if known:
        rows = [["", *lengths]]
        rows += [[title(n), *(f"{run.rows[n, x]['peak_bytes_per_word'] / 1e3:,.0f}" for x in run.lengths)] for n in shown]
        yield f"Peak memory in kB per word, {BOTH}", rows
    if all("page_faults" in row for row in run.results["rows"]):  # not in results of earlier versions
        rows = [["", *lengths], *([title(name), *(run.page_faults(name, length) for length in run.lengths)] for name in run.names)]
        yield f"Page faults per pass, {BOTH}", rows
    longer = [length for length in run.lengths if length > LINEAR_FROM]
    if longer and LINEAR_FROM in run.lengths:
        quantities = ("time", "memory") if known else ("time",)
        rows = [["", *(f"{quantity}, {length:,}" for quantity in quantities for length in longer)]]
        rows += [[title(name), *(run.growth(name, q, length) for q in quantities for length in longer)] for name in shown]
        yield f"Per word, as a multiple of that at {LINEAR_FROM:,} ({BOTH}; 1 is linear)", rows


def short(ratio: float) -> str:
    """As many digits as the spread of such measurements leaves: 0.74, 4.2, 16."""
    return f"{ratio:.{0 if ratio >= 10 else 1 if ratio >= 1 else 2}f}"


def _ratios(run: Run, ours: str, peer: str, passes: str) -> list[str]:
    return [run.ratio(ours, peer, length, passes) if (peer, length) in run.rows else INSTALL for length in run.lengths]


def title(name: str) -> str:
    """A subject's name in the tables."""
    if name.startswith(LIKE):
        return f"`nn.LSTM` like `{name.removeprefix(LIKE)}`"
    if not name.startswith("encoder/"):
        return TITLES[name]
    _, encoder, direction = name.split("/")
    return f"`{encoder}`, {direction}"


def _table(head: Sequence[str], body: Sequence[Sequence[str]], plain: bool) -> list[str]:
    rows = [list(head), ["---", *["---:"] * (len(head) - 1)], *map(list, body)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))] if plain else [0] * len(head)
    return ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
