"""Encodings of dependency trees: every small tree, hand-made labels, and scores."""

from __future__ import annotations

import itertools

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.errors import SettingError
from spacy_emerging.linearizations.base import Linearization
from spacy_emerging.linearizations.dependency.absolute import AbsoluteDependency
from spacy_emerging.linearizations.dependency.arc_eager import ArcEagerDependency
from spacy_emerging.linearizations.dependency.bracketing import BracketingDependency
from spacy_emerging.linearizations.dependency.four_bit import FourBitDependency
from spacy_emerging.linearizations.dependency.pos_relative import PosRelativeDependency
from spacy_emerging.linearizations.dependency.relative import RelativeDependency
from spacy_emerging.linearizations.dependency.seven_bit import SevenBitDependency
from spacy_emerging.linearizations.planes import kept_planes, relaxed_planes
from spacy_emerging.structures import DependencyTree, StructureError

from .strategies import all_small_trees, dependency_trees, projective_trees_up_to, single_root_trees

SENTENCE = DependencyTree((2, 3, 0, 5, 3), ("det", "nsubj", "root", "det", "obj"))  # the cat saw a dog
CROSSING = DependencyTree((3, 4, 0, 3), ("a", "b", "c", "d"))  # 3 -> 1 and 4 -> 2 cross, both to the left


def same_direction_crossings(tree: DependencyTree) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """All pairs of arcs of one direction that cross, by the definition and in quadratic time."""
    arcs = [(head, word) for word, head in enumerate(tree.heads, 1)]
    return [
        (one, other)
        for one, other in itertools.permutations(arcs, 2)
        if (one[0] < one[1]) == (other[0] < other[1]) and min(one) < min(other) < max(one) < max(other)
    ]


def fits_two_planes(tree: DependencyTree) -> bool:
    """Whether some colouring with two colours leaves no crossing of one direction within a colour, by trying them all."""
    pairs = [(one[1], other[1]) for one, other in same_direction_crossings(tree)]
    n = len(tree)
    return any(all(colour[a - 1] != colour[b - 1] for a, b in pairs) for colour in itertools.product((0, 1), repeat=n))


def test_labels_of_a_small_sentence_are_those_of_the_papers() -> None:
    assert [head for head, _ in AbsoluteDependency().encode(SENTENCE)] == ["2", "3", "0", "5", "3"]
    assert [offset for offset, _ in RelativeDependency().encode(SENTENCE)] == ["1", "1", "-3", "1", "-2"]
    assert [bracket for bracket, _ in BracketingDependency().encode(SENTENCE)] == ["<", "\\<", "\\>/", "<", "\\>"]


def test_the_second_plane_is_starred_and_the_root_stays_in_the_first() -> None:
    assert [bracket for bracket, _ in BracketingDependency(planes=2).encode(CROSSING)] == ["<", "<*", "\\>/", ">\\*"]


@pytest.mark.parametrize("linearization", [AbsoluteDependency(), RelativeDependency(repair="root")], ids=["absolute", "relative"])
def test_head_encodings_cover_every_small_tree(linearization: Linearization) -> None:
    for tree in all_small_trees():
        assert linearization.decode(linearization.encode(tree)) == (tree, 0)


def test_one_plane_covers_exactly_the_small_trees_without_crossings_of_one_direction() -> None:
    linearization = BracketingDependency(planes=1)
    for tree in all_small_trees():
        decoded = linearization.decode(linearization.encode(tree))
        assert (decoded == (tree, 0)) == (not same_direction_crossings(tree))


def test_two_planes_cover_exactly_the_696_small_trees_that_have_them() -> None:
    linearization = BracketingDependency(planes=2)
    covered = 0
    for tree in all_small_trees():
        decoded = linearization.decode(linearization.encode(tree))
        assert (decoded == (tree, 0)) == fits_two_planes(tree)
        covered += decoded.structure == tree
    assert covered == 696


@given(tree=dependency_trees(max_size=12), limit=st.integers(1, 3))
def test_planes_hold_no_crossing_and_only_arcs_beyond_the_largest_are_dropped(tree: DependencyTree, limit: int) -> None:
    arcs = [(head, word) for word, head in enumerate(tree.heads, 1)]
    planes = relaxed_planes(arcs)
    kept = kept_planes(planes, limit)
    assert sorted(arc for plane in planes for arc in plane) == sorted(arcs)
    together = {frozenset(pair) for pair in same_direction_crossings(tree)}
    assert not any(frozenset(pair) in together for plane in planes for pair in itertools.combinations(plane, 2))
    for plane_number, plane in enumerate(planes):
        for earlier in planes[:plane_number]:
            assert all(any(frozenset((arc, other)) in together for other in earlier) for arc in plane)
    if arcs:
        assert any(head == 0 for head, _ in kept[0])
        dropped = [len(plane) for plane in planes if plane not in kept]
        assert max(dropped, default=0) <= min((len(plane) for plane in kept[1:]), default=len(arcs))


