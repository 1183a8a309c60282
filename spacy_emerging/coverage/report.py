"""Measured coverage as tables on a terminal, as CSV, and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from ..corpus.files import replacing
from ..errors import SettingError
from .measure import Coverage
from .samples import CONSTITUENCY

PICTURES = (".svg", ".png", ".pdf")
COLUMNS = [
    *("corpus", "kind", "encoding", "structures", "words", "parts"),
    *("structures_exact", "structures_unlabelled", "parts_exact", "parts_unlabelled"),
    *("labels", "tuples", "unseen_types", "unseen_words", "out_of_reach"),
    *("encode_speed", "decode_speed", "search_speed"),
]
"""Of the CSV file."""

CAPTION = (
    "Percentages: with labels (without). Labels, and those unseen in training: per field. Out of reach: words with an unseen label. "
    "Speeds in words/s."
)


class Row(NamedTuple):
    """One encoding on one corpus."""

    corpus: str
    coverage: Coverage


def parts_of(kind: str) -> str:
    """What the parts of a structure are called."""
    return "constituents" if kind == CONSTITUENCY else "arcs"


def tables(rows: Iterable[Row]) -> list[Table]:
    """One table per corpus and kind of structure."""
    result = []
    for (corpus, kind), group in groupby(rows, key=lambda row: (row.corpus, row.coverage.encoding.kind)):
        found = [row.coverage for row in group]
        first = found[0]
        table = Table(title=f"{corpus}: {first.structures:,} {kind} structures, {first.words:,} words, {first.parts:,} {parts_of(kind)}")
        table.add_column("encoding", overflow="fold")
        table.add_column("settings", overflow="fold")
        heads = ["structures %", f"{parts_of(kind)} %", "labels", "tuples", "unseen", "out of reach %", "encode", "decode", "search"]
        for head in heads:
            table.add_column(head, justify="right")
        for coverage in found:
            table.add_row(*_cells(coverage))
        table.caption = CAPTION
        result.append(table)
    return result


def _cells(coverage: Coverage) -> list[str]:
    encoding, unseen = coverage.encoding, coverage.unseen
    return [
        encoding.name,
        encoding.chosen,
        f"{percent(coverage.structures_exact)} ({percent(coverage.structures_unlabelled)})",
        f"{percent(coverage.parts_exact)} ({percent(coverage.parts_unlabelled)})",
        " + ".join(str(count) for count in coverage.labels.values()),
        str(coverage.tuples),
        "" if unseen is None else " + ".join(str(counts.types) for counts in unseen.values()),
        "" if coverage.out_of_reach is None else percent(coverage.out_of_reach),
        *("" if speed is None else f"{speed:,.0f}" for speed in (coverage.encode_speed, coverage.decode_speed, coverage.search_speed)),
    ]


def percent(share: float) -> str:
    """A share in per cent with two digits, where 100 stands for all without exception: 99.999 % reads 99.99."""
    return "100" if share == 1 else f"{min(100 * share, 99.99):.2f}"


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """One line per row; shares between 0 and 1, words per second, per-field numbers as `field=number field=number`."""
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_record(row) for row in rows)


def _record(row: Row) -> dict[str, Any]:
    coverage = row.coverage
    record: dict[str, Any] = {name: getattr(coverage, name, None) for name in COLUMNS}
    record.update(corpus=row.corpus, kind=coverage.encoding.kind, encoding=coverage.encoding.title, labels=_fields(coverage.labels))
    unseen = coverage.unseen or {}
    record["unseen_types"] = _fields({name: counts.types for name, counts in unseen.items()})
    record["unseen_words"] = _fields({name: f"{counts.words:.6f}" for name, counts in unseen.items()})
    for name in COLUMNS:
        if isinstance(record[name], float):
            record[name] = round(record[name]) if name.endswith("speed") else f"{record[name]:.6f}"
    return record


def _fields(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def check_picture(path: Path) -> None:
    """Raises SettingError unless a plot can be drawn into this file."""
    if path.suffix.lower() not in PICTURES:
        raise SettingError(f"coverage: the plot is {str(path)!r}, but its name must end in one of {', '.join(PICTURES)}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise SettingError("coverage: drawing a plot needs matplotlib; install it with `pip install matplotlib`.") from error


def write_plot(rows: Sequence[Row], path: Path) -> None:
    """Dots of one colour per corpus: what share of arcs or constituents each encoding gives back, and its number of label tuples.

    Raises SettingError where matplotlib is missing or the extension is no picture's.
    """
    check_picture(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    kinds = [(kind, list(group)) for kind, group in groupby(sorted(rows, key=_kind), key=_kind)]
    titles = [list(dict.fromkeys(row.coverage.encoding.title for row in group)) for _, group in kinds]
    figure = Figure(figsize=(12, 1.5 + sum(0.24 * len(names) + 0.9 for names in titles)), layout="constrained")
    axes = figure.subplots(len(kinds), 2, squeeze=False, sharey="row", height_ratios=[len(names) + 3 for names in titles])
    corpora = list(dict.fromkeys(row.corpus for row in rows))
    for (shares, sizes), (kind, group), names in zip(axes, kinds, titles, strict=True):
        for number, corpus in enumerate(corpora):
            found = [row.coverage for row in group if row.corpus == corpus]
            places = [names.index(coverage.encoding.title) for coverage in found]
            look: dict[str, Any] = {"color": f"C{number % 10}", "marker": "osD^v"[number // 10 % 5], "s": 18, "alpha": 0.8}
            shares.scatter([100 * coverage.parts_exact for coverage in found], places, label=corpus, **look)
            sizes.scatter([coverage.tuples for coverage in found], places, **look)
        shares.set_yticks(range(len(names)), names, fontsize=8)
        shares.set_ylim(len(names) - 0.5, -0.5)
        shares.set_xlabel(f"{kind}: {parts_of(kind)} given back, labels included (%)")
        sizes.set_xscale("log")
        sizes.xaxis.set_major_formatter("{x:,.0f}")
        sizes.xaxis.set_minor_formatter(NullFormatter())
        sizes.set_xlabel("different label tuples")
        for axis in (shares, sizes):
            axis.grid(axis="both", alpha=0.3)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(corpora), 5), fontsize=8)
    with replacing(path) as unfinished, rc_context({"svg.fonttype": "none"}):  # letters as text: smaller, and they can be searched for
        figure.savefig(unfinished, format=path.suffix[1:].lower())


def _kind(row: Row) -> str:
    return row.coverage.encoding.kind
