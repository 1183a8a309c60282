"""The one trainable component behind all emerging_* factories: token vectors, decoder, linearization, task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy
from spacy.errors import Errors
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate

from ..errors import LabelError, ModelDataError
from ..linearizations.base import Decoded, Linearization
from ..types import LEVEL, UnitScores
from .agreement import Agreement
from .corpora import hint, refuse_stock_cuts, sample_docs
from .extensions import ensure_extensions
from .gold import GoldCache, start_ids
from .labels import LabelIndex, fields_of
from .model import DocGold, DocPrediction, Request, Unit, initialize_model
from .repairs import RepairLog
from .saving import CheckedPipe
from .task import Decision, Task, checked
from .vocabulary import collected_labels, given_labels

LINEARIZATION = "linearization"
"""Key in the cfg of what the linearization was when the labels were collected."""


class Labeler(CheckedPipe):
    """A structure predicted as one label tuple per token.

    vocab, model, name: as for every trainable pipe; the model is `spacy-emerging.Labeler.v1`.
    task: what is read from references and written on Docs.
    store_scores: keep confidences on Docs. scorer: replaces the task's own scoring.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str,
        task: Task,
        *,
        store_scores: bool = False,
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(vocab, model, name)
        ensure_extensions()
        self.task = task
        self.store_scores = store_scores
        self.scorer = scorer
        self.repairs = RepairLog()
        self.cfg: dict[str, Any] = {"labels": {}}
        self._rehearsal_model: Model | None = None
        self._prepare()

    # Labels

    @property
    def label_data(self) -> dict[str, list[str]]:
        """All labels by field: what `spacy init labels` writes and `initialize(labels=...)` reads."""
        return {field: list(labels) for field, labels in self.cfg["labels"].items()}

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels as users know them: tags, entity types, relations."""
        return tuple(self.task.labels(self.cfg["labels"])) if self.cfg["labels"] else ()

    @property
    def unseen_labels(self) -> int:
        """How many gold labels so far were not seen at initialize and counted as not annotated."""
        return self.index.unseen

    def add_label(self, label: str) -> int:
        """Adds a user-level label before initialize; 0 if it is there already.

        Raises LabelError for a task of several fields, and spaCy's E922 once the model is initialized.
        """
        if not isinstance(label, str):
            raise ValueError(Errors.E187)
        if len(self.task.fields) != 1:
            fields = ", ".join(self.task.fields)
            raise LabelError(f"{self.name}: add_label cannot tell which of the fields {fields} to extend; use initialize(labels=...).")
        if label in self.labels:
            return 0
        if self._initialized:
            raise ValueError(Errors.E922.format(name=self.name, nO=sum(map(len, self.cfg["labels"].values()))))
        self._set_labels(self.task.with_label(self.cfg["labels"], label))
        return 1

    @property
    def _initialized(self) -> bool:
        return self.model.get_ref("decoder").shims[0]._model is not None

    def _require_initialized(self) -> None:
        if not self._initialized:
            raise ValueError(Errors.E109.format(name=self.name))

    def _set_labels(self, labels: dict[str, list[str]]) -> None:
        self.cfg["labels"] = {field: list(found) for field, found in labels.items()}
        self._prepare()
        self.cfg[LINEARIZATION] = self.task.linearization.description()

    def _prepare(self) -> None:
        self.task.prepare(self.cfg["labels"])
        self.index = LabelIndex(self.name, self.cfg["labels"], self.task.user_fields, self.task.user_name)
        self.gold = GoldCache(self.task, self.index)

    # Training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: dict[str, list[str]] | list[str] | None = None,
    ) -> None:
        """Collects the labels and draws the weights.

        labels: what `spacy init labels` wrote, {field: labels}; a plain list of user-level labels will do for a task of one field.
        Raises CorpusError for an empty corpus, LabelError where there is nothing to learn, SettingError for a corpus reader that loses
        what is to be learned.
        """
        validate_get_examples(get_examples, "Labeler.initialize")
        sample = sample_docs(self.name, get_examples)
        refuse_stock_cuts(nlp, self.name, self.task.lost_by_as_doc)
        self._set_labels(
            collected_labels(self.task, get_examples, self.cfg["labels"]) if labels is None else given_labels(self.name, self.task, labels)
        )
        empty = [field for field, found in self.cfg["labels"].items() if not found]
        if empty or not self.cfg["labels"]:
            raise LabelError(
                f"{self.name}: no labels for field '{', '.join(empty or self.task.fields)}' in the training data; check that the corpus is "
                f"annotated for this component{hint(self.task.lost_by_as_doc)}, add labels with add_label, or pass initialize(labels=...)."
            )
        initialize_model(self.model, sample, fields_of(self.task.linearization, self.cfg["labels"]), self.task.cuts_sentences)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """One update of the model on a batch; see TrainablePipe.update."""
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = checked(examples, "Labeler.update")
        if not any(len(example.predicted) for example in examples):
            return losses
        self._require_initialized()
        gold = [self.gold.encoded(example) for example in examples]
        self._learn([example.predicted for example in examples], gold, drop, sgd, losses)
        return losses

    def rehearse(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
        **config: Any,
    ) -> dict[str, float]:
        """An update towards what the model predicted before training went on (after `nlp.resume_training`)."""
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        docs = [example.predicted for example in checked(examples, "Labeler.rehearse")]
        if self._rehearsal_model is None or not any(len(doc) for doc in docs):
            return losses
        taught = self._rehearsal_model.predict(self._request(docs, want_scores=False))
        gold = [DocGold(p.units, [unit.best for unit in p.scores], self._taught_starts(p.units)) for p in taught]
        self._learn(docs, gold, drop, sgd, losses)
        return losses

    def _taught_starts(self, units: list[Unit]) -> numpy.ndarray | None:
        """Where a teacher cut a Doc, for tasks that cut."""
        if not self.task.cuts_sentences:
            return None
        begins = {unit.start for unit in units if unit.start}
        return start_ids([1 if i in begins else -1 if i else 0 for i in range(units[-1].end if units else 0)])

    def _learn(self, docs: list[Doc], gold: list[DocGold], drop: float, sgd: Optimizer | None, losses: dict[str, float]) -> None:
        set_dropout_rate(self.model, drop)
        loss, backprop = self.model.begin_update((docs, gold))
        if not numpy.isfinite(loss.value):
            raise ValueError(Errors.E910.format(name=self.name))
        backprop()
        if sgd not in (None, False):
            self.finish_update(sgd)
        losses[self.name] += loss.value
        for key, value in loss.logged.items():
            summed = 0.0 if key.endswith(LEVEL) else losses.get(f"{self.name}.{key}", 0.0)
            losses[f"{self.name}.{key}"] = summed + value

    # Prediction

    def predict(self, docs: Iterable[Doc]) -> list[DocPrediction]:
        """Units and their scores per Doc, without changing the Docs."""
        docs = list(docs)
        if not any(len(doc) for doc in docs):
            return [DocPrediction([], []) for _ in docs]
        self._require_initialized()
        return self.model.predict(self._request(docs, want_scores=self._searches or self.store_scores))

    @property
    def _searches(self) -> bool:
        """Whether the structure is searched for over the decoder's scores, so that its best labels will not do."""
        own_search = type(self.task.linearization).decode_scores is not Linearization.decode_scores
        return own_search and (not self._initialized or self.model.get_ref("decoder").shims[0].module.search == "linearization")

    def _request(self, docs: Sequence[Doc], want_scores: bool) -> Request:
        return Request(docs, [self.task.cut(doc) for doc in docs], want_scores)

    def set_annotations(self, docs: Iterable[Doc], scores: list[DocPrediction]) -> None:
        """Decodes every unit into a structure and writes it on its Doc; `repairs` notes how often labels did not settle it."""
        for doc, prediction in zip(docs, scores, strict=True):
            placed = self._placed(doc, prediction)
            decoded = [self._decoded(unit_scores) for unit_scores in placed]
            self.repairs.note(doc, [repairs for _, repairs in decoded])
            decisions = [
                Decision(unit, structure, self._confidence(unit_scores, structure))
                for unit, unit_scores, (structure, _) in zip(prediction.units, placed, decoded, strict=True)
            ]
            agreement = Agreement(doc, prediction)
            self.task.annotate(doc, decisions)
            agreement.write(doc)

    def _placed(self, doc: Doc, prediction: DocPrediction) -> list[UnitScores]:
        """Per unit the scores of those tokens that its structure is made of."""
        places = self.task.places(doc, prediction.units)
        if places is None:
            return prediction.scores
        found = zip(prediction.scores, places, strict=True)
        return [UnitScores([field[kept] for field in unit.scores], unit.best[kept]) for unit, kept in found]

    def _decoded(self, scores: UnitScores) -> Decoded:
        if scores.scores and self._searches:
            return self.task.linearization.decode_scores(scores.scores, self.index.labels)
        return self.task.linearization.decode(self.index.to_strings(scores.best))

    def _confidence(self, scores: UnitScores, structure: Any) -> numpy.ndarray | None:
        return self.index.confidence(scores, self.task.spelled(structure)) if self.store_scores else None

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Scores under spaCy's own keys, and the share of units that were decoded without repair, where the task names it."""
        examples = checked(examples, "Labeler.score")
        if self.scorer is not None:
            return self.scorer(examples, **kwargs)
        scores = self.task.score(examples, **kwargs)
        if self.task.score_prefix:
            well_formed = self.repairs.well_formed(example.predicted for example in examples)
            scores = {**scores, f"{self.task.score_prefix}_well_formed": well_formed}
        return scores

    # Serialization

    def after_loading(self) -> None:
        """Labels of the loaded model stand in for a cfg that was excluded."""
        self._prepare()
        if not self.cfg["labels"]:
            self._set_labels(dict(self._labels_of_model()))

    def _labels_of_model(self) -> list[tuple[str, list[str]]]:
        fields = self.model.get_ref("decoder").shims[0].cfg.get("fields", [])
        return [(field["name"], list(field["labels"])) for field in fields]

    def check_loaded(self, where: str) -> None:
        """Raises ModelDataError unless labels, model and task go together."""
        if not self._initialized:
            return
        if self._labels_of_model() != list(self.label_data.items()):
            raise ModelDataError(
                f"{self.name}: the labels in the cfg file of {where} are not those of the model; restore both from one backup."
            )
        if list(self.cfg["labels"]) != list(self.task.fields):
            raise ModelDataError(
                f"{self.name}: {where} was trained with the label fields {', '.join(self.cfg['labels'])}, but the config's settings make "
                f"them {', '.join(self.task.fields)}; load it with the config that it was trained with."
            )
        trained, configured = self.cfg.get(LINEARIZATION), self.task.linearization.description()
        if trained not in (None, configured):
            raise ModelDataError(
                f"{self.name}: {where} was trained with the linearization {trained}, but the config's settings make it {configured}, which "
                f"reads other things into the same labels; load it with the config that it was trained with."
            )
