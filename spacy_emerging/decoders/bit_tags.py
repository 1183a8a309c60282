"""Labels as bits and back: what diffusion noises is a vector of numbers, two of which, -1 and 1, are meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import SettingError
from ..types import Field

BITS = ("index", "linearization")
LEAST_DOUBT = 1e-3
"""No bit is taken for surer than this: an estimate of exactly -1 or 1 would make other labels impossible. Our default."""


class BitTags(nn.Module):
    """The codes of all labels: one group of bits per field, the groups side by side (M bits in all).

    kind: "index" writes a label's number in its field as a binary number of ceil(log2 K) bits, the highest first (Huang et al. 2023,
    section 3.1); "linearization" takes the linearization's own bits, and the number for fields that have none.
    Raises SettingError where no field has bits of its own for "linearization".
    """

    def __init__(self, owner: str, fields: Sequence[Field], kind: str) -> None:
        super().__init__()
        own = [field.bits if kind == "linearization" else None for field in fields]
        if kind == "linearization" and not any(own):
            raise SettingError(
                f"{owner}: setting 'bits' is 'linearization', but the labels of {', '.join(field.name for field in fields)} are no bits; "
                f"choose a bit encoding such as 'spacy-emerging.FourBitDependency.v1', or set bits = \"index\"."
            )
        codes = [_signs(bits) if bits else _binary(len(field.labels)) for field, bits in zip(fields, own, strict=True)]
        self.sizes = [code.shape[1] for code in codes]
        self.bits = sum(self.sizes)
        self.fields = len(codes)
        for f, code in enumerate(codes):
            self.register_buffer(f"code{f}", code, persistent=False)

    def code(self, f: int) -> Tensor:
        """(K, bits of the field), -1 or 1."""
        return cast(Tensor, getattr(self, f"code{f}"))

    def encode(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(T, F) ids to (T, M) bits and to whether they are known (T, M) bool; bits of what is not annotated (-1) are 0."""
        known = [(ids[:, [f]] >= 0).expand(-1, size) for f, size in enumerate(self.sizes)]
        codes = [self.code(f)[ids[:, f].clamp_min(0)] for f in range(self.fields)]
        mask = torch.cat(known, dim=1)
        return torch.cat(codes, dim=1) * mask, mask

    def scores(self, bits: Tensor) -> list[Tensor]:
        """(..., M) estimates to (..., K) log-probabilities per field.

        An estimate that is the mean of a bit given the text, as a squared error teaches it, tells the bit's probability; bits of a
        label are multiplied, and labels normalized, since not every code is one.
        """
        log_odds = bits.clamp(2 * LEAST_DOUBT - 1, 1 - 2 * LEAST_DOUBT).atanh()  # half of them: codes are 2 apart
        return [(part @ self.code(f).T).log_softmax(-1) for f, part in enumerate(log_odds.split(self.sizes, dim=-1))]

    def nearest(self, bits: Tensor) -> Tensor:
        """(..., M) estimates to (..., F) ids: the label that differs in the fewest signs, among several the one nearest to the values."""
        result = []
        for f, part in enumerate(bits.split(self.sizes, dim=-1)):
            agreeing = torch.where(part > 0, 1.0, -1.0).to(part.dtype) @ self.code(f).T
            tied = agreeing < agreeing.amax(-1, keepdim=True) - 0.5
            result.append((part @ self.code(f).T).masked_fill(tied, -torch.inf).argmax(-1))
        return torch.stack(result, dim=-1)


def _binary(labels: int) -> Tensor:
    bits = max((labels - 1).bit_length(), 1)  # a field of one label has a bit, too, which is always the same
    return _signs([[number >> place & 1 for place in range(bits - 1, -1, -1)] for number in range(labels)])


def _signs(bits: Sequence[Sequence[int]]) -> Tensor:
    return 2 * torch.tensor(bits, dtype=torch.get_default_dtype()) - 1
