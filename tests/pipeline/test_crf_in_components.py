"""`CRFDecoder` in components: learned by heart, and decoded from its best sequences or from its marginals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spacy.language import Language
from spacy.training import Example

from spacy_emerging.decoders.chain import Chain

from .cases import CASES, TOK2VEC, Case, blank, labeler_model, train
from .conftest import copied
from .corpus import bare

CASE = {case.id: case for case in CASES}
BIO = {"linearization": {"@linearizations": "spacy-emerging.SpanTags.v1", "scheme": "bio"}}
PLANES = {"linearization": {"@linearizations": "spacy-emerging.BracketingDependency.v1", "planes": 2}}
SAMPLE = Path(__file__).parents[2] / "assets" / "sample" / "train.conllu"


def crf_model(tok2vec: dict[str, Any] = TOK2VEC, **settings: Any) -> dict[str, Any]:
    return labeler_model(tok2vec, {"@architectures": "spacy-emerging.CRFDecoder.v1", **settings})


def learned(case: Case, decoder: dict[str, Any], **settings: Any) -> tuple[Language, list[Example]]:
    """A pipeline with this decoder that was trained on the small corpus."""
    nlp = blank()
    data = case.examples(nlp.vocab)
    nlp.add_pipe(case.factory, name="labeler", config={"model": crf_model(**decoder), **case.settings, **settings})
    nlp.initialize(lambda: data)
    train(nlp, data)
    return nlp, data


SETTINGS: list[Any] = [
    pytest.param("tag+pos+morph", {}, {}, id="tagger-of-three-fields"),
    pytest.param("tag", {"order": 2}, {}, id="tagger-of-second-order"),
    pytest.param("ner", {}, BIO, id="bio"),
    pytest.param("ner", {"order": 2, "search": "linearization"}, {}, id="bilou-from-marginals"),
    pytest.param("parser", {}, PLANES, id="brackets"),
    pytest.param("parser", {"search": "linearization"}, PLANES, id="brackets-from-marginals"),
]


@pytest.mark.parametrize(("name", "decoder", "settings"), SETTINGS)
def test_learns_its_corpus_by_heart(name: str, decoder: dict[str, Any], settings: dict[str, Any]) -> None:
    nlp, data = learned(CASE[name], decoder, **settings)
    for example in data:
        assert CASE[name].read(nlp(bare(example.reference))) == CASE[name].read(example.reference)
    loaded = copied(nlp)
    assert [CASE[name].read(loaded(bare(example.reference))) for example in data] == [CASE[name].read(e.reference) for e in data]


def test_marginals_are_computed_only_where_something_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    log_marginals = Chain.log_marginals
    monkeypatch.setattr(Chain, "log_marginals", lambda *inputs: asked.append(True) or log_marginals(*inputs))
    for search, store_scores, wanted in (("decoder", False, 0), ("linearization", False, 1), ("decoder", True, 1)):
        asked.clear()
        nlp = blank()
        data = CASE["ner"].examples(nlp.vocab)
        nlp.add_pipe("emerging_ner", config={"model": crf_model(search=search), "store_scores": store_scores})
        nlp.initialize(lambda data=data: data)
        nlp(bare(data[0].reference))
        assert len(asked) == wanted
