"""Every encoder saved, copied and loaded: the same outputs, or one clear error."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import srsly
from thinc.api import Adam, Model

from spacy_emerging.errors import ModelDataError

from .encoders import (
    assert_same,
    assert_same_weights,
    build,
    each_direction,
    each_encoder,
    ready,
    sequences,
    shim_of,
    train_step,
    weights,
)


def trained(name: str, direction: str = "concat") -> Model:
    """A model after one step, so that its weights are no longer what a seed gives."""
    model = ready(name, direction)
    train_step(model, Adam(0.05), sequences(4, 2))
    return model


@each_direction
def test_bytes_and_disk_give_identical_outputs(name: str, direction: str, tmp_path: Path, device: str) -> None:
    model = trained(name, direction)
    model.to_disk(tmp_path / "model")
    # given models that were never initialized
    from_bytes = build(name, direction).from_bytes(model.to_bytes())
    from_disk = build(name, direction).from_disk(tmp_path / "model")
    for loaded in (from_bytes, from_disk):
        assert_same(loaded.predict(sequences(7, 0, 2)), model.predict(sequences(7, 0, 2)))
        assert loaded.to_bytes() == model.to_bytes()


COPIES: dict[str, Callable[[Model], Model]] = {
    "copy": lambda model: model.copy(),
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@each_direction
@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_equal_and_independent(name: str, direction: str, kind: str) -> None:
    model = trained(name, direction)
    before, predicted = weights(model), model.predict(sequences(7, 2))
    copied = COPIES[kind](model)
    assert_same(copied.predict(sequences(7, 2)), predicted)
    # when only the copy is trained, with dropout, then only the copy changes
    copied.attrs["dropout_rate"] = 0.5
    train_step(copied, Adam(0.05), sequences(5))
    assert_same_weights(weights(model), before)
    assert_same(model.predict(sequences(7, 2)), predicted)
    assert abs(copied.predict(sequences(7))[0] - predicted[0]).max() > 1e-4


@each_encoder
def test_copy_amid_an_update(name: str) -> None:
    # given a pass whose gradients are still to come, as when a checkpoint is written between accumulated batches
    model = ready(name)
    outputs, backprop = model.begin_update(sequences(4))
    copied = model.copy()
    backprop(outputs)
    assert_same(copied.predict(sequences(4)), model.predict(sequences(4)))


@each_encoder
def test_model_without_weights_can_be_saved_too(name: str) -> None:
    # as nlp.to_disk does before nlp.initialize
    model = build(name).from_bytes(build(name).to_bytes())
    with pytest.raises(ValueError, match="no weights yet"):
        model.predict(sequences(2))
    assert model.initialize().predict(sequences(2))[0].shape == (2, 12)


@each_encoder
def test_loaded_model_trains_on_as_the_saved_one_would(name: str) -> None:
    model = trained(name)
    loaded = build(name).from_bytes(model.to_bytes())
    for each in (model, loaded):
        train_step(each, Adam(0.05), sequences(5))
    assert_same_weights(weights(loaded), weights(model))


# Data that do not fit


@each_direction
def test_weights_of_another_width_are_refused(name: str, direction: str) -> None:
    data = ready(name, direction)
    # by Thinc, which reads widths first, and by our own check of the weights themselves
    with pytest.raises(ValueError, match=f"'nI' for model '{name}' from 8 to 12"):
        build(name, direction, width=8).from_bytes(data.to_bytes())
    with pytest.raises(ModelDataError, match=f"{name}: weight '.*' has shape .*config"):
        shim_of(build(name, direction, width=8)).from_bytes(shim_of(data).to_bytes())


@each_encoder
def test_weights_of_another_depth_are_refused(name: str) -> None:
    with pytest.raises(ModelDataError, match="weight '"):
        build(name, depth=2).from_bytes(ready(name).to_bytes())


@each_encoder
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_data_are_refused(name: str, share: float) -> None:
    data = shim_of(ready(name)).to_bytes()
    with pytest.raises(ModelDataError, match=f"(?s){name}.*(truncated|edited).*backup"):
        shim_of(build(name)).from_bytes(data[: int(share * len(data))])


@each_encoder
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_edited_data_are_refused(name: str, share: float) -> None:
    # given one changed byte, be it in a header or within one weight
    data = bytearray(shim_of(ready(name)).to_bytes())
    data[int(share * len(data))] ^= 0b0101_0101
    with pytest.raises(ModelDataError, match=name):
        shim_of(build(name)).from_bytes(bytes(data))


@each_encoder
@pytest.mark.parametrize("data", [None, 3, [], {}, {"format": 1}, {"format": 99, "payload": b"", "checksum": 0}])
def test_data_of_something_else_are_refused(name: str, data: Any) -> None:
    with pytest.raises(ModelDataError, match=name):
        shim_of(build(name)).from_bytes(srsly.msgpack_dumps(data))


@each_encoder
def test_refused_data_leave_the_weights_alone(name: str) -> None:
    model = trained(name)
    before = weights(model)
    with pytest.raises(ModelDataError):
        shim_of(model).from_bytes(b"not a model")
    with pytest.raises(ModelDataError):
        shim_of(model).from_bytes(shim_of(ready(name, width=8)).to_bytes())
    assert_same_weights(weights(model), before)
