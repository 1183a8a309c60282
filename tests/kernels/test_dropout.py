"""Dropout by random bits, against what dropout is."""

import pytest
import torch
from torch import nn

from spacy_emerging.kernels.dropout import Dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75])
def test_numbers_are_zero_at_the_rate_and_the_others_are_scaled(rate, dtype):
    y = Dropout(rate)(torch.ones(501, 399, dtype=dtype))
    assert y.dtype == dtype and y.shape == (501, 399)
    zeros = float((y == 0).double().mean())
    assert zeros == pytest.approx(rate, abs=0.005)  # 4 standard deviations of a share of 200,000 draws
    torch.testing.assert_close(
        y[y != 0], torch.full_like(y[y != 0], 1 / (1 - rate)), rtol=1e-2 if dtype == torch.bfloat16 else 1e-4, atol=0
    )


def test_each_of_the_numbers_that_share_a_draw_is_drawn_for_itself():
    kept = (Dropout(0.5)(torch.ones(40_000)) != 0).double().view(-1, 4)
    assert torch.corrcoef(kept.t()).sub(torch.eye(4)).abs().max() < 0.05
    assert (kept.mean(0) - 0.5).abs().max() < 0.02


def test_gradients_go_where_numbers_went():
    x = torch.randn(37, 5, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.3)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient * x, y)


def test_it_follows_torchs_seed():
    x = torch.ones(10, 10)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(Dropout(0.5)(x))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (3, 7), ()])
def test_any_shape_will_do(shape):
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


@pytest.mark.parametrize("rate,expected", [(0.0, 1.0), (1.0, 0.0)])
def test_nothing_or_everything_can_be_dropped(rate, expected):
    assert Dropout(rate)(torch.ones(50)).eq(expected).all()


def test_in_evaluation_nothing_is_dropped_and_nothing_drawn():
    x, before = torch.ones(50), torch.get_rng_state()
    assert Dropout(0.5).eval()(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_it_counts_as_dropout_for_whoever_sets_rates():
    assert isinstance(Dropout(0.5), nn.Dropout)
