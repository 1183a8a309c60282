"""minLSTM: a long short-term memory whose gates do not see the state, so that all tokens are computed at once (arXiv 2410.01201)."""

from __future__ import annotations

from thinc.api import Model
from thinc.types import Floats2d

from ..bridge.encoder import MAX_BATCH_TOKENS, build_encoder
from ..errors import check_number, check_whole
from .directions import DIRECTIONS as DIRECTIONS
from .minimal import MinimalStack

NAME = "spacy-emerging.MinLSTMEncoder.v1"


class MinLSTM(MinimalStack):
    """Stacked blocks with the recurrence of minLSTM. Settings: see MinLSTMEncoder."""

    maps = 3
    """Linear maps of an input: the forget gate, the input gate and the candidate."""


def MinLSTMEncoder(
    width: int,
    depth: int,
    direction: str = "concat",
    dropout: float = 0.0,
    backend: str = "auto",
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    expand: float = 2.0,
    conv_width: int = 4,
    feed_forward: float = 4.0,
    lr_scale: float = 1.0,
    max_grad_norm: float = 0.0,
    amp: str | None = None,
) -> Model[list[Floats2d], list[Floats2d]]:
    """A stack of minLSTM blocks [Feng et al. 2024, arXiv 2410.01201], linear in the length of a Doc.

    A block is the paper's full one: causal convolution, minLSTM and its down-projection around one residual connection, a
    feed-forward layer around another, a norm before each. The state is f / (f + i) times the one before plus
    i / (f + i) times the candidate, f and i = sigmoid(linear(x)), candidate = g(linear(x)) (section 3.2; `kernels/minimal_gates.py`).
    width (int): Input and output width D. Even; recommended 128 to 512.
    depth (int): Layers. Recommended 1 to 4.
    direction (str): "concat" (every layer in both directions, D / 2 units each, own weights), "alternate" (blocks of width D, every
        second layer reads backward, so that it takes two layers to see both sides) or "forward".
    dropout (float): Rate on what each half of a block adds, until spaCy sets `training.dropout`. Recommended 0.1 to 0.3.
    backend (str): "auto", "torch" or "cuda": all run the same operations of torch. It has no effect, of which "cuda" warns.
    max_batch_tokens (int): Largest padded size of a bucket of sequences.
    expand (float): Width of the recurrence, in widths of a direction. Recommended 1 to 3, our default 2.
    conv_width (int): Tokens that the convolution sees, itself included; 0 for no convolution. The authors' 4.
    feed_forward (float): Inner width of the feed-forward layer, in widths of a direction. Recommended 2 to 4, our default 4.
    lr_scale (float): Factor on the learning rate; 0 freezes. max_grad_norm (float): Global gradient norm; 0 is off.
    amp (Optional[str]): null, "bf16" or "fp16".
    Raises SettingError for a setting that cannot work.
    """
    settings = dict(locals())
    check_whole(NAME, "conv_width", conv_width, at_least=0)
    for factor in ("expand", "feed_forward"):
        check_number(NAME, factor, settings[factor], above_zero=True)
    return build_encoder(NAME, MinLSTM, DIRECTIONS, settings)
