"""The Transformer encoder: positions, head counts, masks and memory."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.transformer import Attention, Transformer, TransformerEncoder, rotate, sinusoidal_positions
from spacy_emerging.errors import SettingError


def test_rotated_products_depend_on_the_distance_alone():
    torch.manual_seed(0)
    query, key = torch.randn(8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    queries, keys = (rotate(vector.expand(1, 20, 1, 8))[0, :, 0] for vector in (query, key))
    products = queries @ keys.t()
    for distance in (-3, 0, 5):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-5)
    assert (products[0, 0] - products[0, 5]).abs() > 1e-3


def test_rotation_keeps_lengths_and_leaves_the_first_token():
    torch.manual_seed(0)
    x = torch.randn(2, 9, 3, 6)
    torch.testing.assert_close(rotate(x).norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(rotate(x)[:, 0], x[:, 0])


def test_sinusoidal_positions_are_those_of_the_formula():
    table = sinusoidal_positions(50, 8, torch.zeros(1))
    assert table.shape == (50, 8)
    torch.testing.assert_close(table[7, 1], torch.tensor(7 / 10_000 ** (2 / 8)).sin())
    torch.testing.assert_close(table[7, 4 + 1], torch.tensor(7 / 10_000 ** (2 / 8)).cos())


@pytest.mark.parametrize("positions", ["rotary", "sinusoidal"])
def test_the_order_of_tokens_matters(positions):
    torch.manual_seed(0)
    module, tokens = Transformer(16, 1, positions=positions), torch.randn(6, 16)
    swapped = tokens[[0, 2, 1, 3, 4, 5]]
    assert (module(tokens, Layout([6]))[0] - module(swapped, Layout([6]))[0]).abs().max() > 1e-5


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_that_of_torchs_own_layer(causal):
    """Given no positions and the same weights, `nn.MultiheadAttention` gives the same, padding or not."""
    torch.manual_seed(0)
    ours, peer = Attention(16, heads=4, depth=1, rotary=False, causal=causal), nn.MultiheadAttention(16, 4, batch_first=True)
    peer.in_proj_weight, peer.in_proj_bias = ours.qkv.weight, ours.qkv.bias
    peer.out_proj.weight, peer.out_proj.bias = ours.out.weight, ours.out.bias
    lengths = [5, 1, 8]
    tokens = torch.randn(14, 16)
    expected = []
    for part in tokens.split(lengths):
        mask = nn.Transformer.generate_square_subsequent_mask(len(part)) if causal else None
        expected.append(peer(part[None], part[None], part[None], attn_mask=mask, is_causal=causal)[0][0])
    torch.testing.assert_close(ours(tokens, Layout(lengths)), torch.cat(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width,heads", [(2, 1), (12, 6), (16, 8), (20, 5), (22, 1), (256, 8)])
def test_head_counts_fall_to_what_the_width_allows(width, heads):
    assert Transformer(width, 1, heads=8).blocks[0].attention.heads == heads


@pytest.mark.parametrize("settings", [{"heads": 0}, {"positions": "learned"}, {"direction": "add"}, {"backend": "x"}, {"width": 3}])
def test_a_setting_that_cannot_work_is_named(settings):
    (setting,) = settings
    with pytest.raises(SettingError, match=f"TransformerEncoder.*'{setting}'"):
        TransformerEncoder(**{"width": 8, "depth": 1, **settings})


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["concat", "forward"])
def test_a_document_of_20000_tokens_takes_memory_linear_in_its_length(direction: str, peak_source: str) -> None:
    """Peak memory in a process of its own, above that of 1,000 tokens: far below what one (L, L) matrix would take (1.6 GB)."""
    script = f"""
import torch
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.transformer import Transformer
module = Transformer(16, 1, "{direction}", heads=1)
def peak(length):
    module(torch.randn(length, 16), Layout([length])).sum().backward()
    return peak_kilobytes()
small = peak(1000)
print((peak(20000) - small) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", peak_source + script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 300
