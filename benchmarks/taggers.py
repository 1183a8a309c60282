"""Taggers that benchmarks/pipelines.py compares: ours, spaCy's, Stanza's and Flair's, all with freshly drawn weights.

Each function takes the gold Docs and gives a function that tags all of their sentences once, from given tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

WIDTH = 96
"""Width of token vectors; Stanza's and Flair's BiLSTMs have half of it per direction."""

CNN = {"@architectures": "spacy.MaxoutWindowEncoder.v2", "width": WIDTH, "depth": 4, "window_size": 1, "maxout_pieces": 3}
EMBED = {
    "@architectures": "spacy.MultiHashEmbed.v2",
    "width": WIDTH,
    "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"],
    "rows": [2000, 1000, 1000, 1000],
    "include_static_vectors": False,
}
LETTERS, SPELLING = 32, 64
"""Units per character, and that a word gets from them, in Stanza's and Flair's taggers."""

Tagger = Callable[[], None]

logging.getLogger("stanza").setLevel(logging.ERROR)


def encoder(name: str, depth: int) -> dict[str, Any]:
    """The config block of one of our encoders."""
    return {"@architectures": f"spacy-emerging.{name}.v1", "width": WIDTH, "depth": depth}


def spacy_tagger(docs: Sequence[Doc], encode: dict[str, Any], factory: str) -> Tagger:
    """`tagger` or `emerging_tagger` on spaCy's embedding and an encoder, through `nlp.pipe`."""
    nlp = spacy.blank("en")
    tok2vec = {"@architectures": "spacy.Tok2Vec.v2", "embed": EMBED, "encode": encode}
    model: dict[str, Any] = {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}
    if factory == "emerging_tagger":
        model |= {"@architectures": "spacy-emerging.Labeler.v1", "decoder": {"@architectures": "spacy-emerging.SoftmaxDecoder.v1"}}
    nlp.add_pipe(factory, config={"model": model})
    given = untagged(nlp, docs)
    nlp.initialize(lambda: [Example(tokens, doc) for tokens, doc in zip(given(), docs, strict=True)])

    def tag() -> None:
        for _ in nlp.pipe(given()):
            pass

    return tag


def untagged(nlp: Language, docs: Sequence[Doc]) -> Callable[[], list[Doc]]:
    """What makes Docs of the tokens alone; strings are read before."""
    given = [([token.text for token in doc], [bool(token.whitespace_) for token in doc]) for doc in docs]
    return lambda: [Doc(nlp.vocab, words, spaces) for words, spaces in given]


def stanza_tagger(docs: Sequence[Doc]) -> Tagger:
    """Stanza's tagger of universal tags, treebank tags and features, without word vectors or language models."""
    from stanza.models.common.doc import FEATS, ID, TEXT, UPOS, XPOS, Document
    from stanza.models.pos.data import Dataset
    from stanza.models.pos.trainer import Trainer
    from stanza.models.tagger import build_argparse

    sizes = {"hidden_dim": WIDTH // 2, "word_emb_dim": WIDTH, "char_emb_dim": LETTERS, "char_hidden_dim": SPELLING, "num_layers": 2}
    args = vars(build_argparse().parse_args(["--lang", "en", "--shorthand", "en_x", "--no_pretrain"])) | sizes
    rows = [
        [{ID: [i], TEXT: t.text, UPOS: "X", XPOS: t.tag_, FEATS: "_"} for i, t in enumerate(sentence, 1)]
        for doc in docs
        for sentence in doc.sents
    ]
    document = Document(rows)
    vocab = Dataset.init_vocab([document], args)
    trainer = Trainer(args=args, vocab=vocab, device="cpu")

    def tag() -> None:
        data = Dataset(document, args, None, vocab=vocab, evaluation=True, sort_during_eval=True)
        for batch in data.to_length_limited_loader(batch_size=args["batch_size"], maximum_tokens=args["batch_maximum_tokens"]):
            trainer.predict(batch)

    return tag


def flair_tagger(docs: Sequence[Doc]) -> Tagger:
    """Flair's sequence tagger: learned word embeddings, a character LSTM, a BiLSTM, no CRF."""
    import flair  # sets its logger anew

    logging.getLogger("flair").setLevel(logging.ERROR)
    from flair.data import Dictionary, Sentence
    from flair.embeddings import CharacterEmbeddings, OneHotEmbeddings, StackedEmbeddings
    from flair.models import SequenceTagger

    flair.device = "cpu"
    texts = [[token.text for token in sentence] for doc in docs for sentence in doc.sents]
    words, letters, tags = Dictionary(), Dictionary(), Dictionary(add_unk=False)
    for doc in docs:
        for token in doc:
            words.add_item(token.text)
            tags.add_item(token.tag_)
            for letter in token.text:
                letters.add_item(letter)
    with TemporaryDirectory() as folder:  # from a file, lest it asks the network for a list of characters
        letters.save(Path(folder) / "letters")
        characters = CharacterEmbeddings(str(Path(folder) / "letters"), LETTERS, SPELLING // 2)
    embeddings = StackedEmbeddings([OneHotEmbeddings(words, embedding_length=WIDTH), characters])
    tagger = SequenceTagger(
        embeddings, tags, tag_type="tag", hidden_size=WIDTH // 2, rnn_layers=2, use_crf=False, reproject_embeddings=False
    )

    def tag() -> None:
        tagger.predict([Sentence(text) for text in texts], mini_batch_size=64)

    return tag
