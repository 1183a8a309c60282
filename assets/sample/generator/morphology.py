"""Inflection, and the annotated words it gives."""

from __future__ import annotations

from dataclasses import dataclass

from . import lexicon
from .derivation import Word

VOWELS = "aeiou"


@dataclass(frozen=True)
class Agreement:
    """What a finite verb copies from its subject."""

    person: int
    number: str  # "Sing" or "Plur"


THIRD = Agreement(3, "Sing")

BE = {"VB": "be", "VBG": "being", "VBN": "been"}
CLOSED: dict[str, tuple[str, dict[str, str]]] = {
    "DT": ("DET", {"PronType": "Art"}),
    "CC": ("CCONJ", {}),
    "TO": ("PART", {}),
    "RB": ("ADV", {}),
    "RP": ("ADP", {}),
    "WRB": ("ADV", {"PronType": "Int"}),
    "EX": ("PRON", {}),
    "POS": ("PART", {}),
}
PUNCTUATION = {".": ".", "?": ".", "!": ".", ",": ",", ";": ":", ":": ":"}


def plural(lemma: str) -> str:
    """The plural of a noun."""
    if lemma in lexicon.PLURALS:
        return lexicon.PLURALS[lemma]
    return third_person(lemma)


def third_person(lemma: str) -> str:
    """The -s form of a verb (or the regular plural of a noun)."""
    if lemma == "have":
        return "has"
    if lemma.endswith("y") and lemma[-2] not in VOWELS:
        return lemma[:-1] + "ies"
    if lemma.endswith(("s", "x", "z", "ch", "sh")) or lemma in ("go", "do"):
        return lemma + "es"
    return lemma + "s"


def past(lemma: str) -> str:
    """The past tense of a regular verb."""
    if lemma in lexicon.DOUBLING:
        return lemma + lemma[-1] + "ed"
    if lemma.endswith("e"):
        return lemma + "d"
    if lemma.endswith("y") and lemma[-2] not in VOWELS:
        return lemma[:-1] + "ied"
    return lemma + "ed"


def gerund(lemma: str) -> str:
    """The -ing form of a verb."""
    if lemma in lexicon.DOUBLING or lemma in ("put", "set"):
        return lemma + lemma[-1] + "ing"
    if lemma.endswith("e") and not lemma.endswith("ee"):
        return lemma[:-1] + "ing"
    return lemma + "ing"


def _be(xpos: str, agreement: Agreement) -> str:
    singular = agreement.number == "Sing"
    if xpos == "VBD":
        return "was" if singular else "were"
    if xpos in ("VBZ", "VBP"):
        return ("am" if agreement.person == 1 else "is") if singular else "are"
    return BE[xpos]


def verb_form(lemma: str, xpos: str, agreement: Agreement) -> str:
    """The form of any verb, `be`, `have` and `do` included."""
    if lemma == "be":
        return _be(xpos, agreement)
    if xpos == "VBZ":
        return third_person(lemma)
    if xpos == "VBG":
        return gerund(lemma)
    if xpos in ("VBD", "VBN"):
        if lemma in ("have", "do"):
            return "had" if lemma == "have" else ("did" if xpos == "VBD" else "done")
        pair = lexicon.IRREGULAR.get(lemma)
        return (pair[0] if xpos == "VBD" else pair[1]) if pair else past(lemma)
    return lemma


def verb(lemma: str, xpos: str, agreement: Agreement = THIRD, *, auxiliary: bool = False) -> Word:
    """A verb with its features. `xpos` VBZ or VBP is settled by the agreement, so either may be passed for the present."""
    if xpos in ("VBZ", "VBP"):
        xpos = "VBZ" if agreement == THIRD else "VBP"
    feats = {
        "VB": {"VerbForm": "Inf"},
        "VBG": {"Tense": "Pres", "VerbForm": "Part"},
        "VBN": {"Tense": "Past", "VerbForm": "Part"},
    }.get(xpos)
    if feats is None:
        feats = {"Mood": "Ind", "Tense": "Past" if xpos == "VBD" else "Pres", "VerbForm": "Fin"}
        if xpos != "VBD" or lemma == "be":
            feats |= {"Number": agreement.number, "Person": str(agreement.person)}
    return Word(verb_form(lemma, xpos, agreement), lemma, "AUX" if auxiliary else "VERB", xpos, feats)


def modal(lemma: str) -> Word:
    """A modal auxiliary."""
    return Word(lemma, lemma, "AUX", "MD", {"VerbForm": "Fin"})


def noun(lemma: str, number: str = "Sing") -> Word:
    """A common noun."""
    return Word(plural(lemma) if number == "Plur" else lemma, lemma, "NOUN", "NNS" if number == "Plur" else "NN", {"Number": number})


def adjective(lemma: str, degree: str = "Pos") -> Word:
    """An adjective, positive or comparative."""
    form = lexicon.COMPARATIVES[lemma] if degree == "Cmp" else lemma
    return Word(form, lemma, "ADJ", "JJR" if degree == "Cmp" else "JJ", {"Degree": degree})


def preposition(form: str) -> Word:
    """A preposition."""
    return Word(form, form, "ADP", "IN")


def subordinator(form: str) -> Word:
    """A conjunction that opens a clause: `that`, `because` …"""
    return Word(form, form, "SCONJ", "IN")


def closed(form: str, xpos: str) -> Word:
    """A word of a closed class, by its Penn tag."""
    upos, feats = CLOSED[xpos]
    return Word(form, form.lower(), upos, xpos, dict(feats))


def numeral(form: str) -> Word:
    """A number in words or figures."""
    return Word(form, form, "NUM", "CD", {"NumForm": "Digit" if form.isdigit() else "Word", "NumType": "Card"})


def negation(contracted: bool) -> Word:
    """`not`, or the `n't` that leans on an auxiliary."""
    return Word("n't" if contracted else "not", "not", "PART", "RB", {"Polarity": "Neg"})


def punctuation(form: str) -> Word:
    """A punctuation mark."""
    return Word(form, form, "PUNCT", PUNCTUATION[form])
