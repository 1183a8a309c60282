"""The mLSTM over flat sequences, by compiled loops and by plain torch, against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.kernels import native
from spacy_emerging.kernels.mlstm import mlstm_chunkwise, mlstm_recurrent
from spacy_emerging.kernels.mlstm_loops import mlstm_of_sequences

HEADS, WIDTH = 2, 5


@pytest.fixture(params=["loops", "torch"])
def form(request: pytest.FixtureRequest) -> str:
    if request.param == "loops" and not native.available():
        pytest.skip("no compiled loops")
    chosen: str = request.param
    return chosen


def draw(tokens: int, dtype: torch.dtype = torch.float64, spread: float = 2.0, heads: int = HEADS, width: int = WIDTH) -> list[Tensor]:
    """q, k, v (T, H d) and the preactivations of the gates (T, 2 H)."""
    generator = torch.Generator().manual_seed(tokens)
    vectors = [torch.randn(tokens, heads * width, generator=generator, dtype=dtype) for _ in range(3)]
    gates = torch.randn(tokens, 2 * heads, generator=generator, dtype=dtype) * spread
    return [tensor.requires_grad_() for tensor in (*vectors, gates)]


def one_by_one(kernel: object, tensors: list[Tensor], lengths: list[int], reverse: bool, **settings: int) -> Tensor:
    """A form of `mlstm.py` on each sequence."""
    heads = tensors[3].shape[1] // 2
    mixed = []
    for parts in zip(*(tensor.split(lengths) for tensor in tensors), strict=True):
        turned = [part.flip(0) if reverse else part for part in parts]
        q, k, v = (part.unflatten(1, (heads, -1)).transpose(0, 1)[None] for part in turned[:3])
        i, f = (gate.t()[None] for gate in turned[3].chunk(2, 1))
        done = kernel(q, k, v, i, f, **settings)[0].transpose(0, 1).flatten(1)  # type: ignore[operator]
        mixed.append(done.flip(0) if reverse else done)
    return torch.cat(mixed)


def mix(form: str, tensors: list[Tensor], lengths: list[int], reverse: bool = False, chunk: int = 64) -> Tensor:
    """(T, H d)."""
    if form == "torch":
        return one_by_one(mlstm_chunkwise, tensors, lengths, reverse, chunk=chunk)
    q, k, v, gates = tensors
    mixed = mlstm_of_sequences(q, k, v, gates, Layout(lengths).begins, reverse=reverse, chunk=chunk)
    assert mixed is not None
    return mixed


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 8, 64])
@pytest.mark.parametrize("lengths", [[1], [17], [1, 9, 4, 16, 2], [3, 50], [64, 65, 24]])
def test_both_forms_equal_the_definition(form: str, lengths: list[int], chunk: int, reverse: bool) -> None:
    tensors = draw(sum(lengths))
    expected = one_by_one(mlstm_recurrent, tensors, lengths, reverse)
    torch.testing.assert_close(mix(form, tensors, lengths, reverse, chunk), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 2, 5, 8, 64])
@pytest.mark.parametrize("lengths", [[1], [1, 9, 4, 16, 2], [10, 31]])
def test_gradients_of_the_loops_equal_those_of_torch(lengths: list[int], chunk: int) -> None:
    if not native.available():
        pytest.skip("no compiled loops")
    tensors = draw(sum(lengths))
    wanted = torch.randn_like(tensors[2])
    found = [torch.autograd.grad((mix(form, tensors, lengths, chunk=chunk) * wanted).sum(), tensors) for form in ("loops", "torch")]
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_equal_finite_differences(form: str, reverse: bool) -> None:
    """To the size of epsilon: the stabilizer counts as a constant in our gradient."""
    tensors = draw(10, spread=0.5, width=3)
    assert torch.autograd.gradcheck(lambda *given: mix(form, list(given), [7, 1, 2], reverse, 2), tensors, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("heads", "width"), [(1, 1), (2, 7), (2, 8), (1, 16), (1, 70)])
def test_heads_of_any_width(form: str, heads: int, width: int) -> None:
    tensors = draw(80, torch.float32, heads=heads, width=width)
    exact = one_by_one(mlstm_chunkwise, [tensor.double() for tensor in tensors], [60, 20], False)
    error = (mix(form, tensors, [60, 20], chunk=16).double() - exact).abs().max()
    assert error < 1e-4 * exact.abs().max()


@pytest.mark.parametrize("extreme", [50.0, 1000.0])
@pytest.mark.parametrize("chunk", [64, 2048])
def test_extreme_gates_stay_finite(form: str, extreme: float, chunk: int) -> None:
    q, k, v, gates = draw(2048, torch.float32)
    tensors = [q, k, v, (gates.sign() * extreme).detach().requires_grad_()]
    mixed = mix(form, tensors, [2048], chunk=chunk)
    mixed.sum().backward()
    assert mixed.isfinite().all()
    for tensor in tensors:
        assert tensor.grad is not None and tensor.grad.isfinite().all()


@pytest.mark.parametrize("value", [-1000.0, 1000.0])
@pytest.mark.parametrize("gate", ["input", "forget"])
def test_gates_shut_or_open_all_along_stay_finite(form: str, gate: str, value: float) -> None:
    tensors = draw(1000, torch.float32)
    with torch.no_grad():
        tensors[3].chunk(2, 1)[gate == "forget"].fill_(value)
    mixed = mix(form, tensors, [1000])
    mixed.sum().backward()
    assert mixed.isfinite().all()
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in tensors)


def test_inputs_may_be_columns_of_something_wider(form: str) -> None:
    q, k, v, gates = draw(40)
    wide = torch.cat([q, k, v], 1).split(HEADS * WIDTH, 1)
    torch.testing.assert_close(mix(form, [*wide, gates], [40], chunk=8), mix(form, [q, k, v, gates], [40], chunk=8), rtol=0, atol=1e-12)


@pytest.mark.skipif(not native.available(), reason="no compiled loops")
def test_two_threads_give_what_one_gives(request: pytest.FixtureRequest) -> None:
    tensors = draw(44)
    wanted = torch.randn_like(tensors[2])
    alone = mix("loops", tensors, [9, 30, 4, 1], chunk=8)
    gradients = torch.autograd.grad((alone * wanted).sum(), tensors)
    request.getfixturevalue("two_threads")
    together = mix("loops", tensors, [9, 30, 4, 1], chunk=8)
    assert torch.equal(alone, together)
    assert all(map(torch.equal, torch.autograd.grad((together * wanted).sum(), tensors), gradients))


@pytest.mark.skipif(not native.available(), reason="no compiled loops")
@pytest.mark.parametrize("graded", [True, False])
def test_prediction_keeps_nothing_for_a_backward_pass(graded: bool, loop_calls: list[tuple[str, tuple[object, ...]]]) -> None:
    with torch.set_grad_enabled(graded):
        mix("loops", draw(40), [40], chunk=8)
    ((_, given),) = loop_calls
    assert (given[6] is not None) == graded  # where the backward pass finds what it needs


def test_none_where_the_loops_do_not_run() -> None:
    with native.switched_off():
        assert mlstm_of_sequences(*draw(4), Layout([4]).begins) is None
