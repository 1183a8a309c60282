"""What every linearization promises, for each row of the table."""

from __future__ import annotations

import inspect
import pickle
import random

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.linearizations.base import DECODING
from spacy_emerging.linearizations.dependency.bracketing import BracketingDependency
from spacy_emerging.registry import LINEARIZATIONS
from spacy_emerging.structures import ConstituencyTree, DependencyGraph, DependencyTree

from .strategies import dependency_trees
from .table import DEPENDENCY, ROWS, Row

every_row = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
every_dependency = pytest.mark.parametrize("row", DEPENDENCY, ids=[row.name for row in DEPENDENCY])
ANY_LABELS = st.lists(st.lists(st.text(max_size=6), max_size=4).map(tuple), max_size=30)


def assert_valid(row: Row, structure: object, n: int) -> None:
    """The structure has the right kind and size; its constructor has checked the rest, but for the number of roots."""
    assert isinstance(structure, row.kind)
    assert len(structure) == n
    if isinstance(structure, DependencyTree):
        assert structure.heads.count(0) == min(n, 1)


@every_row
@given(data=st.data())
def test_covered_structures_survive_encode_and_decode(row: Row, data: st.DataObject) -> None:
    structure = data.draw(row.covered)
    linearization = row.make()
    labels = linearization.encode(structure)
    assert len(labels) == len(structure)
    assert all(isinstance(label, tuple) and len(label) == len(linearization.fields) for label in labels)
    assert all(isinstance(value, str) for label in labels for value in label)
    assert linearization.decode(labels) == (structure, 0)


@every_row
@given(data=st.data())
def test_valid_structures_outside_the_coverage_are_encoded_too(row: Row, data: st.DataObject) -> None:
    structure = data.draw(row.valid)
    labels = row.make().encode(structure)
    assert_valid(row, row.make().decode(labels).structure, len(structure))


@every_row
@given(labels=ANY_LABELS)
def test_labels_of_any_shape_give_a_valid_structure(row: Row, labels: list[tuple[str, ...]]) -> None:
    decoded = row.make().decode(labels)
    assert_valid(row, decoded.structure, len(labels))
    arity = len(row.make().fields)
    malformed = sum(len(label) != arity for label in labels)
    assert decoded.repairs >= malformed


NO_LABELS = [None, 3, 2.5, object(), {}, (None,), (3, b"x"), ("a", None, "b"), [["nested"]], "bare"]


@every_row
def test_what_is_no_label_at_all_counts_as_repairs(row: Row) -> None:
    """Given values of other types for labels or their fields, each one alone and all together."""
    for labels in ([NO_LABELS], *([label] for label in NO_LABELS), NO_LABELS):
        decoded = row.make().decode(labels)
        assert_valid(row, decoded.structure, len(labels))
    decoded = row.make().decode([None, 3, (None,)])
    assert decoded.repairs >= 3


@every_row
@given(data=st.data())
def test_labels_made_of_the_right_characters_give_a_valid_structure(row: Row, data: st.DataObject) -> None:
    field = st.text(alphabet=row.alphabet, max_size=5)
    labels = data.draw(st.lists(st.tuples(*[field] * len(row.make().fields)), max_size=30))
    assert_valid(row, row.make().decode(labels).structure, len(labels))


@every_row
def test_no_label_gives_the_empty_structure(row: Row) -> None:
    linearization = row.make()
    decoded = linearization.decode([])
    assert_valid(row, decoded.structure, 0)
    assert decoded.repairs == 0
    assert linearization.encode(decoded.structure) == []
    empty_scores = [numpy.zeros((0, 2)) for _ in linearization.fields]
    assert_valid(row, linearization.decode_scores(empty_scores, [["a", "b"]] * len(empty_scores)).structure, 0)


@every_row
@pytest.mark.parametrize("n", [1, 5000])
def test_one_word_and_five_thousand_need_no_recursion(row: Row, n: int) -> None:
    chance = random.Random(n)
    linearization = row.make()

    def label() -> tuple[str, ...]:
        return tuple("".join(chance.choices(row.alphabet, k=chance.randint(0, 4))) for _ in linearization.fields)

    assert_valid(row, linearization.decode([label() for _ in range(n)]).structure, n)


