"""The selective scan with its step sizes and its gate, by compiled loops and by plain torch, against the recurrence that defines it."""

import pytest
import torch
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.kernels import native
from spacy_emerging.kernels.selective_scan import selective_scan, selective_scan_reference
from spacy_emerging.kernels.selective_scan_loops import BLOCK, Parameters, selective_scan_of_sequences

LENGTHS = [1, BLOCK, 3, BLOCK + 1, 3 * BLOCK + 5, 1]
NAMES = ("x", "gate", "selected", *Parameters._fields)


def by_loops(x, gate, selected, *parameters, layout):
    return selective_scan_of_sequences(x, gate, selected, Parameters(*parameters), layout.begins)


def by_torch(x, gate, selected, *parameters, layout, scan=selective_scan):
    weight, bias, rate, skip = (t.float() if t.dtype == torch.bfloat16 else t for t in parameters)
    x, gate, selected = (t.float() if t.dtype == torch.bfloat16 else t for t in (x, gate, selected))
    low, b, c = selected.split([weight.shape[1], rate.shape[1], rate.shape[1]], 1)
    dt = functional.softplus(low @ weight.t() + bias)
    padded = [layout.pad(t)[None] for t in (x, dt, b, c)]
    y = scan(padded[0], padded[1], rate[None], padded[2], padded[3], skip[None])
    return layout.unpad(y[0]) * functional.silu(gate)


def definition(*arguments, layout):
    return by_torch(*arguments, layout=layout, scan=selective_scan_reference)


@pytest.fixture(params=[by_loops, by_torch])
def scan(request):
    if request.param is by_loops and not native.available():
        pytest.skip("no compiled loops here")
    return request.param


def sample(lengths=LENGTHS, width=5, state=3, rank=2, dtype=torch.float64):
    """x, gate, selected, and the parameters, in the order of NAMES; gradients are wanted."""
    generator, tokens = torch.Generator().manual_seed(0), sum(lengths)
    shapes = ((tokens, width), (tokens, width), (tokens, rank + 2 * state), (width, rank), (width,), (width, state), (width,))
    drawn = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    drawn[5] = -drawn[5].exp()
    return [t.to(dtype).requires_grad_() for t in drawn], Layout(lengths)


def gradients(scan, arguments, layout):
    y = scan(*arguments, layout=layout)
    weighting = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(y.dtype)
    return torch.autograd.grad((y * weighting).sum(), arguments)


@pytest.mark.parametrize("width,state,rank", [(1, 1, 1), (5, 3, 2), (24, 16, 3)])
def test_values_and_gradients_are_those_of_the_recurrence(scan, width, state, rank):
    arguments, layout = sample(width=width, state=state, rank=rank)
    torch.testing.assert_close(scan(*arguments, layout=layout), definition(*arguments, layout=layout), rtol=1e-9, atol=1e-9)
    pairs = zip(NAMES, gradients(scan, arguments, layout), gradients(definition, arguments, layout), strict=True)
    for name, mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9, msg=lambda said, name=name: f"{name}: {said}")


def test_gradients_equal_finite_differences(scan):
    arguments, layout = sample([1, 4, 2])
    assert torch.autograd.gradcheck(lambda *given: scan(*given, layout=layout), arguments)


def test_in_float32_it_is_as_exact_as_the_recurrence(scan):
    arguments, layout = sample([500], width=9, state=8)
    exact = definition(*arguments, layout=layout)
    single = [argument.detach().float().requires_grad_() for argument in arguments]
    torch.testing.assert_close(scan(*single, layout=layout).double(), exact, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(gradients(scan, single, layout), gradients(definition, arguments, layout), strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-3, atol=1e-4 * float(theirs.detach().abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("step", [-200.0, -50.0, 50.0, 1e6])
def test_extreme_steps_and_decays_stay_finite(scan, step, dtype):
    arguments, layout = sample([1, 300], dtype=dtype)
    with torch.no_grad():
        arguments[4].fill_(step)
        arguments[5].mul_(50)
        arguments[1].mul_(50)
    results = (scan(*arguments, layout=layout), *gradients(scan, arguments, layout))
    assert all(tensor.isfinite().all() for tensor in results)


def test_half_precision_is_computed_in_float32(scan):
    arguments, layout = sample(dtype=torch.float32)
    half = [*(argument.detach().bfloat16() for argument in arguments[:3]), *arguments[3:]]
    result = scan(*half, layout=layout)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, definition(*(t.float() for t in half), layout=layout), rtol=1e-4, atol=1e-4)


def test_the_gate_may_be_columns_of_something_wider(scan):
    arguments, layout = sample()
    x, gate, *rest = arguments
    wide = torch.cat([x, gate], 1)
    torch.testing.assert_close(scan(x, wide[:, 5:], *rest, layout=layout), scan(x, gate, *rest, layout=layout))


@pytest.mark.parametrize("lengths", [[70], LENGTHS])
def test_two_threads_give_what_one_gives(lengths):
    arguments, layout = sample(lengths, width=20)
    if not native.usable(*arguments):
        pytest.skip("no compiled loops here")
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append((by_loops(*arguments, layout=layout), *gradients(by_loops, arguments, layout)))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


def test_without_the_loops_there_is_nothing():
    arguments, layout = sample()
    with native.switched_off():
        assert by_loops(*arguments, layout=layout) is None
