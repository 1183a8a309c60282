"""`emerging_tok2vec`: spaCy's shared token vectors, with damage to what was saved noticed on load."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from spacy.language import Language
from spacy.pipeline import Tok2Vec
from spacy.training import Example, validate_get_examples
from thinc.api import Model

from .corpora import sample_docs
from .defaults import MODEL
from .saving import CheckedPipe


class CheckedTok2Vec(CheckedPipe, Tok2Vec):
    """spaCy's Tok2Vec, listeners and all, that saves a checksum of its model and raises ModelDataError for a damaged directory."""

    checksum_required: ClassVar[bool] = True

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Draws the weights. Raises CorpusError for an empty corpus."""
        validate_get_examples(get_examples, "Tok2Vec.initialize")
        sample_docs(self.name, get_examples)
        super().initialize(get_examples, nlp=nlp)


@Language.factory("emerging_tok2vec", assigns=["doc.tensor"], default_config={"model": MODEL["tok2vec"]})
def make_tok2vec(nlp: Language, name: str, model: Model) -> CheckedTok2Vec:
    """Token vectors that several components share through `spacy.Tok2VecListener.v1`.

    model (Model[List[Doc], List[Floats2d]]): Token vectors, such as `spacy.Tok2Vec.v2` with one of our encoders.
    """
    return CheckedTok2Vec(nlp.vocab, model, name)
