"""TorchShim beyond what the conformance suites see: odd parameters, tied weights, mixed precision, foreign state."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy
import pytest
import torch
from thinc.api import Adam, Optimizer
from torch import Tensor, nn

from spacy_emerging.bridge import precision
from spacy_emerging.bridge.encoder import torch_encoder
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.bridge.shim import TorchShim, undecayed
from spacy_emerging.errors import SettingError


class Odd(nn.Module):
    """A scalar parameter, two tied weights, a buffer, a frozen parameter, one that takes no part, and names that Thinc uses."""

    no_weight_decay = ("W",)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.W = nn.Parameter(torch.randn(width, width))
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.second.weight = self.first.weight
        self.unused = nn.Parameter(torch.ones(2, 2))
        self.frozen = nn.Parameter(torch.ones(width), requires_grad=False)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        if self.training:
            self.calls += 1
        return self.gain * self.second(self.first(tokens @ self.W + self.frozen))


def odd_model(width: int = 4, **options: Any) -> Any:
    return torch_encoder("odd", Odd, settings={"width": width}, width=width, dropout=0.0, **options).initialize()


def inputs(*lengths: int) -> list[Any]:
    return [numpy.random.default_rng(n).standard_normal((n, 4)).astype("float32") for n in lengths]


def step(model: Any, optimizer: Optimizer) -> None:
    outputs, backprop = model.begin_update(inputs(3, 2))
    backprop(outputs)
    model.finish_update(optimizer)


def test_scalar_parameters_train_average_and_come_back() -> None:
    model, optimizer = odd_model(), Adam(0.1, use_averages=True)
    step(model, optimizer)
    step(model, optimizer)
    trained = model.shims[0].module.gain.item()
    assert trained != 1.0
    with model.use_params(optimizer.averages):
        assert model.shims[0].module.gain.item() != trained
    assert model.shims[0].module.gain.item() == trained


def test_tied_weights_and_buffers_survive_saving() -> None:
    model = odd_model()
    step(model, Adam(0.1))
    loaded = torch_encoder("odd", Odd, settings={"width": 4}, width=4, dropout=0.0).from_bytes(model.to_bytes())
    module = loaded.shims[0].module
    assert module.second.weight is module.first.weight
    assert int(module.calls) == 1
    numpy.testing.assert_array_equal(loaded.predict(inputs(5))[0], model.predict(inputs(5))[0])


def test_parameters_without_gradient_are_left_alone() -> None:
    model, optimizer = odd_model(), Adam(0.1, L2=0.5)
    step(model, optimizer)
    assert torch.equal(model.shims[0].module.unused, torch.ones(2, 2))
    assert torch.equal(model.shims[0].module.frozen, torch.ones(4))


def test_undecayed_are_vectors_scalars_and_what_a_module_lists() -> None:
    assert set(undecayed(Odd(4))) == {"gain", "W", "first.bias", "second.bias", "frozen"}


def test_optimizer_gets_its_decay_back_after_an_error() -> None:
    class Failing(Optimizer):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise ArithmeticError

    optimizer = Failing(0.1, L2=0.25)
    with pytest.raises(ArithmeticError):
        step(odd_model(), optimizer)
    assert optimizer.L2 == 0.25


def test_optimizer_that_returns_new_arrays_works_too() -> None:
    def halve(key: Any, weights: Any, gradient: Any) -> Any:
        return weights / 2, gradient

    halve.L2 = 0.0  # type: ignore[attr-defined]
    model = odd_model()
    before = model.shims[0].module.W.detach().clone()
    step(model, halve)  # type: ignore[arg-type]
    torch.testing.assert_close(model.shims[0].module.W.detach(), before / 2)


# Mixed precision


class Scaler:
    """Does on the CPU what Thinc's gradient scaler does on a GPU."""

    found_inf = False

    def scale(self, tensors: list[Tensor]) -> list[Tensor]:
        return [tensor * 8 for tensor in tensors]

    def unscale(self, tensors: list[Tensor]) -> bool:
        self.found_inf = self.found_inf or any(not torch.isfinite(tensor).all() for tensor in tensors)
        for tensor in tensors:
            tensor /= 8
        return self.found_inf

    def update(self) -> None:
        self.found_inf = False


def test_accumulated_gradients_are_unscaled_once() -> None:
    # given two equal models, one of them with loss scaling as for fp16
    plain = odd_model()
    scaled = plain.copy()
    scaled.shims[0].scaler = Scaler()
    # when both collect the gradients of three batches
    last = []
    for model in (plain, scaled):
        for length in (2, 3, 4):
            outputs, backprop = model.begin_update(inputs(length))
            gradient = backprop(outputs)[0]
        last.append(gradient)
    # then they are the same
    for one, other in zip(plain.shims[0].module.parameters(), scaled.shims[0].module.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    numpy.testing.assert_allclose(*last, rtol=1e-5)


def test_step_is_left_out_after_an_overflow() -> None:
    model = odd_model()
    model.shims[0].scaler = Scaler()
    before = model.to_bytes()
    _, backprop = model.begin_update(inputs(2))
    gradient = backprop([numpy.full((2, 4), numpy.inf, dtype="float32")])
    assert not gradient[0].any()
    model.shims[0].module.calls.zero_()
    model.finish_update(Adam(0.1))
    assert model.to_bytes() == before
    # and the next batch counts again
    step(model, Adam(0.1))
    assert model.to_bytes() != before


def test_precision_is_known_per_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not precision.supported("fp16", torch.device("cpu"))
    assert not precision.supported("bf16", torch.device("meta"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert precision.supported("fp16", torch.device("cuda")) and not precision.supported("bf16", torch.device("cuda"))


def test_unknown_precision_is_named() -> None:
    with pytest.raises(SettingError, match="odd: setting 'amp' is 'int4'"):
        TorchShim("odd", partial(nn.Linear, 1), amp="int4")
