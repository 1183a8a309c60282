"""`emerging_constituency`: constituency trees in `doc.spans["constituents"]`, as one label tuple per word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Model

from ..corpus.annotations import CONSTITUENTS_KEY, constituency_trees, sentence_units, set_constituents
from ..errors import SettingError
from ..linearizations.base import Linearization
from ..linearizations.constituency.chains import labels_of
from ..scoring.alignment import counterparts
from ..scoring.bracketing import score_constituents
from ..structures import ConstituencyTree
from ..types import LabelTuple
from .alignment import reference_units
from .defaults import MODEL
from .extensions import LABEL_SCORE
from .labeler import Labeler
from .model import Cut
from .task import Decision, Gold, Task, given_sentences

CHAINS = frozenset({"label", "unary", "parent", "new"})
"""Fields of constituency encodings whose labels are chains of constituents."""


class ConstituencyTask(Task):
    """Constituents, sentence by sentence. linearization: any that encodes a ConstituencyTree.

    A Doc without the span group is not annotated, and neither is a sentence without any constituent.
    """

    name = "constituency"
    score_prefix = "constituents"
    lost_by_as_doc = f"doc.spans[{CONSTITUENTS_KEY!r}]"

    def __init__(self, linearization: Linearization[ConstituencyTree]) -> None:
        self.linearization = linearization

    def gold(self, example: Example) -> Gold:
        """Labels of the reference's words on the predicted ones that are the same: no encoding names positions, so they hold
        wherever a word stands. Words that are merged or split teach nothing."""
        units = reference_units(example)
        nothing = (None,) * len(self.fields)
        trees = constituency_trees(example.reference, sentence_units(example.reference)) or []
        made: list[Any] = [row for tree in trees for row in (self.linearization.encode(tree) if tree.spans() else [nothing] * len(tree))]
        labels = [nothing if source is None or not made else made[source] for source in counterparts(example)]
        return Gold(units, [labels[unit.start : unit.end] for unit in units])

    def state(self, reference: Doc) -> bytes:
        found = [(span.start, span.end, span.label) for span in reference.spans.get(CONSTITUENTS_KEY, ())]
        return repr((CONSTITUENTS_KEY in reference.spans, found)).encode() + reference.to_array("SENT_START").tobytes()

    def labels(self, vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
        chains = {chain for field in CHAINS for chain in vocabulary.get(field, ())}
        return sorted({label for chain in chains for label in labels_of(chain)[0]})

    def cut(self, doc: Doc) -> Cut:
        return given_sentences(doc, self)

    def spelled(self, structure: ConstituencyTree) -> list[LabelTuple]:
        return self.linearization.encode(structure)

    def annotate(self, doc: Doc, decisions: Sequence[Decision]) -> None:
        strings = doc.vocab.strings
        spans: list[Span] = []
        for unit, tree, confidence in decisions:
            spans += [Span(doc, unit.start + start, unit.start + end, strings.add(label)) for label, start, end in tree.spans()]
            if confidence is not None:
                for i, score in enumerate(numpy.exp(confidence.sum(axis=1)).tolist()):
                    doc[unit.start + i]._.set(LABEL_SCORE, score)
        set_constituents(doc, spans)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        return score_constituents(examples, **kwargs)


@Language.factory(
    "emerging_constituency",
    assigns=["doc.spans"],
    default_config={
        "model": MODEL,
        "linearization": {"@linearizations": "spacy-emerging.DynamicConstituency.v1"},
        "store_scores": False,
        "scorer": None,
    },
    default_score_weights={
        "constituents_f": 1.0,
        "constituents_p": 0.0,
        "constituents_r": 0.0,
        "constituents_complete_match": None,
        "constituents_average_crossing": None,
        "constituents_per_type": None,
        "constituents_well_formed": None,
    },
)
def make_constituency(
    nlp: Language,
    name: str,
    model: Model,
    linearization: Linearization,
    store_scores: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Labeler:
    """A constituency parser that always gives a valid tree per sentence, unary chains included.

    model (Model): `spacy-emerging.Labeler.v1`. linearization (Linearization): Any constituency encoding, e.g.
    `spacy-emerging.DynamicConstituency.v1`. store_scores (bool): Keep each token's probability in `token._.label_score`.
    scorer (Optional[Callable]): Replaces constituents_p, constituents_r, constituents_f, constituents_complete_match,
    constituents_average_crossing, constituents_per_type, constituents_well_formed.
    Raises SettingError for a linearization of other structures.
    """
    if not CHAINS & set(linearization.fields):
        raise SettingError(f"{name}: setting 'linearization' must be a constituency encoding, not {type(linearization).__name__}.")
    return Labeler(nlp.vocab, model, name, ConstituencyTask(linearization), store_scores=store_scores, scorer=scorer)
