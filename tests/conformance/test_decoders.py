"""Every decoder: loss, gold that is missing, masks, batches, gradients, predictions."""

from __future__ import annotations

import copy
import json
import pickle
from importlib.util import find_spec

import numpy
import pytest
import torch
from spacy.util import registry
from thinc.api import Adam, Config
from thinc.config import ConfigValidationError

from spacy_emerging.kernels import native
from spacy_emerging.types import Field

from .decoders import FIELDS, NAMES, WIDTH, block, build, each_decoder, legal_gold, states
from .encoders import module_of

LENGTHS = (5, 1, 3)


def test_every_registered_decoder_has_its_file() -> None:
    assert [name for name in NAMES if find_spec(module_of(name)) is None] == []


# Settings


@each_decoder
def test_config_resolves_to_a_picklable_builder(name: str) -> None:
    filled = registry.fill(Config({"decoder": {"@architectures": name}}))
    assert json.loads(json.dumps(filled)) == filled
    builder = pickle.loads(pickle.dumps(registry.resolve(Config(filled))["decoder"]))
    assert isinstance(builder(WIDTH, list(FIELDS)), torch.nn.Module)
    documentation = registry.architectures.get(name).__doc__
    assert [setting for setting in filled["decoder"] if setting[0] != "@" and setting not in documentation] == []


@each_decoder
def test_misspelt_setting_is_rejected(name: str) -> None:
    with pytest.raises(ConfigValidationError, match="smoothness"):
        registry.resolve(Config({"decoder": {"@architectures": name, "smoothness": 1}}))


@each_decoder
def test_search_is_stated(name: str) -> None:
    assert build(name).search in ("decoder", "linearization")


# Loss


@each_decoder
def test_loss_sums_over_annotated_tokens(name: str) -> None:
    module = build(name)
    padded, mask = states(*LENGTHS)
    gold = legal_gold(mask)
    output = module.loss(padded, mask, gold)
    assert output.total.shape == () and output.total.item() > 0 and torch.isfinite(output.total)
    assert output.count == sum(LENGTHS)
    assert all(isinstance(key, str) and isinstance(value, float) for key, value in output.logged.items())
    # a token counts as long as one field is annotated
    gold[0, 1, 0] = gold[0, 2, 1] = -1
    assert module.loss(padded, mask, gold).count == sum(LENGTHS)
    gold[0, 1] = -1
    assert module.loss(padded, mask, gold).count == sum(LENGTHS) - 1


@each_decoder
def test_loss_of_a_batch_is_the_sum_of_its_sequences(name: str) -> None:
    module = build(name)
    padded, mask = states(*LENGTHS)
    gold = legal_gold(mask)
    alone = [module.loss(padded[i : i + 1, :n], mask[i : i + 1, :n], gold[i : i + 1, :n]).total for i, n in enumerate(LENGTHS)]
    torch.testing.assert_close(module.loss(padded, mask, gold).total, sum(alone), atol=1e-4, rtol=1e-5)


@each_decoder
def test_what_stands_in_the_padding_is_never_read(name: str) -> None:
    module = build(name)
    padded, mask = states(*LENGTHS)
    gold = legal_gold(mask)
    littered = padded.masked_fill(~mask[..., None], 7.0)
    wanted, found = module.predict(padded, mask), module.predict(littered, mask)
    wrong = gold.masked_fill(~mask[..., None], 1)
    torch.testing.assert_close(module.loss(littered, mask, wrong).total, module.loss(padded, mask, gold).total)
    assert torch.equal(found.best[mask], wanted.best[mask])
    for one, other in zip(found.scores, wanted.scores, strict=True):
        torch.testing.assert_close(one[mask], other[mask])


@each_decoder
def test_missing_gold_gives_no_gradient(name: str) -> None:
    # given a sequence without any annotation beside one that has it all
    module = build(name)
    padded, mask = states(4, 4)
    gold = legal_gold(mask)
    gold[1] = -1
    padded.requires_grad_()
    output = module.loss(padded, mask, gold)
    output.total.backward()
    assert output.count == 4
    assert padded.grad[0].any() and not padded.grad[1].any()


