"""Linear layers, GELU and both together, by compiled loops and by plain torch, against torch's own."""

import contextlib

import pytest
import torch
from torch import nn
from torch.nn import functional

from spacy_emerging.encoders.xlstm_parts import halves
from spacy_emerging.kernels import linear_loops, native
from spacy_emerging.kernels.activation import gelu, gelu_gate
from spacy_emerging.kernels.feed_forward import feed_forward
from spacy_emerging.kernels.linear import project
from spacy_emerging.kernels.quantized import QuantizedLinear

ROWS = [0, 1, 6, 95, 96, 97, 520]
"""Around a strip of rows, and around what goes through all columns before the next rows."""


@pytest.fixture(params=["loops", "torch"], autouse=True)
def way(request, loops_of_any_size):
    if request.param == "loops" and not native.available():
        pytest.skip("no compiled loops here")
    with contextlib.nullcontext() if request.param == "loops" else native.switched_off():
        yield request.param


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def assert_same(function, expected, arguments, rtol=1e-9):
    """Values and gradients."""
    weighting = torch.randn(expected(*arguments).shape, dtype=arguments[0].dtype)
    found = []
    for each in (function, expected):
        y = each(*arguments)
        found.append((y, *torch.autograd.grad((y * weighting).sum(), arguments)))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(
            mine, theirs, rtol=rtol, atol=rtol * max(1.0, float(theirs.detach().abs().max()) if theirs.numel() else 1.0)
        )


def layer(inputs, outputs, dtype=torch.float64):
    return nn.Linear(inputs, outputs, dtype=dtype)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("inputs,outputs", [(1, 1), (7, 3), (20, 50), (50, 20), (16, 48), (300, 20), (520, 33), (9, 270)])
def test_a_linear_layer_is_that_of_torch(rows, inputs, outputs):
    torch.manual_seed(0)
    mine, x = layer(inputs, outputs), torch.randn(rows, inputs, dtype=torch.float64, requires_grad=True)

    def expected(x, weight, bias):
        return functional.linear(x, weight, bias)

    assert_same(lambda x, *_: project(x, mine), expected, (x, mine.weight, mine.bias))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("width,inner", [(1, 1), (5, 19), (24, 48)])
@pytest.mark.parametrize("residual", [False, True], ids=["alone", "with norm and residual"])
def test_a_feed_forward_layer_is_that_of_torch(rows, width, inner, residual):
    torch.manual_seed(0)
    up, down, x = layer(width, inner), layer(inner, width), torch.randn(rows, width, dtype=torch.float64, requires_grad=True)
    weights = [torch.randn(width, dtype=torch.float64, requires_grad=True)] if residual else []

    def expected(x, up, up_bias, down, down_bias, *weights):
        entering = functional.rms_norm(x, (width,), *weights, 1e-5) if weights else x
        made = functional.linear(functional.gelu(functional.linear(entering, up, up_bias)), down, down_bias)
        return x + made if residual else made

    given = x, up.weight, up.bias, down.weight, down.bias, *weights
    assert_same(lambda x, *_: feed_forward(x, up, down, *weights, residual=residual), expected, given)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("width,out", [(1, 2), (5, 38), (24, 10)])
def test_both_halves_of_a_layer_are_those_of_torch(rows, width, out):
    torch.manual_seed(0)
    mine, x = nn.Linear(width, out, bias=False, dtype=torch.float64), torch.randn(rows, width, dtype=torch.float64, requires_grad=True)
    assert_same(lambda x, _: torch.cat(halves(x, mine), 1), functional.linear, (x, mine.weight))


def test_gradients_equal_finite_differences():
    torch.manual_seed(0)
    up, down = layer(1, 2), layer(2, 1)
    x = torch.randn(7, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: project(x, up), x)
    assert torch.autograd.gradcheck(lambda x: feed_forward(x, up, down), x)
    assert torch.autograd.gradcheck(gelu, x)


