"""The fused step beside Thinc's own optimizer, called once per array: the oracle."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from thinc.api import Adam, Optimizer, RAdam
from torch import Tensor

from spacy_emerging.bridge import optimization
from spacy_emerging.bridge.optimization import Weight, can_fuse, fused_adam

from .test_shim import odd_model, step

SHAPES = [(5, 7), (3,), (), (2, 3, 4), (0, 4)]
SETTINGS: dict[str, dict[str, Any]] = {
    "spaCy's": {"L2": 0.01, "L2_is_weight_decay": True, "grad_clip": 1.0, "use_averages": False},
    "averages": {"use_averages": True},
    "L2 in the gradient": {"L2": 0.3, "L2_is_weight_decay": False},
    "no clipping": {"grad_clip": 0.0, "L2": 0.0},
    "strong clipping": {"grad_clip": 1e-3},
    "other momenta": {"beta1": 0.5, "beta2": 0.7, "eps": 1e-2},
}


def optimizer_with(settings: dict[str, Any]) -> Optimizer:
    return Adam(0.1, **settings)


def one_by_one(optimizer: Optimizer, weights: list[Weight], lr_scale: float) -> None:
    """What Thinc does, with weight decay only where it belongs."""
    decay = optimizer.L2
    for key, values, gradient, decayed in weights:
        optimizer.L2 = decay if decayed else 0.0
        optimizer(key, torch.atleast_1d(values).numpy(), torch.atleast_1d(gradient).numpy(), lr_scale=lr_scale)  # type: ignore[arg-type]
    optimizer.L2 = decay


def weights_and_gradients(seed: int) -> list[Weight]:
    generator = torch.Generator().manual_seed(seed)
    drawn = [(torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)) for shape in SHAPES]
    return [Weight((1, str(i)), values, gradient, i != 1) for i, (values, gradient) in enumerate(drawn)]


def copied(weights: list[Weight]) -> list[Weight]:
    return [weight._replace(values=weight.values.clone(), gradient=weight.gradient.clone()) for weight in weights]


def assert_same(ours: list[Weight], theirs: list[Weight], optimizer: Optimizer, peer: Optimizer) -> None:
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our.values, their.values, atol=1e-5, rtol=1e-4)
    assert dict(optimizer.nr_update) == dict(peer.nr_update)
    for mine, other in ((optimizer.mom1, peer.mom1), (optimizer.mom2, peer.mom2), (optimizer.averages, peer.averages)):
        assert (mine is None) == (other is None)
        for key, array in (other or {}).items():
            assert mine is not None
            assert mine[key].shape == array.shape
            numpy.testing.assert_allclose(mine[key], array, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("lr_scale", [1.0, 0.25])
def test_fused_steps_are_those_of_thinc(settings: dict[str, Any], lr_scale: float) -> None:
    # given the same weights twice
    ours = weights_and_gradients(0)
    theirs = copied(ours)
    optimizer, peer = optimizer_with(settings), optimizer_with(settings)
    # when both take five steps with equal gradients
    for seed in range(5):
        for mine, other, fresh in zip(ours, theirs, weights_and_gradients(seed), strict=True):
            mine.gradient.copy_(fresh.gradient)
            other.gradient.copy_(fresh.gradient)
        fused_adam(optimizer, ours, lr_scale)
        one_by_one(peer, theirs, lr_scale)
    # then weights and all that the optimizers remember are the same
    assert_same(ours, theirs, optimizer, peer)


def test_steps_of_both_kinds_may_follow_one_another() -> None:
    ours = weights_and_gradients(0)
    theirs = copied(ours)
    optimizer, peer = Adam(0.1, use_averages=True), Adam(0.1, use_averages=True)
    for turn in range(4):
        for mine, other, fresh in zip(ours, theirs, weights_and_gradients(turn), strict=True):
            mine.gradient.copy_(fresh.gradient)
            other.gradient.copy_(fresh.gradient)
        (fused_adam if turn % 2 else one_by_one)(optimizer, ours, 1.0)
        one_by_one(peer, theirs, 1.0)
    assert_same(ours, theirs, optimizer, peer)


def test_weights_updated_unequally_often_keep_their_own_count() -> None:
    ours = weights_and_gradients(0)
    theirs = copied(ours)
    optimizer, peer = Adam(0.1), Adam(0.1)
    for chosen in (slice(0, 2), slice(0, 4)):
        mine, other = copied(weights_and_gradients(7)), copied(weights_and_gradients(7))
        fused_adam(optimizer, [w._replace(gradient=m.gradient) for w, m in zip(ours, mine, strict=True)][chosen], 1.0)
        one_by_one(peer, [w._replace(gradient=m.gradient) for w, m in zip(theirs, other, strict=True)][chosen], 1.0)
    assert_same(ours, theirs, optimizer, peer)


def test_gradients_that_lie_transposed_in_memory() -> None:
    values, gradient = torch.randn(3, 5), torch.randn(5, 3).t()
    ours, theirs = Weight((1, "a"), values, gradient, True), Weight((1, "a"), values.clone(), gradient.contiguous(), True)
    fused_adam(Adam(0.1), [ours], 1.0)
    one_by_one(Adam(0.1), [theirs], 1.0)
    torch.testing.assert_close(ours.values, theirs.values)


def test_only_thincs_adam_in_float32_is_fused() -> None:
    class Own(Optimizer):
        """What somebody made of it must be called."""

    weight = weights_and_gradients(0)[0]
    double = weight._replace(values=weight.values.double())

    assert can_fuse(Adam(0.1), [weight])
    for other in (RAdam(0.1), Own(0.1), Optimizer(0.1, beta1=0.0, beta2=0.0), lambda key, weights, gradient: (weights, gradient)):
        assert not can_fuse(other, [weight])
    assert not can_fuse(Adam(0.1), [double])


def test_a_model_learns_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(fused: bool) -> dict[str, Tensor]:
        monkeypatch.setattr(optimization, "HAS_FUSED_ADAM", fused)
        torch.manual_seed(0)
        model, optimizer = odd_model(lr_scale=0.5, max_grad_norm=0.1), Adam(0.1, L2=0.5)
        for _ in range(3):
            step(model, optimizer)
        weights: dict[str, Tensor] = model.shims[0].module.state_dict()
        return weights

    fused, plain = trained(True), trained(False)

    for name, weight in plain.items():
        torch.testing.assert_close(fused[name], weight, atol=1e-5, rtol=1e-4)
