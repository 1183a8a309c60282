"""Speed and memory of every encoder beside torch's LSTM, NX-AI's xlstm and the Mamba and Mamba-2 of transformers, in one run.

    python benchmarks/encoders.py --output results.json
    python benchmarks/encoders.py --output results.json --write docs/performance.md

Each subject has a process of its own, so none finds memory that others have left. All take turns, so ratios hold when the machine is
shared. Where a pair computes the same (xlstm, transformers), both have the same weights and their outputs are compared first. The peers
come with `pip install 'spacy-emerging[peers]'`; rows of one that is missing say so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; --threads sets torch's own number below

import torch
from measuring import BOTH, FORWARD, best_chunk, best_scan, peak_bytes_per_word
from pages import markers, put
from subjects import ENCODERS, MAMBA, MAMBA2, XLSTM, build, lstm_units
from tables import LIKE, markdown
from workers import Worker, in_turns, working

from spacy_emerging.corpus.files import replacing

PEERS = {XLSTM: "xlstm", MAMBA2: "transformers", MAMBA: "transformers-mamba"}
"""Our encoders that a peer has block by block."""

PACKAGES = {peer: peer.partition("-")[0] for peer in PEERS.values()}
"""What has to be installed for a peer."""

DEFAULTS = {
    "encoders": ENCODERS,
    "lengths": [25, 100, 1000, 4000],
    "width": 256,
    "depth": 2,
    "repeats": 5,
    "threads": 1,
    "keep_memory": False,
}
TOLERANCE = 1e-3


def subjects(chosen: argparse.Namespace, length: int, chunks: dict[str, int]) -> dict[str, str]:
    """What runs at this length: a name for the tables, and the key it is built from."""
    found: dict[str, str] = {}
    for name in chosen.encoders:
        ours = f"encoder/{name}/concat"
        units = lstm_units(build(ours, chosen.width, chosen.depth, length).parameters, chosen.width, chosen.depth)
        found |= {ours: ours, LIKE + name: f"lstm/{units}"}
    found["lstm"] = f"lstm/{chosen.width // 2}"
    for ours, peer in PEERS.items():
        if ours.split("/")[1] in chosen.encoders:
            found[ours] = ours
            if not find_spec(PACKAGES[peer]):
                continue
            if peer == "transformers":
                chunks[str(length)] = best_chunk(chosen.width, chosen.depth, length)
                found[peer] = f"transformers/{chunks[str(length)]}"
            elif peer == "xlstm":
                found[peer] = peer
            elif scan := best_scan(chosen.width, chosen.depth, length):
                found[peer] = f"transformers-mamba/{scan}"
    return found


def compare_outputs(workers: dict[str, Worker]) -> None:
    """Raises AssertionError unless the pairs of `PEERS` compute the same."""
    for ours, peer in PEERS.items():
        if ours in workers and peer in workers:
            torch.testing.assert_close(workers[ours].output(), workers[peer].output(), rtol=TOLERANCE, atol=TOLERANCE)


def conditions(chosen: argparse.Namespace) -> dict[str, Any]:
    """Under which a run measures; `rows` and `chunks` are filled as it goes on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(["python benchmarks/encoders.py", *_options(chosen)]),
        "machine": {"architecture": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "threads": chosen.threads,
        "keep_memory": chosen.keep_memory,
        "clock": "process" if chosen.threads == 1 else "wall",
        "versions": {name: _version(name) for name in ("torch", "xlstm", "transformers", "mambapy")}
        | {"python": platform.python_version()},
        "width": chosen.width,
        "depth": chosen.depth,
        "repeats": chosen.repeats,
        "peers": {ours: peer for ours, peer in PEERS.items() if ours.split("/")[1] in chosen.encoders},
        "chunks": {},
        "rows": [],
    }


def measured(chosen: argparse.Namespace, length: int, chunks: dict[str, int]) -> Iterator[dict[str, Any]]:
    """One row per subject at this length."""
    keys = subjects(chosen, length, chunks)
    sizes = (chosen.width, chosen.depth, length)
    with working(keys, sizes, chosen.threads, chosen.keep_memory) as workers:
        compare_outputs(workers)
        passes = in_turns(workers, chosen.repeats, (FORWARD, BOTH))
    for name, worker in workers.items():
        own = passes[name].items()
        peak = None if name.startswith(LIKE) else peak_bytes_per_word(keys[name], *sizes, chosen.threads, chosen.keep_memory)
        yield {
            "name": name,
            "key": keys[name],
            "length": length,
            "words": worker.words,
            "parameters": worker.parameters,
            "seconds": {kind: [{"wall": each.wall, "process": each.process} for each in found] for kind, found in own},
            "page_faults": {kind: [each.page_faults for each in found] for kind, found in own},
            "peak_bytes_per_word": peak,
        }


def _options(chosen: argparse.Namespace) -> list[str]:
    """The settings of a run that are not the defaults, as options."""
    set_here = {name: value for name, value in vars(chosen).items() if name in DEFAULTS and value != DEFAULTS[name]}
    return [" ".join([f"--{name.replace('_', '-')}", *_words(value)]) for name, value in set_here.items()]


def _words(value: Any) -> list[str]:
    """What stands behind an option for its value; nothing where there is only yes and no."""
    if isinstance(value, bool):
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Measures, or reads what was measured; then prints, and writes where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(**DEFAULTS)
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, help="default: all that are registered")
    parser.add_argument("--lengths", nargs="+", type=int, help="words per sequence (default: %(default)s)")
    parser.add_argument("--width", type=int, help="default: %(default)s")
    parser.add_argument("--depth", type=int, help="layers (default: %(default)s)")
    parser.add_argument("--repeats", type=int, help="turns of each subject (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="default: %(default)s; with more, ratios go by the clock on the wall")
    parser.add_argument("--keep-memory", action="store_true", help="the C library keeps memory from pass to pass (glibc, thus Linux only)")
    parser.add_argument("--output", type=Path, help="write all numbers to this JSON file")
    parser.add_argument("--input", type=Path, help="do not measure; read the numbers of an earlier --output")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown, the form of docs/performance.md")
    parser.add_argument("--write", type=Path, help="put the tables into this page, between the markers of such a run")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    results = json.loads(chosen.input.read_text(encoding="utf-8")) if chosen.input else conditions(chosen)
    for length in [] if chosen.input else chosen.lengths:
        print(f"measuring at {length:,} words per sequence", file=sys.stderr)
        results["rows"] += measured(chosen, length, results["chunks"])
        if chosen.output:
            with replacing(chosen.output) as unfinished:
                unfinished.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(markdown(results, plain=not chosen.markdown))
    if chosen.write:
        put(chosen.write, markdown(results), *markers("encoders", results["threads"], results.get("keep_memory", False)))


if __name__ == "__main__":
    main()
