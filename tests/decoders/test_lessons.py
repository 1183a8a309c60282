"""What a discriminator is taught, by hand; labels that are drawn; and when its accuracy means a collapse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot, softplus

from spacy_emerging.decoders.adversarial import READINGS
from spacy_emerging.decoders.collapse import WINDOW, Tally, Watch
from spacy_emerging.decoders.gumbel import gumbel, gumbel_softmax
from spacy_emerging.decoders.lessons import Lesson, penalty, teach

# Two fields and five tokens: right, wrong in one field, half annotated and right there, not annotated, wrong in both.
IDS = torch.tensor([[0, 1], [2, 0], [1, -1], [-1, -1], [1, 1]])
DRAWN = [
    torch.tensor([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]]).double(),
    torch.tensor([[0, 1], [0, 1], [0, 0], [0, 0], [1, 0]]).double(),
]
LESSON = Lesson(IDS, DRAWN)
WEIGHTS = [torch.tensor([0.5, -1.0, 2.0]).double(), torch.tensor([1.5, -0.5]).double()]


def judge(labels: list[Tensor]) -> Tensor:
    """Log-odds that a table gives."""
    return sum(field @ weights for field, weights in zip(labels, WEIGHTS, strict=True))


# log-odds of what was drawn, and of gold, for the tokens that are judged
OF_DRAWN = torch.tensor([0.5 - 0.5, 2.0 - 0.5, -1.0, 0.5 + 1.5]).double()
OF_GOLD = torch.tensor([0.5 - 0.5, 2.0 + 1.5, -1.0, -1.0 - 0.5]).double()


def test_lesson_knows_what_is_annotated_and_what_is_right() -> None:
    assert LESSON.judged.tolist() == [True, True, True, False, True]
    assert LESSON.right[LESSON.judged].tolist() == [True, False, True, False]
    assert [field.argmax(1).tolist() for field in LESSON.gold] == [[0, 2, 1, 0, 1], [1, 0, 0, 0, 1]]
    assert [field.sum(1).tolist() for field in LESSON.gold] == [[1, 1, 1, 0, 1], [1, 1, 0, 0, 1]]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_critic_tells_gold_from_what_was_drawn(smoothing: float) -> None:
    loss, tally = teach(judge, LESSON, "critic", smoothing)
    # -log D(gold), of which smoothing takes a share to -log (1 - D(gold)), and -log (1 - D(drawn)), to which it does nothing
    wanted = (1 - smoothing) * softplus(-OF_GOLD).sum() + smoothing * softplus(OF_GOLD).sum() + softplus(OF_DRAWN).sum()
    torch.testing.assert_close(loss, wanted)
    # log-odds of 0, which there are once on either side, mean "real" where the target of what is real is smoothed
    told, untold = (1, 2) if smoothing == 0 else (2, 1)
    assert tally == Tally(real=4, real_told=told, false=4, false_told=untold, generated=4, wrong=2)
    assert tally.accuracy == (told / 4 + untold / 4) / 2


@pytest.mark.parametrize("reading", READINGS)
def test_whoever_learns_the_smoothed_targets_tells_what_is_likelier(reading: str) -> None:
    # given a discriminator that says what its targets make it say of tokens of which 6 of 10 are real (or right), and 4 of 10
    for real, told in ((0.6, True), (0.4, False)):
        said = torch.tensor(real * (1 - 0.3)).logit().expand(5)
        _, tally = teach(lambda labels, said=said: said, LESSON, reading, 0.3)
        assert (tally.real_told, tally.false_told) == ((tally.real, 0) if told else (0, tally.false))


def test_correctness_tells_right_from_wrong_in_what_was_drawn() -> None:
    loss, tally = teach(judge, LESSON, "correctness", 0.0)
    torch.testing.assert_close(loss, softplus(-OF_DRAWN[[0, 2]]).sum() + softplus(OF_DRAWN[[1, 3]]).sum())
    assert tally == Tally(real=2, real_told=0, false=2, false_told=0, generated=4, wrong=2)


def test_penalty_is_the_distance_of_the_slope_from_one() -> None:
    # a table's slope is the same everywhere
    norm = torch.cat(WEIGHTS).norm()
    found = penalty(lambda labels: judge(labels), LESSON, torch.rand(5).double().requires_grad_())
    torch.testing.assert_close(found, 4 * (norm - 1) ** 2)


def test_penalty_is_taken_between_gold_and_what_was_drawn() -> None:
    # given a judgement whose slope is the shares themselves, at the wrong token 0.25 of gold and 0.75 of what was drawn
    ratio = torch.tensor([0.5, 0.25, 0.5, 0.5, 0.5]).double()
    found = penalty(
        lambda labels: sum((field**2).sum(1) / 2 for field in labels), Lesson(IDS[1:2], [field[1:2] for field in DRAWN]), ratio[1:2]
    )
    torch.testing.assert_close(found, torch.tensor((math.sqrt(1 + 0.25**2 + 0.75**2) - 1) ** 2).double())


# Labels that are drawn


def test_labels_are_drawn_with_their_probabilities() -> None:
    scores = torch.tensor([1.0, 0.0, -1.0, -60.0])
    noise = gumbel(torch.rand(40_000, 4, generator=torch.Generator().manual_seed(0)))
    drawn = gumbel_softmax(scores.expand(40_000, 4), noise, 1.0, straight_through=True)
    assert torch.equal(drawn.sum(1), torch.ones(40_000)) and set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), scores.softmax(0), atol=0.01, rtol=0.0)


def test_noise_is_finite_at_the_ends_of_the_unit_interval() -> None:
    assert torch.isfinite(gumbel(torch.tensor([0.0, 1.0, 1.0 - 2.0**-24]))).all()


def test_gradient_of_a_drawn_label_is_that_of_its_relaxation() -> None:
    noise, direction = torch.randn(5, 3), torch.randn(5, 3)
    gradients = []
    for straight_through in (True, False):
        scores = torch.linspace(-1, 1, 15).reshape(5, 3).requires_grad_()
        (gumbel_softmax(scores, noise, 0.5, straight_through) * direction).sum().backward()
        gradients.append(scores.grad)
    torch.testing.assert_close(*gradients)


def test_low_temperature_comes_near_to_labels() -> None:
    scores, noise = torch.randn(50, 4), torch.zeros(50, 4)
    torch.testing.assert_close(gumbel_softmax(scores, noise, 1e-4, False), one_hot(scores.argmax(1), 4).float())


# Collapse


def after(*tallies: Tally) -> str | None:
    watch = Watch()
    for tally in tallies:
        watch.note([tally])
    return watch.collapse()


USEFUL = Tally(real=100, real_told=70, false=100, false_told=60, generated=100, wrong=30)
BLIND = Tally(real=100, real_told=100, false=100, false_told=0, generated=100, wrong=30)
CERTAIN = Tally(real=100, real_told=100, false=100, false_told=99, generated=100, wrong=99)
FOOLED = Tally(real=100, real_told=100, false=100, false_told=0, generated=100, wrong=1)


@pytest.mark.parametrize(
    ("tally", "told"), [(BLIND, "50.0% of the labels, as by chance, although 30.0%"), (CERTAIN, "99.5% of the labels, too")]
)
def test_collapse_is_an_accuracy_that_stays_at_chance_or_certainty(tally: Tally, told: str) -> None:
    assert after(*[tally] * (WINDOW - 1)) is None, "the window is not full"
    report = after(*[tally] * WINDOW)
    assert report is not None and f"over {WINDOW} updates" in report and told in report
    # what was before the window is forgotten
    assert after(*[USEFUL] * WINDOW, *[tally] * WINDOW) == report


def test_no_collapse() -> None:
    assert after(*[USEFUL] * WINDOW) is None
    # ups and downs within the window
    assert after(*[BLIND, CERTAIN] * WINDOW) is None
    # a labeler whose labels are nearly all gold leaves nothing to tell
    assert after(*[FOOLED] * WINDOW) is None
    # nor is one kind alone anything to tell
    assert after(*[Tally(real=100, real_told=100, generated=100)] * WINDOW) is None


def test_steps_of_one_update_count_as_one() -> None:
    watch = Watch()
    for _ in range(WINDOW - 1):
        watch.note([BLIND, BLIND])
    assert watch.collapse() is None and watch.total.real == 200 * (WINDOW - 1)
