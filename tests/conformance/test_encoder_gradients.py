"""Every encoder's gradients: against finite differences, inside torch and through the border to Thinc."""

from __future__ import annotations

import numpy
import torch
from torch.func import functional_call

from spacy_emerging.bridge.layout import Layout

from .encoders import WIDTH, each_direction, ready, sequences, torch_module


@each_direction
def test_module_gradient_in_double_precision(name: str, direction: str) -> None:
    # given the module in float64, and three sequences of unequal length
    module = torch_module(ready(name, direction)).double()
    layout = Layout([1, 6, 3])
    names = [parameter for parameter, _ in module.named_parameters()]
    parameters = [parameter.detach().clone().requires_grad_() for parameter in module.parameters()]
    tokens = torch.randn(layout.tokens, WIDTH, dtype=torch.float64, requires_grad=True)

    def run(tokens: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return functional_call(module, dict(zip(names, values, strict=True)), (tokens, layout))

    # then its gradient by tokens and by every parameter is the finite difference
    assert torch.autograd.gradcheck(run, (tokens, *parameters), fast_mode=True, atol=1e-5, rtol=1e-3)


@each_direction
def test_gradient_through_the_border_to_thinc(name: str, direction: str) -> None:
    # given the loss sum(weight * output), with the module in float64, so that differences are not lost in rounding
    model = ready(name, direction)
    torch_module(model).double()
    inputs = [X.astype("float64") for X in sequences(1, 6, 0, 3)]
    weight = [X.astype("float64") for X in sequences(1, 6, 0, 3, seed=2)]
    towards = [X.astype("float64") for X in sequences(1, 6, 0, 3, seed=3)]

    def loss(step: float) -> float:
        outputs = model.predict([X + step * U for X, U in zip(inputs, towards, strict=True)])
        return sum(float((Y.astype("float64") * W).sum()) for Y, W in zip(outputs, weight, strict=True))

    # when the inputs move in a random direction
    backprop = model.begin_update(inputs)[1]
    predicted = sum(float((dX * U).sum()) for dX, U in zip(backprop(weight), towards, strict=True))
    # then the loss changes as the gradient says
    step = 1e-4
    numpy.testing.assert_allclose((loss(step) - loss(-step)) / (2 * step), predicted, rtol=1e-2, atol=1e-2)
    assert abs(predicted) > 0.1, "a vanishing gradient would make the comparison empty"


@each_direction
def test_every_parameter_gets_a_gradient(name: str, direction: str) -> None:
    model = ready(name, direction, depth=2)
    backprop = model.begin_update(sequences(9, 4, 30))[1]
    backprop(sequences(9, 4, 30, seed=2))
    without = [n for n, p in torch_module(model).named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@each_direction
def test_gradients_of_two_passes_add_up(name: str, direction: str) -> None:
    # as with training.accumulate_gradient = 2
    model = ready(name, direction)
    parts = [(sequences(5), sequences(5, seed=2)), (sequences(8, seed=4), sequences(8, seed=5))]
    apart = []
    for X, dY in parts:
        model.begin_update(X)[1](dY)
        apart.append([p.grad.clone() for p in torch_module(model).parameters()])
        torch_module(model).zero_grad()
    for X, dY in parts:
        model.begin_update(X)[1](dY)
    for parameter, one, other in zip(torch_module(model).parameters(), *apart, strict=True):
        torch.testing.assert_close(parameter.grad, one + other, atol=1e-4, rtol=1e-4)
