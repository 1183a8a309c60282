"""The module of adversarial tagging: a labeler, its discriminator, and the game that they play."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..notices import Notices, current
from ..types import LEVEL, Field, LossOutput
from .collapse import Tally, Watch
from .discriminator import Discriminator
from .gumbel import gumbel, gumbel_softmax
from .lessons import Lesson, penalty, teach
from .noise import aside, generator
from .slopes import shortened, sloped
from .tokenwise import Softmax

NAME = "spacy-emerging.AdversarialDecoder.v1"
MOMENTS = (0.5, 0.999)
"""Decay rates of Adam for discriminators (arXiv 1511.06434, section 4)."""


class Settings(NamedTuple):
    """As for AdversarialDecoder."""

    reading: str
    weight: float
    bound: float
    temperature: float
    straight_through: bool
    discriminator_width: int
    window: int
    discriminator_steps: int
    discriminator_learn_rate: float
    gradient_penalty: float
    one_sided_smoothing: float
    keep_discriminator: bool
    seed: int


class Bucket(NamedTuple):
    """What the discriminator is taught on: states (T, D) of T tokens, their mask (B, L), gold ids (T, F), the labeler's scores (T, K) per
    field, and uniform numbers (T, N)."""

    tokens: Tensor
    mask: Tensor
    ids: Tensor
    scores: list[Tensor]
    drawn: Tensor


class Adversarial(Softmax):
    """A softmax labeler, its discriminator, and the game that they play in training.

    width: D of the states. fields: what is predicted. label_smoothing, hidden_width, dropout: of the labeler, as for SoftmaxDecoder.
    settings: as for AdversarialDecoder. The labeler's weights, and its dropout, are those that a softmax draws under the same seed: the
    discriminator moves no random generator. In evaluation mode the loss is the cross-entropy alone.
    """

    training_only = ("discriminator",)
    """Parts that a saved model may lack."""

    def __init__(
        self, width: int, fields: Sequence[Field], label_smoothing: float, hidden_width: int, dropout: float, settings: Settings
    ) -> None:
        super().__init__(width, fields, label_smoothing, hidden_width, dropout)
        self.settings = settings
        self.left_out = () if settings.keep_discriminator else self.training_only
        self.sizes = [len(field.labels) for field in fields]
        self.discriminator: Discriminator | None = None
        if settings.weight:
            with torch.random.fork_rng(devices=[]):
                self.discriminator = Discriminator(width, self.sizes, settings.discriminator_width, settings.window, dropout)
        self.watch = Watch()
        self.notices = Notices(NAME)
        self.drawn = 0
        self._optimizer: torch.optim.Optimizer | None = None
        self._told: dict[str, float] = {}

    @property
    def tokenwise(self) -> bool:  # type: ignore[override]
        """The discriminator reads sequences; without it, every token is decided alone."""
        return self.discriminator is None or not self.training

    # Randomness

    def draws(self, lengths: Sequence[int]) -> Tensor:
        """(T, N) uniform numbers for a batch of sequences, new ones at every call: for a sample of labels to train the labeler with, and
        for one, and a mixing ratio, per step of the discriminator."""
        if self.discriminator is None:
            return torch.zeros((sum(lengths), 0))
        self.drawn += 1
        columns = sum(self.sizes) + self.settings.discriminator_steps * (sum(self.sizes) + 1)
        return torch.rand((sum(lengths), columns), generator=generator(self.settings.seed, "adversarial", self.drawn))

    def _drawn(self, mask: Tensor, draws: Tensor | None) -> Tensor:
        """(T, N) what was drawn for the tokens of a mask; drawn now where there is nothing."""
        return (self.draws(mask.sum(-1).reshape(-1).tolist()) if draws is None else draws[mask]).to(mask.device)

    def _sampled(self, scores: Sequence[Tensor], uniform: Tensor, known: Tensor) -> list[Tensor]:
        """Per field labels (T, K) drawn with scores (T, K), zeros where there is no annotation: known (T, F) is false."""
        noise = gumbel(uniform[:, : sum(self.sizes)]).split(self.sizes, dim=1)
        how = (self.settings.temperature, self.settings.straight_through)
        fields = zip(scores, noise, known.T, strict=True)
        return [gumbel_softmax(field, drawn.to(field), *how) * annotated[:, None] for field, drawn, annotated in fields]

    # The labeler's side

    def loss(self, states: Tensor, mask: Tensor, gold: Tensor, draws: Tensor | None = None) -> LossOutput:
        """Cross-entropy, and in training `weight` times the discriminator's surprise at labels that the labeler has drawn.

        states (B, L, D); mask (B, L) bool; gold (B, L, F) int64, -1 where not annotated: there no label is drawn, and a token without
        any annotation is not judged. draws (B, L, N): what `draws` gave, padded; drawn here if left out. Summed over annotated tokens.
        The discriminator takes no gradient; from it, only labels pass gradients on, and not the states that it reads them with.
        """
        if self.discriminator is None or not self.training or not mask.any():
            return super().loss(states, mask, gold)
        tokens, ids = self.dropout(states[mask]), gold[mask]
        scores = [output(tokens) for output in self.outputs]
        with aside(tokens):
            fooling = self._bounded(states[mask].detach(), mask, ids, scores, self._drawn(mask, draws))
        total, count = self._entropy(scores, ids) + self.settings.weight * fooling, int((ids >= 0).any(dim=1).sum())
        return LossOutput(total, count, {"generator": fooling.item() / max(count, 1), **self._told})

    def frozen_loss(self, states: Tensor, mask: Tensor, gold: Tensor, draws: Tensor | None = None) -> LossOutput:
        """The cross-entropy alone, for a decoder that is not trained: its discriminator has learned nothing of what it would judge."""
        return super().loss(states, mask, gold)

    def _entropy(self, scores: Sequence[Tensor], ids: Tensor) -> Tensor:
        """Cross-entropy of scores (T, K) per field, summed over fields and annotated tokens; ids (T, F)."""
        fields = zip(scores, ids.T, strict=True)
        return sum((self.surprise(field[wanted >= 0], wanted[wanted >= 0]) for field, wanted in fields), scores[0].new_zeros(()))

    @torch.enable_grad()
    def _bounded(self, tokens: Tensor, mask: Tensor, ids: Tensor, scores: Sequence[Tensor], drawn: Tensor) -> Tensor:
        """`fooling`, whose gradient by the scores is shortened where it is beyond the bound."""
        leaves = [field.detach().requires_grad_() for field in _precise(scores)]
        fooling = self.fooling(tokens, mask, ids >= 0, leaves, drawn)
        slopes = torch.autograd.grad(fooling, leaves)
        if self.settings.bound:
            share = self.settings.bound / self.settings.weight
            pulls = torch.autograd.grad(self._entropy(leaves, ids), leaves)
            slopes = tuple(shortened(slope, pull, share) for slope, pull in zip(slopes, pulls, strict=True))
        return sloped(fooling, scores, slopes)

    def fooling(self, tokens: Tensor, mask: Tensor, known: Tensor, scores: Sequence[Tensor], drawn: Tensor) -> Tensor:
        """What the labeler is to lower: -log of the discriminator's belief in labels that are drawn, summed over annotated tokens.

        tokens (T, D); mask (B, L); known (T, F) bool, where there is annotation; scores (T, K) per field; drawn (T, N) uniform numbers.
        """
        sampled = self._sampled(scores, drawn, known)
        return functional.softplus(-self._judged(tokens, mask, sampled)[known.any(dim=1)]).sum()

    def _judged(self, tokens: Tensor, mask: Tensor, labels: Sequence[Tensor]) -> Tensor:
        """The discriminator's log-odds (T,). Mixed precision ends here: its gradients are small, and nothing scales them."""
        assert self.discriminator is not None
        with torch.autocast(tokens.device.type, enabled=False):
            return self.discriminator(_precise([tokens])[0], labels, mask)

    # The discriminator's side

    def private_step(
        self, states: Sequence[Tensor], mask: Sequence[Tensor], gold: Sequence[Tensor], draws: Sequence[Tensor] | None = None
    ) -> None:
        """Trains the discriminator alone: `discriminator_steps` steps of its own Adam on a batch, which may come in any buckets.

        Lists of one tensor per bucket: detached states (B, L, D), mask (B, L), gold (B, L, F) and draws (B, L, N). Tensors will do for
        lists: then every row is a bucket. Nothing happens where nothing is annotated.
        """
        if self.discriminator is None:
            return
        drawn: Sequence[Tensor | None] = [None] * len(states) if draws is None else draws
        with aside(*states):
            buckets = [self._bucket(*bucket) for bucket in zip(states, mask, gold, drawn, strict=True)]
            judged = sum(int((bucket.ids >= 0).any(dim=1).sum()) for bucket in buckets)
            if not judged:
                return
            told = [self._step(buckets, step, judged) for step in range(self.settings.discriminator_steps)]
        self.watch.note([tally for _, tally in told])
        collapse = self.watch.collapse()
        if collapse is not None:
            current(otherwise=self.notices).once("collapse", collapse)
        accuracy = self.watch.total.accuracy
        self._told = {"discriminator": sum(loss for loss, _ in told) / len(told), f"discriminator_{LEVEL}": accuracy}

    @torch.no_grad()
    def _bucket(self, states: Tensor, mask: Tensor, gold: Tensor, draws: Tensor | None) -> Bucket:
        tokens = states[mask]
        scores = _precise([output(self.dropout(tokens)) for output in self.outputs])
        return Bucket(tokens, mask, gold[mask], scores, self._drawn(mask, draws))

    def _step(self, buckets: Sequence[Bucket], step: int, judged: int) -> tuple[float, Tally]:
        """One step; gives the loss per judged token and what was told. A step whose loss is not finite is left out."""
        assert self.discriminator is not None
        tally, summed = Tally(), 0.0
        with self.discriminator.learning() as parameters:
            gradients = [torch.zeros_like(parameter) for parameter in parameters]
            for bucket in buckets:
                loss, told = self._lesson(bucket, step)
                tally, summed = tally.plus(told), summed + loss.item()
                for gradient, more in zip(gradients, torch.autograd.grad(loss, parameters), strict=True):
                    gradient.add_(more, alpha=1 / judged)
            if math.isfinite(summed):
                self._update(parameters, gradients)
        return summed / judged, tally

    def _lesson(self, bucket: Bucket, step: int) -> tuple[Tensor, Tally]:
        """The discriminator's loss on one bucket, summed over annotated tokens, and what it told."""
        start = sum(self.sizes) + step * (sum(self.sizes) + 1)
        lesson = Lesson(bucket.ids, self._sampled(bucket.scores, bucket.drawn[:, start:], bucket.ids >= 0))
        judge = partial(self._judged, bucket.tokens, bucket.mask)
        loss, tally = teach(judge, lesson, self.settings.reading, self.settings.one_sided_smoothing)
        if self.settings.gradient_penalty:
            ratio = bucket.drawn[:, start + sum(self.sizes)].to(bucket.tokens)
            loss = loss + self.settings.gradient_penalty * penalty(judge, lesson, ratio)
        return loss, tally

    def _update(self, parameters: list[nn.Parameter], gradients: list[Tensor]) -> None:
        """Adam. Its state goes with copies and pickles; a saved model leaves it out, as spaCy leaves out that of its own optimizer."""
        if self._optimizer is None:
            self._optimizer = torch.optim.Adam(parameters, lr=self.settings.discriminator_learn_rate, betas=MOMENTS)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)


def _precise(tensors: Sequence[Tensor]) -> list[Tensor]:
    """In at least float32."""
    return [tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors]
