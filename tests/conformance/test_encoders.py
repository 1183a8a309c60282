"""Every encoder as a Thinc layer: settings, shapes, batches, directions, dropout."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
from spacy.util import registry
from thinc.api import Config, set_dropout_rate
from thinc.config import ConfigValidationError

from spacy_emerging.errors import SettingError

from .encoders import (
    NAMES,
    WIDTH,
    assert_close,
    assert_close_gradients,
    assert_same,
    build,
    directions,
    each_direction,
    each_encoder,
    module_of,
    ready,
    sequences,
    torch_module,
)


def test_every_registered_encoder_has_its_file() -> None:
    assert [name for name in NAMES if find_spec(module_of(name)) is None] == []


# Settings


def config(name: str, **settings: object) -> Config:
    return Config({"model": {"@architectures": name, "width": WIDTH, "depth": 1, **settings}})


@each_encoder
def test_config_resolves_and_its_filled_form_is_json(name: str) -> None:
    # given a config with nothing but width and depth
    filled = registry.fill(config(name))
    # then the filled one says every default, survives JSON, and makes the layer
    assert json.loads(json.dumps(filled)) == filled
    assert {"direction", "dropout", "backend", "max_batch_tokens"} <= set(filled["model"])
    assert registry.resolve(Config(filled))["model"].name == name


@each_encoder
def test_misspelt_setting_is_rejected(name: str) -> None:
    with pytest.raises(ConfigValidationError, match="widht"):
        registry.resolve(config(name, widht=12))


@each_encoder
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("width", 7),
        ("width", 0),
        ("depth", 0),
        ("dropout", -0.1),
        ("dropout", 1.0),
        ("max_batch_tokens", 0),
        ("backend", "abacus"),
        ("direction", "sideways"),
        ("amp", "fp8"),
        ("width", 7.0),
        ("width", "8"),
        ("depth", True),
        ("depth", 1.5),
        ("dropout", "a"),
        ("dropout", None),
        ("dropout", float("nan")),
        ("max_batch_tokens", 64.0),
        ("max_batch_tokens", None),
        ("lr_scale", -1.0),
        ("lr_scale", "1"),
        ("max_grad_norm", -0.5),
        ("max_grad_norm", float("inf")),
        ("backend", None),
        ("direction", 1),
    ],
)
def test_setting_that_cannot_work_is_named(name: str, setting: str, value: object) -> None:
    settings = {"width": WIDTH, "depth": 1, setting: value}
    with pytest.raises(SettingError) as error:
        registry.architectures.get(name)(**settings)
    assert name in str(error.value), "the message names the component"
    assert f"'{setting}'" in str(error.value) and repr(value) in str(error.value), "and the setting with its value"


@each_encoder
def test_width_is_known_before_initialize(name: str) -> None:
    # spaCy chains layers by their widths before there are weights
    model = build(name)
    assert model.get_dim("nI") == model.get_dim("nO") == WIDTH


@each_encoder
def test_use_before_initialize_says_so(name: str) -> None:
    with pytest.raises(ValueError, match="nlp.initialize"):
        build(name).predict(sequences(3))


@each_encoder
def test_every_direction_is_documented_and_default_is_one_of_them(name: str) -> None:
    filled = registry.fill(config(name))
    documentation = registry.architectures.get(name).__doc__
    assert filled["model"]["direction"] in directions(name)
    assert [setting for setting in filled["model"] if setting[0] != "@" and setting not in documentation] == []


@each_encoder
def test_vectors_of_another_width_are_named(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name}: setting 'width' is 12, but .* width 8"):
        ready(name).predict(sequences(0, 3, width=8))


@each_encoder
def test_integers_are_named(name: str) -> None:
    """Trap 6: Thinc's default converters fail on integers, and in training only, with a message about gradients."""
    for is_train in (True, False):
        with pytest.raises(SettingError, match=f"{name}: .* int64"):
            ready(name)([X.astype("int64") for X in sequences(3)], is_train=is_train)


# Shapes


@each_direction
@pytest.mark.parametrize("width", range(2, 15, 2))
def test_every_even_width_works(name: str, direction: str, width: int) -> None:
    model = ready(name, direction, width=width)
    outputs, backprop = model.begin_update(sequences(4, 1, width=width))
    gradients = backprop(outputs)
    assert [Y.shape for Y in outputs] == [dX.shape for dX in gradients] == [(4, width), (1, width)]


@each_direction
@pytest.mark.parametrize("lengths", [(1, 7, 40), (5,)])
def test_type_and_shape_out_are_those_in(name: str, direction: str, lengths: tuple[int, ...], device: str) -> None:
    model = ready(name, direction)
    inputs = sequences(*lengths)
    outputs, backprop = model.begin_update(inputs)
    gradients = backprop(outputs)
    for results in (outputs, gradients, model.predict(inputs)):
        assert isinstance(results, list)
        assert [type(Y) for Y in results] == [type(X) for X in inputs]
        assert [(Y.dtype, Y.shape) for Y in results] == [(X.dtype, X.shape) for X in inputs]


@each_direction
def test_arrays_from_the_layer_can_be_changed_without_harm(name: str, direction: str) -> None:
    # given two equal passes, of one of which a later layer edits the output in place
    model = ready(name, direction)
    inputs = sequences(5, 3)
    outputs, backprop = model.begin_update(inputs)
    wanted = backprop(sequences(5, 3, seed=3))
    edited, backprop = model.begin_update(inputs)
    for Y in edited:
        Y *= 0.0
    # then the gradients are the same, and the inputs as they were
    assert_same(backprop(sequences(5, 3, seed=3)), wanted)
    assert_same(inputs, sequences(5, 3))


