"""Decoders as Thinc models: token vectors of units (Docs or sentences) in; a loss, or label scores, out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy
import torch
from thinc.api import Model
from thinc.types import Ints2d
from torch import Tensor, nn

from ..errors import ModelDataError, check_whole
from ..types import Field, LossOutput, Prediction, Transitions, UnitScores
from .encoder import MAX_BATCH_TOKENS, TokenVectors, join, split
from .layout import Layout, buckets
from .shim import TorchShim, shim_of

Builder = Callable[[int, Sequence[Field]], nn.Module]
Backprop = Callable[[], TokenVectors]


class BatchLoss:
    """The loss of a batch: mean over its annotated tokens, how many they were, and what the logger shows (means, too)."""

    def __init__(self, outputs: list[LossOutput]) -> None:
        self.count = sum(output.count for output in outputs)
        self.tensor = sum((output.total for output in outputs), torch.zeros(())) / max(self.count, 1)
        self.logged: dict[str, float] = {}
        for output in outputs:
            for key, value in output.logged.items() if self.count else ():
                self.logged[key] = self.logged.get(key, 0.0) + value * output.count / self.count

    @property
    def value(self) -> float:
        return float(self.tensor.detach())


def decoder_block(
    name: str,
    builder: Builder,
    *,
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model:
    """Wraps a decoder. `set_fields` must be called before its first use, as width and labels are known late.

    `predict((vectors, want_scores))` gives a UnitScores per unit; `begin_update((vectors, ids))` gives a BatchLoss and a
    backprop without arguments, with ids (n, F) per unit, -1 where not annotated.
    """
    check_whole(name, "max_batch_tokens", max_batch_tokens)
    shim = TorchShim(name, partial(_build, builder), lr_scale=lr_scale, max_grad_norm=max_grad_norm, amp=amp)
    return Model(name, _forward, attrs={"dropout_rate": 0.0, "max_batch_tokens": max_batch_tokens}, shims=[shim])


def set_fields(block: Model, width: int, fields: Sequence[Field]) -> None:
    """Builds the decoder for token vectors of `width` and these fields, with freshly drawn weights."""
    shim_of(block).create({"width": width, "fields": [asdict(field) for field in fields]})


def _build(builder: Builder, cfg: dict[str, Any]) -> nn.Module:
    try:
        fields = [_field(**field) for field in cfg["fields"]]
        return builder(cfg["width"], fields)
    except (KeyError, TypeError) as error:
        raise ModelDataError(f"The saved decoder lacks its width or label fields ({error}); restore the model from a backup.") from error


def _field(name: str, labels: Sequence[str], allowed: Any, bits: Any) -> Field:
    transitions = None if allowed is None else Transitions(*(numpy.asarray(part, dtype=bool) for part in allowed))
    return Field(name, tuple(labels), transitions, None if bits is None else tuple(tuple(map(int, code)) for code in bits))


def _forward(model: Model, inputs: tuple[TokenVectors, Any], is_train: bool) -> tuple[Any, Backprop]:
    vectors, second = inputs
    shim_of(model).set_dropout(model.attrs["dropout_rate"])
    if is_train:
        return _begin_update(model, vectors, second)
    return _predict(model, vectors, want_scores=second), list


def _begin_update(model: Model, vectors: TokenVectors, ids: list[Ints2d]) -> tuple[BatchLoss, Backprop]:
    shim = shim_of(model)
    lengths = [len(X) for X in vectors]
    if not any(lengths):
        return BatchLoss([]), partial(_no_gradient, model, vectors)
    tokens = join(model, vectors).requires_grad_()
    gold = torch.from_numpy(numpy.concatenate([numpy.asarray(unit) for unit in ids])).to(tokens.device)
    with shim.running(True) as module:
        parts = _arranged(module, lengths, model.attrs["max_batch_tokens"], tokens.device)
        drawn = _drawn(module, lengths, tokens.device)
        batches = [
            (layout.pad(take(tokens, index)), layout.mask, *(layout.pad(take(flat, index)) for flat in (gold, *drawn)))
            for layout, index in parts
        ]
        if hasattr(module, "private_step") and shim.lr_scale:
            _private_step(module, batches)
        loss_of = module.loss if shim.lr_scale else getattr(module, "frozen_loss", module.loss)
        outputs = [loss_of(*batch) for batch in batches]
    loss = BatchLoss(outputs)

    def backprop() -> TokenVectors:
        if not loss.count:
            return _no_gradient(model, vectors)
        return split(shim.backward(loss.tensor, None, tokens), lengths)

    return loss, backprop


def _private_step(module: Any, batches: Sequence[tuple[Tensor, ...]]) -> None:
    """What a decoder learns beside the shared update, with an optimizer of its own, from states that pass no gradient on."""
    states, *others = zip(*batches, strict=True)
    module.private_step([padded.detach() for padded in states], *others)


def _drawn(module: Any, lengths: list[int], device: torch.device) -> list[Tensor]:
    """What a decoder with a method `draws` needs of randomness, for all tokens before they go into buckets, so that buckets change nothing.

    It is given the lengths of all sequences and gives numbers (T, N) for their tokens end to end, which `loss` takes as its last argument.
    """
    return [module.draws([length for length in lengths if length]).to(device)] if hasattr(module, "draws") else []


def _no_gradient(model: Model, vectors: TokenVectors) -> TokenVectors:
    return [model.ops.xp.zeros_like(X) for X in vectors]


def _predict(model: Model, vectors: TokenVectors, want_scores: bool) -> list[UnitScores]:
    shim = shim_of(model)
    lengths = [len(X) for X in vectors]
    if not any(lengths):
        sizes = [len(field["labels"]) for field in shim.cfg.get("fields", [])]
        nothing = [numpy.zeros((0, size), dtype="float32") for size in sizes] if want_scores else []
        return [UnitScores(nothing, numpy.zeros((0, len(sizes)), dtype="int64")) for _ in vectors]
    tokens = join(model, vectors)
    best, scores, agreement = [], [], []
    with shim.running(False) as module:
        parts = _in_pieces(module, lengths, model.attrs["max_batch_tokens"], tokens.device)
        for layout, place in parts:
            states = tokens[place] if isinstance(place, slice) else take(tokens, place)
            prediction = _prediction(module, states, layout, want_scores)
            best.append(prediction.best)
            scores.append([field.to(tokens.dtype) for field in prediction.scores] if want_scores else [])
            agreement += [] if prediction.agreement is None else [prediction.agreement]
    indexes = [place for _, place in parts if isinstance(place, Tensor)]
    order = torch.cat(indexes).argsort() if indexes else None
    best_array = _restored(best, order)
    score_arrays = [_restored(list(field), order) for field in zip(*scores, strict=True)]
    agreed = _restored(agreement, order) if agreement else None
    ends = numpy.cumsum(lengths)
    slices = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    return [
        UnitScores([field[part] for field in score_arrays], best_array[part], None if agreed is None else agreed[part]) for part in slices
    ]


def _prediction(module: Any, tokens: Tensor, layout: Layout, want_scores: bool) -> Prediction:
    """The answer to (T, D) states, end to end as well. A decoder that needs no padding has a method `predict_tokens`."""
    if hasattr(module, "predict_tokens"):
        result: Prediction = module.predict_tokens(tokens, layout, want_scores)
        return result
    found: Prediction = module.predict(layout.pad(tokens), layout.mask)
    agreement = None if found.agreement is None else layout.unpad(found.agreement)
    return Prediction([layout.unpad(field) for field in found.scores], layout.unpad(found.best), agreement)


def _arranged(module: nn.Module, lengths: list[int], max_batch_tokens: int, device: torch.device) -> list[tuple[Layout, Tensor | None]]:
    """How the decoder sees the tokens: layouts, and which flat tokens go into each (None: all, as they lie)."""
    if getattr(module, "tokenwise", False):
        return [(Layout([sum(lengths)], device), None)]
    groups = buckets(lengths, max_batch_tokens)
    if len(groups) <= 1:
        return [(Layout([length for length in lengths if length], device), None)]
    pieces = torch.arange(sum(lengths), device=device).split(lengths)
    return [(Layout([lengths[i] for i in group], device), torch.cat([pieces[i] for i in group])) for group in groups]


def _in_pieces(
    module: nn.Module, lengths: list[int], max_batch_tokens: int, device: torch.device
) -> Sequence[tuple[Layout, slice | Tensor | None]]:
    """As `_arranged`, for prediction: where nothing is padded, tokens go in slices as they lie, which bounds what they need of memory."""
    total = sum(lengths)
    if getattr(module, "padless", False):
        return _in_slices(lengths, max_batch_tokens, device)
    if total <= max_batch_tokens or not getattr(module, "tokenwise", False):
        return _arranged(module, lengths, max_batch_tokens, device)
    places = [slice(start, min(start + max_batch_tokens, total)) for start in range(0, total, max_batch_tokens)]
    return [(Layout([place.stop - place.start], device), place) for place in places]


def _in_slices(lengths: list[int], max_batch_tokens: int, device: torch.device) -> list[tuple[Layout, slice]]:
    """Whole sequences as they lie, as many at a time as the tokens allow, and at least one."""
    found: list[tuple[list[int], int]] = []  # lengths, and where the first of them begins
    start = 0
    for length in lengths:
        if length and (not found or start + length - found[-1][1] > max_batch_tokens):
            found.append(([], start))
        if length:
            found[-1][0].append(length)
        start += length
    return [(Layout(group, device), slice(begin, begin + sum(group))) for group, begin in found]


def take(flat: Tensor, index: Tensor | None) -> Tensor:
    """(T, ...) rows in the order of `index`; all where it is None."""
    return flat if index is None else flat.index_select(0, index)


def _restored(parts: list[Tensor], order: Tensor | None) -> numpy.ndarray:
    return take(torch.cat(parts), order).cpu().numpy()
