"""Encoders as Thinc models: lists of token vectors in, lists of token vectors of the same width out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from thinc.api import Model, get_torch_default_device
from thinc.types import Floats2d
from thinc.util import torch2xp, xp2torch
from torch import Tensor, nn

from ..errors import SettingError, check_choice, check_number, check_whole
from ..kernels.backend import BACKENDS
from ..notices import Notices
from .layout import Layout, buckets
from .segments import can_stream, in_segments
from .shim import TorchShim, shim_of

MAX_BATCH_TOKENS = 8192
"""Padded tokens that go through a sequence mixer at once. A longer sequence goes alone, and at prediction in segments of so many
tokens, where the encoder can (`segments.py`). Our default; recommended 2,048 to 65,536 by memory."""

TokenVectors = list[Floats2d]


UPDATE = ("lr_scale", "max_grad_norm", "amp")
"""Settings of the shim, which the module is not told."""


def build_encoder(
    name: str, module: Callable[..., nn.Module], directions: Sequence[str], settings: dict[str, Any], kernels: str | None = None
) -> Model[TokenVectors, TokenVectors]:
    """Checks the settings that every encoder of this package shares, and wraps its module.

    settings: all arguments of the encoder's function; the module is called with those that are not the wrapper's.
    kernels: the vendors' package that backend "cuda" takes; None where there is none: the module then knows no backend.
    Raises SettingError for a setting that cannot work.
    """
    check_whole(name, "width", settings["width"], at_least=2, even=True)
    check_whole(name, "depth", settings["depth"])
    check_choice(name, "direction", settings["direction"], directions)
    check_choice(name, "backend", settings["backend"], BACKENDS)
    update = {setting: settings[setting] for setting in ("max_batch_tokens", *UPDATE)}
    own = {setting: value for setting, value in settings.items() if setting not in update}
    if kernels is None and own.pop("backend") == "cuda":
        effect = "which has no effect: this encoder runs torch's own operations on every device."
        Notices(name).once("backend", f"setting 'backend' is 'cuda', {effect}")
    return torch_encoder(name, module, settings=own, width=own["width"], dropout=own["dropout"], **update)


def torch_encoder(
    name: str,
    module: Callable[..., nn.Module],
    *,
    settings: dict[str, Any],
    width: int,
    dropout: float,
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[TokenVectors, TokenVectors]:
    """Wraps an encoder module, for `spacy.Tok2Vec.v2` and wherever Thinc expects List[Floats2d] -> List[Floats2d].

    module: called as `module(**settings)` at initialize; then as `module(tokens (T, D), layout) -> (T, D)`.
    width: D, in and out. dropout: rate until spaCy sets `training.dropout`.
    max_batch_tokens: largest padded size of one call of the module. The others: see TorchShim.
    Raises SettingError for a setting that cannot work.
    """
    check_number(name, "dropout", dropout, below=1)
    check_whole(name, "max_batch_tokens", max_batch_tokens)
    shim = TorchShim(name, partial(_build, module, settings), lr_scale=lr_scale, max_grad_norm=max_grad_norm, amp=amp)
    return Model(
        name,
        _forward,
        init=_init,
        dims={"nI": width, "nO": width},
        attrs={"dropout_rate": dropout, "max_batch_tokens": max_batch_tokens},
        shims=[shim],
    )


def _build(module: Callable[..., nn.Module], settings: dict[str, Any], cfg: dict[str, Any]) -> nn.Module:
    return module(**settings)


def _init(model: Model, X: TokenVectors | None = None, Y: TokenVectors | None = None) -> None:
    shim_of(model).create()


def _forward(model: Model, Xs: TokenVectors, is_train: bool) -> tuple[TokenVectors, Callable[[TokenVectors], TokenVectors]]:
    shim = shim_of(model)
    lengths = [len(X) for X in Xs]
    if not any(lengths):
        return [_empty(model, X) for X in Xs], lambda dYs: [_empty(model, X) for X in Xs]
    _check(model, next(X for X in Xs if len(X)))
    shim.set_dropout(model.attrs["dropout_rate"])
    tokens = join(model, Xs).requires_grad_(is_train)
    with shim.running(is_train) as module:
        outputs = run_in_buckets(module, tokens, lengths, model.attrs["max_batch_tokens"])

    def backprop(dYs: TokenVectors) -> TokenVectors:
        return split(shim.backward(outputs, join(model, dYs), tokens), lengths)

    return split(outputs, lengths), backprop


def _check(model: Model, X: Floats2d) -> None:
    width = model.get_dim("nI")
    if X.shape[1] != width:
        raise SettingError(f"{model.name}: setting 'width' is {width}, but the layer below gives vectors of width {X.shape[1]}.")
    if not str(X.dtype).startswith("float"):
        raise SettingError(f"{model.name}: the layer below gives numbers of type {X.dtype}, but an encoder takes vectors of floats.")


def run_in_buckets(module: nn.Module, tokens: Tensor, lengths: list[int], max_batch_tokens: int) -> Tensor:
    """(T, D) to (T, D): the module over buckets of similar length, the tokens back in their places."""
    groups = buckets(lengths, max_batch_tokens)
    if len(groups) == 1:
        return _run(module, tokens, [length for length in lengths if length], max_batch_tokens).to(tokens.dtype)
    pieces = tokens.split(lengths)
    done = [_run(module, torch.cat([pieces[i] for i in group]), [lengths[i] for i in group], max_batch_tokens) for group in groups]
    back: list[Tensor] = [tokens[:0]] * len(lengths)
    for group, output in zip(groups, done, strict=True):
        for i, piece in zip(group, output.to(tokens.dtype).split([lengths[i] for i in group]), strict=True):
            back[i] = piece
    return torch.cat(back)


def _run(module: nn.Module, tokens: Tensor, lengths: list[int], max_batch_tokens: int) -> Tensor:
    """The module over one bucket; at prediction in segments, where one sequence alone exceeds it."""
    if len(tokens) > max_batch_tokens and len(lengths) == 1 and can_stream(module):
        return in_segments(module, tokens, max_batch_tokens)
    return module(tokens, Layout(lengths, tokens.device))


def join(model: Model, arrays: TokenVectors) -> Tensor:
    """List of (n, D) arrays to one (T, D) tensor: the one place where vectors become tensors."""
    return xp2torch(model.ops.xp.concatenate(arrays), device=get_torch_default_device())


def split(tokens: Tensor, lengths: list[int]) -> TokenVectors:
    """(T, D) tensor to a list of (n, D) arrays: the way back."""
    flat = cast(Floats2d, torch2xp(tokens.detach()))
    result, start = [], 0
    for length in lengths:
        result.append(flat[start : start + length])
        start += length
    return result


def _empty(model: Model, X: Floats2d) -> Floats2d:
    return model.ops.alloc2f(len(X), model.get_dim("nO"))
