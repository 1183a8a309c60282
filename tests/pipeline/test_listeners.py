"""Shared token vectors, frozen components and components sourced from other pipelines."""

from __future__ import annotations

from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.training import Example
from spacy.util import registry
from thinc.api import Adam, Model

from .cases import CASES, DECODER, EMBED, ENCODE, LISTENER, TOK2VEC, WIDTH, Case, blank, by_representative_case, labeler_model, train
from .corpus import bare, examples

by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)

TEXT = "Anna lives in New York . They like green eggs ."


def shared(*cases: Case) -> tuple[Language, list[Example]]:
    """Components by the ids of their cases, all above one tok2vec component, and the corpus of the first."""
    nlp = blank()
    data = cases[0].examples(nlp.vocab)
    nlp.add_pipe("emerging_tok2vec", name="tok2vec", config={"model": {**TOK2VEC, "embed": EMBED, "encode": ENCODE}})
    for case in cases:
        case.add_to(nlp, LISTENER, name=case.id)
    nlp.initialize(lambda: data)
    return nlp, data


def weights(nlp: Language, name: str) -> bytes:
    return nlp.get_pipe(name).model.to_bytes()


@by_representative_case
def test_learns_above_a_listener_and_keeps_it_through_saving(case: Case, tmp_path) -> None:
    nlp, data = shared(case)
    train(nlp, data, steps=100, learn_rate=0.01)
    nlp.to_disk(tmp_path)

    loaded = spacy.load(tmp_path)

    for example in data:
        assert case.read(nlp(bare(example.reference))) == case.read(example.reference)
        assert case.read(loaded(bare(example.reference))) == case.read(example.reference)


def test_a_shared_listener_is_called_once_per_component_and_update(monkeypatch) -> None:
    """Given several components, each asks for the vectors once per update, and each sends back one gradient."""
    cases = [case for case in CASES if not case.characters]
    nlp, data = shared(*cases)
    calls: dict[str, list[str]] = {case.id: [] for case in cases}
    for case in cases:
        listener = nlp.get_pipe(case.id).model.get_ref("tok2vec")
        monkeypatch.setattr(listener, "_func", spied(listener._func, calls[case.id]))

    nlp.update(data, sgd=Adam(0.01))

    assert calls == {case.id: ["forward", "backward"] for case in cases}


def spied(forward: Any, log: list[str]) -> Any:
    def wrapped(model: Model, docs: Any, is_train: bool) -> Any:
        vectors, backprop = forward(model, docs, is_train)
        log.append("forward")

        def backward(gradients: Any) -> Any:
            log.append("backward")
            return backprop(gradients)

        return vectors, backward

    return wrapped


def test_every_listener_moves_the_shared_weights(case_named) -> None:
    nlp, data = shared(case_named("ner"), case_named("parser"))
    before = weights(nlp, "tok2vec")
    optimizer = Adam(0.01)

    for _ in range(2):  # spaCy steps shared vectors one update late
        nlp.update(data, sgd=optimizer)

    assert weights(nlp, "tok2vec") != before


def test_mixed_with_stock_components(case_named) -> None:
    """Given spaCy's own tagger and ours above one tok2vec, both learn the corpus."""
    nlp = blank()
    data = examples(nlp.vocab)
    nlp.add_pipe("tok2vec", config={"model": TOK2VEC})
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": LISTENER}})
    for id in ("ner", "spans"):
        case_named(id).add_to(nlp, LISTENER, name=id)
    nlp.initialize(lambda: data)
    train(nlp, data, steps=120, learn_rate=0.01)

    scores = nlp.evaluate([Example(bare(example.reference), example.reference) for example in data])

    assert [scores[name] for name in ("tag_acc", "ents_f", "spans_sc_f")] == [1.0, 1.0, 1.0]


# Freezing


@by_case
def test_a_frozen_component_does_not_change(case: Case) -> None:
    nlp, data = shared(case)
    frozen, moving = weights(nlp, case.id), weights(nlp, "tok2vec")

    nlp.update(data, sgd=Adam(0.01), exclude=[case.id])
    nlp.update(data, sgd=Adam(0.01))
    before = weights(nlp, case.id)
    nlp.update(data, sgd=Adam(0.01), exclude=[case.id])

    assert weights(nlp, case.id) == before != frozen
    assert weights(nlp, "tok2vec") != moving


@by_case
def test_frozen_vectors_must_annotate(case: Case) -> None:
    """Given a frozen tok2vec, training needs it among the annotating components, and then changes only what is above it."""
    nlp, data = shared(case)
    vectors, component = weights(nlp, "tok2vec"), weights(nlp, case.id)

    with pytest.raises(ValueError, match="E203"):
        nlp.update(data, sgd=Adam(0.01), exclude=["tok2vec"])
    first = nlp.update(data, sgd=Adam(0.03), exclude=["tok2vec"], annotates=["tok2vec"], losses={})[case.id]
    for _ in range(5):
        last = nlp.update(data, sgd=Adam(0.03), exclude=["tok2vec"], annotates=["tok2vec"], losses={})[case.id]

    assert weights(nlp, "tok2vec") == vectors
    assert weights(nlp, case.id) != component
    assert last < first


