"""docs/linearizations.md shows what the encodings write, all of them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from spacy_emerging.registry import LINEARIZATIONS

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "linearizations_page.py"))
PAGE = (ROOT / "docs" / "linearizations.md").read_text(encoding="utf-8")


def test_the_tables_are_what_the_script_writes() -> None:
    assert SCRIPT["written"](PAGE) == PAGE


def test_the_pictures_are_what_the_script_writes() -> None:
    for name, content in SCRIPT["pictures"]():
        assert f"](images/{name})" in PAGE
        assert (ROOT / "docs" / "images" / name).read_text(encoding="utf-8") == content


@pytest.mark.parametrize("name", sorted(LINEARIZATIONS))
def test_every_linearization_has_a_section_with_labels(name: str) -> None:
    short = name.split(".")[1]
    _, _, section = PAGE.partition(f"\n### {short}\n")
    section = section.partition("\n#")[0]
    assert f"<!-- labels: {short}" in section
    assert "Decoded: " in section


def test_a_stale_table_is_noticed() -> None:
    assert SCRIPT["written"](PAGE.replace("`SH_LA`", "`SH`")) == PAGE != PAGE.replace("`SH_LA`", "`SH`")