@given(tree=dependency_trees(max_size=12), limit=st.integers(1, 3))
def test_arcs_that_were_kept_are_restored(tree: DependencyTree, limit: int) -> None:
    arcs = [(head, word) for word, head in enumerate(tree.heads, 1)]
    linearization = BracketingDependency(planes=limit)
    decoded = linearization.decode(linearization.encode(tree)).structure
    for plane in kept_planes(relaxed_planes(arcs), limit):
        assert all(decoded.heads[word - 1] == head for head, word in plane)


def test_brackets_without_a_partner_are_ignored_and_counted() -> None:
    decoded = BracketingDependency().decode([("\\\\>?", "root"), (">**", "x")])
    assert decoded.structure == DependencyTree((0, 1), ("root", "x"))
    assert decoded.repairs == 2 + 1 + 1 + 1  # two brackets, a stranger, a plane that does not exist, a word without a head


def test_a_missing_relation_becomes_the_unspecified_one() -> None:
    assert AbsoluteDependency().decode([("0",), ("1", "obj", "more")]) == (DependencyTree((0, 1), ("dep", "obj")), 2)


def test_settings_that_cannot_work_are_named() -> None:
    with pytest.raises(SettingError, match="BracketingDependency: setting 'planes' is 0"):
        BracketingDependency(planes=0)
    with pytest.raises(SettingError, match="BracketingDependency: setting 'planes' is 1000000000, but must be .* at most 256"):
        BracketingDependency(planes=10**9)
    with pytest.raises(SettingError, match="AbsoluteDependency: setting 'repair' is 'best'"):
        AbsoluteDependency(repair="best")


def head_scores(linearization: Linearization, scores: numpy.ndarray) -> tuple[list[numpy.ndarray], list[list[str]]]:
    """The (n, n + 1) scores of heads as scores of the linearization's labels, and one relation."""
    n = len(scores)
    relative = linearization.fields[0] == "offset"
    vocab = [str(number) for number in (range(-n, n) if relative else range(n + 1))]
    table = numpy.full((n, len(vocab)), -1000.0)
    for i in range(n):
        for head in range(n + 1):
            if head != i + 1:
                table[i, vocab.index(str(head - (i + 1) if relative else head))] = scores[i, head]
    return [table, numpy.zeros((n, 1))], [vocab, ["x"]]