def test_a_component_may_annotate_for_those_after_it(case_named, monkeypatch) -> None:
    nlp, data = shared(case_named("tag"), case_named("parser"))
    parser = nlp.get_pipe("parser")
    seen: list[str] = []
    update = parser.update

    def recorded(examples: list[Example], **settings: Any) -> dict[str, float]:
        seen.extend(token.tag_ for example in examples for token in example.predicted)
        return update(examples, **settings)

    monkeypatch.setattr(parser, "update", recorded)
    nlp.update(data, sgd=Adam(0.01), annotates=["tag"])

    assert len(seen) == sum(len(example.predicted) for example in data) and all(seen)


# Replacing and sourcing


@by_case
def test_replaced_listeners_give_the_same_answers_and_can_be_trained(case: Case) -> None:
    nlp, data = shared(case)
    train(nlp, data, steps=20)
    expected = case.read(nlp(TEXT))

    nlp.replace_listeners("tok2vec", case.id, ["model.tok2vec"])
    nlp.remove_pipe("tok2vec")

    assert case.read(nlp(TEXT)) == expected
    assert nlp.config["components"][case.id]["model"]["tok2vec"]["@architectures"] == "spacy.Tok2Vec.v2"
    before = weights(nlp, case.id)
    nlp.update(data, sgd=Adam(0.01))
    assert weights(nlp, case.id) != before


@by_case
def test_a_sourced_component_gives_the_same_answers(case: Case, learned) -> None:
    source, _ = learned(case)
    nlp = blank()
    case.prepare(nlp)

    nlp.add_pipe("labeler", source=source)

    assert case.read(nlp(TEXT)) == case.read(source(TEXT))
    assert weights(nlp, "labeler") == weights(source, "labeler")


def test_source_in_a_config(case_named, learned, tmp_path) -> None:
    """Given `source = path` in a config, the component comes with its weights, and its listener with its vectors."""
    nlp, data = shared(case_named("ner"))
    train(nlp, data, steps=20)
    nlp.to_disk(tmp_path)
    config = {
        "nlp": {"lang": "en", "pipeline": ["tok2vec", "ner"]},
        "components": {"tok2vec": {"source": str(tmp_path)}, "ner": {"source": str(tmp_path)}},
    }

    sourced = spacy.util.load_model_from_config(config, auto_fill=True)

    assert case_named("ner").read(sourced(TEXT)) == case_named("ner").read(nlp(TEXT))


# Any tok2vec


@registry.architectures("test.LateWidth.v1")
def late_width(width: int) -> Model:
    """Token vectors of ones, whose width nobody knows before initialize."""
    return Model("late", _late_forward, init=_late_init, dims={"nO": None}, attrs={"width": width})


def _late_init(model: Model, X: Any = None, Y: Any = None) -> None:
    model.set_dim("nO", model.attrs["width"])


def _late_forward(model: Model, docs: Any, is_train: bool) -> Any:
    return [model.ops.alloc2f(len(doc), model.get_dim("nO")) + 1.0 for doc in docs], lambda gradients: []


@registry.architectures("test.UnknownWidth.v1")
def unknown_width(width: int) -> Model:
    """Token vectors of a model that never says its width, as those of spacy-transformers."""
    return Model("unknown", _unknown_forward, attrs={"width": width})


def _unknown_forward(model: Model, docs: Any, is_train: bool) -> Any:
    return [model.ops.alloc2f(len(doc), model.attrs["width"]) + 1.0 for doc in docs], lambda gradients: []


@by_case
@pytest.mark.parametrize("architecture", ["test.LateWidth.v1", "test.UnknownWidth.v1"])
def test_the_width_may_be_known_late(case: Case, architecture: str) -> None:
    nlp = blank()
    data = case.examples(nlp.vocab)
    pipe = case.add_to(nlp, {"@architectures": architecture, "width": WIDTH - 4})

    nlp.initialize(lambda: data)
    nlp.update(data, sgd=Adam(0.01))

    assert case.read(nlp(TEXT)) is not None
    copy = blank()
    case.add_to(copy, {"@architectures": architecture, "width": WIDTH - 4}).from_bytes(pipe.to_bytes())
    assert case.read(copy(TEXT)) == case.read(nlp(TEXT))


def test_stock_token_vectors_below_our_decoder(case_named) -> None:
    """Given spaCy's convolutional network, our component learns the corpus all the same."""
    stock = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "width": WIDTH,
        "depth": 2,
        "embed_size": 200,
        "window_size": 1,
        "maxout_pieces": 2,
        "subword_features": True,
    }
    nlp = blank()
    data = examples(nlp.vocab)
    nlp.add_pipe("emerging_ner", name="labeler", config={"model": labeler_model(stock, DECODER)})
    nlp.initialize(lambda: data)
    train(nlp, data)

    assert nlp.evaluate([Example(bare(example.reference), example.reference) for example in data])["ents_f"] == 1.0
