"""The most telling of spaCy's own tests, on every run; all of them with `pytest -m peer` or run.py."""

from __future__ import annotations

import json

import pytest

from .peers import EXPECTED, MODULES, TAGGER, TAGGER_MODULES, TELLING, encoders, run


@pytest.mark.parametrize("encoder", [pytest.param("LSTMEncoder", marks=pytest.mark.slow), "Mamba2Encoder"])
def test_the_most_telling_tests(encoder: str) -> None:
    """One encoder whose layer is torch's own and one whose layer is ours, in spaCy's default models."""
    result = run(encoder, TELLING)

    assert result["names"] == [], result["log"]
    assert result["passed"] >= 30


def test_the_tagger_contract() -> None:
    """emerging_tagger under the name of spaCy's tagger; what it does otherwise is listed."""
    result = run(TAGGER, TAGGER_MODULES)

    assert result["names"] == [], result["log"]
    assert (result["passed"], result["expected"]) == (10, 2)


def test_expected_failures_are_few_and_explained() -> None:
    listed = json.loads(EXPECTED.read_text(encoding="utf8"))

    assert set(listed) <= {"stock", *encoders(), TAGGER}
    assert all(len(tests) <= 5 and all(len(reason) > 20 for reason in tests.values()) for tests in listed.values())


@pytest.mark.peer
@pytest.mark.parametrize("subject", ["stock", *encoders()])
def test_all_of_spacys_tests_of_trained_components(subject: str) -> None:
    result = run(subject, MODULES)

    assert result["names"] == [], result["log"]
    assert result["passed"] + result["expected"] >= 481
