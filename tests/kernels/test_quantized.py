"""Linear layers with weights of 8 bits: close to the layer they were, alike by every route, and in nobody's way."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from spacy_emerging.kernels import quantized as module
from spacy_emerging.kernels.linear import project
from spacy_emerging.kernels.quantized import HAS_INT8, LEAST_WIDTH, QuantizedLinear, quantizable, quantize_layers

needs_int8 = pytest.mark.skipif(not HAS_INT8, reason="this processor or build of torch has no fast product of bytes")


def pair(inputs: int = 96, outputs: int = 80, bias: bool = True) -> tuple[nn.Linear, QuantizedLinear]:
    layer = nn.Linear(inputs, outputs, bias=bias)
    return layer, QuantizedLinear(layer)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(300, 96), (2, 7, 96), (0, 96), (96,)])
def test_results_are_those_of_the_layer_but_for_rounding(bias: bool, shape: tuple[int, ...]) -> None:
    layer, quantized = pair(bias=bias)
    x = torch.randn(shape)
    wanted, found = layer(x), quantized(x)
    assert found.shape == wanted.shape
    # each of the two factors is off by half a step of 127 at most
    bound = 2 * 0.5 / 127 * x.abs().amax(-1, keepdim=True) * layer.weight.abs().sum(1) if x.numel() else wanted
    assert bool(((found - wanted).abs() <= bound * 2).all())
    assert x.numel() == 0 or not torch.equal(found, wanted)


@needs_int8
@pytest.mark.parametrize(("inputs", "outputs"), [(96, 80), (64, 644), (1001, 65)])
def test_products_of_bytes_equal_those_of_floats(inputs: int, outputs: int, monkeypatch) -> None:
    _, quantized = pair(inputs, outputs)
    x = torch.randn(50, inputs) * 3 + 1
    floats = quantized(x)
    monkeypatch.setattr(module, "WORTH_PREPARING", 1)
    monkeypatch.setattr(QuantizedLinear, "_floats", None)
    torch.testing.assert_close(quantized(x), floats, rtol=1e-6, atol=1e-5)


@needs_int8
def test_extreme_bytes_do_not_saturate(monkeypatch) -> None:
    # given the largest sums that there can be
    layer = nn.Linear(512, 64, bias=False)
    nn.init.ones_(layer.weight)
    monkeypatch.setattr(module, "WORTH_PREPARING", 1)
    # then they come out whole
    torch.testing.assert_close(QuantizedLinear(layer)(torch.ones(9, 512)), torch.full((9, 64), 512.0))
    torch.testing.assert_close(QuantizedLinear(layer)(-torch.ones(9, 512)), torch.full((9, 64), -512.0))


@pytest.mark.parametrize("worth_preparing", [1, 10**9])
def test_a_row_does_not_depend_on_the_others(worth_preparing: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "WORTH_PREPARING", worth_preparing)
    _, quantized = pair()
    x = torch.randn(20, 96)
    alone = quantized(x[:1])
    x[1:] *= 1000
    torch.testing.assert_close(quantized(x)[:1], alone, rtol=1e-6, atol=1e-6)


def test_rows_and_outputs_of_zeros_stay_zero() -> None:
    layer = nn.Linear(64, 64, bias=False)
    nn.init.zeros_(layer.weight)
    assert not QuantizedLinear(layer)(torch.randn(3, 64)).any()
    _, quantized = pair(bias=False)
    assert not quantized(torch.zeros(3, 96)).any()


def test_a_number_that_is_none_is_not_hidden() -> None:
    _, quantized = pair()
    x = torch.randn(3, 96)
    x[1, 5] = float("nan")
    assert quantized(x).isnan().all(1).tolist() == [False, True, False]


def test_results_are_float32_under_autocast() -> None:
    _, quantized = pair()
    x = torch.randn(5, 96)
    plain = quantized(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(quantized(x), plain)


def test_weight_is_what_the_integers_stand_for() -> None:
    layer, quantized = pair()
    assert quantized.integers.dtype == torch.int8
    step = layer.weight.detach().abs().amax(1, keepdim=True) / 127
    assert bool(((quantized.weight - layer.weight.detach()).abs() <= 0.51 * step).all())
    assert (quantized.in_features, quantized.out_features) == (96, 80)


def test_project_takes_either_layer() -> None:
    _, quantized = pair()
    x = torch.randn(5, 96)
    assert torch.equal(project(x, quantized), quantized(x))


@needs_int8
def test_prepared_weights_are_neither_copied_nor_stale(monkeypatch) -> None:
    # given a layer that has prepared its weights
    monkeypatch.setattr(module, "WORTH_PREPARING", 1)
    _, quantized = pair()
    x = torch.randn(5, 96)
    before = quantized(x)
    # then copies work
    assert torch.equal(copy.deepcopy(quantized)(x), before)
    assert torch.equal(pickle.loads(pickle.dumps(quantized))(x), before)
    # and other weights are prepared anew
    _, other = pair()
    quantized.load_state_dict(other.state_dict())
    assert torch.equal(quantized(x), other(x))


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Linear(LEAST_WIDTH, LEAST_WIDTH)
        self.shared = self.large
        self.few_labels = nn.Linear(LEAST_WIDTH, LEAST_WIDTH - 1)
        self.low_rank = nn.Linear(LEAST_WIDTH - 1, LEAST_WIDTH)
        self.inner = nn.Sequential(nn.LSTM(64, 64), nn.Linear(100, 100), nn.Embedding(100, 100), nn.MultiheadAttention(64, 2))


def test_large_linear_layers_are_quantized_and_shared_ones_stay_shared() -> None:
    parts = Parts()
    names = quantizable(parts)
    assert names == ["large", "shared", "inner.1"]
    quantize_layers(parts, names)
    assert isinstance(parts.inner[1], QuantizedLinear)
    assert parts.shared is parts.large
    assert quantizable(parts) == []


def test_what_only_training_needs_is_passed_over() -> None:
    parts = Parts()
    parts.training_only = ("inner",)
    assert quantizable(parts) == ["large", "shared"]


@pytest.mark.parametrize("name", ["missing", "inner.0"])
def test_a_layer_that_is_not_there_changes_nothing(name: str) -> None:
    parts = Parts()
    with pytest.raises(AttributeError, match=name.split(".")[0]):
        quantize_layers(parts, ["large", name])
    assert type(parts.large) is nn.Linear


def test_whoever_multiplies_by_the_weight_still_can() -> None:
    layer, quantized = pair()
    x = torch.randn(5, 96)
    torch.testing.assert_close(functional.linear(x, quantized.weight, quantized.bias), layer(x), rtol=0, atol=0.05)
