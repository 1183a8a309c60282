"""What each encoding represents of treebanks: docs/coverage.md and benchmarks/coverage.csv, measured anew.

    python benchmarks/coverage.py TREEBANKS --write docs/coverage.md --csv benchmarks/coverage.csv --plot docs/images/coverage.svg

TREEBANKS is a folder with one folder per treebank, each with files whose names tell train, dev and test (a treebank may lack some).
Structures, arcs and labels are counted on all files together; unseen labels in dev and test beside train.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from pages import put

from spacy_emerging.corpus.convert import EXTENSIONS, read_corpus, vocabulary
from spacy_emerging.coverage.encodings import Encoding, encodings
from spacy_emerging.coverage.measure import Coverage, measured, out_of_reach
from spacy_emerging.coverage.report import Row, parts_of, percent, write_csv, write_plot
from spacy_emerging.coverage.samples import KINDS, Sample, samples_of

BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
TRAIN = "train"
SPLIT = re.compile(r"(?:^|[^a-z])(train|dev|test)(?:[^a-z]|$)")
Splits = dict[str, dict[str, list[Sample]]]
"""Kind of structure, then whether the sentences are TRAIN or held out (""), to sentences."""


def read(folder: Path) -> Splits:
    """The sentences of one treebank."""
    found: Splits = {kind: {TRAIN: [], "": []} for kind in KINDS}
    vocab = vocabulary("xx")
    for file in sorted(folder.rglob("*")):
        split = SPLIT.search(file.stem.lower())
        if split and EXTENSIONS.get(file.suffix.lower()) in ("conllu", "ptb"):
            for kind, samples in samples_of(read_corpus(file, vocab)).items():
                found[kind][TRAIN if split[1] == TRAIN else ""] += samples
    return found


def measure(folder: Path) -> list[Row]:
    """Per encoding, what was measured on the whole treebank; words out of reach are those of its held-out part beside train."""
    name = re.sub(r"^[A-Z]+_", "", folder.name)
    splits = read(folder)
    rows = []
    for encoding in encodings():
        train, held_out = splits[encoding.kind][TRAIN], splits[encoding.kind][""]
        if train or held_out:
            coverage = measured(encoding, train + held_out)
            lost = out_of_reach(encoding, held_out, train) if train and held_out else None
            rows.append(Row(name, replace(coverage, out_of_reach=lost)))
    return rows


def table(rows: Iterable[Row], kind: str, cell: Callable[[Coverage], str], note: str) -> list[str]:
    """A table with a line per encoding and a column per treebank."""
    by_encoding: dict[str, dict[str, str]] = {}
    treebanks: list[str] = []
    for treebank, coverage in rows:
        if coverage.encoding.kind == kind:
            by_encoding.setdefault(short(coverage.encoding), {})[treebank] = cell(coverage)
            if treebank not in treebanks:
                treebanks.append(treebank)
    if not treebanks:
        return []
    lines = [["", *treebanks], ["---", *["---:"] * len(treebanks)]]
    lines += [[title, *(cells.get(treebank, "") for treebank in treebanks)] for title, cells in by_encoding.items()]
    return [f"**{note}**", "", *("| " + " | ".join(line) + " |" for line in lines), ""]


def short(encoding: Encoding) -> str:
    """Name and settings as briefly as a table wants them."""
    name = encoding.name.removesuffix(encoding.kind.capitalize())
    chosen = ", ".join(str(value) if isinstance(value, str) else f"{setting} {value}" for setting, value in _given(encoding))
    return f"`{name}` {chosen}".rstrip()


def _given(encoding: Encoding) -> list[tuple[str, object]]:
    return [(name, value) for name, value in encoding.settings.items() if value is not None]


def markdown(rows: Sequence[Row]) -> str:
    """All tables, kind by kind."""
    lines: list[str] = []
    for kind in KINDS:
        parts = parts_of(kind)
        chosen = [row for row in rows if row.coverage.encoding.kind == kind]
        if not chosen:
            continue
        lines += [f"## {kind.capitalize()} encodings", "", *sizes(chosen), ""]
        lines += table(chosen, kind, lambda c: percent(c.parts_exact), f"{parts.capitalize()} given back with their labels, %")
        lines += table(chosen, kind, lambda c: percent(c.structures_exact), "Sentences given back whole, %")
        lines += table(chosen, kind, lambda c: " + ".join(map(str, c.labels.values())), "Different labels per field")
        lines += table(chosen, kind, unseen, "Words in dev and test with a label that train lacks, %")
        lines += speeds(chosen)
    return "\n".join(lines)


def unseen(coverage: Coverage) -> str:
    """Words out of reach, where the treebank has both train and other files."""
    return "" if coverage.out_of_reach is None else percent(coverage.out_of_reach)


def sizes(rows: Iterable[Row]) -> list[str]:
    """How large the treebanks are."""
    seen = {row.corpus: row.coverage for row in rows}
    parts = [f"{name} {c.structures:,} / {c.words:,} / {c.parts:,}" for name, c in seen.items()]
    kind = next(iter(seen.values())).encoding.kind
    return [f"Sentences / words / {parts_of(kind)}: {', '.join(parts)}."]


def speeds(rows: Iterable[Row]) -> list[str]:
    """Medians over the treebanks, with the slowest."""
    by_encoding: dict[str, list[Coverage]] = {}
    for row in rows:
        by_encoding.setdefault(short(row.coverage.encoding), []).append(row.coverage)
    lines = ["**Speed in thousands of words per second, median of the treebanks (slowest)**", ""]
    lines += ["| | encode | decode | decode scores by a search of its own |", "| --- | ---: | ---: | ---: |"]
    for title, found in by_encoding.items():
        searched = [c.search_speed for c in found if c.search_speed is not None]
        cells = [_speed([c.encode_speed for c in found]), _speed([c.decode_speed for c in found]), _speed(searched)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return [*lines, ""]


def _speed(values: Sequence[float]) -> str:
    return f"{statistics.median(values) / 1000:,.0f} ({min(values) / 1000:,.0f})" if values else ""


def main() -> None:
    """Measures every treebank and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--treebanks", nargs="*", help="names of folders, default all")
    parser.add_argument("--workers", type=int, default=1, help="treebanks measured at a time")
    parser.add_argument("--write", type=Path, help="put the tables into this page, between its markers")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--plot", type=Path)
    chosen = parser.parse_args()
    folders = [path for path in sorted(chosen.folder.iterdir()) if path.is_dir()]
    folders = [path for path in folders if not chosen.treebanks or path.name in chosen.treebanks]
    rows: list[Row] = []
    with ProcessPoolExecutor(chosen.workers) as pool:
        for folder, found in zip(folders, pool.map(measure, folders), strict=True):
            rows += found
            print(f"{folder.name}: {len(found)} encodings", flush=True)
    tables = markdown(rows)
    if chosen.write is None:
        print(tables)
    else:
        put(chosen.write, tables, BEGIN, END)
    if chosen.csv is not None:
        write_csv(rows, chosen.csv)
    if chosen.plot is not None:
        write_plot(rows, chosen.plot)


if __name__ == "__main__":
    main()
