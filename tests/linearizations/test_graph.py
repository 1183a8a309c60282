"""Encodings of dependency graphs: every small graph, hand-made labels, and what is dropped."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.base import Linearization
from spacy_emerging.linearizations.graph.absolute import AbsoluteGraph
from spacy_emerging.linearizations.graph.bracketing import BracketingGraph
from spacy_emerging.linearizations.graph.four_bit import FourBitGraph
from spacy_emerging.linearizations.graph.relations import escaped, split
from spacy_emerging.linearizations.graph.relative import RelativeGraph
from spacy_emerging.linearizations.graph.six_bit import SixBitGraph
from spacy_emerging.structures import DependencyGraph

from .strategies import dependency_graphs

# Kim wants to sleep: Kim depends on both verbs; "to" on nothing.
KIM = DependencyGraph(4, frozenset({(0, 2, "root"), (2, 1, "agent"), (4, 1, "agent"), (2, 4, "theme")}))
PARTIAL = [BracketingGraph(1), BracketingGraph(2), FourBitGraph(2), SixBitGraph(1), SixBitGraph(2)]


def crosses(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two arcs of one direction cross."""
    inner, outer = sorted((sorted(one), sorted(other)))
    return (one[0] < one[1]) == (other[0] < other[1]) and inner[0] < outer[0] < inner[1] < outer[1]


def small_graphs() -> list[DependencyGraph]:
    """Every graph of one to three words without arcs from a word to itself."""
    result = []
    for n in (1, 2, 3):
        arcs = [(head, word, f"{head}-{word}") for head in range(n + 1) for word in range(1, n + 1) if head != word]
        for size in range(len(arcs) + 1):
            result += [DependencyGraph(n, frozenset(chosen)) for chosen in itertools.combinations(arcs, size)]
    return result


def test_codes_of_a_small_graph_are_those_of_the_paper() -> None:
    assert [code for code, _ in AbsoluteGraph().encode(KIM)] == ["2,4", "0", "", "2"]
    assert [code for code, _ in RelativeGraph().encode(KIM)] == ["1,3", "-2", "", "-2"]
    assert [code for code, _ in BracketingGraph(1).encode(KIM)] == ["<<", "\\>/", "", "\\>"]
    # head left, outermost, dependents right; head right, outermost, dependents left
    assert [code for code, _ in SixBitGraph(1).encode(DependencyGraph(4, KIM.arcs - {(4, 1, "agent")}))] == [
        "000110",
        "111001",
        "000000",
        "110000",
    ]


def test_a_word_lists_its_relations_in_the_order_of_its_heads() -> None:
    assert [relations for _, relations in AbsoluteGraph().encode(KIM)] == ["agent|agent", "root", "", "theme"]
    odd = DependencyGraph(2, frozenset({(0, 1, "a|b"), (2, 1, "\\"), (2, 1, "")}))
    assert AbsoluteGraph().encode(odd) == [("0,2,2", "a\\pb||\\b"), ("", "")]


def test_artificial_arcs_are_marked_and_left_out_again() -> None:
    labels = FourBitGraph(1).encode(DependencyGraph(2, frozenset({(0, 1, "root")})))
    assert [relations for _, relations in labels] == ["root", "\\0"]
    assert FourBitGraph(1).decode(labels).structure == DependencyGraph(2, frozenset({(0, 1, "root")}))


@pytest.mark.parametrize(
    "linearization", [AbsoluteGraph(), RelativeGraph(), BracketingGraph(3), FourBitGraph(6), SixBitGraph(4)], ids=lambda x: type(x).__name__
)
def test_every_small_graph_is_restored(linearization: Linearization) -> None:
    for graph in small_graphs():
        assert linearization.decode(linearization.encode(graph)) == (graph, 0)


def test_one_plane_covers_exactly_the_small_graphs_without_crossings_of_one_direction() -> None:
    for graph in small_graphs():
        pairs = itertools.combinations([arc[:2] for arc in graph.arcs], 2)
        covered = BracketingGraph(1).decode(BracketingGraph(1).encode(graph)).structure == graph
        assert covered == (not any(crosses(one, other) for one, other in pairs))


@given(graph=dependency_graphs(), linearization=st.sampled_from(PARTIAL))
def test_outside_of_the_coverage_arcs_are_dropped_and_none_invented(graph: DependencyGraph, linearization: Linearization) -> None:
    decoded, repairs = linearization.decode(linearization.encode(graph))
    assert decoded.arcs <= graph.arcs
    assert repairs == 0
    representable = {arc for arc in graph.arcs if arc[0] != arc[1]}
    assert bool(decoded.arcs) == bool(representable)


@given(graph=dependency_graphs(self_loops=False))
def test_more_planes_or_subsets_never_drop_more(graph: DependencyGraph) -> None:
    for make in (BracketingGraph, FourBitGraph, SixBitGraph):
        kept = [len(make(k).decode(make(k).encode(graph)).structure.arcs) for k in (1, 2, 3)]
        assert kept == sorted(kept)


@given(relations=st.lists(st.text("a|\\0bp", max_size=4), min_size=1))
def test_relations_of_any_characters_can_be_joined(relations: list[str]) -> None:
    assert split("|".join(map(escaped, relations))) == tuple(relations)


def test_heads_that_do_not_exist_and_missing_relations_are_counted() -> None:
    decoded = AbsoluteGraph().decode([("0,7,x", "root|a"), ("1,2", "b"), ("", "c")])
    assert decoded.structure == DependencyGraph(3, frozenset({(0, 1, "root"), (1, 2, "b"), (2, 2, "dep")}))
    assert decoded.repairs == 1 + 1 + 1 + 1  # head 7, x, a relation too few, a relation without an arc


@pytest.mark.parametrize("n", [1, 5000])
def test_only_openings_or_only_closings_are_no_trouble(n: int) -> None:
    for code in ("/<", "\\>", "111111", "001000", "000001", "000100"):
        for linearization in (BracketingGraph(1), SixBitGraph(1)):
            assert linearization.decode([(code, "x")] * n).structure.n == n


@pytest.mark.parametrize(
    ("make", "setting"), [(BracketingGraph, "planes"), (FourBitGraph, "subsets"), (SixBitGraph, "subsets")], ids=lambda x: str(x)
)
def test_settings_that_cannot_work_are_named(make: type, setting: str) -> None:
    with pytest.raises(SettingError, match=f"{make.__name__}: setting '{setting}' is 0"):
        make(0)
    with pytest.raises(SettingError, match=f"setting '{setting}' is True"):
        make(True)
    with pytest.raises(SettingError, match=f"setting '{setting}' is 1000000000, but must be a whole number of at least 1 and at most 256"):
        make(10**9)