@pytest.mark.parametrize("linearization", [AbsoluteDependency(), RelativeDependency()], ids=["absolute", "relative"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_scores_of_heads_give_the_best_of_all_trees(linearization: Linearization, n: int) -> None:
    for seed in range(40):
        scores = numpy.random.default_rng(seed).normal(size=(n, n + 1))
        best = max(single_root_trees(n), key=lambda tree: sum(scores[i, head] for i, head in enumerate(tree.heads)))
        decoded = linearization.decode_scores(*head_scores(linearization, scores))
        assert decoded.structure.heads == best.heads
        scores[numpy.arange(n), numpy.arange(1, n + 1)] = -numpy.inf
        assert decoded.repairs == (scores.argmax(axis=1) != best.heads).sum()


def test_a_sentence_beyond_the_search_limit_is_decoded_from_its_best_labels() -> None:
    n = 400
    scores, vocab = [numpy.zeros((n, 2)), numpy.zeros((n, 1))], [["1", "-1"], ["x"]]
    linearization = RelativeDependency()
    assert linearization.decode_scores(scores, vocab) == linearization.decode([("1", "x")] * n)


def test_labels_that_stand_for_no_head_are_used_only_where_they_must() -> None:
    vocab = [["2", "0", "nothing"], ["x"]]
    scores = [numpy.log([[0.1, 0.2, 0.7], [0.9, 0.05, 0.05]]), numpy.zeros((2, 1))]
    # Word 2 cannot be its own head: it goes under the root, and word 1 under it.
    assert AbsoluteDependency().decode_scores(scores, vocab).structure.heads == (2, 0)


def test_tag_relative_labels_count_words_with_the_tag_of_the_head() -> None:
    tags = ["DET", "NOUN", "VERB", "DET", "NOUN"]
    labels = PosRelativeDependency().encode(SENTENCE, tags)
    assert [offset for _, offset, _ in labels] == ["1,NOUN", "1,VERB", "0", "1,NOUN", "-1,VERB"]
    assert [tag for tag, _, _ in labels] == tags


@given(tree=dependency_trees(), data=st.data())
def test_tag_relative_labels_cover_every_tree_with_any_tags(tree: DependencyTree, data: st.DataObject) -> None:
    tags = data.draw(st.lists(st.sampled_from(["N", "V", ",", ""]), min_size=len(tree), max_size=len(tree)))
    assert PosRelativeDependency().decode(PosRelativeDependency().encode(tree, tags)) == (tree, 0)


def test_tag_relative_labels_that_count_too_far_take_the_farthest_word() -> None:
    labels = [("N", "9,V", "a"), ("V", "0", "root"), ("N", "-9,N", "b"), ("V", "1,N", "c")]
    # Word 4 has no noun to its right: the repair gives it the nearest word that is not below it.
    assert PosRelativeDependency().decode(labels) == (DependencyTree((4, 0, 1, 2), ("a", "root", "b", "c")), 3)


def test_tags_of_another_sentence_are_refused() -> None:
    with pytest.raises(StructureError, match="2 tags for 5 words"):
        PosRelativeDependency().encode(SENTENCE, ["DET", "NOUN"])


def test_bits_of_a_small_sentence_are_those_of_the_paper() -> None:
    # right dependent, outermost, left dependents, right dependents
    assert [bits for bits, _ in FourBitDependency().encode(SENTENCE)] == ["0100", "0110", "1111", "0100", "1110"]
    # right dependent, plane, outermost, then left and right dependents in either plane
    assert [bits for bits, _ in SevenBitDependency().encode(SENTENCE)] == ["0010000", "0011000", "1011100", "0010000", "1011000"]
    assert [bits for bits, _ in SevenBitDependency().encode(CROSSING)] == ["0010000", "0110000", "1011100", "1010010"]


@pytest.mark.parametrize(
    ("bits", "brackets"),
    [(FourBitDependency(), BracketingDependency(planes=1)), (SevenBitDependency(), BracketingDependency(planes=2))],
    ids=["4 bits and one plane", "7 bits and two planes"],
)
def test_bits_cover_exactly_the_small_trees_that_brackets_cover(bits: Linearization, brackets: Linearization) -> None:
    for tree in all_small_trees():
        covered = [linearization.decode(linearization.encode(tree)) == (tree, 0) for linearization in (bits, brackets)]
        assert covered[0] == covered[1]


def test_four_bits_cover_the_911_projective_trees_up_to_six_words() -> None:
    assert len({bits for tree in projective_trees_up_to(6) for bits, _ in FourBitDependency().encode(tree)}) == 16
    assert sum(FourBitDependency().decode(FourBitDependency().encode(tree)) == (tree, 0) for tree in projective_trees_up_to(6)) == 911


def test_bits_without_a_partner_are_counted() -> None:
    decoded = FourBitDependency().decode([("0001", "a"), ("0010", "b"), ("what", "c")])
    assert decoded.structure.heads == (2, 3, 0)
    # Word 1 promises right dependents that never come; word 2 takes it, though it is not marked as the outermost one;
    # one label is a stranger; words 2 and 3 have no head.
    assert decoded.repairs == 1 + 1 + 1 + 2


def test_transitions_of_a_small_sentence_are_those_of_the_arc_eager_system() -> None:
    labels = [transitions for transitions, _ in ArcEagerDependency().encode(SENTENCE)]
    assert labels == ["SH_LA", "SH_LA", "RA", "SH_LA", "RA"]
    verb_first = DependencyTree((0, 1, 2, 1), ("root", "obj", "nmod", "obl"))
    assert [transitions for transitions, _ in ArcEagerDependency().encode(verb_first)] == ["RA", "RA", "RA_RE_RE", "RA"]


def test_transitions_cover_the_911_projective_trees_up_to_six_words() -> None:
    linearization = ArcEagerDependency()
    assert sum(linearization.decode(linearization.encode(tree)) == (tree, 0) for tree in projective_trees_up_to(6)) == 911


def test_impossible_transitions_are_skipped_and_counted() -> None:
    # RE of the headless word 1, LA before no word, and a label that reads nothing.
    decoded = ArcEagerDependency().decode([("SH_RE", "a"), ("RE", "b"), ("RA_LA", "c")])
    assert decoded.structure.heads == (0, 1, 2)
    assert decoded.repairs == 1 + 1 + 1 + 2


@pytest.mark.parametrize("make", [AbsoluteDependency, RelativeDependency])
def test_scores_that_are_no_numbers_give_one_root_too(make: type[Linearization]) -> None:
    """Given scores among which are NaN and both infinities, which no decoder should give."""
    chance = numpy.random.default_rng(1)
    vocab = ["-2", "-1", "0", "1", "2"]
    for _ in range(50):
        scores = chance.choice([0.0, -1.0, numpy.nan, numpy.inf, -numpy.inf], size=(6, len(vocab)))
        tree = make().decode_scores([scores, numpy.zeros((6, 1))], [vocab, ["dep"]]).structure
        assert tree.heads.count(0) == 1
