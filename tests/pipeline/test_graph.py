"""What `emerging_graph` reads and writes: `doc._.graph`, its gold on other tokens, sentences, and corpora that lose graphs."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy
import pytest
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus as StockCorpus
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import graph_arcs, set_graph_arcs
from spacy_emerging.corpus.reader import Corpus
from spacy_emerging.errors import LabelError, SettingError
from spacy_emerging.pipeline.extensions import ensure_extensions
from spacy_emerging.pipeline.labeler import Labeler
from spacy_emerging.registry import LINEARIZATIONS
from spacy_emerging.structures import StructureError

from .cases import blank, initialized, labeler_model, train
from .conftest import Learned, copied
from .corpus import bare, examples, gold_doc

GRAPHS = sorted(name for name in LINEARIZATIONS if name.endswith("Graph.v1"))
NOTHING = (None, None)

by_encoding = pytest.mark.parametrize("name", GRAPHS)


# doc._.graph


@pytest.fixture
def doc() -> Doc:
    """Two words that govern each other, one root, and a word without any arc."""
    ensure_extensions()
    doc = Doc(Vocab(), words=["They", "like", "eggs"])
    doc._.graph = [(2, 1, "agent"), (0, 2, "root"), (1, 2, "liker")]
    return doc


def test_the_graph_is_a_list_of_head_dependent_and_label(doc: Doc) -> None:
    assert doc._.graph == [(2, 1, "agent"), (0, 2, "root"), (1, 2, "liker")]
    assert Doc(doc.vocab, words=["a"])._.graph is None


def test_a_graph_without_arcs_is_not_the_same_as_none(doc: Doc) -> None:
    doc._.graph = []
    assert doc._.graph == []
    doc._.graph = None
    assert doc._.graph is None
    assert doc.user_data == {}


def test_an_arc_that_leaves_the_doc_is_refused(doc: Doc) -> None:
    with pytest.raises(StructureError, match=r"\(4, 1, 'x'\)"):
        doc._.graph = [(4, 1, "x")]
    assert len(doc._.graph) == 3


@pytest.mark.parametrize("arcs", [[(1, 2)], "arcs", 5, [None], [("0", "1", "x")]])
def test_what_is_no_list_of_arcs_is_refused(doc: Doc, arcs) -> None:
    with pytest.raises(StructureError, match="arcs must be"):
        doc._.graph = arcs
    assert len(doc._.graph) == 3


def test_the_graph_survives_bytes_docbin_and_pickle(doc: Doc) -> None:
    packed = DocBin(store_user_data=True, docs=[doc]).to_bytes()
    copies = [
        Doc(doc.vocab).from_bytes(doc.to_bytes()),
        next(DocBin().from_bytes(packed).get_docs(doc.vocab)),
        pickle.loads(pickle.dumps(doc)),
        doc.copy(),
    ]
    assert [copy._.graph for copy in copies] == [doc._.graph] * 4


# What is learned and written


@by_encoding
def test_every_encoding_is_learned_by_heart(name: str, case_named) -> None:
    """Given sentence boundaries, so that encodings which name positions count from where the sentence starts."""
    nlp, data = initialized(case_named("graph"), linearization={"@linearizations": name})
    nlp.add_pipe("sentencizer", first=True)
    train(nlp, data, steps=80)

    for example in data:
        assert graph_arcs(nlp(bare(example.reference))) == graph_arcs(example.reference)


@by_encoding
def test_an_untrained_component_gives_a_graph(name: str, case_named) -> None:
    """Given random weights, all arcs stay inside of their sentence."""
    nlp, _ = initialized(case_named("graph"), linearization={"@linearizations": name})
    nlp.add_pipe("sentencizer", first=True)
    random = numpy.random.RandomState(0)
    for parameter in nlp.get_pipe("labeler").model.get_ref("decoder").shims[0].module.parameters():
        parameter.data += parameter.data.new_tensor(random.normal(0, 2, tuple(parameter.shape)))

    doc = nlp(" ".join(["They like green eggs . Why bark ?"] * 5))

    assert doc._.graph
    for head, dependent, _ in doc._.graph:
        assert head == 0 or doc[head - 1].sent == doc[dependent - 1].sent


def test_cycles_re_entrancies_several_roots_and_unconnected_words_are_found(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("graph"))

    doc = nlp("Bob saw a dog today that barked .")

    assert {arc[:2] for arc in doc._.graph} >= {(4, 7), (7, 4), (2, 4), (0, 2), (0, 7)}
    assert not any(dependent in (3, 8) for _, dependent, _ in doc._.graph)


def test_labels_are_the_relations(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("graph"))
    pipe = nlp.get_pipe("labeler")

    assert set(pipe.labels) == {"agent", "compound", "liked", "mod", "place", "ref", "relative", "resident", "root", "theme", "time"}
    assert list(pipe.label_data) == ["code", "relations"]


def test_a_doc_whose_graph_is_empty_teaches_that_there_are_no_arcs(learned: Learned, case_named) -> None:
    nlp, _ = learned(case_named("graph"))
    doc = Doc(nlp.vocab, words=["Why", "bark", "?"])
    task = nlp.get_pipe("labeler").task
    assert task.gold(Example(bare(doc), doc)).labels == [[NOTHING] * 3]

    set_graph_arcs(doc, [])

    assert task.gold(Example(bare(doc), doc)).labels == [[("", "")] * 3]


# Sentences


def test_given_boundaries_are_used(learned: Learned, case_named) -> None:
    """Given a boundary between a verb and its object, no arc crosses it."""
    nlp, _ = learned(case_named("graph"))
    doc = nlp.make_doc("They like green eggs .")
    for token in doc:
        token.is_sent_start = token.i in (0, 2)

    found = nlp(doc)._.graph

    assert (2, 1, "agent") in found
    assert all(head == 0 or (head <= 2) == (dependent <= 2) for head, dependent, _ in found)


def test_without_boundaries_there_is_one_warning(learned: Learned, case_named) -> None:
    nlp = copied(learned(case_named("graph"))[0])

    with pytest.warns(UserWarning, match="emerging_graph: a Doc has no sentence boundaries") as caught:
        list(nlp.pipe(["They like green eggs .", "Why bark ?"]))

    assert len(caught) == 1


def test_training_cuts_at_gold_boundaries_and_drops_arcs_across_them(case_named) -> None:
    nlp, _ = initialized(case_named("graph"))
    doc = gold_doc(nlp.vocab, (3, 0))
    set_graph_arcs(doc, [*(graph_arcs(doc) or ()), (5, 1, "across")])

    gold = nlp.get_pipe("labeler").task.gold(Example(bare(doc), doc))

    assert gold.units == [(0, 3), (3, 9)]
    assert gold.labels[0] == [("", "")] * 3


# Other tokens than the reference's


def misaligned(arcs: list[tuple[int, int, str]]) -> Example:
    """ "can not" is one predicted token, "gonna" is two."""
    vocab = Vocab()
    predicted = Doc(vocab, words=["I", "cannot", "see", "gon", "na"], spaces=[True, True, True, False, False])
    reference = Doc(vocab, words=["I", "can", "not", "see", "gonna"], spaces=[True, False, True, True, False])
    set_graph_arcs(reference, arcs)
    return Example(predicted, reference)


ARCS = [(4, 1, "agent"), (2, 1, "able"), (0, 4, "root"), (3, 4, "neg")]


def gold_labels(pipe: Labeler, example: Example) -> list[tuple[str | None, ...]]:
    (labels,) = pipe.task.gold(example).labels
    return list(labels)


def test_brackets_of_words_that_are_the_same_are_taught_wherever_they_stand(case_named) -> None:
    """The arcs to merged tokens show in the brackets of the words at their other end, as in the reference."""
    nlp, _ = initialized(case_named("graph"))

    labels = gold_labels(nlp.get_pipe("labeler"), misaligned(ARCS))

    reference = misaligned(ARCS).reference
    whole = gold_labels(nlp.get_pipe("labeler"), Example(reference, reference))
    assert labels == [whole[0], NOTHING, whole[3], NOTHING, NOTHING]
    assert labels[0] == ("<<", "able|agent")


def test_numbers_are_taught_where_all_heads_are_predicted_tokens(case_named) -> None:
    nlp, _ = initialized(case_named("graph"), linearization={"@linearizations": "spacy-emerging.AbsoluteGraph.v1"})
    pipe = nlp.get_pipe("labeler")

    # "I" and "see" have a head inside of "cannot"
    assert gold_labels(pipe, misaligned(ARCS)) == [NOTHING] * 5
    # without these arcs, heads are counted on the predicted tokens: "see" is the third
    assert gold_labels(pipe, misaligned([ARCS[0], ARCS[2]])) == [("3", "agent"), NOTHING, ("0", "root"), NOTHING, NOTHING]


# Corpora that lose graphs


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The corpus as a .spacy file."""
    path = tmp_path / "corpus.spacy"
    DocBin(store_user_data=True, docs=[example.reference for example in examples(blank().vocab)]).to_disk(path)
    return path


