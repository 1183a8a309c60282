"""Convolution, what is selected, scan and gate of Mamba in one step, against the recurrence that defines it and what stands around it."""

import pytest
import torch
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.kernels import native
from spacy_emerging.kernels.convolution import MOST_TAPS, causal_convolution
from spacy_emerging.kernels.looped_mixer import looped_mix
from spacy_emerging.kernels.selective_mixer import Parameters, SelectiveMixer
from spacy_emerging.kernels.selective_scan import selective_scan_reference
from spacy_emerging.kernels.selective_scan_loops import BLOCK

pytestmark = pytest.mark.skipif(not native.available(), reason="no compiled loops here")

LENGTHS = [1, 2, BLOCK, 3, BLOCK + 1, 3 * BLOCK + 5, 1]
NAMES = ("projected", *Parameters._fields)


def mixed(projected, *parameters, layout):
    return looped_mix(SelectiveMixer(), projected, Parameters(*parameters), layout.begins)


def definition(projected, *parameters, layout):
    given = Parameters(*parameters)
    x, gate = projected.chunk(2, 1)
    convolved = functional.silu(causal_convolution(layout.pad(x), given.conv_weight, given.conv_bias))
    state = given.log_rate.shape[1]
    low, b, c = (convolved @ given.select_weight.t()).split([given.step_weight.shape[1], state, state], -1)
    dt = functional.softplus(low @ given.step_weight.t() + given.step_bias)
    streams = (convolved[None], dt[None], -given.log_rate.exp()[None], b[None], c[None])
    return layout.unpad(selective_scan_reference(*streams, given.skip[None])[0]) * functional.silu(gate)


def sample(lengths=LENGTHS, width=5, state=3, rank=2, taps=4, dtype=torch.float64):
    """projected and the parameters, in the order of NAMES; gradients are wanted."""
    generator = torch.Generator().manual_seed(0)
    of_convolution, of_steps = ((width, taps), (width,)), ((width, rank), (width,))
    shapes = ((sum(lengths), 2 * width), *of_convolution, (rank + 2 * state, width), *of_steps, (width, state), (width,))
    drawn = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    drawn[3] /= width**0.5  # sums over all channels stay of the size of one
    return [t.to(dtype).requires_grad_() for t in drawn], Layout(lengths)


def gradients(mixer, arguments, layout):
    y = mixer(*arguments, layout=layout)
    weighting = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(y.dtype)
    return torch.autograd.grad((y * weighting).sum(), arguments)


def check(arguments, layout, exactness):
    """Values and gradients are the same both ways."""
    torch.testing.assert_close(mixed(*arguments, layout=layout), definition(*arguments, layout=layout), **exactness)
    pairs = zip(NAMES, gradients(mixed, arguments, layout), gradients(definition, arguments, layout), strict=True)
    for name, mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, **exactness, msg=lambda said, name=name: f"{name}: {said}")


@pytest.mark.parametrize("width,state,rank", [(1, 1, 1), (5, 3, 2), (24, 16, 3), (70, 9, 5)])
def test_it_gives_what_its_parts_give(width, state, rank):
    arguments, layout = sample(width=width, state=state, rank=rank)
    check(arguments, layout, {"rtol": 1e-9, "atol": 1e-9})


def test_it_does_so_in_float32():
    arguments, layout = sample(width=24, state=16, dtype=torch.float32)
    check(arguments, layout, {"rtol": 1e-3, "atol": 1e-3})


def test_gradients_equal_finite_differences():
    arguments, layout = sample([1, 4, 2], width=3, state=2, rank=1, taps=3)
    assert torch.autograd.gradcheck(lambda *given: mixed(*given, layout=layout), arguments)


def test_sequences_without_tokens_change_nothing():
    (projected, *parameters), _ = sample([BLOCK + 2, 3 * BLOCK])
    begins = torch.tensor([0, BLOCK + 2, 4 * BLOCK + 2])
    with_empty = torch.tensor([0, 0, BLOCK + 2, BLOCK + 2, 4 * BLOCK + 2, 4 * BLOCK + 2])
    found = []
    for each in (begins, with_empty):
        y = looped_mix(SelectiveMixer(), projected, Parameters(*parameters), each)
        found.append((y, *torch.autograd.grad(y.square().sum(), (projected, *parameters))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_no_tokens_give_none():
    (projected, *parameters), layout = sample([])
    y = mixed(projected, *parameters, layout=layout)
    assert y.shape == (0, 5)
    assert all(not each.any() for each in torch.autograd.grad(y.sum(), (projected, *parameters)))


@pytest.mark.parametrize("lengths", [[70], LENGTHS])
def test_two_threads_give_what_one_gives(lengths, two_threads):
    arguments, layout = sample(lengths, width=20)
    with_two = (mixed(*arguments, layout=layout), *gradients(mixed, arguments, layout))
    torch.set_num_threads(1)
    with_one = (mixed(*arguments, layout=layout), *gradients(mixed, arguments, layout))
    for one, two in zip(with_one, with_two, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


def test_without_gradients_it_gives_the_same():
    arguments, layout = sample()
    wanted = mixed(*arguments, layout=layout)
    with torch.no_grad():
        assert torch.equal(mixed(*arguments, layout=layout), wanted)


def test_half_precision_is_computed_in_float32():
    (projected, *parameters), layout = sample(dtype=torch.float32)
    half = projected.detach().bfloat16()
    result = mixed(half, *parameters, layout=layout)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, definition(half.float(), *parameters, layout=layout), rtol=1e-4, atol=1e-4)


def test_autocast_changes_nothing():
    arguments, layout = sample(dtype=torch.float32)
    wanted = mixed(*arguments, layout=layout)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mixed(*arguments, layout=layout), wanted)


def test_where_the_loops_do_not_run_there_is_nothing():
    arguments, layout = sample()
    with native.switched_off():
        assert mixed(*arguments, layout=layout) is None
    too_many, layout = sample(taps=MOST_TAPS + 1)
    assert mixed(*too_many, layout=layout) is None
