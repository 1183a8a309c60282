"""Odd texts, odd tokenization and gold with gaps: nothing raises, and what is not annotated teaches nothing."""

from __future__ import annotations

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus, Example
from spacy.util import registry
from thinc.api import Model

from spacy_emerging.errors import CorpusError, LabelError

from .cases import CASES, LISTENER, TOK2VEC, Case, blank, initialized, train
from .conftest import Learned
from .corpus import SPANS_KEY, bare, examples

by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


# Texts

TEXTS = {
    "empty": "",
    "one space": " ",
    "whitespace": "\n\n\t ",
    "one token": "Hi",
    "1,000 characters": "x" * 1000,
    "much whitespace": "Anna   lives\n\n in New York  .",
    "zero width": "\u200b",
    "emoji": "🙂 🙂",
}


@by_case
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_answered(case: Case, learned: Learned, text: str) -> None:
    nlp, _ = learned(case)

    doc = nlp(text)

    assert doc.text == text
    case.read(doc)


@by_case
def test_batches_with_and_of_empty_docs(case: Case, learned: Learned) -> None:
    nlp, _ = learned(case)
    alone = case.read(nlp("Anna lives in New York ."))

    assert [len(doc) for doc in nlp.pipe(["", "", ""])] == [0, 0, 0]
    mixed = list(nlp.pipe(["", "Anna lives in New York .", ""]))

    assert case.read(mixed[1]) == alone


@by_case
def test_updating_with_empty_docs(case: Case) -> None:
    """Given empty Docs among others or alone, an update neither raises nor counts them."""
    nlp, data = initialized(case)
    empty = Example(nlp.make_doc(""), nlp.make_doc(""))
    optimizer = nlp.create_optimizer()

    assert nlp.update([empty, empty], sgd=optimizer, losses={}) == {"labeler": 0.0}
    alone = nlp.get_pipe("labeler").update(data, sgd=None)["labeler"]
    mixed = nlp.get_pipe("labeler").update([empty, *data, empty], sgd=None)["labeler"]

    assert mixed == pytest.approx(alone, rel=1e-6)


@by_case
def test_the_first_docs_may_be_empty_at_initialize(case: Case) -> None:
    nlp = blank()
    case.add_to(nlp)
    empty = Example(nlp.make_doc(""), nlp.make_doc(""))

    nlp.initialize(lambda: [empty, *case.examples(nlp.vocab)])

    assert case.read(nlp("Anna lives .")) is not None


@by_case
@pytest.mark.parametrize("wrong", ["none", "no list", "empty list", "no function"])
def test_wrong_get_examples(case: Case, wrong: str) -> None:
    nlp = blank()
    data = case.examples(nlp.vocab)
    case.add_to(nlp)
    get_examples = {"none": lambda: None, "no list": lambda: data[0], "empty list": lambda: [], "no function": data}[wrong]

    with pytest.raises(TypeError):
        nlp.initialize(get_examples)


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with shared vectors"])
@pytest.mark.parametrize("reader", ["empty", "all too long"])
def test_an_empty_corpus_is_one_clear_error(shared: bool, reader: str, case_named, tmp_path) -> None:
    """Given spaCy's own reader, which passes over what it cannot use, the first component to read says that nothing came."""
    nlp = blank()
    docs = [] if reader == "empty" else [example.reference for example in examples(nlp.vocab)]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    if shared:
        nlp.add_pipe("emerging_tok2vec", name="tok2vec", config={"model": TOK2VEC})
    case_named("tag").add_to(nlp, LISTENER if shared else TOK2VEC)
    corpus = Corpus(tmp_path / "train.spacy", limit=0, max_length=0 if reader == "empty" else 1)

    with pytest.raises(CorpusError, match=f"^{'tok2vec' if shared else 'labeler'}: the training corpus has no Docs"):
        nlp.initialize(lambda: corpus(nlp))


@by_case
def test_no_annotation_at_all_is_an_error_that_says_so(case: Case) -> None:
    if case.characters:
        pytest.skip("every Doc has words")
    nlp = blank()
    case.add_to(nlp)
    docs = [nlp.make_doc("Anna lives in New York .") for _ in range(2)]

    with pytest.raises(LabelError, match="labeler: no labels for field"):
        nlp.initialize(lambda: [Example(doc, doc) for doc in docs])


