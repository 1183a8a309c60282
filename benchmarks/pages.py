"""Tables in pages of the documentation, between the markers that say whose they are."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path

import torch

from spacy_emerging.corpus.files import replacing

KEPT = "the C library keeps memory"
"""In the heading of tables measured with --keep-memory."""


def circumstances() -> str:
    """When, where and with what a table was measured, in a sentence."""
    machine = f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}, {torch.backends.cpu.get_cpu_capability()})"
    threads = torch.get_num_threads()
    return f"Measured on {date.today().isoformat()}: {machine}, {threads} thread{'s' * (threads > 1)}, torch {torch.__version__}."


def markers(name: str, threads: int, keep_memory: bool) -> tuple[str, str]:
    """Of the tables of a script for so many threads, and for a C library that keeps memory or one that does not."""
    parts = [name, *[f"{threads} threads"] * (threads > 1), *["memory kept"] * keep_memory]
    return f"<!-- {', '.join(parts)}: begin -->", f"<!-- {', '.join(parts)}: end -->"


def put(page: Path, tables: str, begin: str, end: str) -> None:
    """Puts tables between two markers of a page. Raises ValueError where they are missing."""
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no place for the tables: it needs the lines {begin} and {end}.")
    with replacing(page) as unfinished:
        unfinished.write_text(f"{before}{begin}\n{tables.strip()}\n{end}{after}", encoding="utf-8")


def show(tables: str, page: Path | None, begin: str, end: str) -> None:
    """Prints tables, and puts them into a page if there is one."""
    print(tables)
    if page:
        put(page, tables, begin, end)
