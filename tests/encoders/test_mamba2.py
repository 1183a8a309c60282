"""The Mamba-2 encoder: settings, weights that can be exchanged, the vendors' kernels, and transformers' Mamba-2 as an oracle."""

import subprocess
import sys
import types

import pytest
import torch
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.mamba2 import Mamba2, Mamba2Encoder, Mixer, Shape
from spacy_emerging.errors import SettingError
from spacy_emerging.kernels import backend
from spacy_emerging.kernels.convolution import causal_convolution
from spacy_emerging.kernels.ssd import ssd_reference


def forward_module(width=32, depth=1, **settings):
    torch.manual_seed(0)
    return Mamba2(width, depth, "forward", **settings)


def test_names_and_shapes_of_a_mixer_are_those_of_mamba_ssm():
    mixer = Mixer(Shape(width=32, inner=64, head_width=16, state_width=8, conv_width=4, depth=1))
    assert {name: tuple(value.shape) for name, value in mixer.named_parameters()} == {
        "in_proj.weight": (2 * 64 + 2 * 8 + 4, 32),
        "conv1d.weight": (64 + 2 * 8, 1, 4),
        "conv1d.bias": (64 + 2 * 8,),
        "dt_bias": (4,),
        "A_log": (4,),
        "D": (4,),
        "norm.weight": (64,),
        "out_proj.weight": (32, 64),
    }


def test_steps_and_decays_start_in_the_authors_ranges():
    torch.manual_seed(0)
    mixer = Mixer(Shape(width=8, inner=512, head_width=1, state_width=2, conv_width=4, depth=1))
    step, decay = functional.softplus(mixer.dt_bias), mixer.A_log.exp()
    assert 0.00099 < step.min() < 0.002 and 0.05 < step.max() < 0.101
    assert 1.0 <= decay.min() < 2.0 and 15.0 < decay.max() <= 16.0
    assert torch.equal(mixer.D, torch.ones(512))


def test_both_directions_of_add_share_the_projections():
    torch.manual_seed(0)
    names = dict(Mamba2(16, 1, "add").named_parameters())
    assert sum("in_proj" in name for name in names) == sum("out_proj" in name for name in names) == 1
    assert sum("A_log" in name for name in names) == sum("conv1d.weight" in name for name in names) == 2


@pytest.mark.parametrize("direction", ["concat", "add"])
def test_swapped_directions_read_the_reversed_sequence(direction):
    """Given weights of both directions exchanged, the encoder reads a reversed sequence as it read the sequence before."""
    torch.manual_seed(0)
    module = Mamba2(16, 1, direction)
    layer, layout, tokens = module.layers[0], Layout([5, 9]), torch.randn(14, 16)
    before = layer(tokens, layout)
    if direction == "concat":
        layer.forward_mixer, layer.backward_mixer = layer.backward_mixer, layer.forward_mixer
        layer.forward_norm, layer.backward_norm = layer.backward_norm, layer.forward_norm
        with torch.no_grad():
            layer.down.weight.copy_(layer.down.weight.roll(8, 0))
            layer.down.bias.copy_(layer.down.bias.roll(8, 0))
    else:
        own = ("conv1d", "dt_bias", "A_log", "D", "norm")
        for name in own:
            mine, other = getattr(layer.forward_mixer, name), getattr(layer.backward_mixer, name)
            setattr(layer.forward_mixer, name, other)
            setattr(layer.backward_mixer, name, mine)
    after = layout.flip(layer(layout.flip(tokens), layout))
    expected = before.roll(8, 1) if direction == "concat" else before
    torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("direction", ["concat", "add", "forward"])