@by_case
def test_wrong_examples_at_update(case: Case, learned: Learned) -> None:
    nlp, _ = learned(case)

    with pytest.raises(TypeError, match="Labeler.update"):
        nlp.get_pipe("labeler").update([nlp.make_doc("Anna")])


@by_case
def test_use_before_initialize_is_spacys_error_that_names_the_component(case: Case) -> None:
    nlp = blank()
    pipe = case.add_to(nlp)
    data = case.examples(nlp.vocab)

    with pytest.raises(ValueError, match="E109.*labeler"):
        pipe.update(data)
    with pytest.raises(ValueError, match="E109.*labeler"):
        pipe.predict([data[0].predicted])


@by_case
def test_examples_may_come_from_a_generator(case: Case, learned: Learned) -> None:
    nlp, data = learned(case)
    pipe = nlp.get_pipe("labeler")

    assert pipe.update(example for example in data)["labeler"] == pytest.approx(pipe.update(data)["labeler"])


# Gold with gaps


@registry.architectures("test.RecordedTok2Vec.v1")
def recorded_tok2vec(width: int) -> Model:
    """Fixed random token vectors, and a record of the gradient that comes back."""
    return Model("recorded", _recorded_forward, dims={"nO": width}, attrs={"gradient": None})


def _recorded_forward(model: Model, docs: list[Doc], is_train: bool):
    random = numpy.random.RandomState(0)
    vectors = [random.uniform(-1, 1, (len(doc), model.get_dim("nO"))).astype("f") for doc in docs]

    def backprop(gradients):
        model.attrs["gradient"] = gradients
        return []

    return vectors, backprop


def teaching_tokens(case: Case, example: Example) -> list[int]:
    """The tokens of an example whose vectors get a gradient."""
    nlp = blank()
    data = case.examples(nlp.vocab)
    pipe = case.add_to(nlp, {"@architectures": "test.RecordedTok2Vec.v1", "width": 8})
    nlp.initialize(lambda: data)
    pipe.update([example], sgd=None)
    (gradient,) = pipe.model.get_ref("tok2vec").attrs["gradient"]
    return numpy.flatnonzero(numpy.abs(gradient).sum(axis=1)).tolist()


WORDS = ["They", "like", "green", "eggs", "."]


def reference_with(nlp, **annotation) -> Example:
    reference = Doc(nlp.vocab, words=WORDS, **annotation)
    return Example(bare(reference), reference)


def test_tokens_without_a_tag_teach_nothing(case_named) -> None:
    example = reference_with(spacy.blank("en"), tags=["", "VBP", "", "NNS", ""])

    assert teaching_tokens(case_named("tag"), example) == [1, 3]


def test_each_attribute_is_masked_on_its_own(case_named) -> None:
    example = reference_with(spacy.blank("en"), tags=["PRP", "", "", "", ""], pos=["", "VERB", "", "", ""])

    assert teaching_tokens(case_named("tag+pos+morph"), example) == [0, 1]


def test_morphology_that_is_set_but_empty_does_teach(case_named) -> None:
    doc = Doc(spacy.blank("en").vocab, words=WORDS)
    doc[3].set_morph("Number=Plur")
    doc[4].set_morph("")

    assert teaching_tokens(case_named("morph-per-feature"), Example(bare(doc), doc)) == [3, 4]


def test_entities_marked_as_missing_teach_nothing(case_named) -> None:
    doc = Doc(spacy.blank("en").vocab, words=WORDS)
    doc.set_ents([Span(doc, 0, 1, label="PERSON")], missing=[doc[1:3]], default="outside")

    assert teaching_tokens(case_named("ner"), Example(bare(doc), doc)) == [0, 3, 4]


def test_docs_without_the_spans_key_teach_nothing_but_empty_groups_do(case_named) -> None:
    doc = Doc(spacy.blank("en").vocab, words=WORDS)
    assert teaching_tokens(case_named("spans"), Example(bare(doc), doc)) == []

    doc.spans[SPANS_KEY] = []

    assert teaching_tokens(case_named("spans"), Example(bare(doc), doc)) == [0, 1, 2, 3, 4]


def test_docs_without_a_parse_teach_nothing(case_named) -> None:
    assert teaching_tokens(case_named("parser"), reference_with(spacy.blank("en"))) == []


