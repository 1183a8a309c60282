"""The decoders under test: whatever the registry lists."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy
import pytest
import torch
from spacy.util import registry
from thinc.api import Model
from torch import Tensor, nn

from spacy_emerging.bridge.decoder import decoder_block, set_fields
from spacy_emerging.registry import ARCHITECTURES
from spacy_emerging.types import Field, Transitions

from .encoders import module_of

WIDTH = 6
NAMES = sorted(name for name in ARCHITECTURES if name.endswith("Decoder.v1"))
PRESENT = [name for name in NAMES if find_spec(module_of(name))]
each_decoder = pytest.mark.parametrize("name", [pytest.param(name, id=name.split(".")[1]) for name in PRESENT])

TAGS = Field(
    "tag",
    ("O", "B", "I"),
    # as for BIO: nothing begins with I, and I follows no O
    Transitions(numpy.array([True, True, False]), numpy.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]], dtype=bool), numpy.ones(3, dtype=bool)),
)
KIND = Field("kind", ("w", "x", "y", "z"), bits=((0, 0), (0, 1), (1, 0), (1, 1)))
FIELDS = (TAGS, KIND)


def build(name: str, fields: tuple[Field, ...] = FIELDS, **settings: Any) -> nn.Module:
    """A decoder's module with freshly drawn weights, in evaluation mode."""
    return registry.architectures.get(name)(**settings)(WIDTH, list(fields)).eval()


def block(name: str, fields: tuple[Field, ...] = FIELDS, **settings: Any) -> Model:
    """The same inside a Thinc model, as the components have it."""
    model = decoder_block(name, registry.architectures.get(name)(**settings))
    set_fields(model, WIDTH, fields)
    return model


def states(*lengths: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Padded states (B, L, D) and their mask (B, L)."""
    draw = torch.Generator().manual_seed(1)
    mask = torch.arange(max(lengths, default=0))[None] < torch.tensor(lengths, dtype=torch.int64)[:, None]
    return torch.randn(*mask.shape, WIDTH, generator=draw, dtype=dtype) * mask[..., None], mask


def legal_gold(mask: Tensor) -> Tensor:
    """Ids (B, L, 2) that respect the transitions of TAGS; zeros in the padding, as Layout.pad leaves them."""
    position = torch.arange(mask.shape[1])
    tags = torch.tensor([1, 2, 0])[position % 3].expand(mask.shape)
    kinds = (position * 7 % 4).expand(mask.shape)
    return torch.stack([tags, kinds], -1) * mask[..., None]
