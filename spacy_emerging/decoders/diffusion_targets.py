"""What the denoiser is taught to say: the bits without noise, the noise, or labels of a chain; and what that makes of the bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.layout import Layout
from ..kernels.diffusion import parted
from .bit_tags import BitTags
from .mean_field import MeanFieldChain


class Gold(NamedTuple):
    """Of T tokens: ids (T, F), -1 where not annotated; their bits (T, M), which of them are known, and the noise that was added."""

    ids: Tensor
    bits: Tensor
    known: Tensor
    noise: Tensor


class Noisy(NamedTuple):
    """What the denoiser saw: noisy bits (S, T, M), how much of the signal was left in them, (T, 1) or one number, and where tokens lie."""

    bits: Tensor
    left: Tensor
    layout: Layout


class CleanBits(nn.Module):
    """The outputs are the bits themselves, in the squared error: target "x0" (Huang et al. 2023, section 3.2)."""

    def __init__(self, tags: BitTags) -> None:
        super().__init__()
        self.tags = tags
        self.outputs = tags.bits

    def loss(self, output: Tensor, gold: Gold, noisy: Noisy) -> Tensor:
        """Squared error of the known bits, in units of half the distance between the two values of a bit, summed."""
        return functional.mse_loss(output[0][gold.known], gold.bits[gold.known], reduction="sum")

    def bits(self, output: Tensor, noisy: Noisy) -> Tensor:
        """(S, T, O) outputs to estimates of the bits (S, T, M)."""
        return output

    def answer(self, output: Tensor, noisy: Noisy, want_scores: bool) -> tuple[list[Tensor], Tensor]:
        """Per field log-probabilities (S, T, K), or none where nobody wants them, and the labels (S, T, F)."""
        bits = self.bits(output, noisy)
        return self.tags.scores(bits) if want_scores else [], self.tags.nearest(bits)


class LikelyBits(CleanBits):
    """The outputs are log-odds of the bits, in the cross-entropy: ours. Its best answer is the same mean of a bit as that of the squared
    error; but as in a softmax, a very wrong bit pulls no harder than a wrong one, so that training bears high learning rates.
    """

    def loss(self, output: Tensor, gold: Gold, noisy: Noisy) -> Tensor:
        """Cross-entropy in nats of the known bits, summed."""
        return functional.softplus(-output[0][gold.known] * gold.bits[gold.known]).sum()

    def bits(self, output: Tensor, noisy: Noisy) -> Tensor:
        """(S, T, O) outputs to estimates of the bits (S, T, M)."""
        return (output / 2).tanh()


class NoiseInBits(CleanBits):
    """The outputs tell the noise, in the squared error: target "noise", the original denoising objective (arXiv 2006.11239, eq. 14).

    Ours: what the network says is turned by the time into the noise and into the bits (`parted`), so that the bits are known well
    even where little is left of them, and a single step will do.
    """

    def __init__(self, tags: BitTags, snr_scale: float) -> None:
        super().__init__(tags)
        self.snr_scale = snr_scale

    def loss(self, output: Tensor, gold: Gold, noisy: Noisy) -> Tensor:
        """Squared error of the noise in known bits, summed."""
        _, noise = parted(noisy.bits, output, noisy.left)
        return functional.mse_loss(noise[0][gold.known], gold.noise[gold.known], reduction="sum")

    def bits(self, output: Tensor, noisy: Noisy) -> Tensor:
        """(S, T, O) outputs to estimates of the bits (S, T, M)."""
        return parted(noisy.bits, output, noisy.left)[0] / self.snr_scale


class Labels(nn.Module):
    """The outputs are label scores per field, in the cross-entropy: ours.

    The estimate of a bit is its mean under the labels' probabilities. That is still what target "x0" asks for, the mean of the bits
    given text and noise; but no probability goes to codes that are no labels, bits of one label are not taken for independent, and
    what is learned of a label is not spread over all that share a bit.
    """

    def __init__(self, tags: BitTags) -> None:
        super().__init__()
        self.tags = tags
        self.labels = [len(tags.code(f)) for f in range(tags.fields)]
        self.outputs = sum(self.labels)

    def loss(self, output: Tensor, gold: Gold, noisy: Noisy) -> Tensor:
        """Cross-entropy in nats of annotated labels, summed over fields and tokens."""
        total = output.new_zeros(())
        for f, beliefs in enumerate(self.log_beliefs(output, noisy.layout)):
            total = total + functional.nll_loss(beliefs[0], gold.ids[:, f], reduction="sum", ignore_index=-1)
        return total

    def bits(self, output: Tensor, noisy: Noisy) -> Tensor:
        """(S, T, O) outputs to estimates of the bits (S, T, M)."""
        beliefs = self.beliefs(output, noisy.layout)
        return torch.cat([field @ self.tags.code(f) for f, field in enumerate(beliefs)], dim=-1)

    def answer(self, output: Tensor, noisy: Noisy, want_scores: bool) -> tuple[list[Tensor], Tensor]:
        """Per field log-probabilities (S, T, K), or none where nobody wants them, and the labels (S, T, F)."""
        scores = output.split(self.labels, dim=-1)
        return self.log_beliefs(output, noisy.layout) if want_scores else [], _highest(scores)

    def log_beliefs(self, output: Tensor, layout: Layout) -> list[Tensor]:
        """Per field (S, T, K) log-probabilities."""
        return [scores.log_softmax(dim=-1) for scores in output.split(self.labels, dim=-1)]

    def beliefs(self, output: Tensor, layout: Layout) -> list[Tensor]:
        """Per field (S, T, K) probabilities."""
        return [scores.softmax(dim=-1) for scores in output.split(self.labels, dim=-1)]


class ChainLabels(Labels):
    """The same of a linear chain per field: a conditional random field over the labels, given the text and a noisy version of all
    labels, and inferred by mean field (arXiv 2606.18856).

    Not published, hence ours: the noise is that of the bits, as everywhere here; transitions are the same at all tokens and times;
    the loss is the cross-entropy of the beliefs.
    """

    def __init__(self, tags: BitTags, rounds: int) -> None:
        super().__init__(tags)
        self.chains: Sequence[MeanFieldChain] = nn.ModuleList(MeanFieldChain(labels, rounds) for labels in self.labels)  # type: ignore[assignment]

    def log_beliefs(self, output: Tensor, layout: Layout) -> list[Tensor]:
        """Per field (S, T, K) log-probabilities."""
        parts = output.split(self.labels, dim=-1)
        return [chain.log_beliefs(scores, layout) for chain, scores in zip(self.chains, parts, strict=True)]

    def beliefs(self, output: Tensor, layout: Layout) -> list[Tensor]:
        """Per field (S, T, K) probabilities."""
        return [field.exp() for field in self.log_beliefs(output, layout)]

    def answer(self, output: Tensor, noisy: Noisy, want_scores: bool) -> tuple[list[Tensor], Tensor]:
        """Per field log-probabilities (S, T, K), and the labels (S, T, F), which the chain has a say in."""
        beliefs = self.log_beliefs(output, noisy.layout)
        return beliefs, _highest(beliefs)


def _highest(scores: Sequence[Tensor]) -> Tensor:
    """Per field (S, T, K) to (S, T, F)."""
    return torch.stack([field.argmax(dim=-1) for field in scores], dim=-1)
