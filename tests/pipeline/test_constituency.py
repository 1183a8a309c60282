"""What `emerging_constituency` reads and writes, and the attributes of spans that tell of it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import CONSTITUENTS_KEY
from spacy_emerging.corpus.ptb import read_ptb
from spacy_emerging.errors import SettingError
from spacy_emerging.pipeline.extensions import ensure_extensions
from spacy_emerging.structures import ConstituencyTree

from .cases import blank, initialized, labeler_model, read_constituents, train
from .conftest import Learned, copied
from .corpus import TREES, bare, gold_doc

SAMPLE = Path(__file__).parents[2] / "assets" / "sample"
ENCODINGS = ["Absolute", "Relative", "Dynamic", "TetraTag", "Juxtaposed"]


@pytest.fixture
def parsed(case_named, learned: Learned) -> Doc:
    """Two sentences with their constituents, as the component wrote them."""
    nlp, data = learned(case_named("constituency"))
    return nlp(bare(data[2].reference))


# Attributes of spans


def test_the_parse_string_of_a_sentence_is_its_brackets_with_tags(parsed: Doc) -> None:
    for token, reference in zip(parsed, gold_doc(parsed.vocab, (3, 0)), strict=True):
        token.tag_ = reference.tag_
    assert [sent._.parse_string for sent in parsed.sents] == [TREES[3], TREES[0]]
    assert parsed[5:8]._.parse_string == "(PP (IN in) (NP (NNP New) (NNP York)))"


def test_words_without_tag_have_an_underscore_for_it(parsed: Doc) -> None:
    assert next(iter(parsed.sents))._.parse_string == "(SBARQ (WHADVP (_ Why)) (SQ (VP (_ bark))) (_ ?))"


def test_labels_are_those_of_the_unary_chain_over_a_span(parsed: Doc) -> None:
    assert parsed[1:2]._.labels == ("SQ", "VP")
    assert parsed[0:3]._.labels == ("SBARQ",)
    assert parsed[3:4]._.labels == ("NP",)
    assert parsed[2:3]._.labels == ()  # a word alone
    assert parsed[1:3]._.labels == ()  # no constituent


def test_constituents_are_the_spans_inside_and_the_words_in_pre_order(parsed: Doc) -> None:
    first, _ = parsed.sents
    assert [(span.text, span._.labels) for span in first._.constituents] == [
        ("Why bark ?", ("SBARQ",)),
        ("Why", ("WHADVP",)),
        ("bark", ("SQ", "VP")),
        ("?", ()),
    ]
    assert [span.text for span in parsed[5:8]._.constituents] == ["in New York", "in", "New York", "New", "York"]


def test_a_doc_without_constituents_has_none() -> None:
    ensure_extensions()
    doc = Doc(Vocab(), words=["a", "b"])
    assert doc[:]._.parse_string is None
    assert doc[:]._.labels == ()
    assert list(doc[:]._.constituents) == []


def test_attributes_hold_for_docs_that_were_read(case_named) -> None:
    ensure_extensions()
    doc = gold_doc(Vocab(), (0, 1, 2, 3, 4))
    assert [sent._.parse_string for sent in doc.sents] == TREES


def test_a_group_made_by_hand_may_be_in_any_order(case_named) -> None:
    """Given the constituents of a Doc shuffled, but for the order within unary chains: all that is read from them stays the same."""
    ensure_extensions()
    doc = gold_doc(Vocab(), (0, 1, 2, 3, 4))
    spans = list(doc.spans[CONSTITUENTS_KEY])
    places = list(dict.fromkeys((span.start, span.end) for span in spans))
    for seed in range(5):
        Random(seed).shuffle(places)
        doc.spans[CONSTITUENTS_KEY] = [span for place in places for span in spans if (span.start, span.end) == place]
        assert [sent._.parse_string for sent in doc.sents] == TREES
        assert [[inner._.labels for inner in sent._.constituents] for sent in doc.sents] == [
            [inner._.labels for inner in sent._.constituents] for sent in gold_doc(Vocab(), (0, 1, 2, 3, 4)).sents
        ]


def test_a_constituent_added_to_those_of_the_component_is_seen(parsed: Doc) -> None:
    parsed.spans[CONSTITUENTS_KEY].append(Span(parsed, 1, 3, "X"))
    assert parsed[1:3]._.labels == ("X",)
    assert parsed[0:3]._.parse_string == "(SBARQ (WHADVP (_ Why)) (X (SQ (VP (_ bark))) (_ ?)))"


# Sentences


def test_boundaries_that_are_given_are_used(case_named, learned: Learned) -> None:
    nlp, data = learned(case_named("constituency"))
    pipe = nlp.get_pipe("labeler")
    doc = bare(data[0].reference)
    for token, reference in zip(doc, data[0].reference, strict=True):
        token.is_sent_start = reference.is_sent_start
    assert read_constituents(pipe(doc)) == read_constituents(data[0].reference)


def test_without_boundaries_the_doc_is_one_sentence_and_one_warning_says_so(case_named, learned: Learned) -> None:
    nlp, data = learned(case_named("constituency"))
    nlp = copied(nlp)
    nlp.remove_pipe("sentencizer")
    with pytest.warns(UserWarning, match="emerging_constituency: a Doc has no sentence boundaries") as warned:
        docs = [nlp(bare(example.reference)) for example in data]
    assert len(warned) == 1
    for doc in docs:
        spans = read_constituents(doc)
        assert all(0 <= start < end <= len(doc) for _, start, end in spans)
        assert ConstituencyTree(len(doc), spans).n == len(doc)  # nothing crosses


def test_spacys_reader_that_drops_span_groups_is_refused(case_named) -> None:
    nlp = blank()
    case_named("constituency").add_to(nlp)
    nlp.config["corpora"]["train"]["gold_preproc"] = True
    config = nlp.config
    config["corpora"]["train"].update({"@readers": "spacy.Corpus.v1"})
    nlp = blank().from_config(config)
    reference = gold_doc(nlp.vocab, (0,))
    with pytest.raises(SettingError, match=r"doc\.spans\['constituents'\].*spacy-emerging\.Corpus\.v1"):
        nlp.initialize(lambda: [Example(bare(reference), reference)])


# Gold


def gold_rows(case_named, example: Example, encoding: str = "TetraTag") -> list[tuple[str | None, ...]]:
    nlp = blank()
    pipe = case_named("constituency").add_to(nlp, linearization={"@linearizations": f"spacy-emerging.{encoding}Constituency.v1"})
    gold = pipe.task.gold(example)
    assert [len(labels) for labels in gold.labels] == [unit.end - unit.start for unit in gold.units]
    return [tuple(row) for labels in gold.labels for row in labels]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_split_and_merged_words_teach_nothing_and_the_others_what_they_would(case_named, encoding: str) -> None:
    # given "Anna lives in New York ." and a prediction with "An na" and "NewYork"
    vocab = Vocab()
    words = ["Anna", "lives", "in", "New", "York", "."]
    reference = Doc(vocab, words=words, spaces=[False] * 6)
    reference.spans[CONSTITUENTS_KEY] = [
        Span(reference, start, end, label) for label, start, end in ConstituencyTree.from_brackets(TREES[0]).spans()
    ]
    same = gold_rows(case_named, Example(Doc(vocab, words=words, spaces=[False] * 6), reference), encoding)
    other = Doc(vocab, words=["An", "na", "lives", "in", "NewYork", "."], spaces=[False] * 6)
    # then what is aligned keeps its labels
    nothing = (None,) * len(same[0])
    assert gold_rows(case_named, Example(other, reference), encoding) == [nothing, nothing, same[1], same[2], nothing, same[5]]


def test_docs_without_the_group_and_sentences_without_constituents_teach_nothing(case_named) -> None:
    reference = gold_doc(Vocab(), (1, 3))
    annotated = gold_rows(case_named, Example(bare(reference), reference))
    assert all(None not in row for row in annotated)
    # when the constituents of the second sentence are taken away, then its words teach nothing
    reference.spans[CONSTITUENTS_KEY] = [span for span in reference.spans[CONSTITUENTS_KEY] if span.end <= 5]
    assert gold_rows(case_named, Example(bare(reference), reference)) == [*annotated[:5], *[(None,) * 4] * 3]
    # and without the group no word does
    del reference.spans[CONSTITUENTS_KEY]
    assert gold_rows(case_named, Example(bare(reference), reference)) == [(None,) * 4] * 8


def test_a_change_of_the_reference_is_noticed(case_named) -> None:
    nlp, data = initialized(case_named("constituency"))
    pipe, example = nlp.get_pipe("labeler"), data[1]
    before = pipe.gold.encoded(example).ids[0].tolist()
    example.reference.spans[CONSTITUENTS_KEY] = list(example.reference.spans[CONSTITUENTS_KEY])[:3]
    assert pipe.gold.encoded(example).ids[0].tolist() != before


# Learning


@pytest.mark.parametrize(
    "encoding", ["TetraTag", *(pytest.param(name, marks=pytest.mark.slow) for name in ENCODINGS if name != "TetraTag")]
)
def test_trees_of_the_sample_corpus_are_learned_by_heart(case_named, encoding: str) -> None:
    # given six sentences of the bundled bracket file, in Docs whose boundaries are given
    nlp = blank()
    pipe = case_named("constituency").add_to(nlp, linearization={"@linearizations": f"spacy-emerging.{encoding}Constituency.v1"})
    references = list(islice(read_ptb(SAMPLE / "dev.brackets", nlp.vocab, n_sents=3), 2))
    data = [Example(cut_like(reference), reference) for reference in references]
    nlp.initialize(lambda: data)
    # when the component sees them often
    train(nlp, data, steps=80)
    # then it gives them back
    for reference in references:
        assert read_constituents(pipe(cut_like(reference))) == read_constituents(reference)


def cut_like(reference: Doc) -> Doc:
    """The words and sentence boundaries of a Doc."""
    words = [token.text for token in reference]
    return Doc(reference.vocab, words=words, sent_starts=[bool(token.is_sent_start) for token in reference])


# Labels, settings


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_labels_are_the_names_of_constituents_whatever_the_encoding(case_named, encoding: str) -> None:
    nlp, _ = initialized(case_named("constituency"), linearization={"@linearizations": f"spacy-emerging.{encoding}Constituency.v1"})
    expected = ("ADVP", "NP", "PP", "S", "SBAR", "SBARQ", "SQ", "VP", "WHADVP", "WHNP")
    assert nlp.get_pipe("labeler").labels == expected


def test_confidences_are_kept_on_request(case_named, learned: Learned) -> None:
    nlp, data = learned(case_named("constituency"))
    nlp = copied(nlp)
    nlp.get_pipe("labeler").store_scores = True
    doc = nlp(bare(data[0].reference))
    assert all(0.0 < token._.label_score <= 1.0 for token in doc)


def test_an_encoding_of_other_structures_is_refused() -> None:
    settings = {"model": labeler_model(), "linearization": {"@linearizations": "spacy-emerging.RelativeDependency.v1"}}
    with pytest.raises(SettingError, match="labeler: setting 'linearization' must be a constituency encoding"):
        blank().add_pipe("emerging_constituency", name="labeler", config=settings)
