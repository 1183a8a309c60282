"""The Hydra encoder: settings, weights that can be exchanged, the vendors' kernel, and the dense matrix of a mixer as an oracle."""

import sys
import types

import pytest
import torch
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.hydra import Hydra, HydraEncoder, Mixer, Shape
from spacy_emerging.errors import SettingError
from spacy_emerging.kernels import backend
from spacy_emerging.kernels.ssd import ssd_reference


def drawn(width=32, depth=1, **settings):
    torch.manual_seed(0)
    return Hydra(width, depth, **settings)


def test_names_and_shapes_of_a_mixer_are_those_of_the_authors():
    mixer = Mixer(Shape(width=32, inner=64, head_width=16, state_width=8, conv_width=7, depth=1), "auto", 64)
    assert {name: tuple(value.shape) for name, value in mixer.named_parameters()} == {
        "in_proj.weight": (2 * 64 + 4 * 8 + 2 * 4, 32),
        "conv1d.weight": (64 + 4 * 8, 1, 7),
        "conv1d.bias": (64 + 4 * 8,),
        "dt_bias": (4,),
        "A_log": (4,),
        "D": (4,),
        "fc_D.weight": (4, 64),
        "norm.weight": (64,),
        "out_proj.weight": (32, 64),
    }


def test_steps_and_decays_start_in_the_authors_ranges():
    torch.manual_seed(0)
    mixer = Mixer(Shape(width=8, inner=512, head_width=1, state_width=2, conv_width=7, depth=1), "auto", 64)
    step = functional.softplus(mixer.dt_bias)
    assert 0.00099 < step.min() < 0.002 and 0.05 < step.max() < 0.101
    assert torch.equal(mixer.A_log, torch.zeros(512)) and torch.equal(mixer.D, torch.ones(512))


