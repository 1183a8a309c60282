"""Noun phrases and prepositional phrases, without clauses inside."""

from __future__ import annotations

from dataclasses import dataclass

from . import lexicon, morphology
from .derivation import Item, Phrase, Word, node
from .morphology import THIRD, Agreement
from .vocabulary import Vocabulary


@dataclass
class Nominal:
    """A noun phrase and what its surroundings need to know of it."""

    phrase: Phrase
    kind: str  # a key of lexicon.NOUNS
    agreement: Agreement = THIRD
    bare: bool = False  # a pronoun or a name: takes no modifiers

    @property
    def head(self) -> Word:
        """The lexical head."""
        return self.phrase.head


PRONOUNS: dict[str, list[tuple[str, str, str, int, str, str]]] = {
    # nominative, accusative, possessive, person, number, gender
    "person": [
        ("he", "him", "his", 3, "Sing", "Masc"),
        ("she", "her", "her", 3, "Sing", "Fem"),
        ("they", "them", "their", 3, "Plur", ""),
        ("we", "us", "our", 1, "Plur", ""),
        ("I", "me", "my", 1, "Sing", ""),
        ("you", "you", "your", 2, "Plur", ""),
    ],
    "thing": [("it", "it", "its", 3, "Sing", "Neut"), ("they", "them", "their", 3, "Plur", "")],
}


def pronoun(vocabulary: Vocabulary, kind: str, case: str) -> Nominal:
    """A personal pronoun in the case "Nom" or "Acc"."""
    human = kind in ("person", "organisation")
    nominative, accusative, _, person, number, gender = vocabulary.chance.pick(PRONOUNS["person" if human else "thing"])
    feats = {"Case": case, "Number": number, "Person": str(person), "PronType": "Prs"} | ({"Gender": gender} if gender else {})
    word = Word(nominative if case == "Nom" else accusative, nominative, "PRON", "PRP", feats)
    return Nominal(node("NP", word), kind, Agreement(person, number), bare=True)


def name(vocabulary: Vocabulary, label: str) -> Nominal:
    """A mention of the cast as a noun phrase."""
    kind = {"PERSON": "person", "ORG": "organisation", "GPE": "place", "PRODUCT": "artefact"}[label]
    return Nominal(vocabulary.character(label).mention(vocabulary.chance), kind, bare=True)


def _possessor(vocabulary: Vocabulary) -> Item:
    chance = vocabulary.chance
    if chance.maybe(0.5):
        nominative, _, possessive, person, number, gender = chance.pick(PRONOUNS["person"])
        feats = {"Case": "Gen", "Number": number, "Person": str(person), "Poss": "Yes", "PronType": "Prs"}
        return (Word(possessive, nominative, "PRON", "PRP$", feats | ({"Gender": gender} if gender else {})), "nmod:poss")
    owner = name(vocabulary, chance.weighted({"PERSON": 5.0, "ORG": 2.0, "GPE": 1.0})).phrase
    marker = morphology.closed("'s", "POS")
    return (_with_marker(owner, marker), "nmod:poss")


def _with_marker(owner: Phrase, marker: Word) -> Phrase:
    items: list[Item] = [(part.child, part.relation) if part.relation else part.child for part in owner.parts]
    return node("NP", *items, (marker, "case"))