@pytest.mark.parametrize("chunk", [1, 3, 7, 30, 1000])
def test_chunk_size_changes_nothing(direction, chunk):
    torch.manual_seed(0)
    module, tokens, layout = Mamba2(12, 2, direction).double(), torch.randn(38, 12, dtype=torch.float64), Layout([30, 8])
    expected = module(tokens, layout)
    for layer in module.layers:
        layer.scan.chunk = chunk
    torch.testing.assert_close(module(tokens, layout), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("step", [-50.0, 50.0])
def test_extreme_preactivations_stay_finite(step):
    module = forward_module()
    with torch.no_grad():
        module.layers[0].forward_mixer.dt_bias.fill_(step)
        module.layers[0].forward_mixer.in_proj.weight *= 50
    tokens = torch.randn(2048, 32, requires_grad=True)
    output = module(tokens, Layout([2048]))
    output.sum().backward()
    assert output.isfinite().all() and tokens.grad.isfinite().all()
    assert all(value.grad.isfinite().all() for value in module.parameters())


@pytest.mark.parametrize("setting", ["state_width", "expand", "head_width", "conv_width", "chunk"])
@pytest.mark.parametrize("value", [0, 2.5])
def test_a_setting_that_cannot_work_is_named(setting, value):
    with pytest.raises(SettingError, match=f"Mamba2Encoder.*'{setting}' is {value}"):
        Mamba2Encoder(width=8, depth=1, **{setting: value})


@pytest.mark.parametrize("settings", [{"direction": "alternate"}, {"backend": "triton"}, {"width": 7}, {"depth": 0}, {"dropout": 1.0}])
def test_a_shared_setting_that_cannot_work_is_named(settings):
    (setting,) = settings
    with pytest.raises(SettingError, match=f"Mamba2Encoder.*'{setting}'"):
        Mamba2Encoder(**{"width": 8, "depth": 1, **settings})


@pytest.fixture
def vendors(monkeypatch):
    """Stand-ins for the vendors' packages, with their signatures over our reference, on a CPU that passes for a GPU."""
    calls = []

    def causal_conv1d_fn(x, weight, bias=None, activation=None):
        assert x.shape[1] == weight.shape[0] and activation == "silu"
        calls.append("causal_conv1d_fn")
        return functional.silu(causal_convolution(x.transpose(1, 2), weight, bias)).transpose(1, 2)

    def mamba_chunk_scan_combined(x, dt, A, B, C, chunk_size, D=None):
        assert B.dim() == C.dim() == 4 and B.shape[2] == 1 and A.shape == D.shape == dt.shape[2:]
        calls.append("mamba_chunk_scan_combined")
        return ssd_reference(x[None], dt[None], A[None], B[None, :, :, 0], C[None, :, :, 0], D[None])[0]

    for name in ("causal_conv1d", "mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.triton", "mamba_ssm.ops.triton.ssd_combined"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["causal_conv1d"].causal_conv1d_fn = causal_conv1d_fn
    sys.modules["mamba_ssm.ops.triton.ssd_combined"].mamba_chunk_scan_combined = mamba_chunk_scan_combined
    monkeypatch.setattr("spacy_emerging.encoders.mamba_layers.choose", lambda *given: backend.choose(*given[:2], GPU, given[3]))
    backend.importable.cache_clear()
    yield calls
    backend.importable.cache_clear()


GPU = types.SimpleNamespace(is_cuda=True)


@pytest.mark.parametrize("direction", ["concat", "add", "forward"])
@pytest.mark.parametrize("width,conv_width,uses_convolution", [(16, 4, True), (12, 4, False), (16, 7, False)])
def test_the_vendors_kernels_give_the_same_with_the_same_weights(vendors, direction, width, conv_width, uses_convolution):
    torch.manual_seed(0)
    settings = {"state_width": 8, "conv_width": conv_width, "expand": 1}
    plain = Mamba2(width, 2, direction, backend="torch", **settings)
    kernels = Mamba2(width, 2, direction, backend="cuda", **settings)
    kernels.load_state_dict(plain.state_dict())
    tokens, layout = torch.randn(20, width), Layout([13, 1, 6])
    torch.testing.assert_close(kernels(tokens, layout), plain(tokens, layout), rtol=1e-4, atol=1e-4)
    assert "mamba_chunk_scan_combined" in vendors
    assert ("causal_conv1d_fn" in vendors) == uses_convolution


def test_training_with_cuda_on_a_cpu_is_an_error_and_prediction_a_warning():
    module, tokens, layout = forward_module(backend="cuda"), torch.randn(4, 32), Layout([4])
    with pytest.raises(SettingError, match=r"mamba_ssm.*spacy-emerging\[cuda\]"):
        module(tokens, layout)
    backend.BARE.given.clear()
    with pytest.warns(UserWarning, match="mamba_ssm"):
        predicted = module.eval()(tokens, layout)
    torch.testing.assert_close(predicted, forward_module(backend="torch").eval()(tokens, layout))


def test_a_document_of_20000_tokens_takes_memory_linear_in_its_length(peak_source: str) -> None:
    """Peak memory in a process of its own, above that of 1,000 tokens: far below what one (L, L) matrix would take (1.6 GB)."""
    script = """
import torch
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.mamba2 import Mamba2
module = Mamba2(16, 1)
def peak(length):
    module(torch.randn(length, 16), Layout([length])).sum().backward()
    return peak_kilobytes()
small = peak(1000)
print((peak(20000) - small) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", peak_source + script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 600


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [[25, 25], [1], [100]])
def test_transformers_mamba2_computes_the_same(lengths):
    """Our weights in the Mamba-2 mixer of the transformers library (torch path): outputs to 1e-4, gradients to 1e-3."""
    modeling = pytest.importorskip("transformers.models.mamba2.modeling_mamba2")
    from transformers import Mamba2Config

    module = forward_module(width=32, state_width=8, head_width=16)
    mixer = module.layers[0].forward_mixer
    config = Mamba2Config(
        hidden_size=32, num_heads=4, head_dim=16, state_size=8, expand=2, n_groups=1, chunk_size=16, conv_kernel=4,
        num_hidden_layers=1, layer_norm_epsilon=1e-5, use_bias=False, use_conv_bias=True,
    )  # fmt: skip
    peer = modeling.Mamba2Mixer(config, 0)
    peer.load_state_dict(mixer.state_dict(), strict=True)
    layer, layout = module.layers[0], Layout(lengths)
    ours, theirs = (torch.randn(sum(lengths), 32, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    result = layer(ours, layout) - ours
    normed = layer.norm(theirs).reshape(len(lengths), lengths[0], 32)
    expected = peer(normed).reshape(-1, 32)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
    weighting = torch.randn(sum(lengths), 32, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad((result * weighting).sum(), [ours, *mixer.parameters()])
    named = [peer.get_parameter(name) for name, _ in mixer.named_parameters()]
    wanted = torch.autograd.grad((expected * weighting).sum(), [theirs, *named])
    for mine, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)
