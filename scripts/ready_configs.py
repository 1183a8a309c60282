"""Writes configs/ready anew. The name of each file says how it is made: TASK-ENCODER-LANG.cfg, where `joint` is all tasks of a parser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

READY = Path(__file__).parent.parent / "configs" / "ready"
JOINT = "tagger,morph,parser,ner"


def arguments(path: Path) -> list[str]:
    """What `spacy-emerging` is called with to make this file."""
    task, encoder, lang = path.stem.split("-")
    return ["config", "--encoder", encoder, "--task", JOINT if task == "joint" else task, "--lang", lang]


def main() -> None:
    """Runs the command once per file that is there."""
    for path in sorted(READY.glob("*.cfg")):
        subprocess.run([sys.executable, "-m", "spacy_emerging", *arguments(path), "--output", str(path)], check=True)


if __name__ == "__main__":
    main()
