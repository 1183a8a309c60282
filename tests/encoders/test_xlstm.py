"""What XLSTM guarantees beyond the conformance suite: its wiring, its settings, and that sequences do not see their batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.parts import head_count
from spacy_emerging.encoders.xlstm import XLSTM, XLSTMEncoder
from spacy_emerging.encoders.xlstm_blocks import MLSTMBlock, SLSTMBlock
from spacy_emerging.errors import SettingError
from spacy_emerging.kernels import native

DIRECTIONS = ["concat", "alternate", "forward"]


@pytest.fixture(autouse=True, params=["loops", "torch"])
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """All that follows holds with the compiled loops and without."""
    if request.param == "loops" and not native.available():
        pytest.skip("no compiled loops")
    with nullcontext() if request.param == "loops" else native.switched_off():
        yield request.param


def make(direction: str = "concat", width: int = 8, depth: int = 2, dtype: torch.dtype = torch.float32, **settings: object) -> XLSTM:
    """A small encoder in which every weight counts (the drawn ones hold many zeros)."""
    torch.manual_seed(0)
    module = XLSTM(width, depth, direction=direction, **settings).to(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return module


def one_at_a_time(module: XLSTM, tokens: Tensor, lengths: list[int]) -> Tensor:
    return torch.cat([module(part, Layout([len(part)])) for part in tokens.split(lengths)])


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("lengths", [[1], [5, 5], [3, 9, 1, 6], [150, 2]])
def test_batched_equals_one_at_a_time(direction: str, lengths: list[int]) -> None:
    """In float64, so that nothing but rounding can differ: the norms of nearly constant heads enlarge it."""
    module = make(direction, dtype=torch.float64)
    tokens = torch.randn(sum(lengths), 8, dtype=torch.float64)
    torch.testing.assert_close(module(tokens, Layout(lengths)), one_at_a_time(module, tokens, lengths), rtol=0, atol=1e-10)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradients_equal_finite_differences(direction: str) -> None:
    module = make(direction, width=4, depth=1, dtype=torch.float64)
    tokens = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    layout = Layout([2, 4])
    names, parameters = zip(*module.named_parameters(), strict=True)

    def run(x: Tensor, *weights: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(names, weights, strict=True)), (x, layout))

    picked = [parameter.detach().requires_grad_() for parameter in parameters]
    assert torch.autograd.gradcheck(run, (tokens, *picked), rtol=1e-3, atol=1e-4, fast_mode=True)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("settings", [{}, {"qkv_block": 3}, {"conv_width": 9}, {"conv_width": 1}, {"slstm_at": []}])
def test_loops_compute_what_torch_computes(form: str, direction: str, settings: dict[str, object]) -> None:
    """Outputs and gradients, for settings that the loops know and for some that they leave to torch."""
    if form == "torch":
        pytest.skip("nothing to compare with")
    module = make(direction, width=16, dtype=torch.float64, **settings)
    lengths = [3, 140, 1, 6]
    tokens, layout = torch.randn(150, 16, dtype=torch.float64), Layout(lengths)
    wanted = torch.randn_like(tokens)
    found = module(tokens, layout)
    gradients = torch.autograd.grad((found * wanted).sum(), list(module.parameters()))
    with native.switched_off():
        expected = module(tokens, layout)
        by_torch = torch.autograd.grad((expected * wanted).sum(), list(module.parameters()))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    for ours, theirs in zip(gradients, by_torch, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_batching_leaves_gradients_alone(direction: str) -> None:
    lengths = [3, 9, 1, 6]
    module = make(direction, dtype=torch.float64)
    tokens = torch.randn(sum(lengths), 8, dtype=torch.float64)
    weights = list(module.parameters())
    wanted = torch.randn_like(tokens)
    together = torch.autograd.grad((module(tokens, Layout(lengths)) * wanted).sum(), weights)
    apart = torch.autograd.grad((one_at_a_time(module, tokens, lengths) * wanted).sum(), weights)
    for ours, theirs in zip(together, apart, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def sees(module: XLSTM, length: int, at: int) -> list[int]:
    """The outputs that change with the input at one place."""
    tokens = torch.randn(length, 8)
    changed = tokens.clone()
    changed[at] += 1.0
    layout = Layout([length])
    difference = (module(changed, layout) - module(tokens, layout)).abs().amax(-1)
    return (difference > 0).nonzero().squeeze(1).tolist()


def test_forward_sees_nothing_to_the_right() -> None:
    assert sees(make("forward", heads=1), length=7, at=3) == [3, 4, 5, 6]


@pytest.mark.parametrize("direction", ["concat", "alternate"])
def test_both_ways_see_everything_with_one_layer(direction: str) -> None:
    assert sees(make(direction, depth=1, heads=1), length=7, at=3) == list(range(7))


@pytest.mark.parametrize("width", [2, 4, 6, 10, 12, 96])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_any_even_width_works(width: int, direction: str) -> None:
    module = make(direction, width=width, depth=1)
    output = module(torch.randn(9, width), Layout([4, 5]))
    assert output.shape == (9, width)
    assert output.isfinite().all()


@pytest.mark.parametrize(("width", "wanted", "heads"), [(64, 4, 4), (12, 4, 3), (6, 4, 1), (30, 4, 3), (2, 4, 1)])
def test_heads_divide_the_width_and_keep_enough_channels_to_normalize(width: int, wanted: int, heads: int) -> None:
    assert head_count(width, wanted) == heads


@pytest.mark.parametrize("direction", ["alternate", "forward"])
def test_slstm_at_chooses_the_blocks(direction: str) -> None:
    module = make(direction, slstm_at=[0, 3])
    assert [type(block) for block in module.stack.blocks] == [SLSTMBlock, MLSTMBlock, MLSTMBlock, SLSTMBlock]


def test_slstm_at_counts_blocks_across_bidirectional_layers() -> None:
    module = make("concat", slstm_at=[0, 3])
    kinds = [[type(block) for block in layer.back.blocks] for layer in module.layers]
    assert kinds == [[SLSTMBlock, MLSTMBlock], [MLSTMBlock, SLSTMBlock]]


@pytest.mark.parametrize("slstm_at", [[], [0, 1, 2, 3]])
def test_blocks_of_one_kind_only(slstm_at: list[int]) -> None:
    module = make("concat", slstm_at=slstm_at)
    assert module(torch.randn(5, 8), Layout([5])).isfinite().all()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_dropout_layers_take_effect_in_training_only(direction: str) -> None:
    module = make(direction, dropout=0.5)
    tokens, layout = torch.randn(6, 8), Layout([6])
    assert not torch.equal(module(tokens, layout), module(tokens, layout))
    module.eval()
    assert torch.equal(module(tokens, layout), module(tokens, layout))


def test_long_sequences_go_through_with_gradients() -> None:
    module = make("concat", width=4, depth=1)
    tokens = torch.randn(3000, 4, requires_grad=True)
    module(tokens, Layout([3000])).sum().backward()
    assert tokens.grad is not None and tokens.grad.isfinite().all()


def test_half_precision_regions_keep_gates_exact() -> None:
    module = make("concat", width=32, depth=1, heads=1)
    tokens, layout = torch.randn(40, 32, requires_grad=True), Layout([30, 10])
    exact = module(tokens, layout)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = module(tokens, layout)
    assert (rough - exact).abs().mean() < 0.02 * exact.abs().mean()
    rough.float().sum().backward()
    assert tokens.grad is not None and tokens.grad.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"width": 7}, "'width' is 7"),
        ({"direction": "sideways"}, "'direction' is 'sideways'"),
        ({"backend": "gpu"}, "'backend' is 'gpu'"),
        ({"heads": 0}, "'heads' is 0"),
        ({"conv_width": 0}, "'conv_width' is 0"),
        ({"expand": 0.0}, "'expand' is 0.0"),
        ({"slstm_at": [4]}, "'slstm_at' is [4]"),
        ({"slstm_at": [1, 1]}, "'slstm_at' is [1, 1]"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict, named: str) -> None:
    with pytest.raises(SettingError) as caught:
        XLSTMEncoder(**({"width": 8, "depth": 2} | settings))
    assert named in str(caught.value)


def test_encoder_runs_as_a_thinc_model() -> None:
    import numpy

    model = XLSTMEncoder(width=8, depth=1)
    model.initialize()
    inputs = [numpy.ones((3, 8), dtype="f"), numpy.zeros((0, 8), dtype="f"), numpy.ones((1, 8), dtype="f")]
    outputs, backprop = model.begin_update(inputs)
    assert [output.shape for output in outputs] == [(3, 8), (0, 8), (1, 8)]
    assert [gradient.shape for gradient in backprop(outputs)] == [(3, 8), (0, 8), (1, 8)]
