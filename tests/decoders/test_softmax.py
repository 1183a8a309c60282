"""SoftmaxDecoder: its loss by hand, and its settings. What all decoders share is in tests/conformance."""

from __future__ import annotations

import pytest
import torch

from spacy_emerging.decoders.softmax import Softmax, SoftmaxDecoder
from spacy_emerging.errors import SettingError
from spacy_emerging.types import Field

FIELDS = [Field("tag", ("a", "b", "c")), Field("kind", ("x", "y"))]


def module(**settings: float) -> Softmax:
    return SoftmaxDecoder(**settings)(4, FIELDS).eval()


def test_loss_is_the_negative_log_probability_of_gold() -> None:
    decoder, states = module(), torch.randn(1, 2, 4)
    gold = torch.tensor([[[2, -1], [0, 1]]])
    tag, kind = (output(states[0]).softmax(-1) for output in decoder.outputs)
    wanted = -(tag[0, 2].log() + tag[1, 0].log() + kind[1, 1].log())
    output = decoder.loss(states, torch.ones(1, 2, dtype=torch.bool), gold)
    torch.testing.assert_close(output.total, wanted)
    assert output.count == 2


def test_label_smoothing_spreads_its_share_over_all_labels() -> None:
    decoder, states = module(label_smoothing=0.1), torch.randn(1, 1, 4)
    gold = torch.tensor([[[2, -1]]])
    log_probabilities = decoder.outputs[0](states[0, 0]).log_softmax(-1)
    wanted = -(0.9 * log_probabilities[2] + 0.1 * log_probabilities.mean())
    torch.testing.assert_close(decoder.loss(states, torch.ones(1, 1, dtype=torch.bool), gold).total, wanted)


def test_hidden_layer_is_optional() -> None:
    assert [tuple(p.shape) for p in module().parameters()] == [(3, 4), (3,), (2, 4), (2,)]
    assert [tuple(p.shape) for p in module(hidden_width=5).outputs[0].parameters()] == [(5, 4), (5,), (3, 5), (3,)]


def test_prediction_is_the_argmax() -> None:
    prediction = module().predict(torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    for index, field in enumerate(prediction.scores):
        assert torch.equal(prediction.best[..., index], field.argmax(-1))


WRONG = [
    ("label_smoothing", 1.0),
    ("label_smoothing", -0.1),
    ("dropout", 1.5),
    ("hidden_width", -1),
    ("hidden_width", 2.5),
    ("dropout", None),
]


@pytest.mark.parametrize(("setting", "value"), WRONG)
def test_setting_that_cannot_work_is_named(setting: str, value: float) -> None:
    with pytest.raises(SettingError, match=f"SoftmaxDecoder.v1: setting '{setting}' is {value}"):
        SoftmaxDecoder(**{setting: value})
