"""Every encoder inside every stock component: alone, shared through listeners, frozen, copied back, pretrained."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import spacy
from spacy.language import DEFAULT_CONFIG_PRETRAIN_PATH, Language
from spacy.schemas import ConfigSchemaPretrain
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.training.pretrain import create_pretraining_model
from spacy.util import load_config, load_model_from_config, registry
from thinc.api import Adam, fix_random_seed

from .encoders import assert_same_weights, each_encoder, weights
from .pipelines import COMPONENTS, LISTENER, answer, encoder_node, examples, shared_pipeline, stock_pipeline, tok2vec

TEXTS = ["She likes London .", "", "Paris", "Cats sleep . He left ."]


@each_encoder
@pytest.mark.parametrize("component", COMPONENTS)
def test_component_trains_predicts_and_is_saved(component: str, name: str) -> None:
    nlp = stock_pipeline(component, name)
    before, optimizer, losses = weights(encoder_node(nlp, component)), Adam(0.01), {}
    # when it is updated twice, as output layers start at zero and pass no gradient the first time
    for _ in range(2):
        nlp.update(examples(nlp), sgd=optimizer, drop=0.2, losses=losses)
    # then the loss is a number, and the encoder has moved
    assert losses[component] > 0
    assert any((before[key] != after).any() for key, after in weights(encoder_node(nlp, component)).items())
    # and a pipeline read from its bytes says the same, in batches and one by one
    loaded = type(nlp).from_config(nlp.config).from_bytes(nlp.to_bytes())
    texts = [text for text in TEXTS if text or component != "textcat"]  # an empty Doc alone gets no scores from the stock textcat
    wanted = [answer(component, nlp(text)) for text in texts]
    assert [answer(component, loaded(text)) for text in texts] == wanted
    batched = [answer(component, doc) for doc in loaded.pipe(texts, batch_size=4)]
    assert batched == ([pytest.approx(scores, abs=1e-5) for scores in wanted] if component == "textcat" else wanted)


@each_encoder
def test_seeded_update_of_a_pipeline_is_reproducible(name: str) -> None:
    saved = []
    for _ in range(2):
        fix_random_seed(3)
        nlp = stock_pipeline("tagger", name)
        nlp.update(examples(nlp), sgd=Adam(0.01), drop=0.2)
        saved.append(nlp.get_pipe("tagger").to_bytes())
    assert saved[0] == saved[1]


@each_encoder
def test_averages_reach_the_encoder_through_the_pipeline(name: str) -> None:
    """Trap 2 in a pipeline: training.use_averages = true evaluates and saves the averages."""
    nlp, optimizer = stock_pipeline("tagger", name), Adam(0.01, use_averages=True)
    nlp.update(examples(nlp), sgd=optimizer)
    node = encoder_node(nlp, "tagger")
    before = weights(node)
    with nlp.use_params(optimizer.averages):
        assert any((before[key] != inside).any() for key, inside in weights(node).items())
    assert_same_weights(weights(node), before)


@each_encoder
def test_training_dropout_reaches_the_encoder_through_the_pipeline(name: str) -> None:
    """Trap 3 in a pipeline: training.dropout is set on every layer that has a rate."""
    nlp = stock_pipeline("tagger", name)
    nlp.update(examples(nlp), sgd=Adam(0.01), drop=0.4)
    assert encoder_node(nlp, "tagger").attrs["dropout_rate"] == 0.4


@each_encoder
def test_rehearsal_moves_the_encoder(name: str) -> None:
    # given a trained tagger that is reminded of what it said, after its weights were disturbed
    nlp = stock_pipeline("tagger", name)
    for _ in range(3):
        nlp.update(examples(nlp), sgd=Adam(0.05))
    optimizer = nlp.resume_training(sgd=Adam(0.05))
    nlp.update(examples(nlp), sgd=optimizer)
    before = weights(encoder_node(nlp, "tagger"))
    losses = nlp.rehearse(examples(nlp), sgd=optimizer)
    assert losses["tagger"] > 0
    assert any((before[key] != after).any() for key, after in weights(encoder_node(nlp, "tagger")).items())


# Listeners

SHARED = ("tagger", "ner", "textcat")


@each_encoder
def test_listeners_train_the_shared_encoder_and_survive_the_disk(name: str, tmp_path: Path) -> None:
    nlp = shared_pipeline(name, *SHARED)
    before, losses = weights(encoder_node(nlp, "tok2vec")), {}
    for _ in range(3):  # spaCy steps the shared encoder when the next batch comes
        nlp.update(examples(nlp), sgd=Adam(0.01), losses=losses)
    assert set(losses) == {"tok2vec", *SHARED}
    assert any((before[key] != after).any() for key, after in weights(encoder_node(nlp, "tok2vec")).items())
    nlp.to_disk(tmp_path / "pipeline")
    loaded = spacy.load(tmp_path / "pipeline")
    for text in TEXTS:
        assert [answer(component, loaded(text)) for component in SHARED] == [answer(component, nlp(text)) for component in SHARED]


@each_encoder
def test_replaced_listener_predicts_the_same_and_trains_apart(name: str) -> None:
    nlp = shared_pipeline(name, "tagger", "ner")
    nlp.update(examples(nlp), sgd=Adam(0.01))
    wanted = [answer("tagger", nlp(text)) for text in TEXTS]
    # when the tagger gets a copy of the encoder
    nlp.replace_listeners("tok2vec", "tagger", ["model.tok2vec"])
    copied, shared = encoder_node(nlp, "tagger"), encoder_node(nlp, "tok2vec")
    assert copied.shims[0].id != shared.shims[0].id, "else an optimizer would mix their states"
    assert_same_weights(weights(copied), weights(shared))
    assert [answer("tagger", nlp(text)) for text in TEXTS] == wanted
    # then training goes on, each with weights of its own
    nlp.update(examples(nlp), sgd=Adam(0.01))
    assert any((one != other).any() for one, other in zip(weights(copied).values(), weights(shared).values(), strict=True))


@each_encoder
def test_frozen_encoder_stays_as_it_is_to_the_byte(name: str) -> None:
    # given training.frozen_components = ["tok2vec"] and annotating_components = ["tok2vec"]
    nlp = shared_pipeline(name, "tagger")
    frozen, tagger = nlp.get_pipe("tok2vec").to_bytes(), nlp.get_pipe("tagger").to_bytes()
    optimizer = Adam(0.01)
    for _ in range(2):
        nlp.update(examples(nlp), sgd=optimizer, exclude=["tok2vec"], annotates=["tok2vec"], drop=0.3)
    assert nlp.get_pipe("tagger").to_bytes() != tagger
    assert nlp.get_pipe("tok2vec").to_bytes() == frozen


@each_encoder
def test_listener_gives_the_same_as_the_encoder_inside(name: str) -> None:
    # two pipelines of one seed differ in nothing that a listener should change
    nlp = shared_pipeline(name, "tagger", "morphologizer")
    doc = nlp("She likes London .")
    vectors = nlp.get_pipe("tok2vec").predict([doc])[0]
    assert (doc.tensor == vectors).all()
    assert doc.tensor.shape == (4, 12)


# The training loop and pretraining

CORPUS = {"@readers": "conformance.examples.v1"}
TRAINING = {
    "nlp": {"lang": "en", "pipeline": ["tok2vec", "tagger"]},
    "components": {
        "tok2vec": {"factory": "tok2vec"},
        "tagger": {"factory": "tagger", "model": {"@architectures": "spacy.Tagger.v2", "tok2vec": LISTENER}},
    },
    "corpora": {"train": CORPUS, "dev": CORPUS, "pretrain": {"@readers": "conformance.texts.v1"}},
    "training": {
        "seed": 1,
        "max_steps": 3,
        "eval_frequency": 1,
        "dropout": 0.2,
        "accumulate_gradient": 2,
        "optimizer": {"@optimizers": "Adam.v1", "use_averages": True},
    },
    "pretraining": {
        "corpus": "corpora.pretrain",
        "component": "tok2vec",
        "objective": {"@architectures": "spacy.PretrainCharacters.v1", "maxout_pieces": 2, "hidden_size": 8, "n_characters": 2},
    },
}


@registry.readers("conformance.examples.v1")
def read_examples() -> object:
    return examples


@registry.readers("conformance.texts.v1")
def read_texts() -> object:
    return lambda nlp: [example.reference for example in examples(nlp)]


def from_training_config(name: str) -> Language:
    """What `spacy train` and `spacy pretrain` make of a config whose shared tok2vec has the encoder under test."""
    config = load_config(DEFAULT_CONFIG_PRETRAIN_PATH).merge(TRAINING)
    config["components"]["tok2vec"]["model"] = tok2vec(name)
    return init_nlp(load_model_from_config(config, auto_fill=True).config)


@each_encoder
def test_training_loop_saves_averages_that_load(name: str, tmp_path: Path) -> None:
    nlp = from_training_config(name)
    before = weights(encoder_node(nlp, "tok2vec"))
    train(nlp, tmp_path, stdout=io.StringIO(), stderr=io.StringIO())
    last = spacy.load(tmp_path / "model-last")
    trained, saved = (weights(encoder_node(each, "tok2vec")) for each in (nlp, last))
    assert any((before[key] != trained[key]).any() for key in before)
    assert any((saved[key] != trained[key]).any() for key in before), "what was saved are averages, not the last weights"
    assert len(answer("tagger", last("She likes London ."))) == 4


@each_encoder
def test_pretraining_step_moves_the_encoder(name: str) -> None:
    # given what `spacy pretrain` builds
    nlp = from_training_config(name)
    settings = registry.resolve(nlp.config.interpolate()["pretraining"], schema=ConfigSchemaPretrain)
    model = create_pretraining_model(nlp, settings)
    node = next(node for node in model.walk() if node.name == name)
    before = weights(node)
    docs, optimizer = [example.reference for example in examples(nlp)], Adam(0.01)
    # when it takes some steps, the first of which moves the output layer only
    for _ in range(4):
        predictions, backprop = model.begin_update(docs)
        backprop(model.attrs["loss"](model.ops, docs, predictions)[1])
        model.finish_update(optimizer)
    after = weights(node)
    assert any((before[key] != after[key]).any() for key in before)
    # then the weights that it saves are read by a pipeline, as `initialize.init_tok2vec` does
    fresh = from_training_config(name).get_pipe("tok2vec").model.from_bytes(model.get_ref("tok2vec").to_bytes())
    assert_same_weights(weights(next(node for node in fresh.walk() if node.name == name)), after)
