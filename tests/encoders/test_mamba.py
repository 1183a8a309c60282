"""The Mamba encoder: settings, weights that can be exchanged, the vendors' kernels, and independent computations as oracles."""

import math
import sys
import types

import pytest
import torch
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.mamba import Mamba, MambaEncoder, Mixer, Shape
from spacy_emerging.errors import SettingError
from spacy_emerging.kernels import backend
from spacy_emerging.kernels.convolution import causal_convolution
from spacy_emerging.kernels.selective_scan import selective_scan_reference


def forward_module(width=32, depth=1, **settings):
    torch.manual_seed(0)
    return Mamba(width, depth, "forward", **settings)


def test_names_and_shapes_of_a_mixer_are_those_of_mamba_ssm():
    mixer = Mixer(Shape(width=32, inner=64, state_width=8, step_rank=2, conv_width=4, depth=1))
    assert {name: tuple(value.shape) for name, value in mixer.named_parameters()} == {
        "in_proj.weight": (2 * 64, 32),
        "conv1d.weight": (64, 1, 4),
        "conv1d.bias": (64,),
        "x_proj.weight": (2 + 2 * 8, 64),
        "dt_proj.weight": (64, 2),
        "dt_proj.bias": (64,),
        "A_log": (64, 8),
        "D": (64,),
        "out_proj.weight": (32, 64),
    }


@pytest.mark.parametrize(("width", "direction", "rank"), [(64, "forward", 4), (64, "concat", 2), (12, "concat", 1), (34, "add", 3)])
def test_steps_come_from_a_sixteenth_of_a_directions_width(width, direction, rank):
    assert Mamba(width, 1, direction).layers[0].forward_mixer.dt_proj.in_features == rank
    assert Mamba(width, 1, direction, step_rank=5).layers[0].forward_mixer.dt_proj.in_features == 5


def test_steps_and_decays_start_as_the_authors_do():
    torch.manual_seed(0)
    mixer = Mixer(Shape(width=8, inner=512, state_width=4, step_rank=4, conv_width=4, depth=1))
    step = functional.softplus(mixer.dt_proj.bias)
    assert 0.00099 < step.min() < 0.002 and 0.05 < step.max() < 0.101
    torch.testing.assert_close(mixer.A_log.exp(), torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(512, 4))
    assert 0.45 < mixer.dt_proj.weight.abs().max() <= 0.5
    assert torch.equal(mixer.D, torch.ones(512))


def test_both_directions_of_add_share_the_projections():
    names = dict(Mamba(16, 1, "add").named_parameters())
    assert sum("in_proj" in name for name in names) == sum("out_proj" in name for name in names) == 1
    assert sum("A_log" in name for name in names) == sum("x_proj" in name for name in names) == 2


def by_definition(mixer, normed):
    """(L, D) to (L, D): the equations of the paper token by token, from the parameters alone."""
    x, z = (normed @ mixer.in_proj.weight.T).chunk(2, -1)
    inner, kernel = mixer.D.shape[0], mixer.conv1d.weight[:, 0]
    state = torch.zeros_like(mixer.A_log)
    outputs = []
    for t in range(len(x)):
        seen = torch.cat([torch.zeros(kernel.shape[1], inner, dtype=x.dtype), x[: t + 1]])[-kernel.shape[1] :]
        u = functional.silu((seen * kernel.T).sum(0) + mixer.conv1d.bias)
        dt, b, c = (mixer.x_proj.weight @ u).split([mixer.dt_proj.in_features, state.shape[1], state.shape[1]])
        step = torch.log(1 + torch.exp(mixer.dt_proj(dt)))
        state = torch.exp(-mixer.A_log.exp() * step[:, None]) * state + (step * u)[:, None] * b
        outputs.append((state @ c + mixer.D * u) * functional.silu(z[t]))
    return torch.stack(outputs) @ mixer.out_proj.weight.T


@pytest.mark.parametrize("direction", ["concat", "add", "forward"])
def test_a_layer_computes_its_definition(direction):
    """Given two sequences in float64, both directions are the recurrence over the sequence and over its reverse."""
    torch.manual_seed(0)
    module, lengths = Mamba(12, 1, direction, state_width=3).double(), [9, 4]
    layer, tokens = module.layers[0], torch.randn(13, 12, dtype=torch.float64)
    result = layer(tokens, Layout(lengths)).split(lengths)
    for found, x in zip(result, tokens.split(lengths), strict=True):
        if direction == "forward":
            expected = x + by_definition(layer.forward_mixer, layer.norm(x))
        elif direction == "add":
            layer.backward_mixer.in_proj, layer.backward_mixer.out_proj = layer.forward_mixer.in_proj, layer.forward_mixer.out_proj
            normed = layer.norm(x)
            expected = x + by_definition(layer.forward_mixer, normed) + by_definition(layer.backward_mixer, normed.flip(0)).flip(0)
        else:
            left, right = layer.down(x).chunk(2, -1)
            left = left + by_definition(layer.forward_mixer, layer.forward_norm(left))
            right = right + by_definition(layer.backward_mixer, layer.backward_norm(right).flip(0)).flip(0)
            expected = torch.cat([left, right], -1)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("step", [-50.0, 50.0])
