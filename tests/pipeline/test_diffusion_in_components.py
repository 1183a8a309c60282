"""`DiffusionDecoder` in components: learned by heart, saved, seeded, and how far its samples agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_emerging.decoders.denoiser import Denoiser
from spacy_emerging.encoders.lstm import LSTM

from .cases import CASES, TOK2VEC, Case, initialized, labeler_model, train
from .conftest import copied
from .corpus import bare

CASE = {case.id: case for case in CASES}
BIO = {"linearization": {"@linearizations": "spacy-emerging.SpanTags.v1", "scheme": "bio"}}
PLANES = {"linearization": {"@linearizations": "spacy-emerging.BracketingDependency.v1", "planes": 2}}
SEVEN_BITS = {"linearization": {"@linearizations": "spacy-emerging.SevenBitDependency.v1"}}
SAMPLE = Path(__file__).parents[2] / "assets" / "sample" / "train.conllu"


def diffusion_model(tok2vec: dict[str, Any] = TOK2VEC, **settings: Any) -> dict[str, Any]:
    return labeler_model(tok2vec, {"@architectures": "spacy-emerging.DiffusionDecoder.v1", "denoiser_width": 16, **settings})


def learned(case: Case, decoder: dict[str, Any], **settings: Any) -> tuple[Language, list[Example]]:
    """A pipeline with this decoder that was trained on the small corpus."""
    nlp, data = initialized(case, model=diffusion_model(**decoder), **settings)
    train(nlp, data)
    return nlp, data


SETTINGS: list[Any] = [
    pytest.param("tag+pos+morph", {"steps": 5}, {}, id="tagger-of-three-fields"),
    pytest.param("tag", {"loss": "squared", "schedule": "cosine"}, {}, id="squared-error"),
    pytest.param("ner", {"self_conditioning": True, "steps": 3}, BIO, id="bio"),
    pytest.param("ner", {"structured": True, "steps": 2}, {}, id="bilou-by-mean-field"),
    pytest.param("parser", {"search": "decoder"}, PLANES, id="brackets"),
    pytest.param("parser", {"bits": "linearization", "loss": "bits"}, SEVEN_BITS, id="seven-bits-as-they-are"),
    pytest.param("graph-bits", {"bits": "linearization", "samples": 3}, {}, id="bits-of-graphs"),
    pytest.param("segmenter", {"samples": 2}, {}, id="segmenter"),
]


@pytest.mark.parametrize(("name", "decoder", "settings"), SETTINGS)
def test_learns_its_corpus_by_heart(name: str, decoder: dict[str, Any], settings: dict[str, Any]) -> None:
    case = CASE[name]
    nlp, data = learned(case, decoder, **settings)
    for example in data:
        assert case.read(nlp(bare(example.reference))) == case.read(example.reference)
    loaded = copied(nlp)
    assert [case.read(loaded(bare(example.reference))) for example in data] == [case.read(e.reference) for e in data]


def test_noise_is_learned_at_a_lower_rate() -> None:
    case = CASE["tag"]
    nlp, data = initialized(case, model=diffusion_model(target="noise", snr_scale=1.0, steps=5))
    train(nlp, data, steps=150, learn_rate=0.003)
    module = nlp.get_pipe("labeler").model.get_ref("decoder").shims[0].module
    for sampler in ("ddim", "ancestral"):
        module.settings = module.settings._replace(sampler=sampler)
        for example in data:
            assert case.read(nlp(bare(example.reference))) == case.read(example.reference)


def test_saved_pipeline_says_the_same(tmp_path: Path) -> None:
    # given a pipeline that is unsure, so that any other noise would show
    nlp, data = initialized(CASE["ner"], model=diffusion_model(samples=4, steps=3), store_scores=True)
    train(nlp, data, steps=4)
    nlp.to_disk(tmp_path)
    loaded = copied(nlp).from_disk(tmp_path)
    for example in data:
        one, other = nlp(bare(example.reference)), loaded(bare(example.reference))
        assert CASE["ner"].read(one) == CASE["ner"].read(other)
        assert [token._.label_agreement for token in one] == [token._.label_agreement for token in other]


def test_two_seeded_trainings_are_equal() -> None:
    saved = []
    for _ in range(2):
        nlp, data = initialized(CASE["tag"], model=diffusion_model(self_conditioning=True))
        train(nlp, data, steps=8)
        saved.append(nlp.get_pipe("labeler").model.to_bytes())
    assert saved[0] == saved[1]


@pytest.mark.parametrize("name", ["tag+pos+morph", "ner", "spans", "parser", "graph", "constituency", "segmenter"])
def test_agreement_of_samples_is_written_for_every_task(name: str) -> None:
    nlp, data = initialized(CASE[name], model=diffusion_model(samples=4, steps=2))
    for example in data:
        doc = nlp(bare(example.reference))
        assert all(0 < token._.label_agreement <= 1 for token in doc)
    if name == "parser":  # its units are sentences
        doc = nlp(Doc.from_docs([bare(example.reference) for example in data]))
        assert None not in [token._.label_agreement for token in doc]


def test_one_sample_has_nothing_to_agree_with() -> None:
    nlp, data = initialized(CASE["tag"], model=diffusion_model())
    assert {token._.label_agreement for token in nlp(bare(data[0].reference))} == {None}


def test_joined_token_is_as_sure_as_its_least_sure_character(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a trained segmenter, and samples that agree less from character to character
    nlp, data = learned(CASE["segmenter"], {"samples": 2})
    pipe = nlp.get_pipe("labeler")
    predict = pipe.predict

    def less_and_less(docs: Any) -> Any:
        found = predict(docs)
        for prediction in found:
            prediction.scores[:] = [unit._replace(agreement=1 / (1 + numpy.arange(len(unit.best)))) for unit in prediction.scores]
        return found

    monkeypatch.setattr(pipe, "predict", less_and_less)
    doc = nlp(bare(data[0].reference))
    assert any(len(token) > 1 for token in doc)
    ends = [token.idx + len(token) for token in doc]
    assert [token._.label_agreement for token in doc] == pytest.approx([1 / end for end in ends])


def test_encoder_runs_once_per_doc_however_many_steps() -> None:
    nlp, data = initialized(CASE["tag"], model=diffusion_model(steps=6, samples=2))
    calls: list[str] = []
    for node in nlp.get_pipe("labeler").model.walk():
        for layer in node.shims[0].module.modules() if node.shims and node.name != "sentence_starts" else ():
            if isinstance(layer, LSTM | Denoiser):
                layer.register_forward_hook(lambda layer, *_: calls.append(type(layer).__name__))
    nlp(bare(data[0].reference))
    assert calls == ["LSTM"] + ["Denoiser"] * 6
