"""Transformer blocks with modulated norms: the compiled loop of prediction against the same in torch, and against torch's own layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.decoders.denoiser import PARTS, Block
from spacy_emerging.kernels import native
from spacy_emerging.kernels.adaptive_block import Modulation, adaptive_norm
from spacy_emerging.kernels.quantized import QuantizedLinear

needs_loops = pytest.mark.skipif(not native.available(), reason="the loops were not compiled here")
LENGTHS = [(1,), (5, 1, 24, 25, 3), (300, 2, 513, 7), (90,) * 5]
"""One token; around the tokens that look at others at a time; more than are looked at at a time; several groups of sequences."""


def drawn(
    width: int, lengths: tuple[int, ...], samples: int = 1, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Layout]:
    """Inputs, modulations of tokens and times with three parts before those of the block, and the layout of all samples."""
    tokens = sum(lengths)
    x = torch.randn(samples, tokens, width, dtype=dtype)
    modulation, times = torch.randn(tokens, (PARTS + 3) * width, dtype=dtype), torch.randn(1, (PARTS + 3) * width, dtype=dtype)
    return x, modulation, times, Layout(lengths * samples)


def both_ways(run: Any) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        by_loops = run()
        with native.switched_off():
            return by_loops, run()


@needs_loops
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("width, heads", [(2, 1), (6, 3), (64, 2), (40, 4), (36, 1)])
def test_loop_and_torch_agree(
    width: int, heads: int, lengths: tuple[int, ...], threads: int, loop_calls: list[Any], two_threads: None
) -> None:
    torch.set_num_threads(threads)
    block = Block(width, heads, 0.0).double().eval()
    x, tokens, times, layout = drawn(width, lengths)

    found, wanted = both_ways(lambda: block(x, Modulation(tokens, times, width), 3, layout))

    assert [name for name, _ in loop_calls] == ["adaptive_block_forward"]
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@needs_loops
def test_in_single_precision() -> None:
    block = Block(64, 2, 0.0).eval()
    x, tokens, times, layout = drawn(64, (40, 8, 300), dtype=torch.float32)
    found, wanted = both_ways(lambda: block(x, Modulation(tokens, times, 64), 3, layout))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)


@needs_loops
def test_attention_of_extreme_scores() -> None:
    # given queries and keys so large that all attention goes to one token, somewhere beyond the first that are looked at
    block = Block(8, 2, 0.0).double().eval()
    with torch.no_grad():
        block.qkv.weight[:16] *= 300
    x, tokens, times, layout = drawn(8, (700, 20))
    found, wanted = both_ways(lambda: block(x, Modulation(tokens, times, 8), 3, layout))
    assert found.isfinite().all()
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-8)


@needs_loops
def test_samples_share_the_modulation_of_their_tokens() -> None:
    block = Block(12, 2, 0.0).double().eval()
    x, tokens, times, layout = drawn(12, (9, 30), samples=3)

    found, wanted = both_ways(lambda: block(x, Modulation(tokens, times, 12), 3, layout))

    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        alone = block(x[1:2], Modulation(tokens, times, 12), 3, Layout((9, 30)))
    torch.testing.assert_close(found[1:2], alone, rtol=1e-12, atol=1e-12)


def test_what_the_block_computes() -> None:
    # given torch's own attention and layer norm
    width, heads = 8, 2
    block = Block(width, heads, 0.0).double().eval()
    x, tokens, times, layout = drawn(width, (4, 6))
    attention = nn.MultiheadAttention(width, heads, batch_first=True).double()
    with torch.no_grad():
        for mine, theirs in (
            (block.qkv.weight, attention.in_proj_weight),
            (block.qkv.bias, attention.in_proj_bias),
            (block.out.weight, attention.out_proj.weight),
            (block.out.bias, attention.out_proj.bias),
        ):
            theirs.copy_(mine)
        scale, shift, gate, then_scale, then_shift, then_gate = (tokens + times).split(width, dim=1)[3:]

        wanted = x[0]
        for rows in (slice(0, 4), slice(4, 10)):
            asked = functional.layer_norm(wanted[rows], (width,)) * scale[rows] + shift[rows]
            wanted = wanted.clone()
            wanted[rows] += gate[rows] * attention(asked[None], asked[None], asked[None])[0][0]
        raised = functional.gelu(block.up(functional.layer_norm(wanted, (width,)) * then_scale + then_shift))
        wanted = wanted + then_gate * block.down(raised)

        for each in both_ways(lambda: block(x, Modulation(tokens, times, width), 3, layout)):
            torch.testing.assert_close(each[0], wanted, rtol=1e-9, atol=1e-9)


@needs_loops
@pytest.mark.parametrize("width", [2, 20, 64])
def test_norms_agree(width: int, loop_calls: list[Any], two_threads: None) -> None:
    x, tokens, times, _ = drawn(width, (130, 9), samples=2)
    found, wanted = both_ways(lambda: adaptive_norm(x, Modulation(tokens, times, width), 4))
    assert [name for name, _ in loop_calls] == ["adaptive_norm_forward"]
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_the_input_stays_as_it_is() -> None:
    block = Block(8, 2, 0.0).double().eval()
    x, tokens, times, layout = drawn(8, (4, 6))
    before = x.clone()
    both_ways(lambda: block(x, Modulation(tokens, times, 8), 3, layout))
    assert x.equal(before)


def test_training_several_times_and_quantised_layers_are_plain_torch(loop_calls: list[Any]) -> None:
    block = Block(64, 2, 0.5)
    x, tokens, times, layout = drawn(64, (4, 6), dtype=torch.float32)

    block(x, Modulation(tokens, times, 64), 3, layout).sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())
    with torch.no_grad():  # an estimate within an update has dropout
        one, other = (block(x, Modulation(tokens, times, 64), 3, layout) for _ in range(2))
        assert not one.equal(other)
        block.eval()
        block(x, Modulation(tokens, times.expand(10, -1), 64), 3, layout)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            block(x, Modulation(tokens, times, 64), 3, layout)
        block.up = QuantizedLinear(block.up)
        block(x, Modulation(tokens, times, 64), 3, layout)

    assert not [name for name, _ in loop_calls if name == "adaptive_block_forward"]
