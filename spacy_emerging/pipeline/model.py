"""The Thinc model of a Labeler: tok2vec, a decoder over units, and a head for sentence starts that only parsers use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ..bridge.decoder import Builder, decoder_block, set_fields
from ..bridge.encoder import MAX_BATCH_TOKENS
from ..bridge.precision import check_amp
from ..decoders.softmax import SoftmaxDecoder
from ..errors import check_training, check_whole
from ..types import Field, UnitScores

INSIDE, START = "I", "S"
SENTENCE_FIELD = Field("sent_start", (INSIDE, START))


class Unit(NamedTuple):
    """Tokens `start` to `end` (exclusive) of a Doc: what a decoder sees as one sequence."""

    start: int
    end: int


class DocGold(NamedTuple):
    """Gold of one Doc as ids: units, (n, F) ids per unit, and (n, 1) ids of sentence starts for tasks that cut; -1: not annotated."""

    units: list[Unit]
    ids: list[Any]
    starts: Any | None


class Cut(NamedTuple):
    """Where to cut a Doc at prediction: (n,) of 1 (a sentence starts), -1 (none does) or 0 (ask the model)."""

    starts: Any


class DocPrediction(NamedTuple):
    """Per unit of one Doc, what the decoder says."""

    units: list[Unit]
    scores: list[UnitScores]


class Request(NamedTuple):
    """Docs to predict; per Doc a Cut, or None for the whole Doc as one unit; and whether label scores are wanted."""

    docs: Sequence[Doc]
    cuts: Sequence[Cut | None]
    want_scores: bool


class Losses(NamedTuple):
    """Loss of one update, and what else the logger shows."""

    value: float
    logged: dict[str, float]


def LabelerModel(
    tok2vec: Model[list[Doc], list[Floats2d]],
    decoder: Builder,
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model:
    """The model of every emerging_* component: token vectors, and any decoder on top.

    tok2vec (Model[List[Doc], List[Floats2d]]): Token vectors: `spacy.Tok2Vec.v2`, a listener, or any other.
    decoder (Callable): A registered decoder's builder.
    max_batch_tokens (int): Largest padded size of a bucket of units in the decoder.
    lr_scale, max_grad_norm, amp: Of the decoder; as for the encoders.

    Its dimension nO, known once initialized, is the number of labels of all fields. Raises SettingError for a setting that cannot work.
    """
    name = "spacy-emerging.Labeler.v1"
    check_whole(name, "max_batch_tokens", max_batch_tokens)
    check_training(name, lr_scale, max_grad_norm)
    check_amp(name, amp)
    options: dict[str, Any] = {"max_batch_tokens": max_batch_tokens, "lr_scale": lr_scale, "max_grad_norm": max_grad_norm, "amp": amp}
    blocks = {
        "tok2vec": tok2vec,
        "decoder": decoder_block("decoder", decoder, **options),
        "sentence_starts": decoder_block("sentence_starts", SoftmaxDecoder(), **options),
    }
    return Model(name, _forward, dims={"nO": None}, layers=list(blocks.values()), refs=dict(blocks))


def initialize_model(model: Model, docs: list[Doc], fields: Sequence[Field], cuts_sentences: bool) -> None:
    """Draws all weights: tok2vec by its own rules, decoders for its width and these fields."""
    tok2vec = model.get_ref("tok2vec")
    tok2vec.initialize(X=docs)
    width = tok2vec.maybe_get_dim("nO") or tok2vec.predict(docs)[0].shape[1]
    set_fields(model.get_ref("decoder"), width, fields)
    model.set_dim("nO", sum(len(field.labels) for field in fields), force=True)
    if cuts_sentences:
        set_fields(model.get_ref("sentence_starts"), width, [SENTENCE_FIELD])


def _forward(model: Model, inputs: Any, is_train: bool) -> tuple[Any, Callable[[], Any]]:
    if is_train:
        return _begin_update(model, *inputs)
    return _predict(model, inputs), list


def _begin_update(model: Model, docs: list[Doc], gold: list[DocGold]) -> tuple[Losses, Callable[[], Any]]:
    backprop: Any
    backprop_starts: Any = None
    vectors, backprop_tok2vec = model.get_ref("tok2vec").begin_update(docs)
    pieces = [X[unit.start : unit.end] for X, doc in zip(vectors, gold, strict=True) for unit in doc.units]
    loss, backprop = model.get_ref("decoder").begin_update((pieces, [ids for doc in gold for ids in doc.ids]))
    value, logged = loss.value, loss.logged
    if all(doc.starts is not None for doc in gold):
        starts_loss, backprop_starts = model.get_ref("sentence_starts").begin_update((vectors, [doc.starts for doc in gold]))
        value += starts_loss.value
        logged = {**logged, "sentence_starts": starts_loss.value}

    def backward() -> Any:
        gradients = [model.ops.xp.zeros_like(X) for X in vectors]
        per_piece = iter(backprop())
        for gradient, doc in zip(gradients, gold, strict=True):
            for unit in doc.units:
                gradient[unit.start : unit.end] += next(per_piece)
        if backprop_starts is not None:
            for gradient, other in zip(gradients, backprop_starts(), strict=True):
                gradient += other
        return backprop_tok2vec(gradients)

    return Losses(value, logged), backward


def _predict(model: Model, request: Request) -> list[DocPrediction]:
    vectors = model.get_ref("tok2vec").predict(request.docs)
    units = _units(model, vectors, request.cuts)
    pieces = [X[unit.start : unit.end] for X, doc_units in zip(vectors, units, strict=True) for unit in doc_units]
    if not pieces:
        return [DocPrediction([], []) for _ in request.docs]
    scores = iter(model.get_ref("decoder").predict((pieces, request.want_scores)))
    return [DocPrediction(doc_units, [next(scores) for _ in doc_units]) for doc_units in units]


def _units(model: Model, vectors: list[Floats2d], cuts: Sequence[Cut | None]) -> list[list[Unit]]:
    """The one place where Docs are cut for prediction; the model is asked only about tokens that nobody has decided."""
    open_docs = [i for i, cut in enumerate(cuts) if cut is not None and (cut.starts[1:] == 0).any()]
    predicted = {}
    if open_docs:
        answers = model.get_ref("sentence_starts").predict(([vectors[i] for i in open_docs], False))
        predicted = {i: answer.best[:, 0] == SENTENCE_FIELD.labels.index(START) for i, answer in zip(open_docs, answers, strict=True)}
    result = []
    for i, (X, cut) in enumerate(zip(vectors, cuts, strict=True)):
        starts = numpy.zeros(len(X), dtype=bool)
        if cut is not None:
            starts = numpy.where(cut.starts == 0, predicted.get(i, starts), cut.starts == 1)
        result.append(units_from_starts(starts))
    return result


def units_from_starts(starts: Any) -> list[Unit]:
    """Units from (n,) truth values; the first token always starts one. No units for n = 0."""
    begins = [i for i in range(len(starts)) if i == 0 or starts[i]]
    return [Unit(start, end) for start, end in zip(begins, [*begins[1:], len(starts)], strict=True)] if begins else []
