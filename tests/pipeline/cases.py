"""Every registered component, in the settings that change its code path, with a model that learns the corpus in a second."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Adam, fix_random_seed

from spacy_emerging.corpus.annotations import CONSTITUENTS_KEY, graph_arcs
from spacy_emerging.pipeline.characters import Characters
from spacy_emerging.pipeline.labeler import Labeler

from .corpus import EXTENSION, SPANS_KEY, examples, joined_examples

WIDTH = 16
GRAPH_SCORES = ("graph_f", "graph_p", "graph_r", "graph_unlabeled_f", "graph_exact_match", "graph_well_formed")
CONSTITUENTS_SCORES = ("constituents_f", "constituents_p", "constituents_r", "constituents_complete_match", "constituents_well_formed")

SEGMENTS_SCORES = ("segments_f", "segments_p", "segments_r", "token_acc", "token_f")
BLANKS = {"@linearizations": "spacy-emerging.SegmentTags.v1", "scheme": "bmesx"}

EMBED = {
    "@architectures": "spacy.MultiHashEmbed.v2",
    "width": WIDTH,
    "attrs": ["NORM", "SUFFIX", "SHAPE"],
    "rows": [200, 100, 100],
    "include_static_vectors": False,
}
ENCODE = {"@architectures": "spacy-emerging.LSTMEncoder.v1", "width": WIDTH, "depth": 1}
TOK2VEC = {"@architectures": "spacy.Tok2Vec.v2", "embed": EMBED, "encode": ENCODE}
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH, "upstream": "*"}
DECODER = {"@architectures": "spacy-emerging.SoftmaxDecoder.v1"}


def labeler_model(tok2vec: dict[str, Any] = TOK2VEC, decoder: dict[str, Any] = DECODER) -> dict[str, Any]:
    """The config of a tiny Labeler model."""
    return copy.deepcopy({"@architectures": "spacy-emerging.Labeler.v1", "tok2vec": tok2vec, "decoder": decoder})


@dataclass(frozen=True, eq=False)
class Case:
    """A component and its settings; `read` gives what it writes on a Doc, `scores` the accuracies that are 1 on the corpus.

    sentencizer: whether it wants one before it, which finds the sentences of the corpus.
    characters: whether its tokens are characters, in a corpus without blanks.
    """

    id: str
    factory: str
    read: Callable[[Doc], Any]
    scores: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    sentencizer: bool = False
    characters: bool = False

    def prepare(self, nlp: Language) -> None:
        """Adds what the component wants before it."""
        if self.sentencizer and "sentencizer" not in nlp.pipe_names:
            nlp.add_pipe("sentencizer")
        if self.characters:
            nlp.tokenizer = Characters(nlp.vocab)
            nlp.config = nlp.config.merge({"nlp": {"tokenizer": {"@tokenizers": "spacy-emerging.CharacterTokenizer.v1"}}})

    def examples(self, vocab: Vocab) -> list[Example]:
        """The corpus."""
        return joined_examples(vocab) if self.characters else examples(vocab)

    def add_to(self, nlp: Language, tok2vec: dict[str, Any] = TOK2VEC, name: str = "labeler", **settings: Any) -> Labeler:
        """Adds the component under `name`."""
        config = {"model": labeler_model(tok2vec), **self.settings, **settings}
        self.prepare(nlp)
        pipe = nlp.add_pipe(self.factory, name=name, config=config)
        assert isinstance(pipe, Labeler)
        return pipe


def tags(*attributes: str) -> Callable[[Doc], Any]:
    """Reads token attributes as strings."""
    return lambda doc: [tuple(str(getattr(token, attribute)) for attribute in attributes) for token in doc]


def read_extension(doc: Doc) -> Any:
    return [token._.get(EXTENSION) for token in doc]


def read_entities(doc: Doc) -> Any:
    return [(entity.label_, entity.start, entity.end) for entity in doc.ents]


def read_spans(doc: Doc) -> Any:
    return sorted((span.label_, span.start, span.end) for span in doc.spans.get(SPANS_KEY, []))


def read_parse(doc: Doc) -> Any:
    return [(token.head.i, token.dep_, bool(token.is_sent_start)) for token in doc]


def read_graph(doc: Doc) -> Any:
    return graph_arcs(doc)


def read_words(doc: Doc) -> Any:
    return [token.text for token in doc]


def read_constituents(doc: Doc) -> Any:
    return [(span.label_, span.start, span.end) for span in doc.spans.get(CONSTITUENTS_KEY, [])]


CASES = [
    Case("tag", "emerging_tagger", tags("tag_"), ("tag_acc",)),
    Case(
        "tag+pos+morph",
        "emerging_tagger",
        tags("tag_", "pos_", "morph"),
        ("tag_acc", "pos_acc", "morph_acc"),
        {"attributes": ["tag", "pos", "morph"]},
    ),
    Case("morph-per-feature", "emerging_tagger", tags("morph"), ("morph_acc",), {"attributes": ["morph"], "per_feature": True}),
    Case("extension", "emerging_tagger", read_extension, (f"{EXTENSION}_acc",), {"attributes": [f"_.{EXTENSION}"]}),
    Case("ner", "emerging_ner", read_entities, ("ents_f", "ents_p", "ents_r")),
    Case("spans", "emerging_spans", read_spans, ("spans_sc_f", "spans_sc_p", "spans_sc_r")),
    Case("parser", "emerging_parser", read_parse, ("dep_uas", "dep_las", "sents_f")),
    Case("graph", "emerging_graph", read_graph, GRAPH_SCORES, {"linearization": {"@linearizations": "spacy-emerging.BracketingGraph.v1"}}),
    Case("graph-bits", "emerging_graph", read_graph, GRAPH_SCORES),
    Case(
        "constituency",
        "emerging_constituency",
        read_constituents,
        CONSTITUENTS_SCORES,
        {"linearization": {"@linearizations": "spacy-emerging.TetraTagConstituency.v1"}},
        sentencizer=True,
    ),
    Case("constituency-levels", "emerging_constituency", read_constituents, CONSTITUENTS_SCORES, sentencizer=True),
    Case("segmenter", "emerging_segmenter", read_words, SEGMENTS_SCORES, characters=True),
    Case("segmenter-blanks", "emerging_segmenter", read_words, SEGMENTS_SCORES, {"linearization": BLANKS}, characters=True),
]

REPRESENTATIVE = ("tag+pos+morph", "ner", "spans", "parser", "graph", "constituency", "segmenter")
"""One case per component. Tests that train for long run on these every time, and on the others where slow tests run."""

by_representative_case = pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.id, marks=() if case.id in REPRESENTATIVE else pytest.mark.slow) for case in CASES]
)


def blank() -> Language:
    """An empty pipeline; every test begins from the same seed."""
    fix_random_seed(0)
    return spacy.blank("en")


def train(nlp: Language, data: list[Example], steps: int = 60, learn_rate: float = 0.03) -> dict[str, float]:
    """Updates on all examples at once; gives the losses of the last step."""
    optimizer = Adam(learn_rate)
    losses: dict[str, float] = {}
    for _ in range(steps):
        losses = {}
        nlp.update(data, sgd=optimizer, losses=losses)
    return losses


def initialized(case: Case, **settings: Any) -> tuple[Language, list[Example]]:
    """A pipeline of one component, ready to be trained, and its corpus."""
    nlp = blank()
    data = case.examples(nlp.vocab)
    case.add_to(nlp, **settings)
    nlp.initialize(lambda: data)
    return nlp, data


def trained(case: Case, **settings: Any) -> tuple[Language, list[Example]]:
    """A pipeline of one component that has learned its corpus by heart."""
    nlp, data = initialized(case, **settings)
    train(nlp, data)
    return nlp, data
