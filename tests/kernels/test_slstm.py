"""The fast sLSTM loop against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spacy_emerging.kernels.slstm import Packing, slstm, slstm_reference

STREAMS, WIDTH = 3, 4


def draw(lengths: list[int], dtype: torch.dtype = torch.float64, scale: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Flat preactivations (S, T, 4 d) and recurrent weights (S, d, 4 d)."""
    generator = torch.Generator().manual_seed(seed)
    gates = torch.randn(STREAMS, sum(lengths), 4 * WIDTH, generator=generator, dtype=dtype) * scale
    recurrent = torch.randn(STREAMS, WIDTH, 4 * WIDTH, generator=generator, dtype=dtype) * 0.5
    return gates, recurrent


def mix(gates: Tensor, recurrent: Tensor, lengths: list[int]) -> Tensor:
    """The fast loop on flat tokens."""
    packing = Packing(lengths)
    return slstm(gates[:, packing.order], recurrent, packing)[:, packing.inverse]


def mix_slowly(gates: Tensor, recurrent: Tensor, lengths: list[int]) -> Tensor:
    """The reference, sequence by sequence."""
    return torch.cat([slstm_reference(part, recurrent) for part in gates.split(lengths, 1)], 1)


@pytest.mark.parametrize("lengths", [[1], [7], [5, 5, 5], [1, 9, 4, 9, 2], [40, 1]])
def test_loop_equals_definition(lengths: list[int]) -> None:
    gates, recurrent = draw(lengths)
    torch.testing.assert_close(mix(gates, recurrent, lengths), mix_slowly(gates, recurrent, lengths), rtol=0, atol=1e-12)


@pytest.mark.parametrize("lengths", [[1], [4, 4], [1, 5, 3], [2, 6, 6, 1]])
def test_backward_equals_autograd_of_definition(lengths: list[int]) -> None:
    gates, recurrent = (tensor.requires_grad_() for tensor in draw(lengths))
    wanted = torch.randn(STREAMS, sum(lengths), WIDTH, dtype=torch.float64)
    fast = torch.autograd.grad((mix(gates, recurrent, lengths) * wanted).sum(), (gates, recurrent))
    slow = torch.autograd.grad((mix_slowly(gates, recurrent, lengths) * wanted).sum(), (gates, recurrent))
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


def test_backward_passes_gradcheck() -> None:
    lengths = [3, 5, 1]
    gates, recurrent = (tensor.requires_grad_() for tensor in draw(lengths))
    assert torch.autograd.gradcheck(lambda g, r: mix(g, r, lengths), (gates, recurrent))


def test_sequences_do_not_depend_on_their_batch() -> None:
    lengths = [6, 2, 9]
    gates, recurrent = draw(lengths, torch.float32)
    together = mix(gates, recurrent, lengths).split(lengths, 1)
    for part, mixed in zip(gates.split(lengths, 1), together, strict=True):
        torch.testing.assert_close(mix(part, recurrent, [part.shape[1]]), mixed, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [50.0, 1000.0])
def test_extreme_preactivations_stay_finite(scale: float) -> None:
    lengths = [2048]
    gates, recurrent = draw(lengths, torch.float32)
    gates = (gates.sign() * scale).requires_grad_()
    recurrent.requires_grad_()
    mixed = mix(gates, recurrent, lengths)
    mixed.sum().backward()
    assert mixed.isfinite().all() and mixed.abs().max() <= 1
    assert gates.grad is not None and gates.grad.isfinite().all()
    assert recurrent.grad is not None and recurrent.grad.isfinite().all()


def test_first_step_is_not_lost_when_the_input_gate_is_closed() -> None:
    """With m_0 = 0 instead of -inf, a strongly negative input gate makes the first ratio 0 / 0."""
    gates, recurrent = draw([1], torch.float32)
    gates[..., 2 * WIDTH : 3 * WIDTH] = -1000.0
    z, o = gates[..., :WIDTH], gates[..., WIDTH : 2 * WIDTH]
    torch.testing.assert_close(mix(gates, recurrent, [1]), o.sigmoid() * z.tanh())


def test_half_precision_input_is_computed_in_float32() -> None:
    gates, recurrent = draw([12], torch.float32)
    half = gates.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = mix(half, recurrent, [12])
    torch.testing.assert_close(mixed, mix(half.float(), recurrent, [12]), rtol=0, atol=0)
    assert mixed.dtype == torch.float32


def test_packing_visits_longest_first_and_is_undone_by_its_inverse() -> None:
    packing = Packing([2, 3, 1])
    assert packing.sizes == [3, 2, 1]
    assert packing.order.tolist() == [2, 0, 5, 3, 1, 4]
    assert packing.order[packing.inverse].tolist() == list(range(6))
    assert packing.previous.tolist() == [0, 1, 2, 0, 1, 3]
