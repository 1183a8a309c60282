"""minGRU and minLSTM over flat sequences, by compiled loops and by plain torch, against their definition."""

import pytest
import torch
from torch import nn

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.kernels import native
from spacy_emerging.kernels.linear_scan import linear_scan
from spacy_emerging.kernels.minimal_gates import minimal_gates
from spacy_emerging.kernels.minimal_scan import minimal_layer, minimal_scan

pytestmark = pytest.mark.usefixtures("loops_of_any_size")

LENGTHS = [1, 7, 2, 40, 1]
both = pytest.mark.parametrize("gates", [2, 3], ids=["minGRU", "minLSTM"])


def by_loops(x, units, layout):
    return minimal_scan(x, units, layout.begins)


def by_torch(x, units, layout):
    decay, update = minimal_gates([x], units)
    return layout.unpad(linear_scan(layout.pad(decay), layout.pad(update)))


@pytest.fixture(params=[by_loops, by_torch])
def scan(request):
    if request.param is by_loops and not native.available():
        pytest.skip("no compiled loops here")
    return request.param


def definition(x, units, layout):
    """Token by token, sections 3.1 and 3.2 of arXiv 2410.01201."""
    found = []
    for sequence in x.split(layout.lengths):
        state = x.new_zeros(units)
        for token in sequence:
            *gates, hidden = token.split(units)
            candidate = torch.where(hidden >= 0, hidden + 0.5, hidden.sigmoid())
            shares = [gate.sigmoid() for gate in gates]
            keep, enter = (1 - shares[0], shares[0]) if len(shares) == 1 else (share / sum(shares) for share in shares)
            state = keep * state + enter * candidate
            found.append(state)
    return torch.stack(found)


def draw(gates, units=5, lengths=LENGTHS, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return (2 * torch.randn(sum(lengths), gates * units, generator=generator, dtype=torch.float64)).to(dtype), Layout(lengths)


@both
@pytest.mark.parametrize("units", [1, 5, 24])
def test_states_are_those_of_the_definition(scan, gates, units):
    x, layout = draw(gates, units)
    torch.testing.assert_close(scan(x, units, layout), definition(x, units, layout), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(scan(x.float(), units, layout).double(), definition(x, units, layout), rtol=1e-5, atol=1e-5)


@both
def test_gradients_equal_finite_differences(scan, gates):
    x, layout = draw(gates, 3, [1, 4, 2])
    assert torch.autograd.gradcheck(lambda given: scan(given, 3, layout), x.requires_grad_())


@both
@pytest.mark.parametrize("size", [2.0, 20.0])
def test_gradients_equal_those_of_the_definition(scan, gates, size):
    x, layout = draw(gates)
    x, weighting, found = (size / 2 * x).requires_grad_(), torch.randn(len(x), 5, dtype=torch.float64), []
    for function in (scan, definition):
        found.append(torch.autograd.grad((function(x, 5, layout) * weighting).sum(), x)[0])
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-11)


@both
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("preactivation", [-1e4, -200.0, -90.0, -50.0, 50.0, 90.0, 1e4])
def test_extreme_preactivations_stay_finite(scan, gates, preactivation, dtype):
    layout = Layout([1, 9])
    x = torch.full((10, gates * 3), preactivation, dtype=dtype, requires_grad=True)
    states = scan(x, 3, layout)
    (gradient,) = torch.autograd.grad(states.sum(), x)
    assert states.isfinite().all() and gradient.isfinite().all()
    if gates == 3:  # both gates are equal: the first state is half of the candidate
        torch.testing.assert_close(states[0], x[0, -3:].where(x[0, -3:] < 0, x[0, -3:] + 0.5).clamp(min=0) / 2)


@both
def test_half_precision_is_computed_in_float32(scan, gates):
    x, layout = draw(gates)
    half = x.bfloat16()
    assert scan(half, 5, layout).dtype == torch.float32
    torch.testing.assert_close(scan(half, 5, layout).double(), definition(half.double(), 5, layout), rtol=1e-5, atol=1e-5)


@both
@pytest.mark.parametrize("lengths", [[50], LENGTHS])
def test_two_threads_give_what_one_gives(gates, lengths):
    x, layout = draw(gates, 20, lengths)
    x.requires_grad_()
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            states = minimal_scan(x, 20, layout.begins)
            if states is None:
                pytest.skip("no compiled loops here")
            found.append((states, *torch.autograd.grad(states.square().sum(), x)))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


LAYER_LENGTHS = [1, 95, 96, 97, 1, 250, 30]
"""Around the tokens of a block."""


@both
@pytest.mark.parametrize("lengths", [[300], LAYER_LENGTHS, [40]], ids=["one long", "many", "one short"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("width,units", [(3, 5), (24, 16)])
def test_a_layer_is_its_linear_map_and_the_scan(gates, lengths, threads, width, units, loop_calls):
    torch.manual_seed(0)
    layer, layout = nn.Linear(width, gates * units, dtype=torch.float64), Layout(lengths)
    x, found = torch.randn(layout.tokens, width, dtype=torch.float64, requires_grad=True), []
    weighting = torch.randn(layout.tokens, units, dtype=torch.float64)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for states in (minimal_layer(x, layer, units, layout.begins), by_torch(layer(x), units, layout)):
            if states is None:
                pytest.skip("no compiled loops here")
            found.append((states, *torch.autograd.grad((states * weighting).sum(), (x, *layer.parameters()))))
    finally:
        torch.set_num_threads(before)
    assert ("minimal_layer_backward" in dict(loop_calls)) == (len(lengths) >= threads)
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@both
def test_a_layer_without_gradients_gives_the_same_and_keeps_nothing(gates, loop_calls):
    layer, layout = nn.Linear(6, gates * 5), Layout(LAYER_LENGTHS)
    x = torch.randn(layout.tokens, 6)
    if not native.usable(x):
        pytest.skip("no compiled loops here")
    with torch.no_grad():
        found = minimal_layer(x, layer, 5, layout.begins)
    torch.testing.assert_close(found, minimal_layer(x, layer, 5, layout.begins), rtol=0, atol=0)
    assert [(name, given[5] is None) for name, given in loop_calls] == [("minimal_layer_forward", True), ("minimal_layer_forward", False)]


def test_without_the_loops_there_is_nothing():
    x, layout = draw(2)
    with native.switched_off():
        assert minimal_scan(x, 5, layout.begins) is None