def _determiner(vocabulary: Vocabulary, number: str, countable: bool) -> list[Item]:
    """Nothing, an article, a demonstrative, a quantifier, a possessor or a numeral, as the number allows."""
    chance = vocabulary.chance
    plural = number == "Plur"
    choices = {"the": 46.0, "possessor": 14.0, "demonstrative": 6.0}
    if plural:
        choices |= {"none": 18.0, "numeral": 9.0, "some": 6.0, "many": 4.0}
    elif countable:
        choices |= {"a": 30.0, "every": 5.0, "no": 2.0}
    else:
        choices = {"none": 75.0, "the": 12.0, "possessor": 8.0, "some": 5.0}
    choice = chance.weighted(choices)
    if choice == "possessor":
        return [_possessor(vocabulary)]
    if choice == "none":
        return []
    if choice == "numeral":
        figure = str(2 + chance.below(90))
        return [(morphology.numeral(figure if chance.maybe(0.3) else chance.pick(lexicon.NUMERALS)), "nummod")]
    if choice == "many":
        return [(morphology.adjective("many"), "amod")]
    if choice == "demonstrative":
        near = chance.maybe(0.6)
        form = ("these" if near else "those") if plural else ("this" if near else "that")
        return [(Word(form, "this" if near else "that", "DET", "DT", {"Number": number, "PronType": "Dem"}), "det")]
    feats = {
        "the": {"Definite": "Def", "PronType": "Art"},
        "a": {"Definite": "Ind", "PronType": "Art"},
        "every": {"PronType": "Tot"},
        "no": {"PronType": "Neg"},
        "some": {"PronType": "Ind"},
    }[choice]
    return [(Word(choice, choice, "DET", "DT", feats), "det")]


def _adjectives(vocabulary: Vocabulary) -> list[Item]:
    chance = vocabulary.chance
    items: list[Item] = []
    while chance.maybe(0.3 if not items else 0.15):
        lemma = vocabulary.adjective()
        comparative = lemma in lexicon.COMPARATIVES and chance.maybe(0.12)
        items.append((morphology.adjective(lemma, "Cmp" if comparative else "Pos"), "amod"))
    return items


def common(vocabulary: Vocabulary, kind: str, *, determined: bool = True) -> Nominal:
    """Determiner, adjectives, compound noun and head; sometimes two coordinated nouns under one determiner."""
    chance = vocabulary.chance
    lemma = vocabulary.noun(kind)
    countable = kind != "topic" and lemma not in lexicon.UNCOUNTED
    number = "Plur" if countable and chance.maybe(0.33) else "Sing"
    items = _determiner(vocabulary, number, countable) if determined else []
    items += _adjectives(vocabulary)
    if chance.maybe(0.1) and kind not in ("topic", "trait", "part"):
        items.append((morphology.noun(vocabulary.noun(chance.pick(["topic", "event", "artefact", "place"]))), "compound"))
    items.append(morphology.noun(lemma, number))
    if number == "Plur" and chance.maybe(0.06):
        second = morphology.noun(vocabulary.noun(kind), "Plur")
        items += [(morphology.closed("and", "CC"), "cc", second), (second, "conj")]
    phrase = node("NP", *items)
    agree_article(phrase)
    return Nominal(phrase, kind, Agreement(3, number))


def agree_article(phrase: Phrase) -> None:
    """`a` becomes `an` before a vowel."""
    children = [part.child for part in phrase.parts]
    if len(children) > 1 and isinstance(children[0], Word) and children[0].form == "a":
        following = children[1]
        if isinstance(following, Word) and following.form[0] in morphology.VOWELS and not following.form.startswith("uni"):
            children[0].form = "an"


def prepositional(form: str, inner: Nominal) -> Phrase:
    """A prepositional phrase, headed by its noun as Universal Dependencies want."""
    return node("PP", (morphology.preposition(form), "case"), inner.phrase)


def simple(vocabulary: Vocabulary, kind: str, case: str = "Acc", *, pronouns: bool = True) -> Nominal:
    """A pronoun, a name or a common noun phrase."""
    chance = vocabulary.chance
    label = {"person": "PERSON", "organisation": "ORG", "place": "GPE", "artefact": "PRODUCT"}.get(kind)
    weights = {
        "common": 10.0,
        "name": {"PERSON": 6.0, "ORG": 8.0, "GPE": 6.0, "PRODUCT": 3.0}[label] if label else 0.0,
        "pronoun": 2.2 if pronouns and kind not in ("place", "topic", "instrument", "part", "trait", "event") else 0.0,
    }
    choice = chance.weighted(weights)
    if choice == "pronoun":
        return pronoun(vocabulary, kind, case)
    return name(vocabulary, label) if choice == "name" and label else common(vocabulary, kind)


