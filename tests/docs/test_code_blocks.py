"""The Python blocks of the documentation that are marked runnable do run, in the order of their page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python runnable\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = {page: BLOCK.findall(page.read_text(encoding="utf-8")) for page in PAGES}


def test_there_is_something_to_run():
    assert BLOCKS[ROOT / "docs" / "extending.md"]


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES if BLOCKS[page]])
def test_the_blocks_of_a_page_run(page, tmp_path):
    # given all blocks of the page as one script
    script = tmp_path / "blocks.py"
    script.write_text("\n".join(BLOCKS[page]), encoding="utf-8")
    # when it runs in a folder of its own
    result = subprocess.run([sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    # then nothing went wrong
    assert result.returncode == 0, result.stderr
