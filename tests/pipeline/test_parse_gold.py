"""What a tree teaches where tokens, heads or tags have gaps; blanks above all, which texts have and treebanks do not."""

from __future__ import annotations

import pytest
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry
from spacy.vocab import Vocab

from spacy_emerging.errors import LabelError
from spacy_emerging.pipeline.model import Unit
from spacy_emerging.pipeline.parse_gold import Parse, sentence_labels
from spacy_emerging.registry import LINEARIZATIONS
from spacy_emerging.types import GoldLabels

from .cases import blank, initialized, train
from .corpus import bare, examples

DEPENDENCY = sorted(name for name in LINEARIZATIONS if name.endswith("Dependency.v1"))
RELATIVE = "spacy-emerging.RelativeDependency.v1"
POS_RELATIVE = "spacy-emerging.PosRelativeDependency.v1"

WORDS = ["They", "like", "green", "eggs", "."]
HEADS = [1, 1, 3, 1, 1]
DEPS = ["nsubj", "ROOT", "amod", "obj", "punct"]
POS = ["PRON", "VERB", "ADJ", "NOUN", "PUNCT"]

SPACED = ["\n", "They", "like", " ", "\n", "green", "eggs", ".", "\n\n"]
"""The same words in a text with blanks before, between and after them."""

PLACES = [i for i, word in enumerate(SPACED) if word.strip()]


def reference(**changes) -> Doc:
    return Doc(Vocab(), **{"words": WORDS, "heads": HEADS, "deps": DEPS, "pos": POS, **changes})


def labels(name: str, predicted: Doc, gold: Doc) -> GoldLabels:
    """What the gold tree teaches about a text of one sentence."""
    parse = Parse.of(Example(predicted, gold))
    return sentence_labels(registry.get("linearizations", name)(), parse.sentence(Unit(0, len(predicted))))


# Blanks


@pytest.mark.parametrize("name", DEPENDENCY)
def test_blanks_teach_nothing_and_words_what_they_do_without_them(name: str) -> None:
    """Given blanks that the treebank lacks, every word still teaches every field, as if the blanks were not there."""
    gold = reference()

    spaced = labels(name, Doc(gold.vocab, words=SPACED), gold)
    plain = labels(name, bare(gold), gold)

    assert [i for i, row in enumerate(spaced) if any(row)] == PLACES
    assert [spaced[i] for i in PLACES] == plain


def test_blanks_of_the_treebank_itself_may_be_without_a_head() -> None:
    """Given a reference that has the blank, unannotated, as spaCy's own corpora do."""
    gold = Doc(Vocab(), words=["They", " ", "sleep"], heads=[2, None, 2], deps=["nsubj", None, "ROOT"])

    taught = labels("spacy-emerging.BracketingDependency.v1", bare(gold), gold)

    assert taught[1] == (None, None)
    assert None not in taught[0] + taught[2]


def test_attached_blanks_of_the_treebank_teach_nothing_either() -> None:
    """Given references with attached blanks, as spaCy's whitespace augmenter makes them; a word below a blank is without a head."""
    gold = Doc(Vocab(), words=["They", " ", "\n", "sleep", "here"], heads=[3, 0, 1, 3, 2], deps=["nsubj", "dep", "dep", "ROOT", "advmod"])

    taught = labels(RELATIVE, bare(gold), gold)

    assert taught == [("1", "nsubj"), (None, None), (None, None), ("-2", "ROOT"), (None, "advmod")]


def test_a_sentence_of_blanks_teaches_nothing() -> None:
    gold = reference()
    parse = Parse.of(Example(Doc(gold.vocab, words=SPACED), gold))

    assert sentence_labels(registry.get("linearizations", RELATIVE)(), parse.sentence(Unit(3, 5))) == [(None, None)] * 2


def test_texts_with_blanks_are_learned(case_named) -> None:
    """Given a corpus whose texts have line breaks inside of sentences, the trees of the words are learned by heart."""
    nlp = blank()
    data = []
    for example in examples(nlp.vocab):
        words = [token.text for token in example.reference]
        spaced = [word for i, text in enumerate(words) for word in ([text, "\n"] if i % 4 == 1 else [text])]
        data.append(Example(Doc(nlp.vocab, words=spaced), example.reference))
    pipe = case_named("parser").add_to(nlp)
    nlp.initialize(lambda: data)
    train(nlp, data)

    scores = nlp.evaluate(data)

    assert pipe.unseen_labels == 0
    assert scores["dep_las"] > 0.9


# Tags


def test_heads_are_named_by_the_tags_of_the_reference() -> None:
    gold = reference()

    assert labels(POS_RELATIVE, bare(gold), gold) == [
        ("PRON", "1,VERB", "nsubj"),
        ("VERB", "0", "ROOT"),
        ("ADJ", "1,NOUN", "amod"),
        ("NOUN", "-1,VERB", "obj"),
        ("PUNCT", "-1,VERB", "punct"),
    ]


def test_fine_grained_tags_stand_in_for_universal_ones() -> None:
    gold = reference(pos=None, tags=["PRP", "VBP", "JJ", "NNS", "."])

    assert [row[0] for row in labels(POS_RELATIVE, bare(gold), gold)] == ["PRP", "VBP", "JJ", "NNS", "."]


def test_without_a_tag_nobody_can_count() -> None:
    """Given one word without a tag, heads are not taught; tags and relations of the others are."""
    gold = reference(pos=["PRON", "", "ADJ", "NOUN", "PUNCT"])

    taught = labels(POS_RELATIVE, bare(gold), gold)

    assert [row[0] for row in taught] == ["PRON", None, "ADJ", "NOUN", "PUNCT"]
    assert [row[1] for row in taught] == [None] * 5
    assert [row[2] for row in taught] == DEPS


def test_a_parser_learns_heads_named_by_their_tags(case_named) -> None:
    nlp, data = initialized(case_named("parser"), linearization={"@linearizations": POS_RELATIVE})
    pipe = nlp.get_pipe("labeler")
    assert {"NOUN", "VERB", "PROPN"} <= set(pipe.label_data["pos"])
    assert pipe.labels == tuple(pipe.label_data["deprel"])
    train(nlp, data)

    scores = nlp.evaluate([Example(bare(example.reference), example.reference) for example in data])

    assert scores["dep_las"] == 1.0 == scores["dep_well_formed"]


def test_a_tag_that_was_not_seen_is_named(case_named) -> None:
    nlp, _ = initialized(case_named("parser"), linearization={"@linearizations": POS_RELATIVE})
    gold = Doc(nlp.vocab, words=WORDS, heads=HEADS, deps=DEPS, pos=["X", *POS[1:]])

    with pytest.raises(LabelError, match="labeler: label 'X' of field 'pos' was not seen at initialize"):
        nlp.update([Example(bare(gold), gold)])


def test_a_corpus_without_tags_is_refused_by_encodings_that_need_them(case_named) -> None:
    nlp = blank()
    gold = Doc(nlp.vocab, words=WORDS, heads=HEADS, deps=DEPS)
    case_named("parser").add_to(nlp, linearization={"@linearizations": POS_RELATIVE})

    with pytest.raises(LabelError, match="no labels for field 'pos, offset'"):
        nlp.initialize(lambda: [Example(bare(gold), gold)])