@every_row
@given(data=st.data())
def test_scores_over_any_vocabulary_give_a_valid_structure(row: Row, data: st.DataObject) -> None:
    linearization = row.make()
    n = data.draw(st.integers(1, 8))
    vocab = [data.draw(st.lists(st.text(row.alphabet, max_size=4), min_size=1, max_size=6, unique=True)) for _ in linearization.fields]
    chance = numpy.random.default_rng(data.draw(st.integers(0, 999)))
    scores = [numpy.log(chance.random((n, len(labels)))) for labels in vocab]
    scores[0][chance.random(scores[0].shape) < 0.2] = -numpy.inf
    assert_valid(row, linearization.decode_scores(scores, vocab).structure, n)


@every_row
@pytest.mark.parametrize("n", [0, 1, 4])
def test_without_any_label_to_choose_from_every_word_is_a_repair(row: Row, n: int) -> None:
    """Given a label list that is empty, of one field or of all: the structure is valid, as of words that have no label."""
    fields = row.make().fields
    for lacking in (*({f} for f in range(len(fields))), set(range(len(fields)))):
        vocab: list[list[str]] = [[] if f in lacking else [row.alphabet[0]] for f in range(len(fields))]
        decoded = row.make().decode_scores([numpy.zeros((n, len(names))) for names in vocab], vocab)
        assert_valid(row, decoded.structure, n)
        assert decoded.repairs >= n


@every_row
@given(data=st.data())
def test_scores_that_favour_an_encoding_decode_to_its_structure(row: Row, data: st.DataObject) -> None:
    structure = data.draw(row.covered)
    linearization = row.make()
    labels = linearization.encode(structure)
    vocab = [sorted({label[f] for label in labels} | {"~"}) for f in range(len(linearization.fields))]
    scores = [numpy.full((len(labels), len(names)), -5.0) for names in vocab]
    for f, names in enumerate(vocab):
        for i, label in enumerate(labels):
            scores[f][i, names.index(label[f])] = -0.1
    assert linearization.decode_scores(scores, vocab) == (structure, 0)


@every_row
def test_a_linearization_can_be_pickled(row: Row) -> None:
    linearization = row.make()
    restored = pickle.loads(pickle.dumps(linearization))
    assert type(restored) is type(linearization)
    assert vars(restored) == vars(linearization)


@every_row
def test_the_description_tells_what_labels_depend_on(row: Row) -> None:
    """It has the class and every setting but those of decoding, by which it does not change."""
    linearization = row.make()
    described = linearization.description()
    assert described == row.make().description()
    assert described.startswith(f"{type(linearization).__name__}(")
    settings = [name for name in inspect.signature(type(linearization)).parameters if name not in DECODING]
    assert all(f"{name}={getattr(linearization, name)!r}" in described for name in settings)
    for setting in DECODING & set(vars(linearization)):
        setattr(linearization, setting, "other")
    assert linearization.description() == described


def test_descriptions_tell_encodings_apart() -> None:
    described = [row.make().description() for row in ROWS]
    assert len(set(described)) >= len(LINEARIZATIONS)
    assert BracketingDependency(planes=1).description() != BracketingDependency(planes=2).description()


@every_row
def test_local_fields_are_fields(row: Row) -> None:
    assert row.make().local <= set(row.make().fields)


@every_row
def test_only_bit_labels_have_bits(row: Row) -> None:
    linearization = row.make()
    examples = {
        DependencyTree: DependencyTree((0,), ("root",)),
        DependencyGraph: DependencyGraph(1, frozenset({(0, 1, "root")})),
        ConstituencyTree: ConstituencyTree(1, [("S", 0, 1)]),
    }
    label = linearization.encode(examples[row.kind])[0][0] if row.kind in examples else "O"
    bits = linearization.bits(label)
    assert bits == (tuple(map(int, label)) if "bits" in row.name.split(",")[0] else None)
    assert linearization.bits("what") is None


@every_dependency
@given(tree=dependency_trees(several_roots=True))
def test_relations_survive_whatever_happens_to_arcs(row: Row, tree: DependencyTree) -> None:
    linearization = row.make()
    assert linearization.decode(linearization.encode(tree)).structure.deprels == tree.deprels
