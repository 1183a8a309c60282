"""AdversarialDecoder: the labeler beside a softmax, both sides' losses by hand, and gradients that stay on their side."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import numpy
import pytest
import torch
from thinc.api import Adam, Model, fix_random_seed, set_dropout_rate
from torch import Tensor, nn
from torch.nn import functional

from spacy_emerging.bridge.decoder import decoder_block, set_fields
from spacy_emerging.decoders import adversarial_model, collapse
from spacy_emerging.decoders.adversarial import AdversarialDecoder
from spacy_emerging.decoders.adversarial_model import Adversarial
from spacy_emerging.decoders.discriminator import Discriminator
from spacy_emerging.decoders.softmax import SoftmaxDecoder
from spacy_emerging.errors import ModelDataError, SettingError
from spacy_emerging.types import Field

WIDTH = 6
FIELDS = [Field("tag", ("a", "b", "c")), Field("kind", ("x", "y"))]
LABELS = 5
each_reading = pytest.mark.parametrize("reading", ["critic", "correctness"])


def module(**settings: Any) -> Adversarial:
    """A decoder in training, in double precision."""
    return AdversarialDecoder(**settings)(WIDTH, FIELDS).double().train()


def batch(*lengths: int) -> tuple[Tensor, Tensor, Tensor]:
    """States (B, L, D), mask (B, L) and gold (B, L, F), zeros in the padding."""
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    states = torch.randn(*mask.shape, WIDTH, dtype=torch.float64) * mask[..., None]
    gold = torch.stack([torch.randint(3, mask.shape), torch.randint(2, mask.shape)], -1) * mask[..., None]
    return states, mask, gold


def block(builder: Any, **options: Any) -> Model:
    """The decoder inside a Thinc model, from a seed."""
    fix_random_seed(7)
    model = decoder_block("decoder", builder, **options)
    set_fields(model, WIDTH, FIELDS)
    return model


def vectors(seed: int, *lengths: int) -> tuple[list[Any], list[Any]]:
    """Vectors (n, D) and gold ids (n, F), a third of them not annotated."""
    draw = numpy.random.default_rng(seed)
    ids = [numpy.stack([draw.integers(0, 3, n), draw.integers(0, 2, n)], 1) for n in lengths]
    known = [numpy.where(draw.random(unit.shape) < 0.3, -1, unit) for unit in ids]
    return [draw.standard_normal((n, WIDTH)).astype("float32") for n in lengths], known


def updates(model: Model, optimizer: Adam, steps: int = 3) -> list[float]:
    """The loss at each of some updates, each on its own batch."""
    losses = []
    for step in range(steps):
        loss, backprop = model.begin_update(vectors(step, 5, 2, 3))
        backprop()
        model.finish_update(optimizer)
        losses.append(loss.value)
    return losses


def discriminator_of(model: Model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.shims[0].module.discriminator.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# Beside a softmax


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_labeler_begins_with_the_weights_of_a_softmax_and_moves_no_seed(weight: float) -> None:
    torch.manual_seed(3)
    softmax, following = SoftmaxDecoder(hidden_width=4)(WIDTH, FIELDS), torch.rand(3)
    torch.manual_seed(3)
    adversarial = AdversarialDecoder(hidden_width=4, weight=weight)(WIDTH, FIELDS)
    assert torch.equal(torch.rand(3), following)
    assert same(adversarial.outputs.state_dict(), softmax.outputs.state_dict())


def test_discriminator_is_drawn_under_the_current_seed() -> None:
    first, second = block(AdversarialDecoder()), block(AdversarialDecoder())
    assert same(discriminator_of(first), discriminator_of(second))
    set_fields(second, WIDTH, FIELDS)
    assert not same(discriminator_of(first), discriminator_of(second))


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1, "hidden_width": 4}])
def test_weight_zero_is_a_softmax_bit_for_bit(settings: dict[str, Any]) -> None:
    # given both under the same seed, when they are trained in the same way
    plain, adversarial = block(SoftmaxDecoder(**settings)), block(AdversarialDecoder(weight=0.0, **settings))
    for model in (plain, adversarial):
        set_dropout_rate(model, 0.3)
    fix_random_seed(1)
    wanted = updates(plain, Adam(0.05))
    following = torch.rand(1)
    fix_random_seed(1)
    found = updates(adversarial, Adam(0.05))
    # then losses, random numbers, weights and answers are the same
    assert found == wanted and torch.equal(torch.rand(1), following)
    assert adversarial.to_bytes() == plain.to_bytes()
    X, _ = vectors(9, 4, 2)
    for one, other in zip(adversarial.predict((X, True)), plain.predict((X, True)), strict=True):
        numpy.testing.assert_array_equal(one.best, other.best)
        for field, wanted_field in zip(one.scores, other.scores, strict=True):
            numpy.testing.assert_array_equal(field, wanted_field)


@each_reading
def test_discriminator_moves_neither_dropout_nor_seed_of_the_labeler(reading: str) -> None:
    # given a discriminator with a say so small that it cannot be heard, and dropout on both sides
    plain = block(SoftmaxDecoder())
    adversarial = block(AdversarialDecoder(weight=1e-12, reading=reading))
    for model in (plain, adversarial):
        set_dropout_rate(model, 0.3)
    fix_random_seed(1)
    wanted = updates(plain, Adam(0.05))
    following = torch.rand(1)
    fix_random_seed(1)
    found = updates(adversarial, Adam(0.05))
    # then the labeler is trained as a softmax is
    assert found == pytest.approx(wanted, rel=1e-5) and torch.equal(torch.rand(1), following)
    for name, weights in plain.shims[0].module.outputs.state_dict().items():
        torch.testing.assert_close(adversarial.shims[0].module.outputs.state_dict()[name], weights, rtol=1e-4, atol=1e-5)


def test_loss_is_the_cross_entropy_and_the_weighted_surprise_of_the_discriminator() -> None:
    decoder, (states, mask, gold) = module(weight=0.3), batch(4, 2)
    draws = torch.rand(*mask.shape, 2 * LABELS + 1)
    scores = [output(states[mask]) for output in decoder.outputs]
    entropy = sum(functional.cross_entropy(field, gold[mask][:, i], reduction="sum") for i, field in enumerate(scores))
    noise = -(-draws[mask][:, :LABELS].log()).log()
    labels = [
        functional.one_hot((field + drawn).argmax(1), field.shape[1]).double()
        for field, drawn in zip(scores, noise.split([3, 2], 1), strict=True)
    ]
    surprise = -decoder.discriminator(states[mask], labels, mask).sigmoid().log().sum()

    output = decoder.loss(states, mask, gold, draws)

    torch.testing.assert_close(output.total, entropy + 0.3 * surprise)
    assert output.count == 6 and output.logged == {"generator": pytest.approx(surprise.item() / 6)}


def test_in_evaluation_the_loss_is_the_cross_entropy() -> None:
    decoder, (states, mask, gold) = module().eval(), batch(4, 2)
    scores = [output(states[mask]) for output in decoder.outputs]
    entropy = sum(functional.cross_entropy(field, gold[mask][:, i], reduction="sum") for i, field in enumerate(scores))
    torch.testing.assert_close(decoder.loss(states, mask, gold).total, entropy)


def test_at_prediction_nobody_asks_the_discriminator(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    forward = Discriminator.forward
    monkeypatch.setattr(Discriminator, "forward", lambda *inputs: asked.append(True) or forward(*inputs))
    model = block(AdversarialDecoder())
    for want_scores in (True, False):
        model.predict((vectors(1, 4, 2)[0], want_scores))
    assert not asked
    model.begin_update(vectors(1, 4, 2))
    assert asked


# Each side learns for itself


@each_reading
def test_shared_update_leaves_the_discriminator_alone(reading: str) -> None:
    model, optimizer = block(AdversarialDecoder(reading=reading)), Adam(0.05, L2=0.1, use_averages=True)
    _, backprop = model.begin_update(vectors(1, 5, 3))
    backprop()
    assert all(parameter.grad is None for parameter in model.shims[0].module.discriminator.parameters())
    assert all(parameter.grad is not None for parameter in model.shims[0].module.outputs.parameters())
    before = discriminator_of(model)
    model.finish_update(optimizer)
    assert same(discriminator_of(model), before)
    assert not any("discriminator" in key[1] for key in optimizer.averages)


@each_reading
def test_private_step_teaches_the_discriminator_and_nobody_else(reading: str) -> None:
    decoder, (states, mask, gold) = module(reading=reading), batch(4, 2)
    labeler, before = copy.deepcopy(decoder.outputs.state_dict()), copy.deepcopy(decoder.discriminator.state_dict())
    states.requires_grad_()

    decoder.private_step([states], [mask], [gold])

    assert same(decoder.outputs.state_dict(), labeler) and not same(decoder.discriminator.state_dict(), before)
    assert states.grad is None and all(parameter.grad is None for parameter in decoder.parameters())
    assert not any(parameter.requires_grad for parameter in decoder.discriminator.parameters())


def test_labeler_learns_from_labels_alone_and_not_from_what_the_discriminator_sees_of_the_text() -> None:
    # given a labeler whose scores do not depend on the states
    decoder, (states, mask, gold) = module(weight=1.0), batch(4, 2)
    for output in decoder.outputs:
        nn.init.zeros_(output.weight)
    states.requires_grad_()
    decoder.loss(states, mask, gold).total.backward()
    assert all(output.bias.grad.any() for output in decoder.outputs)
    # then nothing reaches them, although the discriminator's answer does depend on them
    assert not states.grad.any()


def test_discriminator_learns_to_tell_and_labeler_to_deceive() -> None:
    # given labels that the labeler never draws, the discriminator knows gold after some steps
    decoder, (states, mask, _) = module(discriminator_learn_rate=0.01), batch(8, 8)
    gold = torch.zeros(2, 8, 2, dtype=torch.int64)
    with torch.no_grad():
        for output in decoder.outputs:
            output.bias += torch.tensor([0.0, 9.0, 9.0][: len(output.bias)])
    for _ in range(30):
        decoder.private_step([states], [mask], [gold])
    draws = decoder.draws([8, 8]).reshape(2, 8, -1)
    before = decoder.loss(states, mask, gold, draws).logged
    assert before["discriminator_accuracy"] > 0.9
    # and its surprise pulls the labeler towards gold, without any cross-entropy
    pull = torch.autograd.grad(
        decoder.fooling(states[mask], mask, gold[mask] >= 0, [o(states[mask]) for o in decoder.outputs], draws[mask]),
        [o.bias for o in decoder.outputs],
    )
    assert all(gradient[0] < 0 < gradient[1:].sum() for gradient in pull)


def gradients(weight: float, bound: float, scale: float = 1.0) -> list[Tensor]:
    """Of a training loss by the scores of each field, for the same labeler, batch and noise at every call; one token has half its gold."""
    torch.manual_seed(3)
    decoder, (states, mask, gold) = module(weight=weight, bound=bound), batch(6, 4)
    gold[0, 2, 1] = -1
    scores: list[Tensor] = []
    for output in decoder.outputs:
        output.register_forward_hook(lambda _, __, found: scores.append(found))
    loss = decoder.loss(states, mask, gold, decoder.draws([6, 6]).reshape(2, 6, -1)).total
    return [gradient / scale for gradient in torch.autograd.grad(scale * loss, scores)]


def test_discriminator_pulls_no_further_than_its_bound() -> None:
    # given what cross-entropy alone says, and what the discriminator adds to it, as far as it likes and with a bound
    for alone, free, bounded in zip(gradients(1e-12, 0.0), gradients(20.0, 0.0), gradients(20.0, 0.3), strict=True):
        wanted, added = free - alone, bounded - alone
        longest = 0.3 * alone.norm(dim=1)
        # then it goes in the same direction, all the way or to the bound
        assert (wanted.norm(dim=1) > longest).any() and not (wanted.norm(dim=1) > longest).all()
        torch.testing.assert_close(added.norm(dim=1), torch.minimum(wanted.norm(dim=1), longest))
        torch.testing.assert_close((added * wanted).sum(1), added.norm(dim=1) * wanted.norm(dim=1))


def test_bound_does_not_depend_on_how_the_loss_is_scaled() -> None:
    torch.testing.assert_close(gradients(20.0, 0.3, scale=100.0), gradients(20.0, 0.3))


def test_frozen_decoder_lets_no_discriminator_teach_the_encoder() -> None:
    # given the same labeler with a discriminator and without, both frozen
    found = []
    for builder in (SoftmaxDecoder(), AdversarialDecoder(weight=1.0, bound=0.0)):
        _, backprop = block(builder, lr_scale=0.0).begin_update(vectors(1, 5, 2))
        found.append(numpy.concatenate(backprop()))
    numpy.testing.assert_array_equal(*found)


def test_frozen_decoder_trains_no_discriminator() -> None:
    model = block(AdversarialDecoder(), lr_scale=0.0)
    before = model.to_bytes()
    updates(model, Adam(0.05))
    assert model.to_bytes() == before


def test_nothing_annotated_teaches_nothing() -> None:
    decoder, (states, mask, gold) = module(), batch(4, 2)
    before = copy.deepcopy(decoder.state_dict())
    decoder.private_step([states], [mask], [torch.full_like(gold, -1)])
    assert same(decoder.state_dict(), before)
    output = decoder.loss(states, mask, torch.full_like(gold, -1))
    assert (output.total.item(), output.count) == (0.0, 0)


def test_batch_without_annotation_logs_nothing() -> None:
    model = block(AdversarialDecoder())
    assert "discriminator_accuracy" in model.begin_update(vectors(1, 4, 2))[0].logged
    X, ids = vectors(2, 3)
    assert model.begin_update((X, [numpy.full_like(unit, -1) for unit in ids]))[0].logged == {}


def test_no_tokens_at_all_cost_nothing() -> None:
    output = module().float().loss(torch.zeros(0, 0, WIDTH), torch.zeros(0, 0, dtype=torch.bool), torch.zeros(0, 0, 2, dtype=torch.int64))
    assert (output.total.item(), output.count) == (0.0, 0)


def test_labels_that_are_not_annotated_take_no_part() -> None:
    # given a token without annotation, and one with half of it
    decoder, (states, mask, gold) = module(), batch(5)
    gold[0, 1], gold[0, 3, 0] = -1, -1
    known, draws = gold[mask] >= 0, decoder.draws([5])
    scores = [output(states[mask]).detach().requires_grad_() for output in decoder.outputs]
    told = decoder.fooling(states[mask], mask, known, scores, draws)
    told.backward()
    # then the labeler learns nothing from the discriminator there
    for field in (0, 1):
        assert torch.equal(scores[field].grad.any(dim=1), known[:, field])
    # and it makes no difference what it would have said
    with torch.no_grad():
        for field in (0, 1):
            scores[field] += 5 * torch.randn_like(scores[field]) * ~known[:, field : field + 1]
    torch.testing.assert_close(decoder.fooling(states[mask], mask, known, scores, draws), told)


def test_what_stands_in_the_padding_is_never_read() -> None:
    decoder, (states, mask, gold) = module(), batch(5, 1, 3)
    draws = decoder.draws([5, 5, 5]).reshape(3, 5, -1)
    littered = states.masked_fill(~mask[..., None], 7.0), mask, gold.masked_fill(~mask[..., None], 1), draws
    clean = states, mask, gold, draws * mask[..., None]
    torch.testing.assert_close(decoder.loss(*littered).total, decoder.loss(*clean).total)
    other = copy.deepcopy(decoder)
    decoder.private_step(*([part] for part in clean))
    other.private_step(*([part] for part in littered))
    torch.testing.assert_close(other.discriminator.state_dict(), decoder.discriminator.state_dict())


# Batches


def test_buckets_do_not_change_what_the_discriminator_learns() -> None:
    whole, cut = block(AdversarialDecoder(gradient_penalty=1.0)), block(AdversarialDecoder(gradient_penalty=1.0), max_batch_tokens=6)
    for model in (whole, cut):
        model.begin_update(vectors(1, 2, 9, 0, 4, 1))
    assert cut.shims[0].module.watch.total == whole.shims[0].module.watch.total
    torch.testing.assert_close(discriminator_of(cut), discriminator_of(whole), atol=1e-5, rtol=1e-4)


def test_rows_of_a_tensor_will_do_for_buckets() -> None:
    decoder, (states, mask, gold) = module(window=1), batch(5, 2)
    other, draws = copy.deepcopy(decoder), decoder.draws([5, 5]).reshape(2, 5, -1)
    decoder.private_step([states], [mask], [gold], [draws])
    other.private_step(states, mask, gold, draws)
    torch.testing.assert_close(other.discriminator.state_dict(), decoder.discriminator.state_dict())


def test_steps_of_the_discriminator_are_counted_by_batch() -> None:
    for steps in (1, 3):
        model = block(AdversarialDecoder(discriminator_steps=steps), max_batch_tokens=4)
        model.begin_update(vectors(1, 4, 3, 2))
        (state, *_) = model.shims[0].module._optimizer.state.values()
        assert int(state["step"]) == steps


def test_every_step_draws_its_own_labels_and_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    # given somebody who notes what the discriminator is taught on
    lessons, ratios, (teach, penalty) = [], [], (adversarial_model.teach, adversarial_model.penalty)
    monkeypatch.setattr(adversarial_model, "teach", lambda judge, lesson, *others: lessons.append(lesson) or teach(judge, lesson, *others))
    monkeypatch.setattr(adversarial_model, "penalty", lambda judge, lesson, ratio: ratios.append(ratio) or penalty(judge, lesson, ratio))
    decoder, (states, mask, gold) = module(discriminator_steps=2, gradient_penalty=1.0), batch(9)
    drawn, scores = decoder.draws([9]), [output(states[mask]) for output in decoder.outputs]
    decoder.private_step([states], [mask], [gold], [drawn[None]])
    # then each step has its own columns of what was drawn, and the labeler has the first ones for itself
    for step, (lesson, ratio) in enumerate(zip(lessons, ratios, strict=True)):
        start = LABELS + step * (LABELS + 1)
        noise = -(-drawn[:, start : start + LABELS].log()).log()
        for field, own, labels in zip(scores, noise.split([3, 2], 1), lesson.generated, strict=True):
            assert torch.equal(labels.argmax(1), (field + own).argmax(1))
        torch.testing.assert_close(ratio, drawn[:, start + LABELS].double())
    assert len(lessons) == 2 and not torch.equal(lessons[0].generated[0], lessons[1].generated[0])


def test_neighbours_are_seen_as_far_as_the_window_goes() -> None:
    for window in (0, 1, 2):
        judge = Discriminator(WIDTH, [3], 8, window, 0.0)
        labels = torch.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]].requires_grad_()
        verdicts = judge(torch.randn(8, WIDTH), [labels], torch.tensor([[True] * 6, [True] * 2 + [False] * 4]))
        (slope,) = torch.autograd.grad(verdicts[4], labels)
        # the last two tokens are another sequence's
        assert slope.any(dim=1).nonzero().flatten().tolist() == [i for i in range(6) if abs(i - 4) <= window]


def test_scale_of_the_states_does_not_matter() -> None:
    decoder, (states, mask, gold) = module(), batch(4, 2)
    labels = [functional.one_hot(gold[mask][:, 0], 3).double(), functional.one_hot(gold[mask][:, 1], 2).double()]
    judge = partial(decoder.discriminator, labels=labels, mask=mask)
    torch.testing.assert_close(judge(1e4 * states[mask]), judge(states[mask]), atol=1e-3, rtol=1e-3)


# Randomness


def test_noise_comes_from_its_own_seed_and_is_new_at_every_batch() -> None:
    torch.manual_seed(0)
    following = torch.rand(1)
    torch.manual_seed(0)
    first, again, other = (AdversarialDecoder(seed=seed)(WIDTH, FIELDS) for seed in (1, 1, 2))
    torch.manual_seed(0)
    draws = [first.draws([3, 2]), first.draws([3, 2]), again.draws([3, 2]), other.draws([3, 2])]
    assert torch.equal(torch.rand(1), following)
    assert torch.equal(draws[0], draws[2]) and not torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[3])


def test_training_goes_on_in_a_copy_as_in_the_original() -> None:
    # given training that has begun, with Adam's momenta and a place in the noise
    model = block(AdversarialDecoder(discriminator_steps=2))
    updates(model, Adam(0.05))
    after = []
    for each in (model.copy(), pickle.loads(pickle.dumps(model)), model):
        fix_random_seed(2)
        updates(each, Adam(0.05))
        after.append(each.to_bytes())
    assert after[0] == after[1] == after[2]


# Gradients in finite differences


@each_reading
def test_gradients_of_both_sides_in_finite_differences(reading: str) -> None:
    """With noise that stands still, and relaxed labels, whose gradient is exact."""
    decoder, (states, mask, gold) = module(reading=reading, straight_through=False, temperature=0.7, discriminator_width=3), batch(3, 2)
    gold[0, 1, 1] = -1
    draws, known = decoder.draws([3, 2]), gold[mask] >= 0
    scores = [output(states[mask]).detach().requires_grad_() for output in decoder.outputs]
    assert torch.autograd.gradcheck(lambda *scores: decoder.fooling(states[mask], mask, known, scores, draws), scores)
    with decoder.discriminator.learning():
        decoder.settings = decoder.settings._replace(gradient_penalty=2.0)
        bucket = decoder._bucket(states, mask, gold, None)
        names, values = zip(*decoder.discriminator.named_parameters(), strict=True)

        def taught(*values: Tensor) -> Tensor:
            decoder._judged = lambda tokens, mask, labels: torch.func.functional_call(  # type: ignore[method-assign]
                decoder.discriminator, dict(zip(names, values, strict=True)), (tokens, labels, mask)
            )
            return decoder._lesson(bucket, 0)[0]

        assert torch.autograd.gradcheck(taught, [value.detach().clone().requires_grad_() for value in values])


def test_gradient_of_the_training_loss_in_finite_differences() -> None:
    """As far as the discriminator is heard without a bound, along a direction in which all weights of the labeler move."""
    decoder, (states, mask, gold) = module(weight=0.7, bound=0.0, straight_through=False, temperature=0.7), batch(3, 2)
    gold[0, 1, 1] = -1
    draws, parameters = decoder.draws([3, 3]).reshape(2, 3, -1), list(decoder.outputs.parameters())
    for _ in range(20):  # a discriminator that has something to say
        decoder.private_step([states], [mask], [gold])
    directions = [torch.randn_like(parameter) for parameter in parameters]
    slopes = torch.autograd.grad(decoder.loss(states, mask, gold, draws).total, parameters)

    def at(step: float) -> float:
        moved = copy.deepcopy(decoder)
        with torch.no_grad():
            for parameter, direction in zip(moved.outputs.parameters(), directions, strict=True):
                parameter += step * direction
        return moved.loss(states, mask, gold, draws).total.item()

    expected = (at(1e-5) - at(-1e-5)) / 2e-5
    assert sum((slope * way).sum().item() for slope, way in zip(slopes, directions, strict=True)) == pytest.approx(expected, rel=1e-6)


def test_mixed_precision_ends_before_the_discriminator() -> None:
    decoder, (states, mask, gold) = module().float(), batch(6, 3)
    draws = decoder.draws([6, 6]).reshape(2, 6, -1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        decoder.private_step([states.float()], [mask], [gold], [draws])
        output = decoder.loss(states.float(), mask, gold, draws)
        assert (
            decoder._judged(states[mask].bfloat16(), mask, [torch.eye(3)[gold[mask][:, 0]], torch.eye(2)[gold[mask][:, 1]]]).dtype
            == torch.float32
        )
    output.total.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in decoder.outputs.parameters())


# Saving


def test_discriminator_is_saved_unless_it_is_to_be_left_out() -> None:
    model, slim = block(AdversarialDecoder()), block(AdversarialDecoder(keep_discriminator=False))
    for each in (model, slim):
        updates(each, Adam(0.05))
    assert b"discriminator.verdict" in model.to_bytes() and b"discriminator" not in slim.to_bytes()
    loaded = decoder_block("decoder", AdversarialDecoder()).from_bytes(model.to_bytes())
    assert same(discriminator_of(loaded), discriminator_of(model))


@pytest.mark.parametrize("keep", [True, False])
def test_model_without_its_discriminator_predicts_and_is_trained_on(keep: bool) -> None:
    model = block(AdversarialDecoder(keep_discriminator=False))
    updates(model, Adam(0.05))
    # when it is loaded under either setting
    fix_random_seed(5)
    following = torch.rand(1)
    fix_random_seed(5)
    loaded = decoder_block("decoder", AdversarialDecoder(keep_discriminator=keep)).from_bytes(model.to_bytes())
    assert torch.equal(torch.rand(1), following)
    # then its answers are the same
    X, _ = vectors(9, 4, 2)
    for one, other in zip(loaded.predict((X, True)), model.predict((X, True)), strict=True):
        numpy.testing.assert_array_equal(one.scores[0], other.scores[0])
    # and training goes on with a discriminator that is drawn anew, and learns
    fresh = discriminator_of(loaded)
    assert not same(fresh, discriminator_of(model))
    updates(loaded, Adam(0.05))
    assert not same(discriminator_of(loaded), fresh)


def test_settings_of_the_discriminator_may_change_between_trainings() -> None:
    # a softmax may go on adversarially, and what began adversarially may go on without
    plain, adversarial = block(SoftmaxDecoder()), block(AdversarialDecoder())
    updates(decoder_block("decoder", AdversarialDecoder()).from_bytes(plain.to_bytes()), Adam(0.05))
    without = decoder_block("decoder", AdversarialDecoder(weight=0.0)).from_bytes(adversarial.to_bytes())
    assert without.shims[0].module.discriminator is None
    # but its size must be that of the saved one
    with pytest.raises(ModelDataError, match=r"decoder: weight 'discriminator\.around\.bias' has shape \(128,\).* make it \(32,\)"):
        decoder_block("decoder", AdversarialDecoder(discriminator_width=32)).from_bytes(adversarial.to_bytes())


# Collapse


def test_collapse_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a discriminator that holds everything for real, and learns next to nothing
    monkeypatch.setattr(collapse, "WINDOW", 3)
    model = block(AdversarialDecoder(discriminator_learn_rate=1e-9))
    decoder = model.shims[0].module
    decoder.watch = collapse.Watch()
    nn.init.constant_(decoder.discriminator.verdict.bias, 20.0)
    updates(model, Adam(1e-6), steps=2)
    # when the window is full
    with pytest.warns(UserWarning, match="decoder: adversarial training has collapsed: over 3 updates .* 50.0% of the labels") as reported:
        updates(model, Adam(1e-6), steps=4)
    assert len([warning for warning in reported if "collapsed" in str(warning.message)]) == 1


# Settings

WRONG = [
    ("reading", "judge"),
    ("weight", -0.1),
    ("bound", -0.1),
    ("temperature", 0),
    ("straight_through", 1),
    ("discriminator_width", 0),
    ("window", -1),
    ("discriminator_steps", 0),
    ("discriminator_learn_rate", 0.0),
    ("gradient_penalty", None),
    ("one_sided_smoothing", 1.0),
    ("keep_discriminator", "no"),
    ("seed", 0.5),
    ("label_smoothing", 1.0),
    ("hidden_width", -1),
    ("dropout", 1.0),
]


@pytest.mark.parametrize(("setting", "value"), WRONG)
def test_setting_that_cannot_work_is_named(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"AdversarialDecoder.v1: setting '{setting}' is {value!r}"):
        AdversarialDecoder(**{setting: value})
