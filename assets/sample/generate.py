"""Writes the sample corpus: `python generate.py [--output FOLDER]`, or prints its counts: `python generate.py --statistics`.

Needs nothing but Python. The same seed and size give the same bytes everywhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from generator.documents import corpus
from generator.statistics import statistics
from generator.writers import write_corpus

SEED = 4
DOCUMENTS = 200


def main() -> None:
    """Reads the command line and does what it says."""
    parser = argparse.ArgumentParser(description="Generate the sample corpus.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder to write to (default: beside this script)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of all choices (default: {SEED}, the committed corpus)")
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help=f"number of documents (default: {DOCUMENTS})")
    parser.add_argument("--statistics", action="store_true", help="print the table of counts instead of writing files")
    arguments = parser.parse_args()
    if arguments.documents < 10:
        parser.error(f"--documents {arguments.documents}: at least 10 are needed, so that dev and test are not empty")
    splits = corpus(arguments.seed, arguments.documents)
    if arguments.statistics:
        print(statistics(splits))
    else:
        write_corpus(splits, arguments.output)


if __name__ == "__main__":
    main()
