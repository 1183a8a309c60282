"""Our blocks against those of the authors' package: same weights, same outputs, same gradients."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.xlstm import XLSTM

pytestmark = pytest.mark.slow
WIDTH, DEPTH, BATCH = 32, 2, 3
FIXED_AT_FIRST = ("learnable_skip", "norm.weight", "_bias_", "_recurrent_kernel_", "fgate.bias", "cell.igate.weight", "cell.fgate.weight")


def peer_stack(length: int) -> nn.Module:
    """The authors' block stack with the sizes of ours, without CUDA."""
    xlstm = pytest.importorskip("xlstm")
    config = xlstm.xLSTMBlockStackConfig(
        mlstm_block=xlstm.mLSTMBlockConfig(mlstm=xlstm.mLSTMLayerConfig(num_heads=4)),
        slstm_block=xlstm.sLSTMBlockConfig(
            slstm=xlstm.sLSTMLayerConfig(backend="vanilla", num_heads=4),
            feedforward=xlstm.FeedForwardConfig(proj_factor=1.3, act_fn="gelu"),
        ),
        context_length=length,
        num_blocks=2 * DEPTH,
        embedding_dim=WIDTH,
        slstm_at=[1, 3],
    )
    return xlstm.xLSTMBlockStack(config)


def shaken(module: nn.Module) -> nn.Module:
    """Weights away from the zeros and ones that they start from, so that every one of them counts."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return module


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> SimpleNamespace:
    torch.manual_seed(0)
    length = request.param
    theirs, ours = shaken(peer_stack(length)), XLSTM(WIDTH, DEPTH, direction="forward")
    return SimpleNamespace(ours=ours, theirs=theirs, length=length, layout=Layout([length] * BATCH))


@pytest.mark.parametrize("pair", [1, 30, 150], indirect=True)
def test_outputs_and_gradients_equal_the_peers(pair: SimpleNamespace) -> None:
    pair.ours.stack.load_state_dict(pair.theirs.state_dict())
    x = torch.randn(BATCH, pair.length, WIDTH)
    wanted = torch.randn(BATCH, pair.length, WIDTH)

    def outcome(module: nn.Module, output: Tensor) -> dict[str, Tensor]:
        (output * wanted.view_as(output)).sum().backward()
        return {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}

    their_output, our_output = pair.theirs(x), pair.ours(x.flatten(0, 1), pair.layout)
    torch.testing.assert_close(our_output.view_as(x), their_output, rtol=1e-4, atol=1e-4)
    theirs, ours = outcome(pair.theirs, their_output), outcome(pair.ours.stack, our_output)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max()) + 1e-5, msg=name)


@pytest.mark.parametrize("pair", [12], indirect=True)
def test_weights_go_back_to_the_peer(pair: SimpleNamespace) -> None:
    shaken(pair.ours)
    pair.theirs.load_state_dict(pair.ours.stack.state_dict())
    x = torch.randn(BATCH, pair.length, WIDTH)
    torch.testing.assert_close(pair.ours(x.flatten(0, 1), pair.layout).view_as(x), pair.theirs(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pair", [12], indirect=True)
def test_weights_are_drawn_with_the_peers_spread(pair: SimpleNamespace) -> None:
    """The same deterministic weights, and random ones of the same deviation."""
    drawn, fresh = pair.ours.stack.state_dict(), peer_stack(12).state_dict()
    assert drawn.keys() == fresh.keys()
    for name, theirs in fresh.items():
        ours = drawn[name]
        if name.endswith(FIXED_AT_FIRST):
            torch.testing.assert_close(ours, theirs, msg=name)
        elif theirs.numel() > 500:
            assert abs(float(ours.std() / theirs.std()) - 1) < 0.15, name
