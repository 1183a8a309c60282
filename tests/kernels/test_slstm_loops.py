"""The sLSTM over flat sequences, by compiled loops and by plain torch, against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.kernels import native
from spacy_emerging.kernels.slstm import Packing, slstm, slstm_reference
from spacy_emerging.kernels.slstm_loops import slstm_of_sequences

HEADS, WIDTH = 3, 5
LENGTHS = [[1], [7], [1, 9, 4, 9, 2], [40, 1], [100, 5, 3], [3] * 40]


@pytest.fixture(params=["loops", "torch"])
def form(request: pytest.FixtureRequest) -> str:
    if request.param == "loops" and not native.available():
        pytest.skip("no compiled loops")
    chosen: str = request.param
    return chosen


def draw(tokens: int, dtype: torch.dtype = torch.float64, heads: int = HEADS, width: int = WIDTH) -> list[Tensor]:
    """Two inputs (T, H d), the four weights from them (H, d, d), recurrent weights (H, 4 d, d), biases (4 H d)."""
    generator = torch.Generator().manual_seed(tokens)
    shapes = [(tokens, heads * width)] * 2 + [(heads, width, width)] * 4 + [(heads, 4 * width, width), (4 * heads * width,)]
    return [(torch.randn(*shape, generator=generator, dtype=dtype) * 0.7).requires_grad_() for shape in shapes]


def split(tensors: list[Tensor]) -> tuple[Tensor, Tensor]:
    """What the two forms of `slstm.py` take: preactivations (H, T, 4 d) and recurrent weights (H, d, 4 d), in the order z, o, i, f."""
    plain, convolved, z, o, i, f, recurrent, bias = tensors
    heads, width, _ = z.shape
    sources = [x.unflatten(1, (heads, width)) for x in (plain, plain, convolved, convolved)]
    made = [torch.einsum("thd,hed->hte", x, weight) for x, weight in zip(sources, (z, o, i, f), strict=True)]
    order = [2, 3, 0, 1]
    biases = bias.view(4, heads, 1, width)[order]
    gates = torch.cat([gate + own for gate, own in zip(made, biases, strict=True)], -1)
    return gates, recurrent.view(heads, 4, width, width)[:, order].flatten(1, 2).transpose(1, 2)


def mix(form: str, tensors: list[Tensor], lengths: list[int], reverse: bool = False) -> Tensor:
    """(T, H d)."""
    layout = Layout(lengths)
    if form == "loops":
        mixed = slstm_of_sequences(tensors[0], tensors[1], tensors[2:6], *tensors[6:], layout.begins, reverse=reverse)
        assert mixed is not None
        return mixed
    gates, recurrent = split(tensors)
    if reverse:
        gates = layout.flip(gates.transpose(0, 1)).transpose(0, 1)
    packing = Packing(lengths)
    mixed = slstm(gates[:, packing.order], recurrent, packing)[:, packing.inverse].transpose(0, 1).flatten(1)
    return layout.flip(mixed) if reverse else mixed


def mix_slowly(tensors: list[Tensor], lengths: list[int], reverse: bool = False) -> Tensor:
    """The definition, sequence by sequence."""
    gates, recurrent = split(tensors)
    parts = [part.flip(1) if reverse else part for part in gates.split(lengths, 1)]
    mixed = [slstm_reference(part, recurrent) for part in parts]
    return torch.cat([part.flip(1) if reverse else part for part in mixed], 1).transpose(0, 1).flatten(1)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_both_forms_equal_the_definition(form: str, lengths: list[int], reverse: bool) -> None:
    tensors = draw(sum(lengths))
    wanted = torch.randn_like(tensors[0])
    ours, theirs = mix(form, tensors, lengths, reverse), mix_slowly(tensors, lengths, reverse)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad((mixed * wanted).sum(), tensors) for mixed in (ours, theirs)]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_equal_finite_differences(form: str, reverse: bool) -> None:
    tensors = draw(7, heads=2, width=3)
    assert torch.autograd.gradcheck(lambda *given: mix(form, list(given), [2, 4, 1], reverse), tensors)


@pytest.mark.parametrize(("heads", "width"), [(1, 1), (2, 8), (2, 16), (1, 40)])
def test_heads_of_any_width(form: str, heads: int, width: int) -> None:
    tensors = draw(30, torch.float32, heads, width)
    exact = mix_slowly([tensor.double() for tensor in tensors], [20, 10])
    torch.testing.assert_close(mix(form, tensors, [20, 10]).double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [50.0, 1000.0])
def test_extreme_preactivations_stay_finite(form: str, scale: float) -> None:
    """As many of each sign, at random."""
    tensors = draw(2048, torch.float32)
    with torch.no_grad():
        for x in tensors[:2]:
            x.copy_(x.sign() * scale)
        for weight in tensors[2:6]:
            weight.copy_(torch.eye(WIDTH).expand_as(weight))
    mixed = mix(form, tensors, [2048])
    mixed.sum().backward()
    assert mixed.isfinite().all() and mixed.abs().max() <= 1
    for tensor in tensors:
        assert tensor.grad is not None and tensor.grad.isfinite().all()


def test_what_fades_without_anything_new_is_kept(form: str) -> None:
    """Forget gates that stand at one half for thousands of steps: n is beyond any exponent, and c / n is what it was."""
    tensors = [tensor.detach() for tensor in draw(3000, torch.float32)]
    tensors[0][:], tensors[1][:], tensors[6][:], tensors[7][:] = 1, 0, 0, 0
    tensors[1][1:] = -1000
    tensors[4][:], tensors[5][:] = torch.eye(WIDTH), 0
    mixed = mix(form, tensors, [3000])
    torch.testing.assert_close(mixed[1:], mixed[:1].expand(2999, -1), rtol=0, atol=1e-5)
    assert mixed[0].abs().max() > 0.1


def test_first_step_is_not_lost_when_the_input_gate_is_closed(form: str) -> None:
    tensors = [tensor.detach() for tensor in draw(1, torch.float32)]
    tensors[7][: HEADS * WIDTH] = -1000
    gates, _ = split(tensors)
    z, o, _, _ = gates[:, 0].split(WIDTH, -1)
    torch.testing.assert_close(mix(form, tensors, [1])[0], (o.sigmoid() * z.tanh()).flatten())


def test_a_sequence_does_not_depend_on_its_batch(form: str) -> None:
    lengths = [6, 2, 9]
    tensors = draw(17)
    apart = [mix(form, [*part, *tensors[2:]], [len(part[0])]) for part in zip(*(x.split(lengths) for x in tensors[:2]), strict=True)]
    torch.testing.assert_close(mix(form, tensors, lengths), torch.cat(apart), rtol=0, atol=1e-13)


@pytest.mark.skipif(not native.available(), reason="no compiled loops")
def test_two_threads_give_what_one_gives(request: pytest.FixtureRequest) -> None:
    lengths = [9, 30, 4, 1] * 10
    tensors = draw(sum(lengths))
    wanted = torch.randn_like(tensors[0])
    alone = mix("loops", tensors, lengths)
    gradients = torch.autograd.grad((alone * wanted).sum(), tensors)
    request.getfixturevalue("two_threads")
    together = mix("loops", tensors, lengths)
    assert torch.equal(alone, together)
    for ours, theirs in zip(torch.autograd.grad((together * wanted).sum(), tensors), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.skipif(not native.available(), reason="no compiled loops")
@pytest.mark.parametrize("graded", [True, False])
def test_prediction_keeps_nothing_for_a_backward_pass(graded: bool, loop_calls: list[tuple[str, tuple[object, ...]]]) -> None:
    with torch.set_grad_enabled(graded):
        mix("loops", draw(17), [6, 2, 9])
    ((_, given),) = loop_calls
    assert (given[13] is not None) == graded  # where the backward pass finds what it needs


def test_none_where_the_loops_do_not_run() -> None:
    tensors = draw(4)
    with native.switched_off():
        assert slstm_of_sequences(tensors[0], tensors[1], tensors[2:6], *tensors[6:], Layout([4]).begins) is None
