"""Every encoder in training: seeds, averages, and what the optimizer step guarantees."""

from __future__ import annotations

from collections import defaultdict

import numpy
import pytest
import torch
from thinc.api import Adam, Optimizer, fix_random_seed

from .encoders import (
    assert_close,
    assert_same,
    assert_same_weights,
    build,
    each_direction,
    each_encoder,
    ready,
    sequences,
    shim_of,
    torch_module,
    train_step,
    weights,
)


def sgd(learn_rate: float = 0.1, L2: float = 0.0) -> Optimizer:
    """Plain gradient descent: without Adam's state and per-tensor clipping, steps can be computed by hand."""
    return Optimizer(learn_rate=learn_rate, L2=L2, beta1=0.0, beta2=0.0, grad_clip=0.0, use_averages=False, L2_is_weight_decay=True)


# Seeds


@each_direction
def test_two_seeded_trainings_give_identical_weights(name: str, direction: str) -> None:
    trained = []
    for _ in range(2):
        fix_random_seed(7)
        model, optimizer = ready(name, direction, dropout=0.2), Adam(0.01)
        for step in range(5):
            train_step(model, optimizer, sequences(6, 1, 3, seed=step))
        trained.append(model)
    assert_same_weights(*map(weights, trained))
    assert_same(*(model.predict(sequences(4, 9)) for model in trained))


@each_encoder
def test_construction_does_not_move_the_seed(name: str) -> None:
    fix_random_seed(7)
    alone = ready(name)
    # when other encoders are made between the seed and initialize
    fix_random_seed(7)
    late = build(name)
    build(name, depth=2)
    assert_same_weights(weights(late.initialize()), weights(alone))


@each_encoder
def test_initialize_draws_anew_each_time(name: str) -> None:
    model = ready(name)
    first = weights(model)
    second = weights(model.initialize())
    assert any(not torch.equal(first[key], second[key]) for key in first)
    fix_random_seed(0)
    assert_same_weights(weights(model.initialize()), first)


@each_encoder
def test_loading_does_not_move_the_seed(name: str) -> None:
    data = ready(name).to_bytes()
    fix_random_seed(7)
    wanted = torch.rand(1)
    fix_random_seed(7)
    build(name).from_bytes(data)
    assert torch.equal(torch.rand(1), wanted)


# Averages


@each_direction
def test_averages_are_used_and_then_put_back(name: str, direction: str) -> None:
    """Trap 2: use_averages = true is silently ignored for the torch modules that Thinc wraps."""
    model, optimizer = ready(name, direction), Adam(0.05, use_averages=True)
    inputs = sequences(6, 3)
    # given the average as Thinc defines it, followed by hand
    averages: dict[str, torch.Tensor] = defaultdict(lambda: torch.zeros(()))
    for step in range(1, 5):
        train_step(model, optimizer, inputs, seed=step)
        for key, parameter in torch_module(model).named_parameters():
            averages[key] = averages[key] + (1 - (1 + step) / (10 + step)) * (parameter.detach() - averages[key])
    trained, predicted = weights(model), model.predict(inputs)
    # when the averages are in place, then they are the weights, and predictions differ
    with model.use_params(optimizer.averages):
        for key, parameter in torch_module(model).named_parameters():
            torch.testing.assert_close(parameter.detach(), averages[key], atol=1e-6, rtol=1e-5)
        averaged = model.to_bytes()
        assert abs(model.predict(inputs)[0] - predicted[0]).max() > 1e-4
    # and afterwards everything is as before; what was saved inside holds the averages
    assert_same_weights(weights(model), trained)
    assert_same(model.predict(inputs), predicted)
    saved = weights(build(name, direction).from_bytes(averaged))
    torch.testing.assert_close({key: saved[key] for key in averages}, dict(averages), atol=1e-6, rtol=1e-5)


@each_encoder
def test_weights_come_back_after_an_exception_under_averages(name: str) -> None:
    model, optimizer = ready(name), Adam(0.05, use_averages=True)
    train_step(model, optimizer, sequences(6))
    trained = weights(model)
    with pytest.raises(KeyboardInterrupt), model.use_params(optimizer.averages):
        raise KeyboardInterrupt
    assert_same_weights(weights(model), trained)


@each_encoder
def test_averages_of_other_layers_change_nothing(name: str) -> None:
    """Trap 2, second half: shims and models count their ids apart, so keys must differ by more than the id."""
    model = ready(name)
    before = weights(model)
    foreign = {(shim_of(model).id, key): numpy.zeros(1) for key in ("W", "b", "E", *before)}
    with model.use_params(foreign):
        assert_same_weights(weights(model), before)


