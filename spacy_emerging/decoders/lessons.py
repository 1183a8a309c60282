"""What a discriminator of labels is taught, on the tokens of one bucket: losses, a gradient penalty, and what it told."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from .collapse import Tally

Judge: TypeAlias = Callable[[Sequence[Tensor]], Tensor]
"""Log-odds (T,) that labels, per field (T, K), are real (or right), given the states of their tokens."""


class Lesson(NamedTuple):
    """Gold ids (T, F), -1 where not annotated, and labels that a labeler has drawn: per field (T, K), zeros where not annotated.

    A token without any annotation is seen, without labels, but not judged.
    """

    ids: Tensor
    generated: list[Tensor]

    @property
    def judged(self) -> Tensor:
        """(T,) bool."""
        return (self.ids >= 0).any(dim=1)

    @property
    def gold(self) -> list[Tensor]:
        """Per field (T, K), as `generated`."""
        fields = zip(self.ids.T, self.generated, strict=True)
        return [one_hot(ids, drawn.shape[1]).to(drawn) for ids, drawn in fields]

    @property
    def right(self) -> Tensor:
        """(T,) bool: whether all labels that were drawn are gold, as far as there is gold."""
        drawn = torch.stack([field.argmax(dim=1) for field in self.generated], dim=1)
        return ((drawn == self.ids) | (self.ids < 0)).all(dim=1)


def one_hot(ids: Tensor, size: int) -> Tensor:
    """(T, K) of 0 and 1 for ids (T,); zeros for -1."""
    return functional.one_hot(ids.clamp_min(0), size) * (ids >= 0)[:, None]


def teach(judge: Judge, lesson: Lesson, reading: str, smoothing: float) -> tuple[Tensor, Tally]:
    """The loss, summed over judged tokens, and what the discriminator told.

    reading: "critic": gold labels are real and generated ones are not; "correctness": those generated labels that are gold are right.
    smoothing: how much real and right fall short of 1 as targets; the others stay 0 [Salimans et al. 2016, section 3.4].
    """
    judged, right = lesson.judged, lesson.right
    verdicts, truth = judge(lesson.generated)[judged], right[judged]
    if reading == "critic":
        of_gold = judge(lesson.gold)[judged]
        truth = torch.cat([torch.ones_like(of_gold), torch.zeros_like(verdicts)]).bool()
        verdicts = torch.cat([of_gold, verdicts])
    loss = functional.binary_cross_entropy_with_logits(verdicts, truth.to(verdicts) * (1 - smoothing), reduction="sum")
    even = math.log((1 - smoothing) / (1 + smoothing))  # log-odds of half the target of what is real: smoothed, it is no longer 0
    return loss, _tally(verdicts > even, truth, right[judged])


def penalty(judge: Judge, lesson: Lesson, ratio: Tensor) -> Tensor:
    """Squared distance from 1 of the norm of a judgement's gradient by its token's labels, summed over judged tokens.

    Taken between gold and generated labels, ratio (T,) of the way [Gulrajani et al. 2017, section 4].
    """
    share = ratio[:, None]
    between = [(share * one + (1 - share) * other).requires_grad_() for one, other in zip(lesson.gold, lesson.generated, strict=True)]
    slopes = torch.cat(torch.autograd.grad(judge(between).sum(), between, create_graph=True), dim=1)
    norms = (slopes.square().sum(dim=1) + 1e-12).sqrt()  # the root has no derivative at 0
    return (norms - 1).square()[lesson.judged].sum()


def _tally(told: Tensor, truth: Tensor, right: Tensor) -> Tally:
    """Of judgements, which should have been yes, and which of the generated labels were right; all of them bool."""
    counts = torch.stack([truth.sum(), (told & truth).sum(), (~truth).sum(), (~told & ~truth).sum(), (~right).sum()])
    real, real_told, false, false_told, wrong = counts.tolist()
    return Tally(real, real_told, false, false_told, len(right), wrong)