@pytest.mark.parametrize(("setting", "value"), [("gold_preproc", True), ("max_length", 10)])
def test_a_config_in_which_spacys_reader_cuts_sentences_is_refused(setting: str, value: object, corpus: Path, case_named) -> None:
    nlp = blank()
    case_named("graph").add_to(nlp)
    nlp.config["corpora"]["train"][setting] = value

    with pytest.raises(SettingError, match=rf"labeler: the setting '{setting}' of \[corpora.train\].*spacy-emerging.Corpus.v1"):
        nlp.initialize(lambda: Corpus(corpus)(nlp))


def test_sentences_that_spacys_reader_has_cut_are_refused_where_there_is_no_config_to_look_at(corpus: Path, case_named) -> None:
    nlp = blank()
    case_named("graph").add_to(nlp)
    reader = StockCorpus(corpus, gold_preproc=True)

    with pytest.raises(LabelError, match="loses doc._.graph when it cuts sentences; spacy-emerging.Corpus.v1 keeps it"):
        nlp.initialize(lambda: reader(nlp))


def test_sentences_that_our_reader_cuts_keep_their_graphs(corpus: Path, case_named) -> None:
    nlp = blank()
    pipe = case_named("graph").add_to(nlp)
    nlp.config["corpora"]["train"].update({"@readers": "spacy-emerging.Corpus.v1", "gold_preproc": True})

    nlp.initialize(lambda: Corpus(corpus, gold_preproc=True)(nlp))

    assert "relative" in pipe.labels


# Settings


def test_a_linearization_of_other_structures_is_refused() -> None:
    trees = {"@linearizations": "spacy-emerging.RelativeDependency.v1"}
    with pytest.raises(SettingError, match="labeler: setting 'linearization' must be a graph encoding, not RelativeDependency"):
        blank().add_pipe("emerging_graph", name="labeler", config={"model": labeler_model(), "linearization": trees})


def test_boundaries_from_a_component_before_it_give_no_warning(learned: Learned, case_named) -> None:
    nlp = copied(learned(case_named("graph"))[0])
    nlp.add_pipe("sentencizer", first=True)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doc = nlp("They like green eggs . Why bark ?")

    assert {arc[1] for arc in doc._.graph} == {1, 2, 3, 4}
