"""`AdversarialDecoder` in components: learned by heart, frozen, logged, saved, and stable over hundreds of updates."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest
from spacy.language import Language
from spacy.training import Example
from thinc.api import Adam

from spacy_emerging.decoders.adversarial_model import Adversarial
from spacy_emerging.decoders.discriminator import Discriminator
from spacy_emerging.pipeline.logger import ConsoleLogger

from .cases import CASES, TOK2VEC, Case, blank, labeler_model, train
from .corpus import bare

CASE = {case.id: case for case in CASES}
BIO = {"linearization": {"@linearizations": "spacy-emerging.SpanTags.v1", "scheme": "bio"}}
PLANES = {"linearization": {"@linearizations": "spacy-emerging.BracketingDependency.v1", "planes": 2}}
SAMPLE = Path(__file__).parents[2] / "assets" / "sample" / "train.conllu"


def model(tok2vec: dict[str, Any] = TOK2VEC, **settings: Any) -> dict[str, Any]:
    return labeler_model(tok2vec, {"@architectures": "spacy-emerging.AdversarialDecoder.v1", **settings})


def started(case: Case, settings: dict[str, Any] | None = None, **decoder: Any) -> tuple[Language, list[Example]]:
    """A pipeline with this decoder, ready to be trained, and the small corpus."""
    nlp = blank()
    case.prepare(nlp)
    data = case.examples(nlp.vocab)
    nlp.add_pipe(case.factory, name="labeler", config={"model": model(**decoder), **case.settings, **(settings or {})})
    nlp.initialize(lambda: data)
    return nlp, data


def decoder_of(nlp: Language) -> Adversarial:
    return nlp.get_pipe("labeler").model.get_ref("decoder").shims[0].module


def test_correctness_is_learned_too() -> None:
    nlp, data = started(CASE["parser"], PLANES, reading="correctness", discriminator_steps=2, gradient_penalty=0.1)
    train(nlp, data)
    for example in data:
        assert CASE["parser"].read(nlp(bare(example.reference))) == CASE["parser"].read(example.reference)


def test_frozen_component_trains_no_discriminator() -> None:
    nlp, data = started(CASE["tag"])
    before = nlp.get_pipe("labeler").model.to_bytes()
    nlp.update(data, sgd=Adam(0.03), exclude=["labeler"], annotates=["labeler"])
    assert nlp.get_pipe("labeler").model.to_bytes() == before


def test_model_saved_without_its_discriminator_is_trained_on(tmp_path: Path) -> None:
    # given a trained pipeline on disk, without the discriminator
    nlp, data = started(CASE["tag"], keep_discriminator=False)
    train(nlp, data)
    nlp.to_disk(tmp_path / "slim")
    assert b"discriminator." not in (tmp_path / "slim" / "labeler" / "model").read_bytes()
    # when it is loaded
    loaded = blank().from_config(nlp.config).from_disk(tmp_path / "slim")
    # then it predicts the same
    texts = [example.reference.text for example in data]
    assert [CASE["tag"].read(doc) for doc in loaded.pipe(texts)] == [CASE["tag"].read(doc) for doc in nlp.pipe(texts)]
    # and learns on, with a discriminator drawn anew that gives its opinion
    losses: dict[str, float] = {}
    loaded.update(data, sgd=loaded.resume_training(), losses=losses)
    assert losses["labeler.discriminator"] > 0.0


def test_losses_are_summed_and_accuracy_is_the_latest() -> None:
    nlp, data = started(CASE["tag"])
    losses: dict[str, float] = {}
    alone: list[dict[str, float]] = []
    for _ in range(3):
        one: dict[str, float] = {}
        nlp.update(data, sgd=Adam(0.01), losses=one)
        for key, value in one.items():
            losses[key] = losses.get(key, 0.0) + value
        alone.append(one)
    again, data = started(CASE["tag"])
    together: dict[str, float] = {}
    for _ in range(3):
        again.update(data, sgd=Adam(0.01), losses=together)
    for key in ("labeler", "labeler.generator", "labeler.discriminator"):
        assert together[key] == pytest.approx(losses[key], rel=1e-5)
    assert together["labeler.discriminator_accuracy"] == alone[-1]["labeler.discriminator_accuracy"] <= 1.0


def test_the_console_logger_shows_both_losses_and_the_accuracy() -> None:
    nlp, data = started(CASE["tag"])
    nlp.config["training"]["score_weights"] = {"tag_acc": 1.0}
    losses: dict[str, float] = {}
    nlp.update(data, sgd=Adam(0.01), losses=losses)
    printed = io.StringIO()
    log, _ = ConsoleLogger()(nlp, printed, io.StringIO())
    log({"epoch": 0, "step": 1, "losses": losses, "other_scores": {"tag_acc": 0.5}, "score": 0.5})
    row = printed.getvalue().splitlines()[-1]
    for key in ("generator", "discriminator", "discriminator_accuracy"):
        assert f"labeler.{key}={losses[f'labeler.{key}']:.2f}" in row


def test_pipe_asks_no_discriminator(monkeypatch: pytest.MonkeyPatch) -> None:
    nlp, data = started(CASE["parser"], {"store_scores": True})
    train(nlp, data, steps=1)
    asked: list[bool] = []
    forward = Discriminator.forward
    monkeypatch.setattr(Discriminator, "forward", lambda *inputs: asked.append(True) or forward(*inputs))
    texts = [example.reference.text for example in data]
    assert len(list(nlp.pipe(texts, batch_size=2))) == len(texts) and not asked
    nlp.update(data)
    assert asked


def test_two_processes_predict_what_one_does() -> None:
    nlp, data = started(CASE["ner"], BIO)
    texts = [example.reference.text for example in data] * 3
    alone = [CASE["ner"].read(doc) for doc in nlp.pipe(texts)]
    assert [CASE["ner"].read(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=4)] == alone


@pytest.mark.slow
@pytest.mark.parametrize("reading", ["critic", "correctness"])
@pytest.mark.parametrize(("name", "settings"), [("tag", {}), ("ner", BIO), ("parser", PLANES)])
def test_five_hundred_updates_on_a_tiny_corpus_without_collapse(name: str, settings: dict[str, Any], reading: str) -> None:
    nlp, data = started(CASE[name], settings, reading=reading)
    optimizer, accuracies = Adam(0.01), []
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        for _ in range(500):
            losses = nlp.update(data, sgd=optimizer, losses={})
            assert all(numpy.isfinite(value) for value in losses.values())
            accuracies.append(losses["labeler.discriminator_accuracy"])
    assert [str(warning.message) for warning in given if "collapse" in str(warning.message)] == []
    # as long as there was something to tell, the discriminator told it
    assert max(accuracies) > 0.55
    # and in the end the labeler, which knows its corpus, draws hardly a label that is not gold
    assert nlp.evaluate(data)[CASE[name].scores[0]] == 1.0
    assert decoder_of(nlp).watch.total.wrong < 0.05 * decoder_of(nlp).watch.total.generated
