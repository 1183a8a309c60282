"""The GateLoop encoder: its block against the complex recurrence, what it starts from, its settings."""

import pytest
import torch
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.gated_linear import GatedLinear, GatedLinearBlock, GatedLinearEncoder
from spacy_emerging.errors import SettingError
from spacy_emerging.kernels.gated_linear import gated_linear_reference


def test_a_block_is_recurrence_norm_gate_and_feed_forward_with_residuals():
    torch.manual_seed(0)
    module = GatedLinear(12, 1, "forward", heads=3).double()
    block, tokens = module.layers[0].block, torch.randn(9, 12, dtype=torch.float64)
    assert block.heads == 3
    x = block.norm(tokens)
    mixed = gated_linear_reference(*(part.reshape(1, 9, 3, 4) for part in block.enter(x).chunk(5, 1)))
    normed = functional.group_norm(mixed.reshape(9, 12), 3, block.group_norm.weight, block.group_norm.bias)
    middle = tokens + block.out(normed * functional.silu(block.gate(x)))
    parts = block.feed_forward
    expected = module.norm(middle + parts.down(functional.gelu(parts.up(parts.norm(middle)))))
    torch.testing.assert_close(module(tokens, Layout([9])), expected, rtol=1e-8, atol=1e-8)


def test_keys_of_a_head_start_with_memories_from_2_to_64_tokens():
    """Given a fresh block and a token of zeros: decays are 1 - 1 / memory, without any turn."""
    block = GatedLinearBlock(32, heads=2, feed_forward=4.0, depth=1, dropout=0.0, chunk=32)
    _, _, _, magnitude, phase = block.enter.bias.chunk(5)
    memory = 1 / (1 - magnitude.sigmoid())
    torch.testing.assert_close(memory[[0, 15, 16, 31]], torch.tensor([2.0, 64.0, 2.0, 64.0]), rtol=1e-4, atol=0)
    assert not phase.any()


@pytest.mark.parametrize("direction", ["concat", "alternate", "forward"])
@pytest.mark.parametrize("chunk", [1, 4, 16, 64])
def test_chunk_size_changes_nothing(direction, chunk):
    torch.manual_seed(0)
    module, tokens, layout = GatedLinear(12, 2, direction).double(), torch.randn(58, 12, dtype=torch.float64), Layout([50, 8])
    expected = module(tokens, layout)
    for part in module.modules():
        if isinstance(part, GatedLinearBlock):
            part.chunk = chunk
    torch.testing.assert_close(module(tokens, layout), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("magnitude", [-50.0, 50.0])
def test_extreme_preactivations_stay_finite(magnitude):
    torch.manual_seed(0)
    module = GatedLinear(16, 1)
    with torch.no_grad():
        for block in (module.layers[0].forward_block, module.layers[0].backward_block):
            block.enter.bias.chunk(5)[3].fill_(magnitude)
            block.enter.weight *= 50
    tokens = torch.randn(2048, 16, requires_grad=True)
    output = module(tokens, Layout([2000, 48]))
    output.sum().backward()
    assert output.isfinite().all() and tokens.grad.isfinite().all()
    assert all(value.grad.isfinite().all() for value in module.parameters())


@pytest.mark.parametrize("setting,value", [("heads", 0), ("chunk", 24), ("chunk", 0), ("chunk", 2.5), ("feed_forward", 0)])
def test_a_setting_that_cannot_work_is_named(setting, value):
    with pytest.raises(SettingError, match=f"GatedLinearEncoder.*'{setting}' is {value}"):
        GatedLinearEncoder(width=8, depth=1, **{setting: value})