def modifier(vocabulary: Vocabulary, kind: str) -> Phrase | None:
    """A prepositional phrase that this kind of noun takes; the preposition and its noun tell where it attaches."""
    chance = vocabulary.chance
    options: dict[str, dict[tuple[str, str], float]] = {
        "document": {("about", "topic"): 4, ("about", "event"): 2, ("on", "topic"): 2, ("from", "person"): 2, ("of", "organisation"): 1},
        "artefact": {("with", "part"): 5, ("of", "person"): 1, ("from", "place"): 2, ("in", "place"): 1},
        "person": {("from", "place"): 3, ("with", "trait"): 4, ("of", "organisation"): 1, ("at", "organisation"): 1},
        "organisation": {("from", "place"): 2, ("of", "person"): 1},
        "event": {("in", "place"): 3, ("about", "topic"): 2, ("of", "organisation"): 1},
        "place": {("near", "place"): 3, ("with", "part"): 1, ("of", "organisation"): 1},
    }
    if kind not in options:
        return None
    form, inner = chance.weighted(options[kind])
    return prepositional(form, simple(vocabulary, inner, pronouns=False))


def coordinate(vocabulary: Vocabulary, first: Nominal, others: list[Nominal]) -> Nominal:
    """`A and B` or `A , B and C`; the first conjunct is the head."""
    items: list[Item] = [first.phrase]
    conjunction = "and" if vocabulary.chance.maybe(0.85) else "or"
    for i, other in enumerate(others):
        if i == len(others) - 1:
            items.append((morphology.closed(conjunction, "CC"), "cc", other.head))
        else:
            items.append((morphology.punctuation(","), "punct", other.head))
        items.append((other.phrase, "conj"))
    agreement = Agreement(3, "Plur") if conjunction == "and" else others[-1].agreement
    return Nominal(node("NP", *items), first.kind, agreement, bare=True)


def date(vocabulary: Vocabulary) -> tuple[Phrase, str]:
    """A date as an adjunct with its relation: `last Monday`, `in March`, `on May 4`, `in 2017`."""
    chance = vocabulary.chance

    def entity(words: list[Word]) -> list[Word]:
        for i, word in enumerate(words):
            word.entity = "I-DATE" if i else "B-DATE"
        return words

    def proper(form: str) -> Word:
        return Word(form, form, "PROPN", "NNP", {"Number": "Sing"})

    shape = chance.weighted({"last": 4.0, "weekday": 3.0, "month": 3.0, "day": 3.0, "year": 3.0, "unit": 2.0})
    if shape in ("last", "unit"):
        last = morphology.adjective(chance.pick(["last", "next"]))
        unit = morphology.noun(chance.pick(["week", "month", "year", "summer"]))
        head = proper(chance.pick(lexicon.WEEKDAYS)) if shape == "last" else unit
        entity([last, head])
        return node("NP", (last, "amod"), head), "obl:tmod"
    if shape == "weekday":
        inner = node("NP", *entity([proper(chance.pick(lexicon.WEEKDAYS))]))
        return node("PP", (morphology.preposition("on"), "case"), inner), "obl"
    if shape == "month":
        inner = node("NP", *entity([proper(chance.pick(lexicon.MONTHS))]))
        return node("PP", (morphology.preposition("in"), "case"), inner), "obl"
    if shape == "year":
        inner = node("NP", *entity([morphology.numeral(str(1880 + chance.below(150)))]))
        return node("PP", (morphology.preposition("in"), "case"), inner), "obl"
    month, day = entity([proper(chance.pick(lexicon.MONTHS)), morphology.numeral(str(1 + chance.below(30)))])
    return node("PP", (morphology.preposition("on"), "case"), node("NP", month, (day, "nummod"))), "obl"
