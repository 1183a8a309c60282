"""Custom attributes that the components write."""

from __future__ import annotations

from spacy.tokens import Token

LABEL_SCORE = "label_score"
"""`token._.label_score`: probability of the token's predicted labels, where `store_scores` is on."""


def ensure_extensions() -> None:
    """Registers the custom attributes, once."""
    if not Token.has_extension(LABEL_SCORE):
        Token.set_extension(LABEL_SCORE, default=None)
