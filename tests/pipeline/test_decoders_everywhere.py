"""Every registered decoder in every component, and on every registered encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy
import pytest
from thinc.api import Adam

from spacy_emerging.registry import ARCHITECTURES

from .cases import CASES, TOK2VEC, WIDTH, Case, by_representative_case, initialized, labeler_model, train
from .conftest import copied
from .corpus import bare
from .test_decoders_learn import DECODERS

TAGGER = next(case for case in CASES if case.id == "tag")
ENCODERS = sorted(name for name in ARCHITECTURES if name.endswith("Encoder.v1"))
SETTINGS = {"spacy-emerging.DiffusionDecoder.v1": {"denoiser_width": 16}}
"""With which a decoder bears the high learning rate of these tests; one that is not listed does as it comes."""

each_decoder = pytest.mark.parametrize("decoder", [pytest.param(name, id=name.split(".")[1]) for name in DECODERS])


@each_decoder
@by_representative_case
def test_component_learns_its_corpus_by_heart_and_keeps_it(case: Case, decoder: str) -> None:
    # given sentences in prediction where there were some in training: a decoder that reads sequences has learned no longer ones
    case = replace(case, sentencizer=case.sentencizer or case.factory == "emerging_graph")
    nlp, data = initialized(case, model=labeler_model(decoder={"@architectures": decoder, **SETTINGS.get(decoder, {})}))
    train(nlp, data)
    wanted = [case.read(example.reference) for example in data]
    assert [case.read(nlp(bare(example.reference))) for example in data] == wanted
    loaded = copied(nlp)
    assert [case.read(loaded(bare(example.reference))) for example in data] == wanted


@each_decoder
@pytest.mark.parametrize("encoder", [pytest.param(name, id=name.split(".")[1]) for name in ENCODERS])
def test_trains_on_every_encoder(encoder: str, decoder: str) -> None:
    # given
    tok2vec = {**TOK2VEC, "encode": {"@architectures": encoder, "width": WIDTH, "depth": 1}}
    nlp, data = initialized(TAGGER, model=labeler_model(tok2vec, {"@architectures": decoder}))
    before = nlp.get_pipe("labeler").model.get_ref("tok2vec").to_bytes()
    # when
    optimizer, losses = Adam(0.01), [nlp.update(data, losses={})["labeler"]]
    for _ in range(5):
        losses.append(nlp.update(data, sgd=optimizer, losses={})["labeler"])
    # then it learns, the encoder with it, and is kept
    assert numpy.isfinite(losses).all() and losses[-1] < losses[0]
    assert nlp.get_pipe("labeler").model.get_ref("tok2vec").to_bytes() != before
    loaded = copied(nlp)
    for example in data:
        assert TAGGER.read(loaded(bare(example.reference))) == TAGGER.read(nlp(bare(example.reference)))
