"""decoder_block with a decoder that needs whole sequences: buckets change neither loss, gradient nor prediction."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy
import pytest
import torch
from thinc.api import Adam, Model
from torch import Tensor, nn

from spacy_emerging.bridge.decoder import decoder_block, set_fields
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.bridge.saved import pack
from spacy_emerging.decoders.softmax import SoftmaxDecoder
from spacy_emerging.errors import ModelDataError
from spacy_emerging.types import Field, LossOutput, Prediction, Transitions

WIDTH = 6
FIELDS = [Field("letter", ("a", "b", "c")), Field("digit", ("0", "1"))]


class ContextDecoder(nn.Module):
    """Scores a token by its own state and by the mean over its sequence, so that padding or a wrong order would show."""

    search = "decoder"

    def __init__(self, width: int, fields: Sequence[Field]) -> None:
        super().__init__()
        self.fields = list(fields)
        self.outputs = nn.ModuleList(nn.Linear(width, len(field.labels)) for field in fields)

    def scores(self, states: Tensor, mask: Tensor) -> list[Tensor]:
        assert not states[~mask].any(), "padding is zero"
        mean = states.sum(1, keepdim=True) / mask.sum(1)[:, None, None]
        order = torch.arange(states.shape[1]).to(states.dtype)[:, None]
        return [output(states + mean + 0.1 * order).log_softmax(-1) for output in self.outputs]

    def loss(self, states: Tensor, mask: Tensor, gold: Tensor) -> LossOutput:
        known = (gold >= 0) & mask[..., None]
        picked = [s.gather(-1, gold[..., f : f + 1].clamp(min=0))[..., 0] for f, s in enumerate(self.scores(states, mask))]
        total = -sum(values[known[..., f]].sum() for f, values in enumerate(picked))
        count = int(known.any(-1).sum())
        return LossOutput(total, count, {"mean": total.item() / max(count, 1)})

    def predict(self, states: Tensor, mask: Tensor) -> Prediction:
        scores = self.scores(states, mask)
        return Prediction(scores, torch.stack([field.argmax(-1) for field in scores], -1))


def block(max_batch_tokens: int = 10_000) -> Model:
    model = decoder_block("context", ContextDecoder, max_batch_tokens=max_batch_tokens)
    torch.manual_seed(3)
    set_fields(model, WIDTH, FIELDS)
    return model


def batch(*lengths: int) -> tuple[list[Any], list[Any]]:
    """Vectors (n, D) and gold ids (n, F), a third of them not annotated."""
    draw = numpy.random.default_rng(1)
    vectors = [draw.standard_normal((n, WIDTH)).astype("float32") for n in lengths]
    ids = [numpy.stack([draw.integers(0, 3, n), draw.integers(0, 2, n)], 1) for n in lengths]
    return vectors, [numpy.where(draw.random(unit.shape) < 0.3, -1, unit) for unit in ids]


LENGTHS = (2, 9, 0, 30, 1, 4, 16)


def test_buckets_change_neither_loss_nor_gradient_nor_log() -> None:
    whole, cut = block(), block(max_batch_tokens=12)
    loss, backprop = whole.begin_update(batch(*LENGTHS))
    cut_loss, cut_backprop = cut.begin_update(batch(*LENGTHS))
    assert cut_loss.count == loss.count > 0
    assert cut_loss.value == pytest.approx(loss.value, rel=1e-5)
    assert cut_loss.logged == pytest.approx(loss.logged, rel=1e-5)
    for one, other in zip(cut_backprop(), backprop(), strict=True):
        numpy.testing.assert_allclose(one, other, atol=1e-6)
    for one, other in zip(cut.shims[0].module.parameters(), whole.shims[0].module.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("max_batch_tokens", [1, 12, 10_000])
def test_buckets_change_no_prediction_and_keep_the_order(max_batch_tokens: int) -> None:
    vectors, _ = batch(*LENGTHS)
    model = block(max_batch_tokens)
    together = model.predict((vectors, True))
    assert [len(unit.best) for unit in together] == list(LENGTHS)
    for X, unit in zip(vectors, together, strict=True):
        (alone,) = block().predict(([X], True))
        numpy.testing.assert_array_equal(unit.best, alone.best)
        for one, other in zip(unit.scores, alone.scores, strict=True):
            numpy.testing.assert_allclose(one, other, atol=1e-5)


def test_loss_is_the_mean_over_annotated_tokens() -> None:
    model = block()
    vectors, ids = batch(5, 3)
    loss, _ = model.begin_update((vectors, ids))
    total = 0.0
    for X, unit in zip(vectors, ids, strict=True):
        (prediction,) = model.predict(([X], True))
        total -= sum(prediction.scores[f][i, unit[i, f]] for i in range(len(X)) for f in range(2) if unit[i, f] >= 0)
    count = sum(int((unit >= 0).any(1).sum()) for unit in ids)
    assert loss.count == count
    assert loss.value == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize("lengths", [(), (0,), (0, 0)])
def test_nothing_to_decode(lengths: tuple[int, ...]) -> None:
    model = block()
    loss, backprop = model.begin_update(batch(*lengths))
    assert (loss.value, loss.count, loss.logged) == (0.0, 0, {})
    assert [dX.shape for dX in backprop()] == [(0, WIDTH)] * len(lengths)
    units = model.predict((batch(*lengths)[0], True))
    assert [(unit.best.shape, [field.shape for field in unit.scores]) for unit in units] == [((0, 2), [(0, 3), (0, 2)])] * len(lengths)


def test_nothing_annotated_gives_no_gradient_and_no_step() -> None:
    model = block()
    vectors, ids = batch(5, 3)
    before = model.to_bytes()
    loss, backprop = model.begin_update((vectors, [numpy.full_like(unit, -1) for unit in ids]))
    assert (loss.value, loss.count) == (0.0, 0)
    assert not any(dX.any() for dX in backprop())
    model.finish_update(Adam(0.1))
    assert model.to_bytes() == before


def test_scores_are_left_out_where_nobody_wants_them() -> None:
    assert [unit.scores for unit in block().predict((batch(3, 2)[0], False))] == [[], []]


def test_fields_come_back_with_the_model() -> None:
    """Trap 8: a head whose size is known late must carry that size with its weights."""
    # given fields with everything that a linearization can tell
    allowed = Transitions(numpy.array([True, False]), numpy.eye(2, dtype=bool), numpy.array([True, True]))
    fields = [Field("tag", ("O", "B"), allowed, ((0, 1), (1, 0))), Field("plain", ("x",))]
    model = decoder_block("context", ContextDecoder)
    set_fields(model, WIDTH, fields)
    # when the model is loaded where nothing was set, pickled, or copied
    loaded = decoder_block("context", ContextDecoder).from_bytes(model.to_bytes())
    for each in (model, loaded, pickle.loads(pickle.dumps(model)), model.copy()):
        tag, plain = each.shims[0].module.fields
        # then its decoder was built with the same fields
        assert (tag.name, tag.labels, tag.bits, plain) == ("tag", ("O", "B"), ((0, 1), (1, 0)), fields[1])
        assert isinstance(tag.allowed, Transitions)
        for found, wanted in zip(tag.allowed, allowed, strict=True):
            assert found.dtype == bool
            numpy.testing.assert_array_equal(found, wanted)


def test_saved_decoder_of_something_else_is_refused() -> None:
    with pytest.raises(ModelDataError, match="width or label fields"):
        decoder_block("context", ContextDecoder).shims[0].from_bytes(pack({"depth": 3}, nn.Linear(1, 1)))


def test_tokens_that_are_decided_alone_are_predicted_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Doc of a million tokens never has all of its scores in memory at once, unless they are asked for."""
    # given a softmax over labels, which takes up to 12 tokens at once
    model = decoder_block("softmax", SoftmaxDecoder(), max_batch_tokens=12)
    set_fields(model, WIDTH, FIELDS)
    module = model.shims[0].module
    taken: list[int] = []
    predict = module.predict

    def noted(states: Tensor, mask: Tensor) -> Prediction:
        taken.append(states.shape[1])
        return predict(states, mask)

    monkeypatch.setattr(module, "predict", noted)
    vectors, _ = batch(*LENGTHS)
    # when there are more
    found = model.predict((vectors, True))
    # then slices go through it whatever the borders of units, and units get the same as from one slice
    assert taken == [12, 12, 12, 12, 12, 2]
    model.attrs["max_batch_tokens"] = 1000
    for unit, whole in zip(found, model.predict((vectors, True)), strict=True):
        numpy.testing.assert_array_equal(unit.best, whole.best)
        for scores, wanted in zip(unit.scores, whole.scores, strict=True):
            numpy.testing.assert_allclose(scores, wanted, atol=1e-6)
    assert taken[6:] == [sum(LENGTHS)]


