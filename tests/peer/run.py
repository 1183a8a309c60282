"""Runs spaCy's own test modules on every encoder and on emerging_tagger, beside the stock network, and prints a table.

    python tests/peer/run.py [--encoder NAME ...] [--verbose]

Exits with 1 where a test fails that is not listed in expected_failures.json.
"""

from __future__ import annotations

import argparse
import sys

import spacy
from peers import MODULES, TAGGER_MODULES, encoders, run
from wasabi import row


def main() -> int:
    """The table, one row per part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", action="append", choices=[*encoders(), "stock", "emerging_tagger"], help="only these; default: all")
    parser.add_argument("--verbose", action="store_true", help="show pytest's output")
    options = parser.parse_args()
    subjects = options.encoder or ["stock", *encoders(), "emerging_tagger"]
    widths = [max(map(len, subjects)), 7, 17, 8, 7]
    print(f"spaCy {spacy.__version__}, its own tests")
    print(row(["part", "passed", "expected failures", "failed", "skipped"], widths=widths))
    failed: list[str] = []
    for subject in subjects:
        result = run(subject, TAGGER_MODULES if subject == "emerging_tagger" else MODULES)
        wrong = result["failed"] + result["error"]
        cells = [subject, str(result["passed"]), str(result["expected"]), str(wrong), str(result["skipped"])]
        print(row(cells, widths=widths), flush=True)
        failed.extend(f"{subject}: {name}" for name in result["names"])
        if options.verbose:
            print(result["log"])
    for name in failed:
        print(f"failed  {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
