"""Quantised modules inside Thinc models: every encoder, saving, copies, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy
import pytest
from thinc.api import Adam
from torch import Tensor, nn

from spacy_emerging.bridge.encoder import torch_encoder
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.errors import ModelDataError, QuantizationError
from spacy_emerging.kernels.quantized import QuantizedLinear

from .encoders import build, directions, each_encoder, ready, sequences, shim_of

WIDTH = 64
MAMBA = "spacy-emerging.Mamba2Encoder.v1"


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.second.weight = self.first.weight

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        return self.second(self.first(tokens))


def quantized(name: str = MAMBA, **settings: Any) -> Any:
    model = ready(name, width=WIDTH, **settings)
    shim_of(model).quantize()
    return model


def inputs() -> list[Any]:
    return sequences(9, 1, 4, width=WIDTH)


def distance(found: list[Any], wanted: list[Any]) -> float:
    """Of the vectors, as a part of their length; the residual stream, which is not rounded, is left out of neither."""
    difference = numpy.concatenate(found) - numpy.concatenate(wanted)
    return float(numpy.linalg.norm(difference) / numpy.linalg.norm(numpy.concatenate(wanted)))


@each_encoder
def test_every_encoder_gives_nearly_the_same_vectors_in_every_direction(name: str) -> None:
    for direction in directions(name):
        model = ready(name, direction, width=WIDTH, depth=2)
        before, layers = model.predict(inputs()), shim_of(model).quantize()
        after = model.predict(inputs())
        wide = [layer for layer in shim_of(model).module.modules() if isinstance(layer, QuantizedLinear)]
        assert len(wide) == len(layers)
        assert distance(after, before) < 0.02
        assert (distance(after, before) > 0) == bool(layers)


@each_encoder
def test_every_encoder_comes_back_from_bytes(name: str) -> None:
    model = quantized(name)
    loaded = build(name, width=WIDTH).from_bytes(model.to_bytes())
    for mine, theirs in zip(loaded.predict(inputs()), model.predict(inputs()), strict=True):
        numpy.testing.assert_array_equal(mine, theirs)


def test_copies_and_pickles_are_quantized_too() -> None:
    model = quantized()
    wanted = model.predict(inputs())
    for copied in (model.copy(), pickle.loads(pickle.dumps(model))):
        assert shim_of(copied).is_quantized
        numpy.testing.assert_array_equal(copied.predict(inputs())[0], wanted[0])


def test_quantized_weights_take_less_than_a_third_of_the_bytes() -> None:
    model = ready(MAMBA, width=128, depth=2)
    before = len(model.to_bytes())
    shim_of(model).quantize()
    assert len(model.to_bytes()) < before / 3


def test_tied_weights_are_quantized_alike() -> None:
    settings = {"width": WIDTH}
    model = torch_encoder("tied", Tied, settings=settings, width=WIDTH, dropout=0.0).initialize()
    before = model.predict(inputs())
    assert shim_of(model).quantize() == ["first", "second"]
    assert distance(model.predict(inputs()), before) < 0.02
    loaded = torch_encoder("tied", Tied, settings=settings, width=WIDTH, dropout=0.0).from_bytes(model.to_bytes())
    numpy.testing.assert_array_equal(loaded.predict(inputs())[0], model.predict(inputs())[0])


def test_mixed_precision_still_runs() -> None:
    model = ready(MAMBA, width=WIDTH, amp="bf16")
    before = model.predict(inputs())
    shim_of(model).quantize()
    assert distance(model.predict(inputs()), before) < 0.03


def test_training_is_refused_and_an_update_changes_nothing() -> None:
    model = quantized()
    saved = model.to_bytes()
    with pytest.raises(QuantizationError, match="Mamba2Encoder.v1: .*cannot be trained; train the original pipeline"):
        model.begin_update(inputs())
    model.finish_update(Adam(0.1))
    assert model.to_bytes() == saved


def test_quantizing_twice_is_refused() -> None:
    with pytest.raises(QuantizationError, match="quantised already"):
        shim_of(quantized()).quantize()


def test_a_fresh_start_can_be_trained() -> None:
    model = quantized()
    model.initialize()
    assert not shim_of(model).is_quantized
    outputs, backprop = model.begin_update(inputs())
    assert len(backprop(outputs)) == 3


@pytest.mark.parametrize("settings", [{"depth": 1}, {"depth": 3}, {"depth": 2, "width": 32}])
def test_another_config_is_named(settings: dict[str, Any]) -> None:
    saved = ready(MAMBA, width=WIDTH, depth=2)
    shim_of(saved).quantize()
    with pytest.raises(ModelDataError, match="load it with the config that it was trained with"):
        shim_of(build(MAMBA, **{"width": WIDTH, **settings})).from_bytes(shim_of(saved).to_bytes())
