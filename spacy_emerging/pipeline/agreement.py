"""What decoders that sample say about single tokens: how many of their samples agree."""

from __future__ import annotations

from spacy.tokens import Doc

from .extensions import LABEL_AGREEMENT
from .model import DocPrediction


class Agreement:
    """Agreement by place in the text, which a task that joins tokens does not change; made before the task writes on the Doc."""

    def __init__(self, doc: Doc, prediction: DocPrediction) -> None:
        self._places: list[tuple[int, float]] = []
        for unit, scores in zip(prediction.units, prediction.scores, strict=True):
            if scores.agreement is not None:
                self._places += zip((token.idx for token in doc[unit.start : unit.end]), scores.agreement.tolist(), strict=True)

    def write(self, doc: Doc) -> None:
        """Sets `token._.label_agreement`, of a joined token that of its least certain part; nothing where the decoder does not sample."""
        if not self._places:
            return  # to make tokens of a Doc takes longer than to decode their labels
        places = iter(self._places)
        following = next(places, None)
        for token in doc:
            parts = []
            while following is not None and following[0] < token.idx + len(token):
                parts.append(following[1])
                following = next(places, None)
            if parts:
                token._.set(LABEL_AGREEMENT, min(parts))