# Batches


@each_direction
def test_result_does_not_depend_on_batch_mates(name: str, direction: str, device: str) -> None:
    """Trap 1: spacy.TorchBiLSTMEncoder.v1 lets its backward pass read padding, so a Doc's vectors depend on the batch."""
    model = ready(name, direction, depth=2)
    inputs = sequences(3, 17, 40, 1)
    alone = [model.predict([X])[0] for X in inputs]
    assert_close(model.predict(inputs), alone)
    # and in any order
    order = [2, 0, 3, 1]
    assert_close(model.predict([inputs[i] for i in order]), [alone[i] for i in order])


@each_direction
def test_gradient_does_not_depend_on_batch_mates(name: str, direction: str) -> None:
    model = ready(name, direction, depth=2)
    inputs, gradients = sequences(3, 17, 1), sequences(3, 17, 1, seed=2)
    alone = [model.begin_update([X])[1]([dY])[0] for X, dY in zip(inputs, gradients, strict=True)]
    assert_close_gradients(model.begin_update(inputs)[1](gradients), alone)


@each_direction
@pytest.mark.parametrize("lengths", [(), (0,), (0, 0), (0, 3), (3, 0, 0, 2)])
def test_empty_docs_and_empty_batches(name: str, direction: str, lengths: tuple[int, ...], device: str) -> None:
    """Trap 1, second half: the stock BiLSTM crashes on a batch of empty docs."""
    model = ready(name, direction)
    inputs = sequences(*lengths)
    outputs, backprop = model.begin_update(inputs)
    gradients = backprop(outputs)
    assert [Y.shape for Y in outputs] == [dX.shape for dX in gradients] == [(n, WIDTH) for n in lengths]
    assert_close(model.predict(inputs), outputs)
    filled = [X for X in inputs if len(X)]
    assert_close([Y for Y in outputs if len(Y)], [model.predict([X])[0] for X in filled])


@each_direction
def test_buckets_change_neither_output_nor_gradient(name: str, direction: str) -> None:
    # given the same weights with one bucket for all, and with one for nearly each sequence
    whole = ready(name, direction)
    cut = whole.copy()
    cut.attrs["max_batch_tokens"] = 16
    inputs, gradients = sequences(2, 14, 5, 0, 9, 30), sequences(2, 14, 5, 0, 9, 30, seed=2)
    # when both do one pass
    outputs, backprop = whole.begin_update(inputs)
    cut_outputs, cut_backprop = cut.begin_update(inputs)
    # then nothing tells them apart
    assert_close(cut_outputs, outputs)
    assert_close_gradients(cut_backprop(gradients), backprop(gradients))
    found, wanted = ([parameter.grad for parameter in torch_module(model).parameters()] for model in (cut, whole))
    assert_close_gradients(found, wanted, 1e-4)


@each_direction
def test_long_doc_among_short_ones(name: str, direction: str) -> None:
    model = ready(name, direction, max_batch_tokens=64)
    inputs = sequences(2, 700, *[3] * 20)
    assert_close(model.predict(inputs), [model.predict([X])[0] for X in inputs])


# Directions


@each_direction
def test_both_ends_of_a_doc_see_each_other_unless_forward(name: str, direction: str) -> None:
    # given two docs, of the second of which the last token changes
    model = ready(name, direction, depth=2)
    before = sequences(4, 6)
    after = [before[0], before[1].copy()]
    after[1][-1] *= -1.0  # not a shift, which a norm takes away
    old, new = model.predict(before), model.predict(after)
    # then the first token of that doc changes just where there is a way backward, and the other doc never
    assert bool((abs(old[1][0] - new[1][0]) > 1e-5).any()) == (direction != "forward")
    assert_close([new[0]], [old[0]], 1e-6)
    # and, whatever the direction, a change of the first token is seen by the last
    after[1] = before[1].copy()
    after[1][0] *= -1.0
    assert (abs(model.predict(after)[1][-1] - old[1][-1]) > 1e-5).any()


# Dropout


@each_direction
def test_prediction_is_deterministic_and_the_training_pass_without_dropout(name: str, direction: str) -> None:
    model = ready(name, direction)
    inputs = sequences(5, 2)
    predicted = model.predict(inputs)
    assert_same(model.predict(inputs), predicted)
    assert_close(model.begin_update(inputs)[0], predicted, 1e-6)


@each_direction
def test_dropout_rate_reaches_torch_in_training_only(name: str, direction: str) -> None:
    """Trap 3: training.dropout never reaches the torch modules that Thinc wraps."""
    model = ready(name, direction)
    inputs = sequences(9)
    predicted = model.predict(inputs)
    set_dropout_rate(model, 0.5)
    first, second = model.begin_update(inputs)[0], model.begin_update(inputs)[0]
    assert abs(first[0] - predicted[0]).max() > 1e-4
    assert abs(first[0] - second[0]).max() > 1e-4
    assert_same(model.predict(inputs), predicted)
    # and back to none
    set_dropout_rate(model, 0.0)
    assert_close(model.begin_update(inputs)[0], predicted, 1e-6)


@each_encoder
def test_dropout_setting_holds_until_spacy_sets_another(name: str) -> None:
    model = ready(name, dropout=0.5)
    inputs = sequences(9)
    assert abs(model.begin_update(inputs)[0][0] - model.predict(inputs)[0]).max() > 1e-4
