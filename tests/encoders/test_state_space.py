"""The S4D encoder: its layer against the convolution written out, what it starts from, its directions, its settings."""

import math

import pytest
import torch
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.state_space import Kernel, StateSpace, StateSpaceEncoder
from spacy_emerging.errors import SettingError


def taps(kernel, length):
    """(directions x D, length): 2 Re(sum of C (exp(step A) - 1) / A exp(step A)^l), A and step as first set by the authors."""
    a = torch.complex(-kernel.log_A_real.exp(), math.pi * torch.arange(kernel.A_imag_shift.shape[1]) + kernel.A_imag_shift)
    step_a, c = kernel.log_dt.exp()[:, None] * a, torch.view_as_complex(kernel.C).unflatten(0, (kernel.directions, -1))
    entering = (torch.exp(step_a) - 1) / a
    by_lag = [2 * (c * entering * torch.exp(lag * step_a)).sum(-1).real for lag in range(length)]
    return torch.stack(by_lag, -1).flatten(0, 1)


def filtered(x, forward, backward, skipped):
    """(L, D): sums over tokens before and after. forward, backward: taps (D, L) or None. skipped: lags that backward leaves out."""
    rows = []
    for t in range(len(x)):
        row = torch.zeros_like(x[0])
        for s in range(len(x)):
            if forward is not None and s <= t:
                row = row + forward[:, t - s] * x[s]
            if backward is not None and s >= t + skipped:
                row = row + backward[:, s - t - skipped] * x[s]
        rows.append(row)
    return torch.stack(rows)


@pytest.mark.parametrize("direction", ["concat", "add", "forward"])
@pytest.mark.parametrize("lengths", [[11], [11, 4]])
def test_a_layer_is_its_convolution_with_skip_and_gated_projection(direction, lengths):
    torch.manual_seed(0)
    layer = StateSpace(6, 1, direction, state_width=8, chunk=2).double().layers[0]
    tokens = torch.randn(sum(lengths), 6, dtype=torch.float64)
    found = layer(tokens, Layout(lengths)).split(lengths)
    kernels = taps(layer.kernel, 11)
    for x, output in zip(tokens.split(lengths), found, strict=True):
        u = layer.norm(x)
        if direction == "concat":
            y = torch.cat([filtered(u[:, :3], kernels[:3], None, 0), filtered(u[:, 3:], None, kernels[3:], 0)], 1)
        else:
            y = filtered(u, kernels[:6], kernels[6:] if direction == "add" else None, 1)
        expected = x + functional.glu(layer.output(functional.gelu(y + layer.D * u)), -1)
        torch.testing.assert_close(output, expected, rtol=1e-8, atol=1e-8)


def test_kernels_start_as_s4d_lin():
    torch.manual_seed(0)
    kernel = Kernel(512, 64, 1)
    assert 0.00099 < kernel.log_dt.exp().min() < 0.0012 and 0.09 < kernel.log_dt.exp().max() < 0.101
    torch.testing.assert_close(kernel.log_A_real.exp(), torch.full((512, 32), 0.5))
    assert not kernel.A_imag_shift.any()
    assert kernel.C.std().item() == pytest.approx(math.sqrt(0.5), rel=0.05)


def test_directions_of_add_share_all_but_the_read_out():
    one, two = (dict(StateSpace(8, 1, direction).named_parameters()) for direction in ("forward", "add"))
    assert [name for name in one if one[name].shape != two[name].shape] == ["layers.0.kernel.C"]


@pytest.mark.parametrize("direction", ["concat", "add", "forward"])
@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
def test_chunk_size_changes_nothing(direction, chunk):
    torch.manual_seed(0)
    module, tokens, layout = StateSpace(12, 2, direction).double(), torch.randn(208, 12, dtype=torch.float64), Layout([200, 8])
    expected = module(tokens, layout)
    for layer in module.layers:
        layer.chunk = chunk
    torch.testing.assert_close(module(tokens, layout), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("setting,value", [("state_width", 7), ("state_width", 0), ("chunk", 0), ("chunk", 2.5)])
def test_a_setting_that_cannot_work_is_named(setting, value):
    with pytest.raises(SettingError, match=f"StateSpaceEncoder.*'{setting}' is {value}"):
        StateSpaceEncoder(width=8, depth=1, **{setting: value})
