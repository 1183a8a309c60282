"""`emerging_parser`: dependency trees as one label tuple per word, and sentence starts where none are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy
from spacy.attrs import DEP, HEAD
from spacy.language import Language
from spacy.pipeline.dep_parser import parser_score
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model

from ..errors import SettingError
from ..linearizations.base import Linearization
from ..linearizations.dependency.pseudo_projective import read as read_relation
from ..structures import DependencyTree
from .blanks import BLANK_DEPREL, blanks_of, governors, settled_starts, without_starts, words_of
from .defaults import MODEL
from .extensions import LABEL_SCORE
from .labeler import Labeler
from .model import Cut, Unit, units_from_starts
from .parse_gold import TAG_FIELD, Parse, sentence_labels
from .task import Decision, Gold, Task


class ParserTask(Task):
    """Heads, relations and sentence starts. linearization: any that encodes a DependencyTree and has a field "deprel"."""

    name = "parser"
    cuts_sentences = True
    score_prefix = "dep"

    def __init__(self, linearization: Linearization[DependencyTree]) -> None:
        self.linearization = linearization
        self.root_deprel: str | None = None

    @property
    def user_fields(self) -> frozenset[str]:
        # Pseudo-projective encodings write more into relations than the relation.
        return frozenset({"deprel", TAG_FIELD}) & self.linearization.local & set(self.fields)

    def gold(self, example: Example) -> Gold:
        if not len(example.predicted):
            return Gold([], [], numpy.zeros(0, dtype="int64"))
        # spaCy gives -1 as an unsigned number
        starts = numpy.array([min(int(value or 0), 2) for value in example.get_aligned("SENT_START")])
        starts[starts == 2] = -1
        starts = without_starts(starts, blanks_of(example.predicted))
        units = units_from_starts(starts == 1)
        parse = Parse.of(example)
        return Gold(units, [sentence_labels(self.linearization, parse.sentence(unit)) for unit in units], starts)

    def prepare(self, labels: Mapping[str, Sequence[str]]) -> None:
        # spaCy's users, its sentence and noun chunk iterators among them, find roots by this relation
        roots = [label for label in self.labels(labels) if label.lower() == "root"]
        self.root_deprel = roots[0] if len(roots) == 1 else None

    def annotate(self, doc: Doc, decisions: Sequence[Decision]) -> None:
        heads = numpy.zeros(len(doc), dtype="int64")
        deps = numpy.zeros(len(doc), dtype="uint64")
        strings, blank = doc.vocab.strings, blanks_of(doc)
        for unit, tree, confidence in decisions:
            words = words_of(blank, unit)
            for number, (head, deprel) in enumerate(zip(tree.heads, tree.deprels, strict=True)):
                i = words[number]
                heads[i] = words[head - 1] - i if head else 0
                deps[i] = strings.add(deprel if head else self.root_deprel or deprel)
                if confidence is not None:
                    doc[i]._.set(LABEL_SCORE, float(numpy.exp(confidence[number].sum())))
            for i, governor in governors(unit, words).items():
                heads[i] = governor - i
                deps[i] = strings.add(BLANK_DEPREL if governor != i else self.root_deprel or BLANK_DEPREL)
                if confidence is not None:
                    doc[i]._.set(LABEL_SCORE, 1.0)  # nothing was left to decide
        if len(doc):
            columns: Any = numpy.stack([heads.astype("uint64"), deps], axis=1)
            doc.from_array([HEAD, DEP], columns)

    def cut(self, doc: Doc) -> Cut:
        given = doc.has_annotation("SENT_START")
        starts = doc.to_array("SENT_START").astype("int64") if given else numpy.zeros(len(doc), dtype="int64")
        return Cut(settled_starts(starts, blanks_of(doc)))

    def places(self, doc: Doc, units: Sequence[Unit]) -> list[list[int]] | None:
        blank = blanks_of(doc)
        return [[i - unit.start for i in words_of(blank, unit)] for unit in units] if blank.any() else None

    def labels(self, vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
        found = vocabulary.get("deprel", ())
        marked = getattr(self.linearization, "pseudo_projective", None) is not None
        return sorted({read_relation(label).deprel for label in found}) if marked else list(found)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        return parser_score(list(examples), **kwargs)


@Language.factory(
    "emerging_parser",
    assigns=["token.dep", "token.head", "token.is_sent_start", "doc.sents"],
    default_config={
        "model": MODEL,
        "linearization": {"@linearizations": "spacy-emerging.SevenBitDependency.v1"},
        "store_scores": False,
        "scorer": None,
    },
    default_score_weights={
        "dep_uas": 0.5,
        "dep_las": 0.5,
        "dep_las_per_type": None,
        "dep_well_formed": None,
        "sents_p": None,
        "sents_r": None,
        "sents_f": 0.0,
    },
)
def make_parser(
    nlp: Language,
    name: str,
    model: Model,
    linearization: Linearization,
    store_scores: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Labeler:
    """A dependency parser that always gives a valid tree per sentence.

    model (Model): `spacy-emerging.Labeler.v1`. linearization (Linearization): Any dependency encoding, e.g.
    `spacy-emerging.SevenBitDependency.v1`. store_scores (bool): Keep each token's probability in `token._.label_score`.
    scorer (Optional[Callable]): Replaces dep_uas, dep_las, dep_las_per_type, dep_well_formed, sents_p, sents_r, sents_f.
    Raises SettingError for a linearization of other structures.
    """
    if "deprel" not in linearization.fields:
        raise SettingError(f"{name}: setting 'linearization' must be a dependency encoding, not {type(linearization).__name__}.")
    return Labeler(nlp.vocab, model, name, ParserTask(linearization), store_scores=store_scores, scorer=scorer)
