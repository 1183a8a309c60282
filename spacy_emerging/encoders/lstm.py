"""Bidirectional LSTM: the recurrent baseline, with results that do not depend on batch-mates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest

import torch
from thinc.api import Model
from thinc.types import Floats2d
from torch import Tensor, nn

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..bridge.layout import Layout
from ..bridge.segments import AHEAD, BOTH, Stage
from ..kernels.dropout import Dropout

DIRECTIONS = ("concat", "forward")


class LSTM(nn.Module):
    """Stacked LSTM layers; the backward direction reads every sequence reversed by its own length, so that padding always
    comes last and no output depends on it. Two one-directional passes take oneDNN's fast path, which packed sequences do not.

    width: D, in and out; each of two directions has D / 2 units.
    depth: layers. direction: "concat" (both directions of a layer feed both of the next) or "forward".
    """

    def __init__(self, width: int, depth: int, direction: str, dropout: float) -> None:
        super().__init__()
        directions = 2 if direction == "concat" else 1
        self.ahead = nn.ModuleList(nn.LSTM(width, width // directions, batch_first=True) for _ in range(depth))
        self.back = nn.ModuleList(nn.LSTM(width, width // directions, batch_first=True) for _ in range(depth * (directions - 1)))
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        for ahead, back in zip_longest(self.ahead, self.back):
            tokens = self.dropout(tokens)
            outputs = [layout.unpad(ahead(layout.pad(tokens))[0])]
            if back is not None:
                outputs.append(layout.flip(layout.unpad(back(layout.pad(layout.flip(tokens)))[0])))
            tokens = torch.cat(outputs, dim=1)
        return tokens

    def stages(self) -> list[Stage]:
        """See `bridge/segments.py`."""
        pairs = zip_longest(self.ahead, self.back)
        return [Stage(partial(_sides, pair), AHEAD if pair[1] is None else BOTH) for pair in pairs]


def _sides(lstms: Sequence[nn.LSTM], streams: Sequence[Tensor], layout: Layout) -> list[Tensor]:
    """One layer over one segment: see Stage."""
    assert layout.carried is not None
    outputs = []
    for side, (lstm, stream) in enumerate(zip(lstms, streams, strict=False)):
        output, layout.carried[f"state {side}"] = lstm(stream[None], layout.carried.get(f"state {side}"))
        outputs.append(output[0])
    return outputs


def LSTMEncoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """A stack of (bidirectional) LSTM layers [Hochreiter and Schmidhuber 1997; Schuster and Paliwal 1997].

    width (int): Input and output width D. Even; recommended 128 to 512 (the reference study used 400).
    depth (int): Layers. Recommended 1 to 4.
    direction (str): "concat" (both directions, D / 2 units each) or "forward".
    dropout (float): Rate before each layer, until spaCy sets `training.dropout`. Recommended 0.1 to 0.3.
    backend (str): "auto", "torch" or "cuda": all run torch's own LSTM, which takes cuDNN on a GPU.
        It has no effect, of which "cuda" warns.
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    return build_encoder("spacy-emerging.LSTMEncoder.v1", LSTM, DIRECTIONS, dict(locals()))
