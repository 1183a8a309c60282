"""Names resolve before anything else has happened, and nothing heavy is imported before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from spacy.util import registry

from spacy_emerging.registry import ARCHITECTURES, LINEARIZATIONS, SCORERS


def in_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout.strip()


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_resolves(name: str) -> None:
    assert callable(registry.architectures.get(name))


@pytest.mark.parametrize("name", sorted(LINEARIZATIONS))
def test_every_linearization_resolves(name: str) -> None:
    assert callable(registry.linearizations.get(name))


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_every_scorer_resolves(name: str) -> None:
    assert callable(registry.scorers.get(name))


def test_names_resolve_before_any_pipeline_exists() -> None:
    """Trap 9: names that only a decorator registers are unknown until the first Language is made."""
    name = sorted(ARCHITECTURES)[0]
    code = f"from spacy.util import registry; print(registry.architectures.get({name!r}).__module__)"
    assert in_new_process(code).startswith("spacy_emerging.")


def test_importing_the_package_imports_neither_torch_nor_spacy() -> None:
    """Trap 9, second half: every spacy.blank() looks at our entry points, so that they must cost nothing."""
    code = "import sys, spacy_emerging; print([name for name in ('torch', 'spacy', 'thinc') if name in sys.modules])"
    assert in_new_process(code) == "[]"


@pytest.mark.parametrize("module", ["types", "errors", "structures", "linearizations.base", "linearizations.span_tags"])
def test_pure_modules_import_neither_torch_nor_spacy(module: str) -> None:
    code = f"import sys, spacy_emerging.{module}; print([name for name in ('torch', 'spacy', 'thinc') if name in sys.modules])"
    assert in_new_process(code) == "[]"
