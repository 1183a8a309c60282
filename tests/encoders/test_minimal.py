"""The minGRU and minLSTM encoders: the block against the paper's recurrence, settings, wiring, memory."""

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.mingru import MinGRU, MinGRUEncoder
from spacy_emerging.encoders.minlstm import MinLSTM, MinLSTMEncoder
from spacy_emerging.errors import SettingError

ENCODERS = {"minGRU": (MinGRU, MinGRUEncoder), "minLSTM": (MinLSTM, MinLSTMEncoder)}
both = pytest.mark.parametrize("name", ENCODERS)


def recurrence(name, preactivations):
    """One sequence (L, 2 or 3 D) to its states (L, D), token by token, as in sections 3.1 and 3.2 of arXiv 2410.01201."""
    *gates, hidden = preactivations.chunk(2 if name == "minGRU" else 3, 1)
    candidate = torch.where(hidden >= 0, hidden + 0.5, hidden.sigmoid())
    shares = [gate.sigmoid() for gate in gates]
    keep, add = (1 - shares[0], shares[0]) if name == "minGRU" else (share / sum(shares) for share in shares)
    state, states = torch.zeros_like(hidden[0]), []
    for t in range(len(hidden)):
        state = keep[t] * state + add[t] * candidate[t]
        states.append(state)
    return torch.stack(states)


@both
@pytest.mark.parametrize("conv_width", [0, 4])
def test_a_block_is_convolution_recurrence_and_feed_forward_with_residuals(name, conv_width):
    torch.manual_seed(0)
    module = ENCODERS[name][0](6, 1, "forward", conv_width=conv_width).double()
    block, tokens = module.layers[0].block, torch.randn(9, 6, dtype=torch.float64)
    seen = block.norm(tokens)
    if conv_width:
        padded = functional.pad(seen.t(), (conv_width - 1, 0))
        seen = functional.conv1d(padded[None], block.conv.weight, block.conv.bias, groups=6)[0].t()
    middle = tokens + block.out(recurrence(name, block.gates(seen)))
    parts = block.feed_forward
    expected = middle + parts.down(functional.gelu(parts.up(parts.norm(middle))))
    torch.testing.assert_close(module(tokens, Layout([9])), module.norm(expected), rtol=1e-9, atol=1e-9)


@both
def test_swapped_directions_read_the_reversed_sequence(name):
    """Given weights of both directions exchanged, a layer reads a reversed sequence as it read the sequence before."""
    torch.manual_seed(0)
    layer, layout, tokens = ENCODERS[name][0](16, 1, "concat").layers[0], Layout([5, 9]), torch.randn(14, 16)
    before = layer(tokens, layout)
    layer.forward_block, layer.backward_block = layer.backward_block, layer.forward_block
    with torch.no_grad():
        layer.enter.weight.copy_(layer.enter.weight.roll(8, 0))
        layer.enter.bias.copy_(layer.enter.bias.roll(8, 0))
    after = layout.flip(layer(layout.flip(tokens), layout))
    torch.testing.assert_close(after, before.roll(8, 1), rtol=1e-5, atol=1e-5)


@both
def test_every_second_layer_of_alternate_reads_backward(name):
    torch.manual_seed(0)
    module, tokens, layout = ENCODERS[name][0](8, 2, "alternate"), torch.randn(9, 8), Layout([9])
    changed = tokens.clone()
    changed[4] *= -1.0
    for layer, untouched in zip(module.layers, (slice(0, 4), slice(5, 9)), strict=True):
        difference = (layer(tokens, layout) - layer(changed, layout)).abs().sum(1)
        assert difference[untouched].max() == 0 and difference[4] > 0


@both
@pytest.mark.parametrize("preactivation", [-50.0, 50.0])
def test_extreme_preactivations_stay_finite(name, preactivation):
    torch.manual_seed(0)
    module = ENCODERS[name][0](16, 2)
    for layer in module.layers:
        for block in (layer.forward_block, layer.backward_block):
            with torch.no_grad():
                block.gates.bias.fill_(preactivation)
                block.gates.weight *= 50
    tokens = torch.randn(2048, 16, requires_grad=True)
    output = module(tokens, Layout([2000, 48]))
    output.sum().backward()
    assert output.isfinite().all() and tokens.grad.isfinite().all()
    assert all(value.grad.isfinite().all() for value in module.parameters())


@both
@pytest.mark.parametrize("setting,value", [("expand", 0), ("expand", "a"), ("conv_width", -1), ("conv_width", 2.5), ("feed_forward", -1.0)])
def test_a_setting_that_cannot_work_is_named(name, setting, value):
    with pytest.raises(SettingError, match=f"Min.*Encoder.*'{setting}' is {value!r}"):
        ENCODERS[name][1](width=8, depth=1, **{setting: value})


def test_a_document_of_20000_tokens_takes_memory_linear_in_its_length(peak_source: str) -> None:
    """Peak memory in a process of its own, above that of 1,000 tokens: far below what one (L, L) matrix would take (1.6 GB)."""
    script = """
import torch
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.minlstm import MinLSTM
module = MinLSTM(16, 1)
def peak(length):
    module(torch.randn(length, 16), Layout([length])).sum().backward()
    return peak_kilobytes()
small = peak(1000)
print((peak(20000) - small) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", peak_source + script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200
