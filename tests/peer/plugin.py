"""A pytest plugin that runs spaCy's own test modules on this package's parts, without a copied or edited line of them.

Two environment variables steer it:

    EMERGING_PEER         "stock": spaCy as it is, for comparison
                          "<Name>Encoder": every default model uses that encoder in place of the convolutional network
                          "emerging_tagger": `nlp.add_pipe("tagger")` gives this package's tagger, on the stock token vectors
    EMERGING_PEER_REPORT  a file that gets the number of tests by outcome, as JSON

What all runs share, "stock" too: Adam at a learning rate of 0.005 wherever a test takes the default optimizer (the tests ask
for a loss below 1e-5 after so many steps, which depends on nothing but the speed of convergence), and seed 0 before every test;
peers.py also fixes the order of sets.
Tests that are expected to fail are listed, each with a reason, in expected_failures.json; one that passes after all is an error,
unless its reason says that it hangs on rounding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy.registrations
from spacy.language import Language
from spacy.ml.models.tok2vec import MultiHashEmbed, build_Tok2Vec_model
from spacy.pipeline import factories
from spacy.util import registry
from thinc.api import Adam, Model, fix_random_seed

SUBJECT = "EMERGING_PEER"
REPORT = "EMERGING_PEER_REPORT"
LEARN_RATE = 0.005
TAGGER = "emerging_tagger"
UNSETTLED = "hangs on rounding"
"""Begins the reason of an expected failure that may pass on another machine."""
EXPECTED_FAILURES = Path(__file__).parent / "expected_failures.json"


def pytest_configure(config: pytest.Config) -> None:
    """Puts the part under test in the place of spaCy's own, before any test module is imported."""
    for mark in ("issue: spaCy's mark for tests of an issue", "slow: spaCy's mark for slow tests, which are left out"):
        config.addinivalue_line("markers", mark)
    spacy.registrations.populate_registry()
    factories.register_factories()
    Language.create_optimizer = lambda self: Adam(LEARN_RATE)  # type: ignore[method-assign]
    subject = os.environ.get(SUBJECT, "stock")
    if subject == TAGGER:
        registry.factories.register("tagger", func=our_tagger)
    elif subject != "stock":
        encoder = registry.architectures.get(f"spacy-emerging.{subject}.v1")
        registry.architectures.register("spacy.HashEmbedCNN.v2", func=tok2vec_with(encoder))


def tok2vec_with(encoder: Callable[..., Model]) -> Callable[..., Model]:
    """The architecture of spaCy's default token vectors, with one layer of `encoder` for the convolutions."""

    def HashEmbedEmerging(
        *,
        width: int,
        depth: int,
        embed_size: int,
        window_size: int,
        maxout_pieces: int,
        subword_features: bool,
        pretrained_vectors: bool | None,
    ) -> Model:
        attrs = ["NORM", "PREFIX", "SUFFIX", "SHAPE"] if subword_features else ["NORM"]
        rows = [embed_size] + [embed_size // 2] * (len(attrs) - 1)
        embed = MultiHashEmbed(width=width, rows=rows, attrs=attrs, include_static_vectors=bool(pretrained_vectors))
        return build_Tok2Vec_model(embed=embed, encode=encoder(width=width, depth=1))

    return HashEmbedEmerging


def our_tagger(nlp: Language, name: str, model: Model, overwrite: bool, scorer: Any, neg_prefix: str, label_smoothing: float) -> Any:
    """`emerging_tagger` behind the signature of spaCy's tagger; its token vectors are those of the stock model."""
    from spacy_emerging.decoders.softmax import SoftmaxDecoder
    from spacy_emerging.pipeline.model import LabelerModel
    from spacy_emerging.pipeline.tagger import make_tagger

    labeler = LabelerModel(model.get_ref("tok2vec"), SoftmaxDecoder(label_smoothing=label_smoothing))
    return make_tagger(nlp, name, labeler, attributes=["tag"], per_feature=False, overwrite=overwrite, store_scores=False, scorer=scorer)


def expected_failures() -> dict[str, str]:
    """Test to reason, for the part under test."""
    listed: dict[str, dict[str, str]] = json.loads(EXPECTED_FAILURES.read_text(encoding="utf8"))
    return listed.get(os.environ.get(SUBJECT, "stock"), {})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the expected failures of the part under test."""
    for test, reason in expected_failures().items():
        for item in items:
            if item.nodeid.endswith(test):
                item.add_marker(pytest.mark.xfail(strict=not reason.startswith(UNSETTLED), reason=reason))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test begins from seed 0, whatever ran before it."""
    fix_random_seed(0)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Writes the number of tests by outcome, and the names of those that failed. What spaCy itself marks as failing is left out."""
    path = os.environ.get(REPORT)
    if path is None:
        return
    stats = terminalreporter.stats
    ours = set(expected_failures().values())
    counts: dict[str, Any] = {outcome: len(stats.get(outcome, [])) for outcome in ("passed", "failed", "error", "skipped")}
    counts["expected"] = sum(report.wasxfail in ours for outcome in ("xfailed", "xpassed") for report in stats.get(outcome, []))
    counts["names"] = [report.nodeid for outcome in ("failed", "error") for report in stats.get(outcome, [])]
    Path(path).write_text(json.dumps(counts), encoding="utf8")
