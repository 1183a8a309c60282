"""Every decoder as a part of a trained pipeline: seeds, saving, averages, dropout."""

from __future__ import annotations

import pickle

import numpy
from thinc.api import Adam, fix_random_seed, set_dropout_rate

from .decoders import FIELDS, WIDTH, block, each_decoder


def trained(name: str) -> object:
    fix_random_seed(7)
    model, optimizer = block(name), Adam(0.05)
    for step in range(4):
        vectors = [numpy.random.default_rng(step).standard_normal((5, WIDTH)).astype("float32")]
        _, backprop = model.begin_update((vectors, [numpy.tile(numpy.array([[1, 3]]), (5, 1))]))
        backprop()
        model.finish_update(optimizer)
    return model


@each_decoder
def test_two_seeded_trainings_give_identical_weights(name: str) -> None:
    assert trained(name).to_bytes() == trained(name).to_bytes()


@each_decoder
def test_saved_decoder_predicts_the_same_without_being_told_its_fields(name: str) -> None:
    model = trained(name)
    blank = block(name, FIELDS[:1])
    vectors = [numpy.random.default_rng(3).standard_normal((8, WIDTH)).astype("float32")]
    (wanted,) = model.predict((vectors, True))
    for loaded in (blank.from_bytes(model.to_bytes()), model.copy(), pickle.loads(pickle.dumps(model))):
        (found,) = loaded.predict((vectors, True))
        numpy.testing.assert_array_equal(found.best, wanted.best)
        for one, other in zip(found.scores, wanted.scores, strict=True):
            numpy.testing.assert_array_equal(one, other)


@each_decoder
def test_averages_reach_the_decoder(name: str) -> None:
    """Trap 2 again: use_averages = true must not be ignored here either."""
    model, optimizer = block(name), Adam(0.05, use_averages=True)
    vectors = [numpy.random.default_rng(3).standard_normal((8, WIDTH)).astype("float32")]
    _, backprop = model.begin_update((vectors, [numpy.tile(numpy.array([[1, 3]]), (8, 1))]))
    backprop()
    model.finish_update(optimizer)
    before = model.to_bytes()
    with model.use_params(optimizer.averages):
        assert model.to_bytes() != before
    assert model.to_bytes() == before


@each_decoder
def test_dropout_rate_reaches_torch_in_training_only(name: str) -> None:
    """Trap 3 again: training.dropout must reach the decoder."""
    model = block(name)
    vectors = [numpy.random.default_rng(3).standard_normal((30, WIDTH)).astype("float32")]
    gold = [numpy.tile(numpy.array([[1, 3]]), (30, 1))]
    set_dropout_rate(model, 0.5)
    assert model.begin_update((vectors, gold))[0].value != model.begin_update((vectors, gold))[0].value
    first, second = (model.predict((vectors, True))[0] for _ in range(2))
    for one, other in zip(first.scores, second.scores, strict=True):
        numpy.testing.assert_array_equal(one, other)
