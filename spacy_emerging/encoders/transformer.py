"""A pre-norm Transformer trained from scratch: the attention baseline (arXiv 1706.03762; pre-norm: arXiv 2002.04745)."""

from __future__ import annotations

import math

import torch
from thinc.api import Model
from thinc.types import Floats2d
from torch import Tensor, nn
from torch.nn import functional

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..bridge.layout import Layout
from ..errors import check_choice, check_whole, largest_divisor
from ..kernels.dropout import Dropout
from ..kernels.linear import project

NAME = "spacy-emerging.TransformerEncoder.v1"
DIRECTIONS: tuple[str, ...] = ("concat", "forward")
POSITIONS: tuple[str, ...] = ("rotary", "sinusoidal")

LONGEST_WAVE = 10_000.0
"""Base of the position frequencies (arXiv 1706.03762, section 3.5; arXiv 2104.09864, section 3.3)."""


def angles(steps: int, width: int, device: torch.device) -> Tensor:
    """(L, width / 2): position times frequency, the frequencies falling geometrically from 1 to about 1 / 10,000."""
    frequency = torch.exp(torch.arange(0, width, 2, device=device, dtype=torch.float32) * (-math.log(LONGEST_WAVE) / width))
    return torch.arange(steps, device=device, dtype=torch.float32)[:, None] * frequency


def sinusoidal_positions(steps: int, width: int, like: Tensor) -> Tensor:
    """(L, width): sines in the first half, cosines in the second (arXiv 1706.03762, section 3.5), in the type of `like`."""
    turns = angles(steps, width, like.device)
    return torch.cat([turns.sin(), turns.cos()], -1).to(like.dtype)


def rotate(x: Tensor) -> Tensor:
    """(B, L, heads, P) to the same: unit i of the first half and unit i of the second, as a plane, are turned by the position.

    The product of a query and a key then depends on their distance alone (arXiv 2104.09864, section 3.2).
    """
    turns = angles(x.shape[1], x.shape[3], x.device)[:, None]
    cosine, sine = turns.cos().to(x.dtype), turns.sin().to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)


class Attention(nn.Module):
    """Multi-head self-attention in memory linear in the length, since the weights are never all held at once."""

    def __init__(self, width: int, heads: int, depth: int, rotary: bool, causal: bool) -> None:
        super().__init__()
        self.heads = largest_divisor(width // 2, heads)  # of half the width, so that heads are even and can be rotated
        self.rotary, self.causal = rotary, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        _scale_down(self.out, depth)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        padded = layout.pad(project(tokens, self.qkv)).unflatten(-1, (3, self.heads, -1))
        query, key, value = padded.unbind(2)  # (B, L, heads, P)
        if self.rotary:
            query, key = rotate(query), rotate(key)
        # A causal mask already hides the padding, which stands after the last token; batches without padding need no mask.
        mask = None if layout.even or self.causal else layout.mask[:, None, None, :]
        query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=self.causal)
        return project(layout.unpad(mixed.transpose(1, 2)).flatten(1), self.out)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)) with GELU (arXiv 1606.08415) at four times the width."""

    def __init__(self, width: int, heads: int, depth: int, rotary: bool, causal: bool, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, depth, rotary, causal)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        _scale_down(self.down, depth)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens), layout))
        raised = functional.gelu(project(self.feed_forward_norm(tokens), self.up))
        return tokens + self.dropout(project(raised, self.down))


def _scale_down(layer: nn.Linear, depth: int) -> None:
    """Divides weights that write into the residual stream by the square root of how many there are (GPT-2's rule)."""
    with torch.no_grad():
        layer.weight /= math.sqrt(2 * depth)


class Transformer(nn.Module):
    """Stacked blocks with a final norm. Settings: see TransformerEncoder; head counts fall to the largest divisor of width / 2."""

    def __init__(
        self, width: int, depth: int, direction: str = "concat", dropout: float = 0.0, heads: int = 8, positions: str = "rotary"
    ) -> None:
        super().__init__()
        self.positions = positions
        rotary, causal = positions == "rotary", direction == "forward"
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, depth, rotary, causal, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """(T, D) to (T, D)."""
        if self.positions == "sinusoidal":
            table = sinusoidal_positions(layout.longest, tokens.shape[1], tokens)
            tokens = tokens + table.index_select(0, layout.position)
        tokens = self.dropout(tokens)
        for block in self.blocks:
            tokens = block(tokens, layout)
        return self.norm(tokens)


def TransformerEncoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    heads: int = 8,
    positions: str = "rotary",
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """A pre-norm Transformer encoder [Vaswani et al. 2017, arXiv 1706.03762; pre-norm: Xiong et al. 2020, arXiv 2002.04745].

    Time grows with the square of the length of a Doc, memory linearly.
    width (int): Input and output width D. Even; recommended 128 to 512.
    depth (int): Blocks. Recommended 2 to 6.
    direction (str): "concat" (every token sees all others; attention has both directions by nature, the name is the one that all
        encoders share) or "forward" (a causal mask).
    dropout (float): Rate on the input and on what each half of a block adds, until spaCy sets `training.dropout`. Recommended 0.1 to 0.3.
    backend (str): "auto", "torch" or "cuda": all run torch's fused attention, which brings kernels for CPU and GPU.
        It has no effect, of which "cuda" warns.
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    heads (int): Attention heads; falls to the largest divisor of width / 2. Recommended 4 to 16, our default 8.
    positions (str): "rotary" (arXiv 2104.09864) or "sinusoidal", added to the input.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    check_choice(NAME, "positions", positions, POSITIONS)
    check_whole(NAME, "heads", heads)
    return build_encoder(NAME, Transformer, DIRECTIONS, settings)
