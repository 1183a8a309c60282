"""Labels as bits: codes, their own or binary numbers, and the way back for any values whatever."""

from __future__ import annotations

import itertools

import pytest
import torch

from spacy_emerging.decoders.bit_tags import BitTags
from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.dependency.four_bit import FourBitDependency
from spacy_emerging.linearizations.dependency.seven_bit import SevenBitDependency
from spacy_emerging.linearizations.graph.four_bit import FourBitGraph
from spacy_emerging.linearizations.graph.six_bit import SixBitGraph
from spacy_emerging.pipeline.labels import fields_of
from spacy_emerging.structures import DependencyGraph, DependencyTree
from spacy_emerging.types import Field

TAG = Field("tag", ("a", "b", "c", "d", "e"))
CODE = Field("code", ("up", "down", "both"), bits=((1, 0, 0, 0), (0, 1, 0, 0), (1, 1, 0, 1)))


def tags(*fields: Field, kind: str = "index") -> BitTags:
    return BitTags("decoder", fields, kind)


def signs(*bits: int) -> list[float]:
    return [2.0 * bit - 1 for bit in bits]


def test_numbers_are_written_in_binary_the_highest_bit_first() -> None:
    assert tags(TAG).code(0).tolist() == [signs(0, 0, 0), signs(0, 0, 1), signs(0, 1, 0), signs(0, 1, 1), signs(1, 0, 0)]


@pytest.mark.parametrize(("labels", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (128, 7), (129, 8)])
def test_number_of_bits(labels: int, bits: int) -> None:
    assert tags(Field("tag", tuple(map(str, range(labels))))).bits == bits


def test_groups_of_fields_stand_side_by_side_and_missing_gold_is_zero() -> None:
    bits, known = tags(TAG, CODE, kind="linearization").encode(torch.tensor([[4, 2], [1, -1]]))
    assert bits.tolist() == [signs(1, 0, 0, 1, 1, 0, 1), [*signs(0, 0, 1), 0, 0, 0, 0]]
    assert known.tolist() == [[True] * 7, [True] * 3 + [False] * 4]


TREE = DependencyTree((2, 0, 2, 5, 3), ("x", "root", "y", "x", "y"))
GRAPH = DependencyGraph(4, frozenset({(0, 2, "root"), (2, 1, "x"), (2, 4, "y"), (4, 3, "x")}))
ENCODINGS = [(FourBitDependency(), TREE, 4), (SevenBitDependency(), TREE, 7), (FourBitGraph(), GRAPH, None), (SixBitGraph(), GRAPH, None)]


@pytest.mark.parametrize(("linearization", "structure", "size"), ENCODINGS)
def test_bits_of_an_encoding_are_taken_as_they_are(linearization: object, structure: object, size: int | None) -> None:
    columns = zip(*linearization.encode(structure), strict=True)
    labels = {field: sorted(set(column)) for field, column in zip(linearization.fields, columns, strict=True)}
    fields = fields_of(linearization, labels)
    converter = tags(*fields, kind="linearization")
    own = [f for f, field in enumerate(fields) if field.bits]
    assert own
    for f in own:
        assert converter.code(f).tolist() == [signs(*linearization.bits(label)) for label in fields[f].labels]
        assert size is None or converter.sizes[f] == size


def test_encoding_without_bits_is_named() -> None:
    with pytest.raises(SettingError, match="decoder: setting 'bits' is 'linearization', but the labels of tag are no bits; choose a bit"):
        tags(TAG, kind="linearization")


@pytest.mark.parametrize("fields", [(TAG,), (CODE, TAG)])
def test_every_label_comes_back(fields: tuple[Field, ...]) -> None:
    converter = tags(*fields, kind="linearization" if CODE in fields else "index")
    ids = torch.tensor(list(itertools.product(*(range(len(field.labels)) for field in fields))))
    bits, _ = converter.encode(ids)
    for scale in (1e-6, 0.3, 50.0):
        assert torch.equal(converter.nearest(bits * scale), ids)


def test_every_code_becomes_a_label_that_differs_in_the_fewest_bits() -> None:
    converter = tags(CODE, kind="linearization")
    for code in itertools.product((-1.0, 1.0), repeat=4):
        values = torch.tensor([code]) * torch.tensor([0.9, 0.2, 0.5, 0.7])
        distances = [sum(a != b for a, b in zip(code, label, strict=True)) for label in converter.code(0).tolist()]
        assert distances[converter.nearest(values).item()] == min(distances)


@pytest.mark.parametrize(("values", "wanted"), [([0.1, -0.9], 0), ([-0.9, 0.1], 1), ([0.4, 0.3], 1), ([0.3, 0.4], 0)])
def test_among_labels_equally_near_the_values_decide(values: list[float], wanted: int) -> None:
    # given labels 01 and 10 alone: 11 and 00 differ from both in one bit
    field = Field("side", ("left", "right"), bits=((0, 1), (1, 0)))
    found = tags(field, kind="linearization").nearest(torch.tensor([values])).item()
    assert found == (1 - wanted if values in ([0.1, -0.9], [-0.9, 0.1]) else wanted)


def test_scores_multiply_the_probabilities_of_bits() -> None:
    # given estimates of 0.5 and -0.2, which make bits 1 with probabilities 0.75 and 0.4
    converter = tags(Field("tag", ("00", "01", "10")))
    (scores,) = converter.scores(torch.tensor([[0.5, -0.2]]))
    wanted = torch.tensor([[0.25 * 0.6, 0.25 * 0.4, 0.75 * 0.6]])
    torch.testing.assert_close(scores.exp(), wanted / wanted.sum())


@pytest.mark.parametrize("value", [1.0, -1.0, 1e30, -1e30])
def test_scores_of_any_values_are_finite(value: float) -> None:
    (scores,) = tags(TAG).scores(torch.full((2, 3), value))
    assert torch.isfinite(scores).all()
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(2))