def test_in_float32_both_are_as_exact_as_those_of_torch():
    torch.manual_seed(0)
    up, down = layer(64, 256, torch.float32), layer(256, 64, torch.float32)
    x = torch.randn(300, 64, requires_grad=True)
    assert_same(lambda x: project(x, up), up, (x,), rtol=2e-6)
    assert_same(lambda x: feed_forward(x, up, down), lambda x: down(functional.gelu(up(x))), (x,), rtol=2e-6)


def test_rows_may_be_part_of_something_wider():
    mine, turned, wide = layer(8, 5), layer(300, 4), torch.randn(300, 200, dtype=torch.float64, requires_grad=True)
    assert_same(lambda x: project(x[:, 3:11], mine), lambda x: mine(x[:, 3:11]), (wide,))
    assert_same(lambda x: project(x.t(), turned), lambda x: turned(x.t()), (wide,))


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_gelu_is_exact_over_all_sizes(dtype, tolerance):
    x = torch.cat([torch.linspace(-12, 12, 20_001), torch.tensor([-1e30, -100.0, -0.0, 100.0, 1e10])]).to(dtype).requires_grad_()
    exact = x.detach().double().requires_grad_()
    (slope,) = torch.autograd.grad(gelu(x).sum(), x)
    (wanted,) = torch.autograd.grad(functional.gelu(exact).sum(), exact)
    torch.testing.assert_close(gelu(x).double(), functional.gelu(exact), rtol=2e-7, atol=tolerance)
    torch.testing.assert_close(slope.double(), wanted, rtol=2e-7, atol=tolerance)


def test_every_pass_takes_the_loops_where_they_are_the_fastest(way, loop_calls):
    up, down, x = layer(3, 4), layer(4, 3), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    feed_forward(project(x, layer(3, 3)), up, down).sum().backward()
    passes = {"linear_forward", "linear_back", "linear_outer", "feed_forward_forward", "feed_forward_backward"}
    assert {name for name, _ in loop_calls} == (passes if way == "loops" else set())


def test_few_rows_and_large_weights_are_left_to_torch(monkeypatch, loop_calls):
    monkeypatch.setattr(linear_loops, "WORTH_LAYING_OUT", 6)
    monkeypatch.setattr(linear_loops, "LARGEST", 20)
    project(torch.randn(5, 3), layer(3, 4, torch.float32))
    project(torch.randn(9, 7), layer(7, 3, torch.float32))
    assert not loop_calls


@pytest.mark.parametrize("graded", [True, False])
def test_prediction_keeps_nothing_for_a_backward_pass(way, loop_calls, graded):
    up, down, x = layer(3, 4), layer(4, 3), torch.randn(5, 3, dtype=torch.float64)
    with torch.set_grad_enabled(graded):
        found = feed_forward(x, up, down, torch.ones(3, dtype=torch.float64), residual=True)
    torch.testing.assert_close(found, x + down(functional.gelu(up(functional.rms_norm(x, (3,), eps=1e-5)))))
    assert [(name, None in given) for name, given in loop_calls] == ([("feed_forward_forward", not graded)] if way == "loops" else [])


def test_under_autocast_products_are_in_low_precision():
    mine, x = layer(8, 8, torch.float32), torch.randn(300, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert project(x, mine).dtype == feed_forward(x, mine, mine).dtype == torch.bfloat16


def test_quantized_layers_are_called_as_they_are():
    mine, x = layer(8, 8, torch.float32), torch.randn(300, 8)
    quantized = QuantizedLinear(mine)
    torch.testing.assert_close(project(x, quantized), quantized(x))
    torch.testing.assert_close(feed_forward(x, quantized, mine), mine(functional.gelu(quantized(x))))


@pytest.mark.parametrize("rows, width", [(1, 1), (5, 7), (3, 16)])
def test_gelu_as_a_gate(rows, width):
    x = torch.randn(rows, 2 * width, dtype=torch.float64, requires_grad=True)
    left, right = x.chunk(2, -1)
    torch.testing.assert_close(gelu_gate(x), functional.gelu(left) * right, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(gelu_gate, x)
