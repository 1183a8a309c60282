"""Pipelines that have learned the corpus, one per component; they are shared, so tests that change one take a copy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import spacy
from spacy.language import Language
from spacy.training import Example

from .cases import CASES, Case, trained

Learned = Callable[[Case], tuple[Language, list[Example]]]


@pytest.fixture(scope="session")
def learned() -> Learned:
    """`learned(case)`: a trained pipeline of one component called "labeler", and its corpus. Not to be changed."""
    return cache(trained)


@pytest.fixture(scope="session")
def case_named() -> Callable[[str], Case]:
    """A case by its id."""
    return {case.id: case for case in CASES}.__getitem__


def copied(nlp: Language) -> Language:
    """The same pipeline, to be changed."""
    return spacy.blank(nlp.lang).from_config(nlp.config).from_bytes(nlp.to_bytes())