@each_decoder
def test_field_without_gold_teaches_the_other_field_only(name: str) -> None:
    # given gold of one field, then losses of both fields apart add up to the loss of both
    module = build(name)
    padded, mask = states(*LENGTHS)
    gold = legal_gold(mask)
    parts = []
    for absent in (0, 1):
        part = gold.clone()
        part[..., absent] = -1
        parts.append(module.loss(padded, mask, part).total)
    torch.testing.assert_close(sum(parts), module.loss(padded, mask, gold).total, atol=1e-4, rtol=1e-5)


@each_decoder
def test_gradient_in_double_precision(name: str) -> None:
    module = build(name).double()
    padded, mask = states(3, 1, dtype=torch.float64)
    gold = legal_gold(mask)
    gold[0, 1, 1] = -1
    names = [parameter for parameter, _ in module.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in module.parameters()]
    loss = copy.deepcopy(module)

    def run(padded: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(Loss(loss), {f"decoder.{n}": v for n, v in zip(names, values, strict=True)}, (padded, mask, gold))

    assert torch.autograd.gradcheck(run, (padded.requires_grad_(), *values), fast_mode=True, atol=1e-5, rtol=1e-3)


class Loss(torch.nn.Module):
    """`decoder.loss` as a forward pass, which is what functional_call takes."""

    def __init__(self, decoder: torch.nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.decoder.loss(*inputs).total


# Predictions


@each_decoder
def test_scores_are_log_probabilities_in_field_order(name: str) -> None:
    padded, mask = states(*LENGTHS)
    prediction = build(name).predict(padded, mask)
    assert [tuple(field.shape) for field in prediction.scores] == [(*mask.shape, len(field.labels)) for field in FIELDS]
    for field in prediction.scores:
        torch.testing.assert_close(field[mask].exp().sum(-1), torch.ones(sum(LENGTHS)), atol=1e-4, rtol=1e-4)
    assert prediction.best.shape == (*mask.shape, len(FIELDS)) and prediction.best.dtype == torch.int64
    for index, field in enumerate(FIELDS):
        ids = prediction.best[mask][:, index]
        assert ((ids >= 0) & (ids < len(field.labels))).all()


@each_decoder
def test_fields_are_told_apart(name: str) -> None:
    # given one field whose gold is always 2, the other's always 1
    model, optimizer = block(name), Adam(0.05)
    vectors = [numpy.random.default_rng(n).standard_normal((n, WIDTH)).astype("float32") for n in (4, 6)]
    gold = [numpy.tile(numpy.array([[1, 3]]), (len(X), 1)) for X in vectors]
    losses = []
    for _ in range(40):
        loss, backprop = model.begin_update((vectors, gold))
        losses.append(loss.value)
        backprop()
        model.finish_update(optimizer)
    assert losses[-1] < losses[0] / 2
    for unit, wanted in zip(model.predict((vectors, False)), gold, strict=True):
        numpy.testing.assert_array_equal(unit.best, wanted)


@each_decoder
def test_prediction_does_not_depend_on_batch_mates_or_on_the_call(name: str) -> None:
    model = block(name)
    vectors = [numpy.random.default_rng(n).standard_normal((n, WIDTH)).astype("float32") for n in (2, 9, 0, 4)]
    together = model.predict((vectors, True))
    for X, unit in zip(vectors, together, strict=True):
        for alone in (model.predict(([X], True))[0], model.predict(([X], True))[0]):
            numpy.testing.assert_array_equal(unit.best, alone.best)
            for one, other in zip(unit.scores, alone.scores, strict=True):
                numpy.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.skipif(not native.available(), reason="the loops were not compiled here")
@each_decoder
def test_compiled_loops_and_plain_torch_predict_the_same(name: str, two_threads: None) -> None:
    # in double precision: with weights as large as these, roundings of single precision grow to what no tolerance would tell from a mistake
    module = build(name).double()
    with torch.no_grad():
        for parameter in module.parameters():  # some are zero before training
            parameter += 0.3 * torch.randn_like(parameter)
        padded, mask = states(5, 40, 1, 300, 3, dtype=torch.float64)
        by_loops = module.predict(padded, mask)
        with native.switched_off():
            by_torch = module.predict(padded, mask)
    assert by_loops.best[mask].equal(by_torch.best[mask])
    for found, wanted in zip(by_loops.scores, by_torch.scores, strict=True):
        torch.testing.assert_close(found[mask], wanted[mask], atol=1e-7, rtol=1e-7)


@each_decoder
def test_fields_may_come_in_any_order(name: str) -> None:
    # given the same weights under another order of fields, the same answers come in that order
    module, turned = build(name), build(name, FIELDS[::-1])
    padded, mask = states(*LENGTHS)
    fields = {id(layers): layers for layers in module.children() if isinstance(layers, torch.nn.ModuleList) and len(layers) == len(FIELDS)}
    if not fields:
        pytest.skip("has no layers per field")
    for layers, others in zip(module.children(), turned.children(), strict=True):
        if id(layers) in fields:
            for one, other in zip(layers, reversed(others), strict=True):
                other.load_state_dict(one.state_dict())
    wanted, found = module.predict(padded, mask), turned.predict(padded, mask)
    assert torch.equal(found.best[mask], wanted.best[mask].flip(-1))
    gold = legal_gold(mask)
    torch.testing.assert_close(turned.loss(padded, mask, gold.flip(-1)).total, module.loss(padded, mask, gold).total)


@each_decoder
def test_labels_alone_are_those_of_the_prediction_with_scores(name: str) -> None:
    model = block(name)
    vectors = [numpy.random.default_rng(n).standard_normal((n, WIDTH)).astype("float32") for n in (2, 9, 0, 4)]
    for alone, scored in zip(model.predict((vectors, False)), model.predict((vectors, True)), strict=True):
        numpy.testing.assert_array_equal(alone.best, scored.best)


@each_decoder
def test_buckets_change_neither_loss_nor_gradient_nor_prediction(name: str) -> None:
    # given two equal decoders, of which one sees nearly every sequence by itself, and gold of which a third is missing
    whole, cut = block(name), block(name)
    cut.from_bytes(whole.to_bytes())
    cut.attrs["max_batch_tokens"] = 6
    draw = numpy.random.default_rng(5)
    vectors = [draw.standard_normal((n, WIDTH)).astype("float32") for n in (2, 9, 0, 4, 1)]
    ids = [numpy.stack([draw.integers(0, 2, len(X)), draw.integers(0, 4, len(X))], 1) for X in vectors]
    ids = [numpy.where(draw.random(unit.shape) < 0.3, -1, unit) for unit in ids]
    (loss, backprop), (cut_loss, cut_backprop) = whole.begin_update((vectors, ids)), cut.begin_update((vectors, ids))
    assert cut_loss.count == loss.count and cut_loss.value == pytest.approx(loss.value, rel=1e-5)
    for one, other in zip(cut_backprop(), backprop(), strict=True):
        numpy.testing.assert_allclose(one, other, atol=1e-6)
    for one, other in zip(cut.shims[0].module.parameters(), whole.shims[0].module.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-5)
    for one, other in zip(cut.predict((vectors, False)), whole.predict((vectors, False)), strict=True):
        numpy.testing.assert_array_equal(one.best, other.best)


@each_decoder
def test_nothing_to_decode(name: str) -> None:
    model = block(name)
    nothing = [numpy.zeros((0, WIDTH), dtype="float32")]
    loss, backprop = model.begin_update((nothing, [numpy.zeros((0, 2), dtype="int64")]))
    assert (loss.value, loss.count) == (0.0, 0) and backprop()[0].shape == (0, WIDTH)
    assert model.predict((nothing, True))[0].best.shape == (0, 2)


@each_decoder
def test_decoder_of_one_label(name: str) -> None:
    # a corpus with a single tag is valid
    model = block(name, (Field("tag", ("O",)),))
    vectors = [numpy.ones((3, WIDTH), dtype="float32")]
    loss, backprop = model.begin_update((vectors, [numpy.zeros((3, 1), dtype="int64")]))
    assert numpy.isfinite(loss.value) and numpy.isfinite(backprop()[0]).all()
    assert model.predict((vectors, True))[0].best.tolist() == [[0]] * 3


@each_decoder
@pytest.mark.parametrize("scale", [1e-20, 1e4])
def test_extreme_states_give_finite_numbers(name: str, scale: float) -> None:
    model = block(name)
    vectors = [numpy.random.default_rng(n).standard_normal((n, WIDTH)).astype("float32") * scale for n in (40, 1)]
    gold = [numpy.tile(numpy.array([[1, 3]]), (len(X), 1)) for X in vectors]
    loss, backprop = model.begin_update((vectors, gold))
    assert numpy.isfinite(loss.value) and all(numpy.isfinite(dX).all() for dX in backprop())
