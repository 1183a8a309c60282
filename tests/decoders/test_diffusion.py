"""DiffusionDecoder: what it draws, sees, samples and answers. What all decoders share is in tests/conformance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from spacy_emerging.bridge.decoder import decoder_block, set_fields
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.bridge.shim import shim_of
from spacy_emerging.decoders.diffusion import DiffusionDecoder
from spacy_emerging.decoders.diffusion_model import Diffusion
from spacy_emerging.decoders.diffusion_targets import Noisy
from spacy_emerging.decoders.noise import BLOCK, noise_of_positions, training_draws
from spacy_emerging.errors import SettingError
from spacy_emerging.kernels import native
from spacy_emerging.kernels.diffusion import time_grid
from spacy_emerging.types import Field

WIDTH = 4
TAG, KIND = Field("tag", ("a", "b", "c", "d", "e")), Field("kind", ("x", "y"))
CODE = Field("code", ("up", "down", "both"), bits=((1, 0, 0), (0, 1, 0), (1, 1, 1)))
SMALL = {"hidden_width": 6, "denoiser_width": 8, "denoiser_depth": 1, "times": 50}

MODES: dict[str, dict[str, Any]] = {
    "x0": {},
    "bits": {"loss": "bits"},
    "squared": {"loss": "squared"},
    "noise": {"target": "noise", "snr_scale": 1.0},
    "structured": {"structured": True},
    "self-conditioned": {"self_conditioning": True},
    "ancestral": {"sampler": "ancestral", "schedule": "cosine"},
    "sigmoid": {"schedule": "sigmoid", "snr_scale": 1.0},
}
each_mode = pytest.mark.parametrize("settings", [pytest.param(settings, id=id) for id, settings in MODES.items()])


def module(*fields: Field, spread: float = 0.3, **settings: Any) -> Diffusion:
    """A small decoder, none of whose weights is zero any more, as after training."""
    torch.manual_seed(0)
    decoder = DiffusionDecoder(**{**SMALL, **settings})(WIDTH, fields or [TAG, KIND]).eval()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=draw)
    return decoder


def batch(*lengths: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    states = torch.randn(*mask.shape, WIDTH, generator=torch.Generator().manual_seed(1))
    return scale * states * mask[..., None], mask


def gold(mask: Tensor) -> Tensor:
    place = torch.arange(mask.shape[1])
    return torch.stack([place % 5, place % 2], -1).expand(*mask.shape, 2).clone()


class Oracle(torch.nn.Module):
    """A denoiser that knows what is right: it answers with these bits, or with the velocity that leads to them."""

    def __init__(self, decoder: Diffusion, bits: Tensor) -> None:
        super().__init__()
        self.decoder, self.bits, self.calls = decoder, bits, 0

    def condition(self, tokens: Tensor, layout: Any, samples: int = 1) -> None:
        return None

    def times(self, times: Tensor) -> Tensor:
        self.grid = times * self.decoder.settings.times / 1000
        return self.grid[:, None]

    def forward(self, noisy: Tensor, earlier: Tensor | None, time: Tensor, condition: None) -> Tensor:
        self.calls += 1
        bits, settings = self.bits.expand_as(noisy), self.decoder.settings
        if settings.target == "x0" and settings.loss == "labels":
            groups = bits.split(self.decoder.tags.sizes, dim=-1)
            return 30 * torch.cat([group @ self.decoder.tags.code(f).T for f, group in enumerate(groups)], dim=-1)
        if settings.target == "x0":
            return bits if settings.loss == "squared" else 30 * bits
        left = self.decoder.left[int(time.round())].float()
        noise = (noisy - left.sqrt() * settings.snr_scale * bits) / (1 - left).sqrt()
        return left.sqrt() * noise - (1 - left).sqrt() * settings.snr_scale * bits


# Sampling


@pytest.mark.parametrize("sampler", ["ddim", "ancestral"])
@pytest.mark.parametrize("steps", [1, 2, 5, 50])
@pytest.mark.parametrize("mode", ["x0", "bits", "squared", "noise"])
def test_perfect_denoiser_gives_the_labels_back(mode: str, steps: int, sampler: str) -> None:
    # given a network that never errs, any number of steps ends at its labels
    decoder, (states, mask) = module(**{**MODES[mode], "steps": steps, "sampler": sampler}), batch(7, 3)
    wanted = gold(mask)
    decoder.denoiser = Oracle(decoder, decoder.tags.encode(wanted[mask])[0])

    prediction = decoder.predict(states, mask)

    assert torch.equal(prediction.best[mask], wanted[mask])
    assert decoder.denoiser.calls == steps
    for f, field in enumerate(prediction.scores):
        assert (field[mask].gather(1, wanted[mask][:, [f]]).exp() > 0.99).all()


@pytest.mark.parametrize("sampler", ["ddim", "ancestral"])
def test_each_step_goes_on_where_the_last_one_ended(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # given somebody who notes what the network hears and says in three steps
    settings = {"steps": 3, "sampler": sampler, "self_conditioning": True, "snr_scale": 0.5}
    decoder, (states, mask) = module(spread=1.0, **settings), batch(5, 2)
    heard: list[tuple[Tensor, Tensor | None]] = []
    said: list[Tensor] = []
    forward = decoder.denoiser.forward
    monkeypatch.setattr(
        decoder.denoiser,
        "forward",
        lambda noisy, earlier, *others: heard.append((noisy, earlier)) or said.append(forward(noisy, earlier, *others)) or said[-1],
    )
    decoder.predict(states, mask)
    # then it begins with noise and no estimate
    layout, left = Layout([5, 2]), [decoder.left[time].float() for time in time_grid(50, 3)]
    noise = [noise_of_positions(5, decoder.tags.bits, 0, 0, step)[layout.position] for step in range(3)]
    torch.testing.assert_close(heard[0][0][0], noise[0])
    assert heard[0][1] is None and not torch.allclose(noise[1], noise[2])
    for step, (now, later) in enumerate(itertools.pairwise(left[:3])):
        # and each step hears the last estimate, and where equation 12 of arXiv 2010.02502 leads from it
        noisy = heard[step][0]
        clean = decoder.target.bits(said[step], Noisy(noisy, now, layout)).clamp(-1, 1)
        rest = (noisy - now.sqrt() * 0.5 * clean) / (1 - now).sqrt()
        sigma = ((1 - later) / (1 - now) * (1 - now / later)).sqrt() if sampler == "ancestral" else torch.tensor(0.0)
        expected = later.sqrt() * 0.5 * clean + (1 - later - sigma**2).sqrt() * rest + sigma * noise[step + 1]
        torch.testing.assert_close(heard[step + 1][0], expected)
        torch.testing.assert_close(heard[step + 1][1], clean)


def test_codes_that_are_no_labels_are_read_as_labels() -> None:
    # given a network that says 111, 110 and 101 of a field with the labels 000 to 100
    decoder, (states, mask) = module(TAG, loss="squared"), batch(3)
    decoder.denoiser = Oracle(decoder, torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.9, -0.2], [0.4, -0.8, 0.9]]))
    assert decoder.predict(states, mask).best[0, :, 0].tolist() == [3, 4, 1]


@each_mode
def test_token_states_are_read_once_however_many_steps(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, (states, mask) = module(**settings, steps=7, samples=3), batch(4, 2)
    calls: list[str] = []
    for name in ("condition", "forward"):
        original = getattr(decoder.denoiser, name)
        monkeypatch.setattr(decoder.denoiser, name, lambda *inputs, name=name, original=original: calls.append(name) or original(*inputs))
    decoder.predict(states, mask)
    assert calls == ["condition"] + ["forward"] * 7


@each_mode
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1.0, 1e6])
@pytest.mark.parametrize("samples", [1, 2])
def test_no_step_gives_anything_but_numbers(settings: dict[str, Any], samples: int, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # given weights and states far beyond what training makes, all 50 of 50 steps are watched
    decoder, (states, mask) = module(**settings, steps=50, samples=samples, spread=3.0), batch(5, 2, scale=scale)
    seen: list[Tensor] = []
    original = decoder.denoiser.forward
    monkeypatch.setattr(decoder.denoiser, "forward", lambda noisy, *others: seen.append(noisy) or original(noisy, *others))

    prediction = decoder.predict(states, mask)

    assert len(seen) == 50 and all(torch.isfinite(noisy).all() for noisy in seen)
    assert all(torch.isfinite(field[mask]).all() for field in prediction.scores)


@each_mode
@pytest.mark.parametrize("steps", [1, 4])
def test_prediction_depends_on_seed_and_place_alone(settings: dict[str, Any], steps: int) -> None:
    # given the same sequence alone, behind longer ones, and between calls that move torch's own generator
    decoder, lengths = module(**settings, steps=steps, samples=2), (BLOCK + 9, 5, 1)
    states, mask = batch(*lengths)
    together = decoder.predict(states, mask)
    for b, n in enumerate(lengths):
        torch.manual_seed(b)
        before = torch.random.get_rng_state()
        alone = decoder.predict(states[b : b + 1, :n], mask[b : b + 1, :n])
        assert torch.equal(torch.random.get_rng_state(), before)
        assert torch.equal(alone.best[0], together.best[b, :n])
        torch.testing.assert_close(alone.agreement[0], together.agreement[b, :n])
        for one, other in zip(alone.scores, together.scores, strict=True):
            torch.testing.assert_close(one[0], other[b, :n], atol=1e-5, rtol=1e-4)


def test_another_seed_draws_other_noise() -> None:
    states, mask = batch(20)
    first, same, other = (module(seed=seed).predict(states, mask).scores[0] for seed in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_fields_in_another_order_are_the_same_fields() -> None:
    # given a network that looks at the states alone, whose parts are put into the other order
    decoder, turned = (module(*fields, loss="bits") for fields in ((TAG, KIND), (KIND, TAG)))
    turned.load_state_dict(decoder.state_dict())
    order = [3, 0, 1, 2]  # bits of the second field first
    one, other = decoder.denoiser, turned.denoiser
    for denoiser in (one, other):
        torch.nn.init.zeros_(denoiser.output.weight)
    other.readout.weight.data, other.readout.bias.data = one.readout.weight.data[order], one.readout.bias.data[order]
    states, mask = batch(6, 2)
    found, wanted = turned.predict(states, mask), decoder.predict(states, mask)
    assert torch.equal(found.best, wanted.best.flip(-1))
    torch.testing.assert_close(found.scores[::-1], wanted.scores)


# Several samples


@each_mode
def test_samples_and_how_far_they_agree(settings: dict[str, Any]) -> None:
    # given a decoder unsure enough for its samples to differ
    decoder, (states, mask) = module(**settings, samples=5, steps=3, spread=1.0), batch(40, 7)
    prediction, several = decoder.predict(states, mask), decoder.several(states, mask)
    assert several.shape == (2, 40, 2, 5)
    agreement = prediction.agreement[mask]
    assert ((agreement > 0) & (agreement <= 1)).all()
    shares = (several == prediction.best[..., None]).all(2).float().mean(-1)
    torch.testing.assert_close(agreement, shares[mask])
    # the answer is one of the samples, the one that agrees most with all
    for b, n in enumerate((40, 7)):
        sums = [(several[b, :n] == several[b, :n, :, [s]]).all(1).sum().item() for s in range(5)]
        assert torch.equal(prediction.best[b, :n], several[b, :n, :, sums.index(max(sums))])


def test_first_of_several_samples_is_the_only_one() -> None:
    states, mask = batch(30, 4)
    several = module(samples=4, steps=3, spread=1.0).several(states, mask)
    assert torch.equal(several[..., 0], module(samples=1, steps=3, spread=1.0).predict(states, mask).best)
    assert module().predict(states, mask).agreement is None


def test_samples_that_are_all_alike_agree_wholly() -> None:
    decoder, (states, mask) = module(samples=3, steps=2), batch(4)
    decoder.denoiser = Oracle(decoder, decoder.tags.encode(gold(mask)[mask])[0])
    assert (decoder.predict(states, mask).agreement == 1).all()


# Noise


def test_noise_of_a_place_does_not_depend_on_what_follows() -> None:
    long = noise_of_positions(3 * BLOCK + 5, 3, 0, "key")
    for length in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1):
        assert torch.equal(noise_of_positions(length, 3, 0, "key"), long[:length])
    assert not torch.equal(noise_of_positions(BLOCK, 3, 1, "key"), long[:BLOCK])
    assert abs(long.mean().item()) < 0.2 and abs(long.std().item() - 1) < 0.15


def test_draws_of_training() -> None:
    lengths = [3, 1, 5, 2] * 500
    draws = training_draws(lengths, 2, 0, 1)
    noise, shares, common = draws[:, :2], draws[:, 2], draws[:, 3]
    assert abs(noise.mean().item()) < 0.05 and abs(noise.std().item() - 1) < 0.05
    # one time per sequence, and all times equally often
    per_sequence = [part.unique().item() for part in shares.split(lengths)]
    counts = torch.tensor(per_sequence).histc(10, 0, 1)
    assert counts.tolist() == pytest.approx([200] * 10, abs=1)
    assert len(common.unique()) == 1
    assert not torch.equal(training_draws(lengths, 2, 0, 2), draws)


def test_training_draws_anew_at_every_update_and_moves_no_other_generator() -> None:
    decoder, twin, (states, mask) = module().train(), module().train(), batch(6, 2)
    before = torch.random.get_rng_state()
    losses = [decoder.loss(states, mask, gold(mask)).total.item() for _ in range(3)]
    assert len(set(losses)) == 3
    assert [twin.loss(states, mask, gold(mask)).total.item() for _ in range(3)] == losses
    assert torch.equal(torch.random.get_rng_state(), before)


# Loss


def test_loss_is_the_error_of_the_bits_of_annotated_tokens() -> None:
    # given answers of which one bit is wrong by 2, one by 0.5, and one belongs to a token without annotation
    decoder, (states, mask) = module(TAG, loss="squared"), batch(3)
    ids = torch.tensor([[[0], [4], [-1]]])
    decoder.denoiser = Oracle(decoder, torch.tensor([[1.0, -1.0, -1.0], [1.0, -0.5, -1.0], [9.0, 9.0, 9.0]]))
    output = decoder.loss(states, mask, ids)
    assert output.total.item() == pytest.approx(2**2 + 0.5**2) and output.count == 2


def test_cross_entropy_of_bits() -> None:
    decoder, (states, mask) = module(KIND, loss="bits"), batch(2)
    decoder.denoiser = Oracle(decoder, torch.tensor([[0.1], [-0.05]]))  # log-odds of 3 and -1.5
    output = decoder.loss(states, mask, torch.tensor([[[1], [1]]]))
    assert output.total.item() == pytest.approx(math.log(1 + math.exp(-3)) + math.log(1 + math.exp(1.5)), rel=1e-5)


def test_network_sees_nothing_of_gold_that_is_missing() -> None:
    # given two golds of which the first says less, and the same noise, the noisy bits of that token are noise alone
    decoder, (states, mask) = module(TAG, schedule="sigmoid"), batch(2)
    seen: list[Tensor] = []
    original = decoder.denoiser.forward
    decoder.denoiser.forward = lambda noisy, *others: seen.append(noisy[0]) or original(noisy, *others)
    for ids in ([-1, 2], [3, 2]):
        decoder.loss(states, mask, torch.tensor([ids])[..., None])
    kept = decoder.left[26].sqrt().item() * 0.1  # in evaluation, half of the times
    torch.testing.assert_close(seen[1][0] - seen[0][0], kept * decoder.tags.code(0)[3])
    assert torch.equal(seen[0][1], seen[1][1])


def test_cross_entropy_of_labels() -> None:
    # given scores of 3 and 1 for the gold label and the other, and the same for another token without annotation
    decoder, (states, mask) = module(KIND), batch(2)
    decoder.denoiser.forward = lambda *_: torch.tensor([[[1.0, 3.0], [1.0, 3.0]]])
    output = decoder.loss(states, mask, torch.tensor([[[1], [-1]]]))
    assert output.total.item() == pytest.approx(math.log(1 + math.exp(-2))) and output.count == 1


def test_estimate_of_a_bit_is_its_mean_under_the_labels() -> None:
    decoder, layout = module(TAG), Layout([1])
    probabilities = torch.tensor([[[0.1, 0.2, 0.3, 0.4, 1e-30]]])
    bits = decoder.target.bits(probabilities.log(), Noisy(torch.zeros(1, 1, 3), torch.ones(()), layout))
    torch.testing.assert_close(bits[0, 0], torch.tensor([-1.0, 0.3 + 0.4 - 0.1 - 0.2, 0.2 + 0.4 - 0.1 - 0.3]))


@each_mode
def test_gradient_in_finite_differences(settings: dict[str, Any]) -> None:
    # given frozen noise, gold that is missing in part, and weights of which none is zero
    decoder, (states, mask) = module(**settings, spread=0.5).double(), batch(3, 1)
    ids = gold(mask)
    ids[0, 1, 0] = -1
    names, values = zip(*decoder.named_parameters(), strict=True)

    def loss(states: Tensor, *values: Tensor) -> Tensor:
        weights = dict(zip([f"decoder.{name}" for name in names], values, strict=True))
        return torch.func.functional_call(Loss(decoder), weights, (states, mask, ids))

    assert torch.autograd.gradcheck(loss, (states.double().requires_grad_(), *values), fast_mode=True)


class Loss(torch.nn.Module):
    """`decoder.loss` as a forward pass, which is what functional_call takes."""

    def __init__(self, decoder: Diffusion) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.decoder.loss(*inputs).total


@each_mode
def test_every_weight_learns(settings: dict[str, Any]) -> None:
    # given enough updates for the choice of self-conditioning to fall both ways
    decoder, (states, mask) = module(**settings).train(), batch(6, 4)
    for _ in range(12):
        decoder.loss(states, mask, gold(mask)).total.backward()
    assert [name for name, weight in decoder.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_before_training_the_denoiser_says_what_the_states_say() -> None:
    # as in adaLN-Zero, noise has no influence at first
    decoder, (states, mask) = DiffusionDecoder(**SMALL)(WIDTH, [TAG]).eval(), batch(5)
    other = DiffusionDecoder(**SMALL, seed=1)(WIDTH, [TAG]).eval()
    other.load_state_dict(decoder.state_dict())
    assert torch.equal(decoder.predict(states, mask).scores[0], other.predict(states, mask).scores[0])


# Structured


def test_mean_field_is_exact_where_transitions_are_zero_and_close_where_they_are_weak() -> None:
    chain = module(TAG, structured=True, mean_field_rounds=30, spread=0.0).target.chains[0]
    scores = torch.randn(1, 4, 5, generator=torch.Generator().manual_seed(2))
    layout = Layout([4])
    torch.testing.assert_close(chain.log_beliefs(scores, layout), scores.log_softmax(-1))
    with torch.no_grad():
        chain.between += 0.1 * torch.randn(5, 5, generator=torch.Generator().manual_seed(3))
    exact = torch.zeros(4, 5)
    for path in itertools.product(range(5), repeat=4):
        score = sum(scores[0, t, label] for t, label in enumerate(path)) + sum(chain.between[pair] for pair in itertools.pairwise(path))
        for t, label in enumerate(path):
            exact[t, label] += score.exp().detach()
    torch.testing.assert_close(chain.log_beliefs(scores, layout)[0].exp(), exact / exact.sum(1, keepdim=True), atol=0.01, rtol=0.0)


def test_beliefs_are_a_fixed_point_and_sequences_do_not_hear_one_another() -> None:
    chain = module(TAG, structured=True, mean_field_rounds=50, spread=0.3).target.chains[0]
    scores = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(2))
    beliefs = chain.log_beliefs(scores, Layout([3, 2])).exp()
    for start, end in ((0, 3), (3, 5)):
        for t in range(start, end):
            message = scores[:, t].clone()
            message += beliefs[:, t - 1] @ chain.between if t > start else 0
            message += beliefs[:, t + 1] @ chain.between.T if t + 1 < end else 0
            torch.testing.assert_close(beliefs[:, t], message.softmax(-1), atol=1e-4, rtol=1e-4)


# Settings


WRONG = [
    ("bits", "gray"),
    ("target", "x1"),
    ("loss", "hinge"),
    ("schedule", "quadratic"),
    ("times", 1),
    ("snr_scale", 0),
    ("steps", 0),
    ("steps", 1001),
    ("sampler", "euler"),
    ("samples", 0),
    ("self_conditioning", 1),
    ("structured", "yes"),
    ("mean_field_rounds", 0),
    ("hidden_width", 0),
    ("denoiser_width", 7),
    ("denoiser_depth", -1),
    ("heads", 0),
    ("search", "beam"),
    ("dropout", 1.0),
    ("seed", -1),
]


@pytest.mark.parametrize(("setting", "value"), WRONG)
def test_setting_that_cannot_work_is_named(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"DiffusionDecoder.v1: setting '{setting}' is {value!r}"):
        DiffusionDecoder(**{setting: value})


def test_chain_predicts_labels_and_no_noise() -> None:
    with pytest.raises(SettingError, match="setting 'target' is 'noise', but structured = true predicts labels; set target = \"x0\""):
        DiffusionDecoder(structured=True, target="noise")


def test_bits_of_the_linearization_where_there_are_none() -> None:
    with pytest.raises(SettingError, match="setting 'bits' is 'linearization', but the labels of tag, kind are no bits"):
        DiffusionDecoder(bits="linearization")(WIDTH, [TAG, KIND])
    assert DiffusionDecoder(bits="linearization")(WIDTH, [CODE, KIND]).tags.sizes == [3, 1]


def test_decoder_without_blocks_and_no_tokens() -> None:
    decoder, mask = module(denoiser_depth=0, samples=2), torch.zeros(0, 0, dtype=torch.bool)
    states, ids = torch.zeros(0, 0, WIDTH), torch.zeros(0, 0, 2, dtype=torch.int64)
    assert decoder.loss(states, mask, ids).total == 0
    assert decoder.predict(states, mask).best.shape == (0, 0, 2) and decoder.several(states, mask).shape == (0, 0, 2, 2)
    assert decoder.predict(*batch(3)).best.shape == (1, 3, 2)


# What is padded in prediction


def padded_sizes(monkeypatch: pytest.MonkeyPatch, model: Any, lengths: Sequence[int]) -> list[int]:
    """Places, tokens and padding, of every array that a prediction pads."""
    sizes: list[int] = []
    pad = Layout.pad
    monkeypatch.setattr(Layout, "pad", lambda layout, flat: sizes.append(layout.batch * layout.longest) or pad(layout, flat))
    model.predict(([numpy.zeros((length, 64), dtype="float32") for length in lengths], False))
    return sizes


@pytest.mark.parametrize("how", ["plain", "quantised", "autocast", "torch"])
def test_a_long_sequence_never_pads_short_ones_beyond_the_bound(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # given one long sequence among many short ones, of which some would go with it if only tokens were counted
    model = decoder_block("diffusion", DiffusionDecoder(), max_batch_tokens=400)
    set_fields(model, 64, [TAG])
    if how == "quantised":
        assert "denoiser.blocks.0.qkv" in shim_of(model).quantize()
    contexts = {"torch": native.switched_off(), "autocast": torch.autocast("cpu", dtype=torch.bfloat16)}
    with contexts.get(how, nullcontext()):
        sizes = padded_sizes(monkeypatch, model, [300] + [5] * 100)
    assert max(sizes, default=0) <= 400
    if how == "plain" and native.available():
        assert sizes == []  # the loops pad nothing at all
    if how != "plain":
        assert sizes
