"""What is measured of an encoding, on structures small enough to count by hand."""

from __future__ import annotations

import pytest

from spacy_emerging.coverage.encodings import SETTINGS, Encoding, chosen, encodings
from spacy_emerging.coverage.measure import Unseen, measured
from spacy_emerging.coverage.samples import Sample
from spacy_emerging.errors import SettingError
from spacy_emerging.registry import LINEARIZATIONS
from spacy_emerging.structures import ConstituencyTree, DependencyGraph, DependencyTree

SENTENCE = Sample(DependencyTree((2, 3, 0, 5, 3), ("det", "nsubj", "root", "det", "obj")), ("DET", "NOUN", "VERB", "DET", "NOUN"))
CROSSING = Sample(DependencyTree((3, 4, 0, 3), ("a", "b", "root", "d")), ("X",) * 4)  # 3 -> 1 and 4 -> 2 cross, both to the left


def test_every_registered_encoding_of_trees_and_graphs_is_measured() -> None:
    known = encodings()
    names = {name.split(".")[1] for name in LINEARIZATIONS if name.endswith(("Dependency.v1", "Constituency.v1", "Graph.v1"))}
    assert {encoding.name for encoding in known} == names
    assert len({encoding.title for encoding in known}) == len(known)
    planes = [encoding.settings["planes"] for encoding in known if encoding.name == "BracketingDependency"]
    assert planes == list(SETTINGS["planes"])


def test_settings_that_do_not_go_together_are_left_out() -> None:
    titles = [encoding.title for encoding in encodings()]
    assert "HierarchicalBracketingDependency(variant=nonprojective)" in titles
    assert "HierarchicalBracketingDependency(variant=nonprojective, pseudo_projective=head)" not in titles


def test_encodings_are_chosen_by_parts_of_their_names() -> None:
    known = encodings()
    assert {encoding.name for encoding in chosen(["hexa", "BitGraph"], known)} == {"HexaTagDependency", "FourBitGraph", "SixBitGraph"}
    assert chosen([], known) == known
    with pytest.raises(SettingError, match="no encoding is called 'octa'; .*HexaTagDependency"):
        chosen(["hexa", "octa"], known)


def test_structures_and_arcs_that_come_back_are_counted() -> None:
    # given a sentence that one plane can hold, and one in which it loses one arc of four
    found = measured(Encoding("BracketingDependency", "dependency", {"planes": 1}), [SENTENCE, CROSSING])
    # then the lost arc is not given back: word 1 or 2 gets its nearest valid head
    assert (found.structures, found.words, found.parts) == (2, 9, 9)
    assert found.structures_exact == found.structures_unlabelled == 1 / 2
    assert found.parts_exact == found.parts_unlabelled == 8 / 9
    assert found.unseen is None and found.out_of_reach is None
    assert found.encode_speed > 0 and found.decode_speed > 0


def test_two_planes_hold_both() -> None:
    found = measured(Encoding("BracketingDependency", "dependency", {"planes": 2}), [SENTENCE, CROSSING])
    assert found.structures_exact == found.parts_exact == 1


def test_labels_are_counted_per_field_and_together() -> None:
    found = measured(Encoding("BracketingDependency", "dependency", {"planes": 2}), [SENTENCE])
    assert found.labels == {"bracket": 4, "deprel": 4}  # < \< \>/ < \>, and det twice
    assert found.tuples == 4


def test_labels_that_training_data_lack_are_counted() -> None:
    train = Sample(DependencyTree((2, 0, 2), ("det", "root", "obj")), ("X",) * 3)  # brackets < \>/ >
    found = measured(Encoding("BracketingDependency", "dependency", {"planes": 2}), [SENTENCE], [train])
    assert found.unseen == {"bracket": Unseen(2, 2 / 5), "deprel": Unseen(1, 1 / 5)}
    assert found.out_of_reach == 2 / 5  # nsubj is on one of the two words with unseen brackets


def test_encodings_that_name_tags_get_them() -> None:
    found = measured(Encoding("PosRelativeDependency", "dependency"), [SENTENCE])
    assert found.labels["pos"] == 3
    assert found.labels["offset"] == 4  # 1,NOUN twice, 1,VERB, 0, -1,VERB


def test_a_search_over_scores_is_timed_where_there_is_one() -> None:
    speed = measured(Encoding("HexaTagDependency", "dependency"), [SENTENCE]).search_speed
    assert speed is not None and speed > 0


def test_constituents_and_arcs_of_graphs_are_parts() -> None:
    tree = ConstituencyTree(3, [("S", 0, 3), ("NP", 0, 1), ("VP", 1, 3), ("VP", 1, 3)])
    found = measured(Encoding("AbsoluteConstituency", "constituency"), [Sample(tree, ("X",) * 3)])
    assert (found.parts, found.parts_exact, found.structures_exact) == (4, 1, 1)
    # 3 -> 1, 3 -> 2 and 2 -> 1: word 2 sits below 3 -> 1, and no arcs of one direction cross
    graph = DependencyGraph(3, frozenset({(3, 1, "a"), (3, 2, "b"), (2, 1, "c"), (0, 3, "root")}))
    found = measured(Encoding("BracketingGraph", "graph", {"planes": 1}), [Sample(graph, ("X",) * 3)])
    assert (found.parts, found.parts_exact) == (4, 1)


def test_a_wrong_label_is_not_a_wrong_arc() -> None:
    # given a loop, which planes cannot hold, beside two arcs between the same words
    graph = DependencyGraph(2, frozenset({(1, 1, "self"), (0, 1, "root"), (1, 2, "x")}))
    found = measured(Encoding("BracketingGraph", "graph", {"planes": 1}), [Sample(graph, ("X",) * 2)])
    assert (found.parts, found.parts_exact, found.structures_exact) == (3, 2 / 3, 0)
