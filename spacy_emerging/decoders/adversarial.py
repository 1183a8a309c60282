"""Adversarial tagging: a softmax labeler that is also trained to pass for gold before a discriminator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from ..errors import check_choice, check_flag, check_number, check_whole
from ..types import Field
from .adversarial_model import NAME, Adversarial, Settings

READINGS = ("critic", "correctness")


def AdversarialDecoder(
    label_smoothing: float = 0.0,
    hidden_width: int = 0,
    dropout: float = 0.0,
    reading: str = "critic",
    weight: float = 0.03,
    bound: float = 0.3,
    temperature: float = 1.0,
    straight_through: bool = True,
    discriminator_width: int = 128,
    window: int = 2,
    discriminator_steps: int = 1,
    discriminator_learn_rate: float = 0.001,
    gradient_penalty: float = 0.0,
    one_sided_smoothing: float = 0.1,
    keep_discriminator: bool = True,
    seed: int = 0,
) -> Callable[[int, Sequence[Field]], nn.Module]:
    """A softmax over each field's labels, trained against a discriminator as well.

    Published: labelers as generators with Gumbel-softmax samples and an error detector as discriminator (arXiv 2105.14209); a
    discriminator that judges every tag as right or wrong (EMNLP 2024, main 593); one that is a critic (arXiv 2509.25918). Equations and
    numbers could not be read in any of them: the losses, the discriminator, and all defaults below are our own. The labeler's loss is
    cross-entropy - weight * log D(labels that it draws). At prediction the decoder is the softmax decoder; with weight = 0 always.

    label_smoothing, hidden_width, dropout: Of the labeler, as for `SoftmaxDecoder`; the discriminator has the same dropout rate.
    reading (str): What the discriminator learns: "critic", to tell gold labels from generated ones; "correctness", which of the
        generated labels are right, token by token.
    weight (float): Of the discriminator's say in the loss; 0 leaves it out altogether. Recommended 0.01 to 1.
    bound (float): How long the discriminator's part of the gradient by a token's scores may be at most, as a share of that of
        cross-entropy: below 1, no token's scores are led away from gold. 0 leaves it unbounded. Recommended 0.1 to 0.5.
    temperature (float): Of the Gumbel softmax; low ones are near to labels and have gradients of high variance. Recommended 0.5 to 2.
    straight_through (bool): The discriminator sees whole labels; if false, it sees shares, by which a critic knows them at once.
    discriminator_width (int): Units of the discriminator's layers. Recommended 32 to 512.
    window (int): Neighbours on either side that it sees with a token. Recommended 0 to 4.
    discriminator_steps (int): Of the discriminator, at each batch. Recommended 1 to 5.
    discriminator_learn_rate (float): Of its own Adam. Recommended 0.0001 to 0.001.
    gradient_penalty (float): Weight of keeping its gradient by labels near norm 1 [Gulrajani et al. 2017]. Recommended 0, or 1 to 10.
    one_sided_smoothing (float): Share by which "real" and "right" fall short of 1 as targets [Salimans et al. 2016]. Recommended 0 to 0.1.
    keep_discriminator (bool): Whether it is saved with the model. Without it, training goes on with one that is drawn anew.
    seed (int): Of the noise, which is drawn from a generator of its own.
    Returns the builder of the module, called once width and labels are known. Raises SettingError.
    """
    for setting, value in (("hidden_width", hidden_width), ("window", window), ("seed", seed)):
        check_whole(NAME, setting, value, at_least=0)
    for setting, value in (("discriminator_width", discriminator_width), ("discriminator_steps", discriminator_steps)):
        check_whole(NAME, setting, value)
    for setting, share in (("label_smoothing", label_smoothing), ("dropout", dropout), ("one_sided_smoothing", one_sided_smoothing)):
        check_number(NAME, setting, share, below=1)
    for setting, number in (("temperature", temperature), ("discriminator_learn_rate", discriminator_learn_rate)):
        check_number(NAME, setting, number, above_zero=True)
    for setting, number in (("weight", weight), ("bound", bound), ("gradient_penalty", gradient_penalty)):
        check_number(NAME, setting, number)
    for setting, flag in (("straight_through", straight_through), ("keep_discriminator", keep_discriminator)):
        check_flag(NAME, setting, flag)
    check_choice(NAME, "reading", reading, READINGS)
    settings = Settings(
        reading,
        weight,
        bound,
        temperature,
        straight_through,
        discriminator_width,
        window,
        discriminator_steps,
        discriminator_learn_rate,
        gradient_penalty,
        one_sided_smoothing,
        keep_discriminator,
        seed,
    )
    return partial(Adversarial, label_smoothing=label_smoothing, hidden_width=hidden_width, dropout=dropout, settings=settings)
