"""Tiny pipelines of stock spaCy components on an encoder under test."""

from __future__ import annotations

from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from .encoders import NAMES, WIDTH

EMBED = {
    "@architectures": "spacy.MultiHashEmbed.v2",
    "width": WIDTH,
    "attrs": ["NORM", "SHAPE"],
    "rows": [60, 20],
    "include_static_vectors": False,
}
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH}
PARSER = {
    "@architectures": "spacy.TransitionBasedParser.v2",
    "hidden_width": 8,
    "maxout_pieces": 1,
    "use_upper": True,
    "extra_state_tokens": False,
}
SPANCAT = {
    "@architectures": "spacy.SpanCategorizer.v1",
    "reducer": {"@layers": "spacy.mean_max_reducer.v1", "hidden_size": 8},
    "scorer": {"@layers": "spacy.LinearLogistic.v1"},
}
LINEAR = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "length": 64, "ngram_size": 1, "no_output_layer": False}
TAGGER = {"@architectures": "spacy.Tagger.v2"}

COMPONENTS: dict[str, dict[str, Any]] = {
    "tagger": TAGGER,
    "morphologizer": TAGGER,
    "senter": TAGGER,
    "ner": {**PARSER, "state_type": "ner"},
    "parser": {**PARSER, "state_type": "parser"},
    "spancat": SPANCAT,
    "textcat": {"@architectures": "spacy.TextCatEnsemble.v2", "linear_model": LINEAR},
    "trainable_lemmatizer": TAGGER,
}
"""Each stock component with a tok2vec, and its model but for that."""


def tok2vec(name: str) -> dict[str, Any]:
    """spacy.Tok2Vec.v2 with the encoder under test."""
    return {"@architectures": "spacy.Tok2Vec.v2", "embed": EMBED, "encode": {"@architectures": name, "width": WIDTH, "depth": 1}}


def config_of(component: str, vectors: dict[str, Any]) -> dict[str, Any]:
    """A component's config with these token vectors."""
    config: dict[str, Any] = {"model": {**COMPONENTS[component], "tok2vec": vectors}}
    rare = {"trainable_lemmatizer": "min_tree_freq", "parser": "min_action_freq"}
    return {**config, rare[component]: 1} if component in rare else config


def examples(nlp: Language) -> list[Example]:
    """Three Docs, annotated for every component; one of them has a single token."""
    rows = [
        ("She likes London . He left .", "nsubj ROOT dobj punct nsubj ROOT punct", [1, 1, 1, 1, 5, 5, 5]),
        ("Cats sleep", "nsubj ROOT", [1, 1]),
        ("Paris", "ROOT", [0]),
    ]
    return [Example(nlp.make_doc(text), gold_doc(nlp.vocab, text.split(), deps.split(), heads)) for text, deps, heads in rows]


def gold_doc(vocab: Vocab, words: list[str], deps: list[str], heads: list[int]) -> Doc:
    """A Doc with every layer of annotation."""
    tags = ["VERB" if dep == "ROOT" and len(words) > 1 else "X" for dep in deps]
    ents = ["B-GPE" if word in ("London", "Paris") else "O" for word in words]
    doc = Doc(vocab, words=words, deps=deps, heads=heads, tags=tags, pos=["X"] * len(words), ents=ents, lemmas=[w.lower() for w in words])
    for token in doc:
        token.set_morph("Number=Plur" if token.tag_ == "VERB" else "Number=Sing")
    doc.spans["sc"] = [Span(doc, 0, 1, label="FIRST")]
    doc.cats = {"long": float(len(words) > 2), "short": float(len(words) <= 2)}
    return doc


def answer(component: str, doc: Doc) -> Any:
    """What a component has written."""
    return {
        "tagger": lambda: [token.tag_ for token in doc],
        "morphologizer": lambda: [(token.pos_, str(token.morph)) for token in doc],
        "senter": lambda: [token.is_sent_start for token in doc],
        "ner": lambda: [(ent.start, ent.end, ent.label_) for ent in doc.ents],
        "parser": lambda: [(token.head.i, token.dep_) for token in doc],
        "spancat": lambda: [(span.start, span.end, span.label_) for span in doc.spans["sc"]],
        "textcat": lambda: doc.cats,
        "trainable_lemmatizer": lambda: [token.lemma_ for token in doc],
    }[component]()


def stock_pipeline(component: str, name: str) -> Language:
    """One component with a tok2vec of its own, initialized."""
    nlp = spacy.blank("en")
    nlp.add_pipe(component, config=config_of(component, tok2vec(name)))
    nlp.initialize(lambda: examples(nlp))
    return nlp


def shared_pipeline(name: str, *components: str) -> Language:
    """A tok2vec component, and components that listen to it, initialized."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": tok2vec(name)})
    for component in components:
        nlp.add_pipe(component, config=config_of(component, LISTENER))
    nlp.initialize(lambda: examples(nlp))
    return nlp


def encoder_node(nlp: Language, component: str) -> Any:
    """The encoder's node in a component's model."""
    return next(node for node in nlp.get_pipe(component).model.walk() if node.name in NAMES)
