"""The verb group: a main verb (or a copula) with its auxiliaries, each selecting the form of the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import morphology
from .chance import Chance
from .derivation import Item, Phrase, Word, node
from .morphology import Agreement


@dataclass
class VerbGroup:
    """Auxiliaries with their relations, from left to right, and the main verb; a copula is the last auxiliary and there is no main verb."""

    auxiliaries: list[tuple[Word, str]]
    main: Word | None
    negation: Word | None = None
    behind: list[tuple[Phrase, str]] = field(default_factory=list)  # adjuncts of a copular predicate

    @property
    def verb(self) -> Word:
        """The main verb.

        Raises:
            ValueError: the group has a copula only.
        """
        if self.main is None:
            raise ValueError("a copula has no main verb")
        return self.main

    def wrap(self, inner: Phrase) -> Phrase:
        """The phrases of all auxiliaries around `inner`."""
        return self._wrap(inner, self.auxiliaries, self.negation)

    def invert(self, inner: Phrase) -> tuple[list[Item], Phrase]:
        """The first auxiliary (with a contracted `not`) for the place before the subject, and the rest for the place after it."""
        word, relation = self.auxiliaries[0]
        front: list[Item] = [(word, relation)]
        if self.negation is not None:
            front.append((self.negation, "advmod"))
        return front, self._wrap(inner, self.auxiliaries[1:], None)

    def _wrap(self, inner: Phrase, auxiliaries: list[tuple[Word, str]], negation: Word | None) -> Phrase:
        for i in range(len(auxiliaries) - 1, -1, -1):
            items: list[Item] = [auxiliaries[i]]
            if i == 0 and negation is not None:
                items.append((negation, "advmod"))
            inner = node("VP", *items, inner, *(self.behind if i == len(auxiliaries) - 1 else []))
        return inner


def verb_group(
    chance: Chance,
    lemma: str | None,
    agreement: Agreement,
    *,
    form: str = "finite",
    passive: bool = False,
    inverted: bool = False,
    plain: bool = False,
    past: bool | None = None,
    stative: bool = False,
) -> VerbGroup:
    """Draws tense, modality, aspect and polarity.

    Args:
        lemma: the main verb; None for a copular predicate.
        form: "finite", "infinitive" (with `to`) or "bare".
        inverted: a question, which needs an auxiliary to put in front.
        plain: simple tense, not negated.
        past: past tense or present; drawn if None.
        stative: no progressive.
    """
    finite = form == "finite"
    past = chance.maybe(0.55) if past is None else past
    steps: list[tuple[str, str, str]] = []  # auxiliary, relation, form that it selects
    if finite and not plain and chance.maybe(0.14):
        steps.append((chance.pick(["will", "can", "must", "may", "would", "should"]), "aux", "VB"))
    if not plain and chance.maybe(0.12 if finite else 0.04):
        steps.append(("have", "aux", "VBN"))
    if not (plain or stative or passive or lemma is None) and chance.maybe(0.12 if finite else 0.03):
        steps.append(("be", "aux", "VBG"))
    if passive:
        steps.append(("be", "aux:pass", "VBN"))
    negated = finite and not plain and chance.maybe(0.1)
    if not steps and lemma is not None and finite and (negated or inverted):
        steps.append(("do", "aux", "VB"))
    if lemma is None:
        steps.append(("be", "cop", ""))
    xpos = ("VBD" if past else "VBZ") if finite else "VB"
    auxiliaries: list[tuple[Word, str]] = []
    if form == "infinitive":
        auxiliaries.append((morphology.closed("to", "TO"), "mark"))
    for auxiliary, relation, selects in steps:
        is_modal = selects == "VB" and auxiliary != "do"
        word = morphology.modal(auxiliary) if is_modal else morphology.verb(auxiliary, xpos, agreement, auxiliary=True)
        auxiliaries.append((word, relation))
        xpos = selects
    main = morphology.verb(lemma, xpos, agreement) if lemma is not None else None
    if main is not None and passive:
        main.feats["Voice"] = "Pass"
    return VerbGroup(auxiliaries, main, _negate(chance, auxiliaries[0][0], inverted) if negated else None)


def _negate(chance: Chance, first: Word, inverted: bool) -> Word | None:
    """`not`, or `n't` fused with the first auxiliary. A question takes `n't` only, so `may` and `am` stay without a negation there."""
    fusing = first.form not in ("may", "am")
    if not fusing:
        return None if inverted else morphology.negation(contracted=False)
    if not inverted and chance.maybe(0.35):
        return morphology.negation(contracted=False)
    first.form = {"will": "wo", "can": "ca"}.get(first.form, first.form)
    first.fused = True
    return morphology.negation(contracted=True)
