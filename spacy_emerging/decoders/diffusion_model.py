"""The module of diffusion tagging: forward process, loss, sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..bridge.layout import Layout
from ..kernels import native
from ..kernels.diffusion import noised, remainders, step_back, time_grid
from ..kernels.dropout import Dropout
from ..kernels.quantized import is_quantized
from ..types import Field, LossOutput, Prediction
from .bit_tags import BitTags
from .denoiser import Denoiser
from .diffusion_targets import ChainLabels, CleanBits, Gold, Labels, LikelyBits, NoiseInBits, Noisy
from .noise import noise_of_positions, training_draws
from .outputs import layout_of, padded, predict_padded

NAME = "spacy-emerging.DiffusionDecoder.v1"
WAVES = 1000
"""The time features are made for 1,000 times, whatever their number (arXiv 2006.11239)."""


class Settings(NamedTuple):
    """As for DiffusionDecoder."""

    bits: str
    target: str
    loss: str
    schedule: str
    times: int
    snr_scale: float
    steps: int
    sampler: str
    samples: int
    self_conditioning: bool
    structured: bool
    mean_field_rounds: int
    hidden_width: int
    denoiser_width: int
    denoiser_depth: int
    heads: int
    search: str
    dropout: float
    seed: int


class Diffusion(nn.Module):
    """The labels of all fields of a sequence, sampled together, bit by bit.

    width: D of the states. fields: what is predicted, a group of bits each. settings: as for DiffusionDecoder.
    Tokens must stand at the beginning of their row; padding takes part in nothing.
    """

    def __init__(self, width: int, fields: Sequence[Field], settings: Settings) -> None:
        super().__init__()
        self.settings, self.search = settings, settings.search
        self.left = remainders(settings.schedule, settings.times)  # no buffer: it stays in double precision whatever the weights are in
        self.tags = BitTags(NAME, fields, settings.bits)
        self.target = _target(self.tags, settings)
        self.denoiser = Denoiser(
            width,
            settings.hidden_width,
            self.tags.bits,
            self.target.outputs,
            settings.denoiser_width,
            settings.denoiser_depth,
            settings.heads,
            settings.dropout,
            settings.self_conditioning,
        )
        self.dropout = Dropout(settings.dropout)
        self.drawn = 0

    # Training

    def draws(self, lengths: Sequence[int]) -> Tensor:
        """(T, M + 2) noise, times and the choice of self-conditioning for a batch of sequences; new ones at every call."""
        self.drawn += 1
        return training_draws(lengths, self.tags.bits, self.settings.seed, "training", self.drawn)

    def loss(self, states: Tensor, mask: Tensor, gold: Tensor, draws: Tensor | None = None) -> LossOutput:
        """The target's error at one time per sequence, summed over annotated tokens, their fields and bits.

        states (B, L, D); mask (B, L) bool; gold (B, L, F) int64, -1 where not annotated: there the network sees nothing but noise, and
        there is no loss. draws (B, L, M + 2): what `draws` gave, padded; without it, it is drawn here, and in evaluation mode it is
        the same every time.
        """
        layout = layout_of(mask)
        tokens, ids = self.dropout(layout.unpad(states)), layout.unpad(gold)
        if not layout.tokens:
            return LossOutput(states.sum() * 0, 0, {})
        flat = self._frozen_draws(layout) if draws is None and not self.training else None
        if flat is None:
            flat = (self.draws(layout.lengths) if draws is None else layout.unpad(draws)).to(tokens.device)
        noise, share, common = flat[:, :-2].to(tokens.dtype), flat[:, -2], flat[0, -1]
        time = (share * self.settings.times).long().clamp(max=self.settings.times - 1) + 1  # 1 to T
        bits, known = self.tags.encode(ids)
        left = self._left(time, bits)[:, None]
        noisy = Noisy(noised(self.settings.snr_scale * bits, noise, left)[None], left, layout)
        condition = self.denoiser.condition(tokens, layout)
        modulation = self._modulation(time)
        earlier = None
        if self.settings.self_conditioning and common < 0.5:
            with torch.no_grad():
                earlier = self._clean(_float(self.denoiser(noisy.bits, None, modulation, condition)), noisy)
        output = _float(self.denoiser(noisy.bits, earlier, modulation, condition))
        total = self.target.loss(output, Gold(ids, bits, known, noise), noisy)
        return LossOutput(total, int((ids >= 0).any(dim=1).sum()), {})

    def _frozen_draws(self, layout: Layout) -> Tensor:
        """Noise by position, half of the time, no self-conditioning."""
        noise = noise_of_positions(layout.longest, self.tags.bits, self.settings.seed, "evaluation").to(layout.device)
        return torch.cat([noise[layout.position], noise.new_tensor([0.5, 1.0]).expand(layout.tokens, 2)], dim=1)

    def _modulation(self, time: Tensor) -> Tensor:
        """(T,) times to what they do to the denoiser (T, parts * W); each time that occurs is computed once."""
        different, index = time.unique(return_inverse=True)
        return self._modulations(different).index_select(0, index)

    def _left(self, times: Tensor, like: Tensor) -> Tensor:
        """(N,) of the signal at whole times, in at least float32."""
        left = self.left[times.cpu()].to(torch.promote_types(like.dtype, torch.float32))  # not every device has float64
        return left.to(like.device)

    def _modulations(self, times: Tensor) -> Tensor:
        return self.denoiser.times(times * (WAVES / self.settings.times))

    # Prediction

    @property
    def padless(self) -> bool:
        """Whether predictions pad nothing: compiled loops take one sequence after the other, while torch's attention, which quantised
        blocks and those under autocast go through, wants them padded."""
        weight = self.denoiser.output.weight
        plain = not is_quantized(self.denoiser) and not torch.is_autocast_enabled(weight.device.type)
        return plain and native.usable(weight)

    def predict(self, states: Tensor, mask: Tensor) -> Prediction:
        """Log-probabilities and labels; states (B, L, D), mask (B, L).

        Of several samples, the labels are those of the one that agrees most with the others, sequence by sequence, which have been
        sampled together, as votes token by token have not; probabilities are the mean over samples.
        """
        return predict_padded(self, states, mask)

    def predict_tokens(self, tokens: Tensor, layout: Layout, want_scores: bool) -> Prediction:
        """The same of (T, D) states end to end; log-probabilities only where they are wanted."""
        if not layout.tokens:
            return self._nothing(tokens)
        scores, labels = self._sampled(tokens, layout, want_scores)
        if self.settings.samples == 1:
            return Prediction([field[0] for field in scores], labels[0])
        best, agreement = _most_typical(labels, layout)
        return Prediction([field.logsumexp(0) - math.log(len(field)) for field in scores], best, agreement)

    @torch.no_grad()
    def several(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, L, F, S) the label sequences of all samples, zeros in the padding."""
        layout = layout_of(mask)
        if not layout.tokens:
            return mask.new_zeros((*mask.shape, self.tags.fields, self.settings.samples), dtype=torch.int64)
        return padded(self._sampled(states[mask], layout, want_scores=False)[1].permute(1, 2, 0), mask)

    def _nothing(self, tokens: Tensor) -> Prediction:
        scores = [tokens.new_zeros((0, len(self.tags.code(f)))) for f in range(self.tags.fields)]
        agreement = None if self.settings.samples == 1 else tokens.new_zeros(0)
        return Prediction(scores, torch.zeros((0, self.tags.fields), dtype=torch.int64, device=tokens.device), agreement)

    def _sampled(self, tokens: Tensor, layout: Layout, want_scores: bool) -> tuple[list[Tensor], Tensor]:
        """Per field log-probabilities (S, T, K), or none, and labels (S, T, F), of (T, D) states: the denoiser once per step."""
        settings, condition = self.settings, self.denoiser.condition(tokens, layout, self.settings.samples)
        grid = time_grid(settings.times, settings.steps)
        modulations = self._modulations(torch.tensor(grid[:-1], device=tokens.device))
        left = self._left(torch.tensor(grid), tokens)
        clean = None
        bits = self._noise(0, layout).to(tokens.dtype)
        for step in range(settings.steps):
            noisy = Noisy(bits, left[step], layout)
            output = _float(self.denoiser(bits, clean, modulations[step : step + 1], condition))
            if step + 1 < settings.steps:
                clean = self._clean(output, noisy)
                fresh = self._noise(step + 1, layout).to(bits.dtype) if settings.sampler == "ancestral" else None
                bits = step_back(bits, settings.snr_scale * clean, left[step], left[step + 1], fresh)
        return self.target.answer(output, noisy, want_scores)

    def _clean(self, output: Tensor, noisy: Noisy) -> Tensor:
        """The estimate of the bits, between -1 and 1 (as in the code of Huang et al. 2023)."""
        return self.target.bits(output, noisy).clamp(-1, 1)

    def _noise(self, step: int, layout: Layout) -> Tensor:
        """(S, T, M): every sample has its own, the same in every sequence."""
        keys = [(self.settings.seed, sample, step) for sample in range(self.settings.samples)]
        noise = torch.stack([noise_of_positions(layout.longest, self.tags.bits, *key) for key in keys])
        return noise.to(layout.device)[:, layout.position]


def _most_typical(labels: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """(S, T, F) samples to labels (T, F) of the sample, per sequence, that agrees most with all, and the share (T,) of those that agree."""
    agreeing = torch.stack([(labels == one).all(-1).float().mean(0) for one in labels])  # (S, T)
    sequence = torch.arange(layout.batch, device=labels.device).repeat_interleave(layout.length_tensor)
    chosen = agreeing.new_zeros((len(labels), layout.batch)).index_add(1, sequence, agreeing).argmax(0)[sequence]
    place = torch.arange(layout.tokens, device=labels.device)
    return labels[chosen, place], agreeing[chosen, place]


def _float(output: Tensor) -> Tensor:
    """In at least float32: mixed precision ends at the denoiser."""
    return output.to(torch.promote_types(output.dtype, torch.float32))


def _target(tags: BitTags, settings: Settings) -> Any:
    if settings.structured:
        return ChainLabels(tags, settings.mean_field_rounds)
    if settings.target == "noise":
        return NoiseInBits(tags, settings.snr_scale)
    return {"labels": Labels, "bits": LikelyBits, "squared": CleanBits}[settings.loss](tags)