# The optimizer step


@each_encoder
def test_optimizer_keys_are_the_layers_own(name: str) -> None:
    model, optimizer = ready(name), Adam(0.01)
    copied = model.copy()
    train_step(model, optimizer, sequences(4))
    own = set(optimizer.mom1)
    assert len(own) == len(list(torch_module(model).parameters()))
    assert all(key.startswith("torch:") for _, key in own)
    # and a copy, as replace_listeners makes it, has state of its own
    train_step(copied, optimizer, sequences(4))
    assert len(set(optimizer.mom1) - own) == len(own)


@each_encoder
def test_step_empties_the_gradients(name: str) -> None:
    model = ready(name)
    train_step(model, sgd(), sequences(4))
    trained = weights(model)
    model.finish_update(sgd())
    assert_same_weights(weights(model), trained)


@each_encoder
def test_lr_scale_zero_freezes(name: str) -> None:
    model = ready(name, lr_scale=0.0)
    before = model.to_bytes()
    train_step(model, Adam(0.1, L2=0.1), sequences(4))
    assert model.to_bytes() == before


def step_taken(name: str, optimizer: Optimizer, **settings: float) -> dict[str, torch.Tensor]:
    """How one step from the same weights with the same data moves every weight."""
    fix_random_seed(7)
    model = ready(name, **settings)
    before = weights(model)
    train_step(model, optimizer, sequences(6, 3))
    return {key: after - before[key] for key, after in weights(model).items()}


@each_encoder
def test_lr_scale_scales_the_step(name: str) -> None:
    """Trap 4: Thinc's optimizer has an lr_scale that nothing uses."""
    full, half = step_taken(name, sgd()), step_taken(name, sgd(), lr_scale=0.5)
    for key, step in full.items():
        torch.testing.assert_close(half[key], step / 2, atol=1e-6, rtol=1e-3)


@each_encoder
def test_weight_decay_takes_matrices_and_leaves_vectors(name: str) -> None:
    """Trap 4: Thinc's optimizer decays everything, also gains, biases and the log decay rates of state-space layers."""
    # given one step with and one without decay
    plain, decayed = step_taken(name, sgd()), step_taken(name, sgd(L2=0.5))
    fix_random_seed(7)
    module = torch_module(ready(name))
    moved = {key for key in plain if (plain[key] - decayed[key]).abs().max() > 1e-7}
    # then the decay moved matrices only, but for those that the module itself excludes
    excluded = {key for key, _ in module.named_parameters() if key in excluded_from_decay(module)}
    assert moved == {key for key, _ in module.named_parameters()} - excluded
    assert {key for key, parameter in module.named_parameters() if parameter.ndim < 2} <= excluded
    assert moved


def excluded_from_decay(module: torch.nn.Module) -> set[str]:
    """Vectors and scalars, and what a submodule lists in `no_weight_decay`."""
    listed = {f"{path}.{key}" if path else key for path, part in module.named_modules() for key in getattr(part, "no_weight_decay", ())}
    return listed | {key for key, parameter in module.named_parameters() if parameter.ndim < 2}


@each_encoder
def test_gradient_norm_is_clipped_over_all_weights_together(name: str) -> None:
    """Trap 4: Thinc's optimizer clips each tensor for itself, which turns the direction of the step."""
    rate, largest = 0.1, 0.01
    free, clipped = step_taken(name, sgd(rate)), step_taken(name, sgd(rate), max_grad_norm=largest)
    norm = torch.cat([step.flatten() for step in free.values()]).norm() / rate
    assert norm > largest, "else there is nothing to clip"
    for key, step in free.items():
        torch.testing.assert_close(clipped[key], step * largest / norm, atol=1e-6, rtol=2e-2)


@each_encoder
def test_loose_gradient_norm_changes_nothing(name: str) -> None:
    free, clipped = step_taken(name, sgd()), step_taken(name, sgd(), max_grad_norm=1e9)
    assert_close(list(clipped.values()), list(free.values()), 1e-7)


@each_direction
def test_training_learns(name: str, direction: str) -> None:
    # given outputs to be copied from random vectors
    model, optimizer = ready(name, direction), Adam(0.02)
    inputs, targets = sequences(5, 3), sequences(5, 3, seed=2, scale=0.3)
    losses = []
    for _ in range(30):
        outputs, backprop = model.begin_update(inputs)
        errors = [Y - target for Y, target in zip(outputs, targets, strict=True)]
        losses.append(sum(float((error**2).sum()) for error in errors))
        backprop(errors)
        model.finish_update(optimizer)
    assert losses[-1] < losses[0] / 3
