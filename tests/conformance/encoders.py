"""The encoders under test: whatever the registry lists, so that a new encoder is tested without a word here."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy
import pytest
import torch
from spacy.util import registry
from thinc.api import Model, get_current_ops
from torch import nn

from spacy_emerging.bridge.shim import TorchShim
from spacy_emerging.registry import ARCHITECTURES

WIDTH = 12  # spaCy's own default for the senter: small, and no multiple of 8
NAMES = sorted(name for name in ARCHITECTURES if name.endswith("Encoder.v1"))


def module_of(name: str) -> str:
    """The module that a registered name points at."""
    return "spacy_emerging." + ARCHITECTURES[name].partition(":")[0]


def directions(name: str) -> tuple[str, ...]:
    """The directions that an encoder's file lists."""
    return import_module(module_of(name)).DIRECTIONS


PRESENT = [name for name in NAMES if find_spec(module_of(name))]
"""Encoders whose file is there; one test asserts that these are all."""

each_encoder = pytest.mark.parametrize("name", [pytest.param(name, id=name.split(".")[1]) for name in PRESENT])
each_direction = pytest.mark.parametrize(
    ("name", "direction"),
    [pytest.param(name, direction, id=f"{name.split('.')[1]}-{direction}") for name in PRESENT for direction in directions(name)],
)


def build(name: str, direction: str = "concat", width: int = WIDTH, depth: int = 1, **settings: Any) -> Model:
    """An encoder as a config makes it, without weights yet."""
    return registry.architectures.get(name)(width=width, depth=depth, direction=direction, **settings)


def ready(name: str, direction: str = "concat", width: int = WIDTH, depth: int = 1, **settings: Any) -> Model:
    """An encoder with freshly drawn weights."""
    return build(name, direction, width, depth, **settings).initialize()


def shim_of(model: Model) -> TorchShim:
    return model.shims[0]


def torch_module(model: Model) -> nn.Module:
    return shim_of(model).module


def sequences(*lengths: int, width: int = WIDTH, seed: int = 1, scale: float = 1.0) -> list[Any]:
    """Normally distributed token vectors (n, D) on the current device, one array per length."""
    draw = numpy.random.default_rng(seed)
    return [get_current_ops().asarray((draw.standard_normal((n, width)) * scale).astype("float32")) for n in lengths]


def on_cpu(array: Any) -> numpy.ndarray:
    return array.get() if hasattr(array, "get") else array


def assert_close(found: list[Any], wanted: list[Any], tolerance: float = 1e-5) -> None:
    """The same list of arrays, up to `tolerance` absolute and relative."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        numpy.testing.assert_allclose(on_cpu(one), on_cpu(other), atol=tolerance, rtol=tolerance)


def assert_close_gradients(found: list[Any], wanted: list[Any], tolerance: float = 2e-5) -> None:
    """The same list of arrays, up to `tolerance` of the largest number in each, as float32 sums allow."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        largest = max(1.0, float(abs(other).max())) if len(other) else 1.0
        numpy.testing.assert_allclose(on_cpu(one), on_cpu(other), atol=tolerance * largest, rtol=0)


def assert_same(found: list[Any], wanted: list[Any]) -> None:
    """The same list of arrays, bit by bit."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        numpy.testing.assert_array_equal(on_cpu(one), on_cpu(other))


def weights(model: Model) -> dict[str, torch.Tensor]:
    """A copy of all weights, torch's own included, which spaCy's test helpers do not see."""
    return {name: tensor.detach().cpu().clone() for name, tensor in torch_module(model).state_dict().items()}


def assert_same_weights(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


def train_step(model: Model, optimizer: Any, inputs: list[Any], seed: int = 2) -> None:
    """One update towards random outputs, as a component would do it."""
    outputs, backprop = model.begin_update(inputs)
    targets = sequences(*map(len, inputs), width=model.get_dim("nO"), seed=seed)
    backprop([output - target for output, target in zip(outputs, targets, strict=True)])
    model.finish_update(optimizer)
