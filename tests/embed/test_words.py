"""WordEmbed: a word's vector depends on the word alone, is computed once per distinct word, and learns."""

from __future__ import annotations

import numpy
import pytest
import spacy
from spacy.tokens import Doc
from thinc.api import Adam, Model, fix_random_seed

from spacy_emerging.embed.words import WordEmbed, spell
from spacy_emerging.errors import SettingError

WORDS = ["The", "cat", "saw", "the", "cat", "Donaudampfschifffahrtsgesellschaft"]


def docs_of(nlp: spacy.Language) -> list[Doc]:
    return [Doc(nlp.vocab, words=WORDS), Doc(nlp.vocab, words=[]), Doc(nlp.vocab, words=["cat"])]


def initialized(**settings: object) -> tuple[Model, list[Doc]]:
    fix_random_seed(0)
    docs = docs_of(spacy.blank("en"))
    model = WordEmbed(8, spelling_width=4, character_width=4, **settings)
    model.initialize(X=docs)
    return model, docs


def test_equal_words_get_equal_vectors_wherever_they_stand() -> None:
    model, docs = initialized()
    first, empty, last = model.predict(docs)
    assert first.shape == (6, 8) and empty.shape == (0, 8)
    numpy.testing.assert_array_equal(first[1], first[4])
    numpy.testing.assert_allclose(first[1], last[0], atol=1e-6)
    assert numpy.abs(first[0] - first[3]).max() > 1e-3  # "The" and "the" differ in shape and spelling


@pytest.mark.parametrize("spelling_width", [0, 4])
def test_gradient_of_a_word_sums_over_its_tokens(spelling_width: int) -> None:
    # given the same word three times in one batch and, in another, once with three times the gradient
    fix_random_seed(0)
    nlp = spacy.blank("en")
    model = WordEmbed(8, spelling_width=spelling_width)
    thrice, once = Doc(nlp.vocab, words=["cat"] * 3), Doc(nlp.vocab, words=["cat"])
    model.initialize(X=[once])
    gradients = []
    for doc, scale in ((thrice, 1.0), (once, 3.0)):
        Y, backprop = model.begin_update([doc])
        backprop([numpy.full_like(Y[0], scale) * numpy.arange(8, dtype="float32")])
        module = model.shims[0]._model
        gradients.append({name: p.grad.clone() for name, p in module.named_parameters()})
        module.zero_grad()
    # then the weights see the same
    for name, gradient in gradients[0].items():
        numpy.testing.assert_allclose(gradient.numpy(), gradients[1][name].numpy(), atol=1e-4, err_msg=name)
    assert sum(float(gradient.abs().sum()) for gradient in gradients[0].values()) > 0


def test_it_learns_to_tell_words_apart_by_their_last_letters_alone() -> None:
    # given words that no hashed attribute tells apart but the spelling does
    fix_random_seed(0)
    nlp = spacy.blank("en")
    model = WordEmbed(8, attrs=["SHAPE"], rows=[50], spelling_width=16)
    doc = Doc(nlp.vocab, words=["abcdxa", "abcdxb", "bbcdxa", "bbcdxb"])
    model.initialize(X=[doc])
    wanted = numpy.array([1, -1, 1, -1], dtype="float32")
    optimizer = Adam(0.02)

    def error() -> float:
        return float(((model.predict([doc])[0][:, 0] - wanted) ** 2).sum())

    before = error()
    for _ in range(60):
        Y, backprop = model.begin_update([doc])
        gradient = numpy.zeros_like(Y[0])
        gradient[:, 0] = Y[0][:, 0] - wanted
        backprop([gradient])
        model.finish_update(optimizer)
    assert error() < 0.1 < before


def test_round_trip_gives_the_same_vectors() -> None:
    model, docs = initialized()
    loaded = WordEmbed(8, spelling_width=4, character_width=4).from_bytes(model.to_bytes())
    numpy.testing.assert_array_equal(model.predict(docs)[0], loaded.predict(docs)[0])


def test_static_vectors_change_known_words_only() -> None:
    # given vectors for one word of two
    nlp = spacy.blank("en")
    nlp.vocab.reset_vectors(width=3)
    nlp.vocab.set_vector("cat", numpy.array([1.0, 2.0, 3.0], dtype="float32"))
    fix_random_seed(0)
    model = WordEmbed(8, include_static_vectors=True)
    doc = Doc(nlp.vocab, words=["cat", "dog"])
    model.initialize(X=[doc])
    before = model.predict([doc])[0]
    # when that word's vector changes
    nlp.vocab.set_vector("cat", numpy.array([-1.0, 0.0, 1.0], dtype="float32"))
    after = model.predict([doc])[0]
    # then so does its output, and no other
    assert numpy.abs(after[0] - before[0]).max() > 1e-3
    numpy.testing.assert_array_equal(after[1], before[1])


def test_static_vectors_without_vectors_are_one_clear_error() -> None:
    nlp = spacy.blank("en")
    with pytest.raises(SettingError, match="include_static_vectors.*no vectors"):
        WordEmbed(8, include_static_vectors=True).initialize(X=docs_of(nlp))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"attrs": ["NORM", "LETTERS"], "rows": [10, 10]}, "attrs"),
        ({"attrs": ["NORM"], "rows": [10, 10]}, "rows"),
        ({"spelling_width": 5}, "spelling_width"),
        ({"max_length": 1}, "max_length"),
        ({"width": 8.0}, "width"),
        ({"width": 0}, "width"),
        ({"attrs": None}, "attrs"),
        ({"attrs": [["NORM"]], "rows": [10]}, "attrs"),
        ({"attrs": ["NORM"], "rows": ["10"]}, "rows"),
        ({"attrs": ["NORM"], "rows": 10}, "rows"),
        ({"spelling_width": "64"}, "spelling_width"),
        ({"character_width": 0}, "character_width"),
        ({"characters": 1}, "characters"),
        ({"max_length": True}, "max_length"),
        ({"include_static_vectors": "yes"}, "include_static_vectors"),
        ({"dropout": "a"}, "dropout"),
        ({"lr_scale": -1.0}, "lr_scale"),
    ],
)
def test_a_setting_that_cannot_work_is_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(SettingError, match=f"WordEmbed.*'{named}'"):
        WordEmbed(**{"width": 8, **settings})


def test_long_words_keep_both_ends_and_no_character_is_padding() -> None:
    spelled = spell("abcdefgh", 1024, 4)
    assert spelled == spell("abgh", 1024, 4)
    assert 0 not in spell("".join(map(chr, range(1, 3000))), 256, 4000)
    assert spell("", 1024, 4)
