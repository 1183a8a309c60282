"""The benchmarks of decoders: what is counted agrees with spaCy's scores, and what the tables say of given measurements."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from spacy.pipeline.dep_parser import parser_score
from spacy.scorer import Scorer
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_emerging.scoring.significance import compare

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def doc(vocab: Vocab, tags: str, heads: list[int], deps: str, *entities: tuple[int, int, str]) -> Doc:
    """One sentence with every annotation that is counted."""
    words = [f"w{i}" for i in range(len(heads))]
    made = Doc(vocab, words=words, tags=tags.split(), heads=heads, deps=deps.split())
    made.ents = [Span(made, start, end, label) for start, end, label in entities]
    return made


@pytest.mark.parametrize("task", ["tagger", "parser", "ner"])
def test_counts_make_the_scores_that_spacy_gives(task: str) -> None:
    # given two sentences, of which the second is answered wrongly in part
    from decoder_accuracy import SCORES, counted

    vocab = Vocab()
    first = doc(vocab, "A B C", [1, 1, 1], "nsubj ROOT punct", (0, 2, "X"))
    second = doc(vocab, "A B C D", [1, 1, 1, 2], "nsubj ROOT obj det", (0, 1, "X"), (2, 4, "Y"))
    answer = doc(vocab, "A B D D", [1, 1, 1, 1], "nsubj ROOT punct det", (0, 1, "X"), (2, 3, "Y"), (3, 4, "Y"))
    examples = [Example(first.copy(), first), Example(answer, second)]
    # when
    counts = counted(examples, task)
    # then
    scored = {
        "tagger": lambda: Scorer.score_token_attr(examples, "tag"),
        "parser": lambda: parser_score(examples),
        "ner": lambda: Scorer.score_spans(examples, "ents"),
    }[task]()
    assert compare(counts, counts, resamples=10).first == pytest.approx(scored[next(iter(SCORES[task]))])
    assert counts[0][0] == counts[0][1] == counts[0][2] and counts[1][0] < counts[1][1]


def entry(system: str, row: str, seed: int, right: int) -> dict[str, Any]:
    """A run on WNUT-17 with so many right of two entities in each of 20 sentences."""
    from decoder_accuracy import lines

    answer = {"scores": {"ents_f": 50.0 * right}, "counts": {"ner": lines([[right, 2, 2]] * 20)}}
    about = {"system": system, "corpus": "wnut", "seed": seed, "updates": 450, "date": "2026-01-01", "versions": {"torch": "2.0"}}
    return {**about, "dev": {"ents_f": 40.0}, "answers": {row: answer}}


def test_table_compares_seeds_that_both_systems_have() -> None:
    from decoder_accuracy import table

    runs = [entry("softmax", "softmax", seed, 1) for seed in (0, 1)]
    runs += [entry("CRF", "CRF", 0, 2), entry("diffusion", "diffusion, 5 steps", 2, 1)]
    text = table(runs)
    assert "### Entities of WNUT-17, 450 updates" in text and "2026-01-01 with torch 2.0" in text
    assert "| softmax | 2 | 50.00 ± 0.00 | 40.00 ± 0.00 |  |  |  |  |" in text
    assert "| CRF | 1 | 100.00 | 40.00 | +50.00 | +50.00 to +50.00 | 0.0002 | 1 |" in text
    assert "| diffusion, 5 steps | 1 | 50.00 | 40.00 |  |  |  |  |" in text


def test_page_without_a_place_for_the_table_is_left_alone(tmp_path: Path) -> None:
    from training import show

    page = tmp_path / "page.md"
    page.write_text("a\n<!-- costs: begin -->\nold\n<!-- costs: end -->\nb\n")
    show("new\n", page, "costs")
    assert page.read_text() == "a\n<!-- costs: begin -->\nnew\n<!-- costs: end -->\nb\n"
    with pytest.raises(ValueError, match="results: begin"):
        show("newer\n", page)
    assert "newer" not in page.read_text()


@pytest.mark.slow
def test_costs_are_measured_and_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- costs: begin -->\n<!-- costs: end -->\n")
    options = ["--labels", "3", "--texts", "4", "--batches", "2", "--turns", "1", "--training", "--write", str(page)]
    subprocess.run([sys.executable, str(FOLDER / "decoders.py"), *options], timeout=300, check=True)
    written = page.read_text()
    assert "| 3 labels | prediction, batches of 2 | training |" in written
    assert "| AdversarialDecoder | " in written and "| DiffusionDecoder, steps = 10 | " in written


def test_what_tells_wrong_from_right() -> None:
    from agreement import telling

    wrong = numpy.array([True, True, False, False])
    assert telling(numpy.array([0.9, 0.8, 0.1, 0.0]), wrong) == 1.0  # all
    assert telling(numpy.array([0.5, 0.5, 0.5, 0.5]), wrong) == 0.5  # nothing
    assert telling(numpy.array([0.9, 0.1, 0.5, 0.1]), wrong) == (1 + 1 + 0 + 0.5) / 4
