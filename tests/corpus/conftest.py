"""Corpus files from inline text, in which two or more spaces stand for a tab."""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_emerging.corpus.conllu import read_conllu
from spacy_emerging.corpus.iob import read_iob


def tabbed(text: str) -> str:
    """The text without its indentation, with tabs where two or more spaces stand."""
    return re.sub(r" {2,}", "\t", dedent(text).lstrip("\n"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "sample.conllu") -> Path:
        path = tmp_path / name
        path.write_text(tabbed(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def conllu(write: Callable[..., Path]) -> Callable[..., list[Doc]]:
    """Reads inline CoNLL-U."""
    return lambda text, **settings: list(read_conllu(write(text), Vocab(), **settings))


@pytest.fixture
def iob(write: Callable[..., Path]) -> Callable[..., list[Doc]]:
    """Reads inline token-per-line text."""
    return lambda text, **settings: list(read_iob(write(text, "sample.iob"), Vocab(), **settings))
