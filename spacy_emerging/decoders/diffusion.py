"""Diffusion: labels are written as bits, drowned in noise, and found again by a network that sees the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from torch import nn

from ..errors import SettingError, check_choice, check_flag, check_number, check_whole
from ..kernels.diffusion import SCHEDULES
from ..types import Field
from .bit_tags import BITS
from .diffusion_model import NAME, Diffusion, Settings

CHOICES: dict[str, Iterable[str]] = {
    "bits": BITS,
    "target": ("x0", "noise"),
    "loss": ("labels", "bits", "squared"),
    "schedule": SCHEDULES,
    "sampler": ("ddim", "ancestral"),
    "search": ("linearization", "decoder"),
}


def DiffusionDecoder(
    bits: str = "index",
    target: str = "x0",
    loss: str = "labels",
    schedule: str = "linear",
    times: int = 1000,
    snr_scale: float = 0.1,
    steps: int = 1,
    sampler: str = "ddim",
    samples: int = 1,
    self_conditioning: bool = False,
    structured: bool = False,
    mean_field_rounds: int = 3,
    hidden_width: int = 128,
    denoiser_width: int = 64,
    denoiser_depth: int = 2,
    heads: int = 2,
    search: str = "linearization",
    dropout: float = 0.0,
    seed: int = 0,
) -> Callable[[int, Sequence[Field]], nn.Module]:
    """Diffusion tagging [Huang et al. 2023, DiffusionSL; with target "noise", as in Ezquerro et al. 2026, arXiv 2509.25918].

    Labels become bits of -1 and 1 times `snr_scale`, which Gaussian noise covers more and more; a small Transformer that sees the token
    states finds them again. Bits that are no label's are read as the nearest one.

    bits (str): "index": a label's number in binary. "linearization": the bits of a bit encoding themselves, so that a wrong bit is a
    small error; fields without bits keep the number.
    target (str): What the network predicts: "x0", the bits (DiffusionSL), or "noise", for which an `snr_scale` of 1 is recommended.
    loss (str): Of target "x0". "squared" is the squared error of bits (published). "bits", their cross-entropy, and "labels", that of
    labels whose probabilities tell the bits, are ours: they want the same estimate, learn it faster, and bear higher learning rates.
    Of the noise it is always the squared error, of a chain the cross-entropy of labels.
    schedule (str): How fast noise covers the bits: "linear" (DiffusionSL), "cosine" or "sigmoid".
    times (int): T, noising steps in training. 1000 is published; recommended 100 to 1000.
    snr_scale (float): Size of a bit beside noise of variance 1. 0.1 is published; recommended 0.1 to 1.
    steps (int): Denoising steps in prediction, at most `times`; time grows with them. Recommended 1 to 10; 10 is published,
    with nearly the results of 1, which is our default. May be changed in the config of a trained pipeline.
    sampler (str): "ddim", without new noise at each step (published), or "ancestral", with it.
    samples (int): Label sequences per text. With more than one, `token._.label_agreement` tells the share of them that agree on a token.
    self_conditioning (bool): The network also sees its previous estimate [Chen et al. 2023, Analog Bits], in half of the updates.
    structured (bool): The network scores labels of a chain, which is inferred by mean field [arXiv 2606.18856].
    mean_field_rounds (int): Updates of the chain's beliefs. Our default; recommended 1 to 5.
    hidden_width (int): Units of the layer that reads the states. Our default; recommended 64 to the encoder's width.
    denoiser_width (int): W, even. Our default; recommended 32 to 256. Published: 768.
    denoiser_depth (int): Blocks; 0 is none. Our default; recommended 1 to 6. Published: 6.
    heads (int): Attention heads; fall to the largest divisor of W. Our default; published: 8.
    search (str): "linearization" lets the linearization search over the probabilities; "decoder" decodes the labels that were sampled.
    dropout (float): Rate on states and inside the denoiser, until spaCy sets `training.dropout`. Recommended 0 to 0.3.
    seed (int): Of all noise, in training and in prediction, which depends on nothing but the place in the sentence.
    Returns the builder of the module, called once width and labels are known. Raises SettingError.
    """
    settings = Settings(**locals())
    for setting, value in _checks(settings):
        value(NAME, setting, getattr(settings, setting))
    if structured and target != "x0":
        raise SettingError(f"{NAME}: setting 'target' is {target!r}, but structured = true predicts labels; set target = \"x0\".")
    return partial(Diffusion, settings=settings)


def _checks(settings: Settings) -> Iterator[tuple[str, Callable[[str, str, object], None]]]:
    """Settings and how they are checked."""
    for setting, known in CHOICES.items():
        yield setting, partial(check_choice, choices=known)
    for setting, at_least in {
        "times": 2,
        "samples": 1,
        "hidden_width": 1,
        "mean_field_rounds": 1,
        "denoiser_depth": 0,
        "heads": 1,
        "seed": 0,
    }.items():
        yield setting, partial(check_whole, at_least=at_least)
    yield "steps", partial(check_whole, at_most=settings.times)
    yield "denoiser_width", partial(check_whole, at_least=2, even=True)
    yield "snr_scale", partial(check_number, above_zero=True)
    yield "dropout", partial(check_number, below=1)
    for setting in ("self_conditioning", "structured"):
        yield setting, check_flag