def test_sentence_starts_alone_teach_where_they_are_known(case_named) -> None:
    example = reference_with(spacy.blank("en"), sent_starts=[True, None, False, True, None])

    assert teaching_tokens(case_named("parser"), example) == [2, 3]


def test_words_without_a_head_teach_only_what_does_not_depend_on_it(case_named) -> None:
    """Given two words whose head and relation are unknown: numbers of other words stand, but brackets of no word do."""
    heads, deps = [1, 1, 2, 3, 1], ["nsubj", "ROOT", "", "", "punct"]
    example = reference_with(spacy.blank("en"), heads=heads, deps=deps)
    nlp, _ = initialized(case_named("parser"))
    relative = {"@linearizations": "spacy-emerging.RelativeDependency.v1"}
    numbers, _ = initialized(case_named("parser"), linearization=relative)

    (brackets,) = nlp.get_pipe("labeler").task.gold(example).labels
    (offsets,) = numbers.get_pipe("labeler").task.gold(example).labels

    assert brackets == [(None, "nsubj"), (None, "ROOT"), (None, None), (None, None), (None, "punct")]
    assert offsets == [("1", "nsubj"), ("-2", "ROOT"), (None, None), (None, None), ("-3", "punct")]


def misaligned(annotation: dict) -> Example:
    """The predicted tokens of "They like green-eggs in NewYork" are other ones than those of the reference."""
    vocab = spacy.blank("en").vocab
    predicted = Doc(vocab, words=["They", "like", "green-eggs", "in", "New", "York"], spaces=[True, True, True, True, False, False])
    reference = Doc(
        vocab,
        words=["They", "like", "green", "-", "eggs", "in", "NewYork"],
        spaces=[True, True, False, False, True, True, False],
        **annotation,
    )
    return Example(predicted, reference)


def test_misaligned_tags(case_named) -> None:
    """A merged token whose parts differ is not annotated; the parts of a split token have the whole's tag."""
    example = misaligned({"tags": ["PRP", "VBP", "JJ", ".", "NNS", "IN", "NNP"]})

    assert teaching_tokens(case_named("tag"), example) == [0, 1, 3, 4, 5]


def test_misaligned_extension(case_named) -> None:
    example = misaligned({})
    for token, value in zip(example.reference, ["title", None, "other", "other", "title", "other", "title"], strict=True):
        token._.set("casing", value)

    assert teaching_tokens(case_named("extension"), example) == [0, 3, 4, 5]


def test_misaligned_entities(case_named) -> None:
    """An entity within a merged token teaches nothing there; one over a split token is found over its parts."""
    example = misaligned({"ents": ["O", "O", "B-PERSON", "O", "O", "O", "B-GPE"]})
    nlp, _ = initialized(case_named("ner"))

    (labels,) = nlp.get_pipe("labeler").task.gold(example).labels

    assert labels == [("O",), ("O",), (None,), ("O",), ("B-GPE",), ("L-GPE",)]


def test_misaligned_spans(case_named) -> None:
    example = misaligned({})
    reference = example.reference
    reference.spans[SPANS_KEY] = [Span(reference, 2, 3, label="PLACE"), Span(reference, 6, 7, label="PLACE")]
    nlp, _ = initialized(case_named("spans"))

    (labels,) = nlp.get_pipe("labeler").task.gold(example).labels

    assert labels == [("O", "O"), ("O", "O"), (None, None), ("O", "O"), ("B-PLACE", "O"), ("L-PLACE", "O")]


@by_case
def test_training_on_misaligned_gold(case: Case) -> None:
    """Given predicted tokens that merge or split the reference's, training runs and the rest is learned."""
    if case.characters:
        pytest.skip("longer tokens than characters are refused")
    nlp = blank()
    data = case.examples(nlp.vocab)
    mangled = []
    for example in data:
        words = [token.text for token in example.reference]
        spaces = [bool(token.whitespace_) for token in example.reference]
        merged = Doc(nlp.vocab, words=["".join(words[:2]), *words[2:]], spaces=spaces[1:])
        mangled.append(Example(merged, example.reference))
    case.add_to(nlp)
    nlp.initialize(lambda: data)
    first = train(nlp, mangled, steps=1)["labeler"]

    assert train(nlp, mangled, steps=15)["labeler"] < first
