"""The three forms of the mLSTM are one function."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spacy_emerging.errors import SettingError
from spacy_emerging.kernels import mlstm as module
from spacy_emerging.kernels.mlstm import mlstm, mlstm_chunkwise, mlstm_parallel, mlstm_recurrent


def draw(
    length: int, dtype: torch.dtype = torch.float64, spread: float = 2.0, batch: int = 2, heads: int = 3, width: int = 4
) -> list[Tensor]:
    """q, k, v (B, H, L, d) and the preactivations i, f (B, H, L)."""
    generator = torch.Generator().manual_seed(length)
    vectors = [torch.randn(batch, heads, length, width, generator=generator, dtype=dtype) for _ in range(3)]
    return vectors + [torch.randn(batch, heads, length, generator=generator, dtype=dtype) * spread for _ in range(2)]


@pytest.mark.parametrize("length", [1, 2, 17, 64, 101])
@pytest.mark.parametrize("chunk", [1, 3, 16, 64, 200])
def test_chunkwise_equals_recurrence(length: int, chunk: int) -> None:
    inputs = draw(length)
    torch.testing.assert_close(mlstm_chunkwise(*inputs, chunk=chunk), mlstm_recurrent(*inputs), rtol=0, atol=1e-9)


@pytest.mark.parametrize("length", [1, 33])
def test_parallel_equals_recurrence(length: int) -> None:
    inputs = draw(length)
    torch.testing.assert_close(mlstm_parallel(*inputs), mlstm_recurrent(*inputs), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("length", "chunk"), [(1, 8), (7, 8), (13, 3), (16, 4)])
def test_backward_equals_autograd_of_recurrence(length: int, chunk: int) -> None:
    """To the size of epsilon: the stabilizer counts as a constant in our gradient."""
    inputs = [tensor.requires_grad_() for tensor in draw(length)]
    wanted = torch.randn_like(inputs[2])
    fast = torch.autograd.grad((mlstm_chunkwise(*inputs, chunk=chunk) * wanted).sum(), inputs)
    slow = torch.autograd.grad((mlstm_recurrent(*inputs) * wanted).sum(), inputs)
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_backward_passes_gradcheck() -> None:
    inputs = [tensor.requires_grad_() for tensor in draw(9, spread=0.5, batch=1, heads=2, width=3)]
    assert torch.autograd.gradcheck(lambda *args: mlstm_chunkwise(*args, chunk=2), inputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("extreme", [50.0, 1000.0])
@pytest.mark.parametrize("chunk", [64, 2048])
def test_extreme_gates_stay_finite(extreme: float, chunk: int) -> None:
    q, k, v, i, f = draw(2048, torch.float32, batch=1, heads=2)
    inputs = [tensor.requires_grad_() for tensor in (q, k, v, i.sign() * extreme, f.sign() * extreme)]
    mixed = mlstm_chunkwise(*inputs, chunk=chunk)
    mixed.sum().backward()
    assert mixed.isfinite().all()
    for tensor in inputs:
        assert tensor.grad is not None and tensor.grad.isfinite().all()


@pytest.mark.parametrize(("gate", "value"), [("input", -1000.0), ("forget", -1000.0), ("input", 1000.0), ("forget", 1000.0)])
def test_gates_shut_or_open_all_along_stay_finite(gate: str, value: float) -> None:
    q, k, v, i, f = draw(2048, torch.float32, batch=1, heads=2)
    i, f = (torch.full_like(i, value), f) if gate == "input" else (i, torch.full_like(f, value))
    inputs = [tensor.requires_grad_() for tensor in (q, k, v, i, f)]
    mixed = mlstm_chunkwise(*inputs)
    mixed.sum().backward()
    assert mixed.isfinite().all()
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in inputs)


def test_later_tokens_never_influence_earlier_ones() -> None:
    inputs = draw(20, torch.float32)
    before = mlstm_chunkwise(*inputs, chunk=4)[:, :, :11]
    for tensor in inputs:
        tensor[:, :, 11:] = 99.0
    assert torch.equal(mlstm_chunkwise(*inputs, chunk=4)[:, :, :11], before)


def test_inputs_may_be_views_of_any_layout() -> None:
    """As they are when they come out of projections over tokens."""
    inputs = draw(40)
    turned = [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in inputs]
    torch.testing.assert_close(mlstm_chunkwise(*turned, chunk=8), mlstm_chunkwise(*inputs, chunk=8), rtol=0, atol=1e-12)


def test_half_precision_input_is_computed_in_float32() -> None:
    halves = [tensor.bfloat16() for tensor in draw(30, torch.float32)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = mlstm(*halves, backend="torch")
    exact = mlstm(*(tensor.float() for tensor in halves), backend="torch")
    assert mixed.dtype == torch.bfloat16
    assert torch.equal(mixed, exact.bfloat16())


def test_training_with_missing_kernels_is_refused() -> None:
    with pytest.raises(SettingError, match="mlstm_kernels"):
        mlstm(*draw(3), backend="cuda", training=True)


@pytest.mark.slow
@pytest.mark.parametrize("width", [6, 16, 40])
def test_the_authors_kernels_are_called_as_they_want(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their Triton kernel needs a GPU; their plain one has the same signature and runs here."""
    pytest.importorskip("mlstm_kernels")
    monkeypatch.setattr(module, "VENDOR_KERNEL", "chunkwise--native_autograd")
    monkeypatch.setattr(module, "choose", lambda *_: "cuda")
    inputs = draw(101, torch.float32, spread=0.5, width=width)
    torch.testing.assert_close(mlstm(*inputs), mlstm_recurrent(*inputs), rtol=1e-3, atol=1e-3)