def dense(mixer, normed):
    """(L, D) to (L, D): one sequence by the equations of the paper, each head's quasiseparable matrix written out entry by entry."""
    shape, length = mixer.shape, len(normed)
    n = shape.state_width
    z, mixed, dt = (normed @ mixer.in_proj.weight.T).split([shape.inner, shape.inner + 4 * n, 2 * shape.heads], 1)
    padded = functional.pad(mixed, (0, 0, shape.conv_width // 2, shape.conv_width // 2))
    windows = torch.stack([padded[t : t + shape.conv_width] for t in range(length)])  # (L, conv_width, channels)
    mixed = functional.silu((windows * mixer.conv1d.weight[:, 0].T).sum(1) + mixer.conv1d.bias)
    x, b_before, c_before, b_after, c_after = mixed.split([shape.inner, n, n, n, n], 1)
    step = functional.softplus(dt.unflatten(1, (2, -1)) + mixer.dt_bias)  # (L, 2, H)
    y = torch.zeros_like(x)
    for head in range(shape.heads):
        log_decay = -mixer.A_log[head].exp() * step[:, :, head]
        m = torch.diag(x @ mixer.fc_D.weight[head] + mixer.D[head])
        for row in range(length):
            for column in range(length):
                if column < row:
                    decay = log_decay[column + 1 : row, 0].sum().exp()
                    m[row, column] = decay * step[column, 0, head] * (c_before[row - 1] @ b_before[column])
                elif column > row:
                    decay = log_decay[row + 1 : column, 1].sum().exp()
                    m[row, column] = decay * step[column, 1, head] * (c_after[row + 1] @ b_after[column])
        channels = slice(head * shape.head_width, (head + 1) * shape.head_width)
        y[:, channels] = m @ x[:, channels]
    normalized = y / torch.sqrt(y.square().mean(1, keepdim=True) + 1e-5) * mixer.norm.weight
    return (normalized * functional.silu(z)) @ mixer.out_proj.weight.T


@pytest.mark.parametrize("chunk", [2, 64])
@pytest.mark.parametrize("conv_width", [1, 7])
def test_a_layer_multiplies_by_the_quasiseparable_matrix_of_each_sequence(chunk, conv_width):
    """Given sequences of unequal length in one batch, in float64, each gets what its own dense matrix gives."""
    lengths = [9, 1, 4]
    module = drawn(12, state_width=3, head_width=8, conv_width=conv_width, chunk=chunk).double()
    layer, tokens = module.layers[0], torch.randn(14, 12, dtype=torch.float64)
    result = layer(tokens, Layout(lengths)).split(lengths)
    for found, x in zip(result, tokens.split(lengths), strict=True):
        torch.testing.assert_close(found, x + dense(layer.mixer, layer.norm(x)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 3, 7, 30, 1000])
def test_chunk_size_changes_nothing(chunk):
    module, tokens, layout = drawn(12, 2).double(), torch.randn(38, 12, dtype=torch.float64), Layout([30, 8])
    expected = module(tokens, layout)
    for layer in module.layers:
        layer.mixer.chunk = chunk
    torch.testing.assert_close(module(tokens, layout), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("step", [-200.0, -50.0, 50.0])
def test_extreme_preactivations_stay_finite(step):
    module = drawn()
    with torch.no_grad():
        module.layers[0].mixer.dt_bias.fill_(step)
        module.layers[0].mixer.in_proj.weight *= 50
    tokens = torch.randn(2048, 32, requires_grad=True)
    output = module(tokens, Layout([2048]))
    output.sum().backward()
    assert output.isfinite().all() and tokens.grad.isfinite().all()
    assert all(value.grad.isfinite().all() for value in module.parameters())


@pytest.mark.parametrize("setting", ["state_width", "expand", "head_width", "conv_width", "chunk"])
@pytest.mark.parametrize("value", [0, 2.5])
def test_a_setting_that_cannot_work_is_named(setting, value):
    with pytest.raises(SettingError, match=f"HydraEncoder.*'{setting}' is {value}"):
        HydraEncoder(width=8, depth=1, **{setting: value})


def test_an_even_convolution_has_no_centre():
    with pytest.raises(SettingError, match="HydraEncoder.*'conv_width' is 4.*odd"):
        HydraEncoder(width=8, depth=1, conv_width=4)


@pytest.fixture
def vendors(monkeypatch):
    """A stand-in for the vendors' kernel, with its signature over our reference, on a CPU that passes for a GPU."""
    calls = []

    def mamba_chunk_scan_combined(x, dt, A, B, C, chunk_size, D=None):
        assert B.dim() == C.dim() == 4 and B.shape[2] == 1 and A.shape == dt.shape[2:] and D is None
        calls.append("mamba_chunk_scan_combined")
        return ssd_reference(x[None], dt[None], A[None], B[None, :, :, 0], C[None, :, :, 0], torch.zeros_like(A)[None])[0]

    for name in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.triton", "mamba_ssm.ops.triton.ssd_combined"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["mamba_ssm.ops.triton.ssd_combined"].mamba_chunk_scan_combined = mamba_chunk_scan_combined
    gpu = types.SimpleNamespace(is_cuda=True)
    monkeypatch.setattr("spacy_emerging.encoders.hydra.choose", lambda *given: backend.choose(*given[:2], gpu, given[3]))
    backend.importable.cache_clear()
    yield calls
    backend.importable.cache_clear()


@pytest.mark.parametrize("lengths", [[13, 1, 6], [10, 10], [1]])
def test_the_vendors_kernel_gives_the_same_with_the_same_weights(vendors, lengths):
    plain, kernels = drawn(16, 2, backend="torch", state_width=8), drawn(16, 2, backend="cuda", state_width=8)
    tokens, layout = torch.randn(sum(lengths), 16), Layout(lengths)
    torch.testing.assert_close(kernels(tokens, layout), plain(tokens, layout), rtol=1e-4, atol=1e-4)
    assert vendors == ["mamba_chunk_scan_combined"] * 2