def test_extreme_preactivations_stay_finite(step):
    module = forward_module()
    with torch.no_grad():
        module.layers[0].forward_mixer.dt_proj.bias.fill_(step)
        module.layers[0].forward_mixer.in_proj.weight *= 50
    tokens = torch.randn(2048, 32, requires_grad=True)
    output = module(tokens, Layout([2048]))
    output.sum().backward()
    assert output.isfinite().all() and tokens.grad.isfinite().all()
    assert all(value.grad.isfinite().all() for value in module.parameters())


@pytest.mark.parametrize("setting", ["state_width", "expand", "conv_width", "step_rank"])
@pytest.mark.parametrize("value", [0, 2.5])
def test_a_setting_that_cannot_work_is_named(setting, value):
    with pytest.raises(SettingError, match=f"MambaEncoder.*'{setting}' is {value}"):
        MambaEncoder(width=8, depth=1, **{setting: value})


@pytest.fixture
def vendors(monkeypatch):
    """Stand-ins for the vendors' packages, with their signatures over our reference, on a CPU that passes for a GPU."""
    calls = []

    def causal_conv1d_fn(x, weight, bias=None, activation=None):
        assert x.shape[1] == weight.shape[0] and activation == "silu"
        calls.append("causal_conv1d_fn")
        return functional.silu(causal_convolution(x.transpose(1, 2), weight, bias)).transpose(1, 2)

    def selective_scan_fn(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):
        assert u.shape == delta.shape == (u.shape[0], *D.shape, u.shape[2]) and B.shape == C.shape == (u.shape[0], A.shape[1], u.shape[2])
        assert z is None and delta_bias is None and not delta_softplus
        assert all(tensor.stride(-1) == 1 for tensor in (u, delta, B, C)), "else the kernel refuses"
        calls.append("selective_scan_fn")
        u, delta, B, C = (tensor.transpose(1, 2)[None] for tensor in (u, delta, B, C))
        return selective_scan_reference(u, delta, A[None], B, C, D[None])[0].transpose(1, 2)

    for name in ("causal_conv1d", "mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.selective_scan_interface"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["causal_conv1d"].causal_conv1d_fn = causal_conv1d_fn
    sys.modules["mamba_ssm.ops.selective_scan_interface"].selective_scan_fn = selective_scan_fn
    gpu = types.SimpleNamespace(is_cuda=True)
    monkeypatch.setattr("spacy_emerging.encoders.mamba_layers.choose", lambda *given: backend.choose(*given[:2], gpu, given[3]))
    backend.importable.cache_clear()
    yield calls
    backend.importable.cache_clear()


@pytest.mark.parametrize("direction", ["concat", "add", "forward"])
@pytest.mark.parametrize("width,conv_width,uses_convolution", [(16, 4, True), (12, 4, False), (16, 7, False)])
def test_the_vendors_kernels_give_the_same_with_the_same_weights(vendors, direction, width, conv_width, uses_convolution):
    torch.manual_seed(0)
    settings = {"state_width": 8, "conv_width": conv_width, "expand": 1}
    plain = Mamba(width, 2, direction, backend="torch", **settings)
    kernels = Mamba(width, 2, direction, backend="cuda", **settings)
    kernels.load_state_dict(plain.state_dict())
    tokens, layout = torch.randn(20, width), Layout([13, 1, 6])
    torch.testing.assert_close(kernels(tokens, layout), plain(tokens, layout), rtol=1e-4, atol=1e-4)
    assert "selective_scan_fn" in vendors
    assert ("causal_conv1d_fn" in vendors) == uses_convolution


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [[25, 25], [1], [100]])
def test_transformers_mamba_computes_the_same(lengths):
    """Our weights in the Mamba mixer of the transformers library (torch path), its weights in ours: outputs to 1e-4, gradients to 1e-3."""
    modeling = pytest.importorskip("transformers.models.mamba.modeling_mamba")
    from transformers import MambaConfig

    module = forward_module(width=32, state_width=8)
    mixer, layer, layout = module.layers[0].forward_mixer, module.layers[0], Layout(lengths)
    config = MambaConfig(hidden_size=32, state_size=8, expand=2, conv_kernel=4, time_step_rank=math.ceil(32 / 16), num_hidden_layers=1)
    peer = modeling.MambaMixer(config, 0)
    mixer.load_state_dict(peer.state_dict(), strict=True)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    peer.load_state_dict(mixer.state_dict(), strict=True)
    ours, theirs = (torch.randn(sum(lengths), 32, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    result = layer(ours, layout) - ours
    expected = peer(layer.norm(theirs).reshape(len(lengths), lengths[0], 32)).reshape(-1, 32)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
    weighting = torch.randn(sum(lengths), 32, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad((result * weighting).sum(), [ours, *mixer.parameters()])
    named = [peer.get_parameter(name) for name, _ in mixer.named_parameters()]
    wanted = torch.autograd.grad((expected * weighting).sum(), [theirs, *named])
    for mine, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)
