"""The learning rate in training, and where spaCy makes an optimizer of a config whose variables nobody has replaced."""

from __future__ import annotations

import re
from itertools import islice

import pytest
from spacy.util import registry
from thinc.schedules import warmup_linear

from spacy_emerging.errors import SettingError

NAME = "spacy-emerging.WarmupLinear.v1"


def rates(total_steps: object, warmup_steps: object = 3) -> list[float]:
    block = {"@schedules": NAME, "initial_rate": 0.5, "warmup_steps": warmup_steps, "total_steps": total_steps}
    return list(islice(registry.resolve({"rate": block})["rate"], 12))


def test_with_a_number_it_is_thincs_own() -> None:
    assert rates(8) == list(islice(warmup_linear(0.5, 3, 8), 12))


def test_with_a_variable_it_stays_the_same() -> None:
    assert rates("${training.max_steps}") == [0.5] * 12


@pytest.mark.parametrize("total_steps", ["many", "$total", -1])
def test_what_is_neither_is_named(total_steps: object) -> None:
    with pytest.raises(SettingError, match=re.escape(f"{NAME}: setting 'total_steps' is {total_steps!r}")):
        rates(total_steps)


def test_a_negative_warmup_is_named() -> None:
    with pytest.raises(SettingError, match="'warmup_steps' is -1"):
        rates(8, warmup_steps=-1)