def test_decoders_that_pad_nothing_get_whole_sequences_as_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a decoder that answers end to end, and takes up to 12 tokens at once
    model = block(max_batch_tokens=12)
    taken: list[tuple[int, ...]] = []

    def predict_tokens(self: ContextDecoder, tokens: Tensor, layout: Layout, want_scores: bool) -> Prediction:
        taken.append(layout.lengths)
        found = self.predict(layout.pad(tokens), layout.mask)
        return Prediction([layout.unpad(field) for field in found.scores], layout.unpad(found.best))

    monkeypatch.setattr(ContextDecoder, "predict_tokens", predict_tokens, raising=False)
    monkeypatch.setattr(ContextDecoder, "padless", True, raising=False)
    vectors, _ = batch(*LENGTHS)
    # when there are more, and one sequence is longer than that
    found = model.predict((vectors, True))
    # then they are cut between sequences, empty ones are left out, and everything comes back in its place
    assert taken == [(2, 9), (30,), (1, 4), (16,)]
    monkeypatch.undo()
    for unit, wanted in zip(found, block().predict((vectors, True)), strict=True):
        numpy.testing.assert_array_equal(unit.best, wanted.best)
        for scores, others in zip(unit.scores, wanted.scores, strict=True):
            numpy.testing.assert_allclose(scores, others, atol=1e-5)
