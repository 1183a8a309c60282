"""Independent softmax per token and field: the plain tagger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from ..errors import check_number, check_whole
from ..types import Field
from .tokenwise import Softmax


def SoftmaxDecoder(
    label_smoothing: float = 0.0, hidden_width: int = 0, dropout: float = 0.0
) -> Callable[[int, Sequence[Field]], nn.Module]:
    """A softmax over each field's labels, every token for itself.

    label_smoothing (float): Share of the target spread over all labels [Szegedy et al. 2016]. Recommended 0 to 0.1.
    hidden_width (int): Units of a LeakyReLU layer before each field's output; 0 for none. Recommended 0 to the encoder's width.
    dropout (float): Rate on the token states, until spaCy sets `training.dropout`. Recommended 0 to 0.3.
    Returns the builder of the module, called once width and labels are known. Raises SettingError.
    """
    name = "spacy-emerging.SoftmaxDecoder.v1"
    check_number(name, "label_smoothing", label_smoothing, below=1)
    check_whole(name, "hidden_width", hidden_width, at_least=0)
    check_number(name, "dropout", dropout, below=1)
    return partial(Softmax, label_smoothing=label_smoothing, hidden_width=hidden_width, dropout=dropout)
