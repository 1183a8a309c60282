"""Named entities: the cast of a document, mentioned in full first and in short forms later."""

from __future__ import annotations

from dataclasses import dataclass

from . import lexicon
from .chance import Chance
from .derivation import Item, Phrase, Word, node
from .morphology import numeral, preposition


def _word(form: str, label: str, position: int) -> Word:
    entity = f"{'I' if position else 'B'}-{label}"
    if form.isdigit():
        word = numeral(form)
    elif form in ("the", "of"):
        word = Word(form, form, "DET", "DT", {"Definite": "Def", "PronType": "Art"}) if form == "the" else preposition(form)
    else:
        word = Word(form, form, "PROPN", "NNP", {"Number": "Sing"})
    word.entity = entity
    return word


def name_phrase(forms: list[str], label: str) -> Phrase:
    """A name as a flat noun phrase; `the Bank of Kelton` has a PP inside."""
    words = [_word(form, label, i) for i, form in enumerate(forms)]
    if "of" in forms:
        cut = forms.index("of")
        inner = node("PP", (words[cut], "case"), node("NP", *words[cut + 1 :]))
        return node("NP", node("NP", *_noun_last(words[:cut])), (inner, "nmod"))
    if label == "PERSON":
        first = 1 if words[0].form == "Dr." and len(words) > 1 else 0
        title: list[Item] = [(words[0], "compound")] if first else []
        rest: list[Item] = [(word, "flat") for word in words[first + 1 :]]
        return node("NP", *title, words[first], *rest)
    return node("NP", *_noun_last(words))


def _noun_last(words: list[Word]) -> list[Item]:
    """The last proper noun is the head; what precedes compounds, a number after it counts."""
    at = max(i for i, word in enumerate(words) if word.xpos == "NNP")
    items: list[Item] = []
    for i, word in enumerate(words):
        if i == at:
            items.append(word)
        else:
            items.append((word, {"DT": "det", "CD": "nummod"}.get(word.xpos, "compound")))
    return items


@dataclass
class Character:
    """One entity of a document's cast."""

    label: str
    full: list[str]
    short: list[str]
    mentioned: bool = False

    def mention(self, chance: Chance) -> Phrase:
        """The full name at first and now and then, otherwise a short form."""
        full = not self.mentioned or chance.maybe(0.25)
        self.mentioned = True
        return name_phrase(self.full if full else self.short, self.label)


class Names:
    """Coins names. Half of them come back from a pool shared by all documents, the others occur in one document only."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.pool = {label: [self.coin(label) for _ in range(45)] for label in lexicon.NAME_ENDINGS}

    def coin(self, label: str) -> str:
        """A stem with an ending that mostly, not always, gives the kind of name away."""
        chance = self.chance
        endings = lexicon.NAME_ENDINGS[label] if chance.maybe(0.6) else lexicon.SHARED_ENDINGS
        return chance.pick(lexicon.NAME_STEMS) + chance.pick(lexicon.NAME_LINKS) + chance.pick(endings)

    def stem(self, label: str) -> str:
        """A name, old or new."""
        if self.chance.maybe(0.68):
            pool = self.pool[label]
            return pool[min(self.chance.below(len(pool)), self.chance.below(len(pool)))]
        return self.coin(label)

    def person(self) -> Character:
        """A given name and a family name; referred to by either, or with a title."""
        gender = self.chance.pick(["Fem", "Masc"])
        given, family = self.chance.pick(lexicon.GIVEN_NAMES[gender]), self.stem("PERSON")
        full = ["Dr.", given, family] if self.chance.maybe(0.15) else [given, family]
        short = self.chance.weighted({(given,): 4.0, (family,): 4.0, ("Dr.", family): 1.0})
        return Character("PERSON", full, list(short))

    def place(self) -> Character:
        """A town; `Port` and `New` come first."""
        stem = self.stem("GPE")
        full = [self.chance.pick(["New", "Port", "West", "Fort"]), stem] if self.chance.maybe(0.2) else [stem]
        return Character("GPE", full, full)

    def organisation(self, place: Character, founder: Character) -> Character:
        """Named after a word of its own, a founder or a town, so that the short form alone may be ambiguous."""
        stem = self.chance.weighted({"own": 6.0, "founder": 1.5, "town": 1.5})
        name = {"own": self.stem("ORG"), "founder": founder.full[-1], "town": place.full[-1]}[stem]
        full = self.chance.weighted(
            {
                (name, self.chance.pick(lexicon.ORGANISATION_ENDINGS)): 6.0,
                ("the", "Bank", "of", place.full[-1]): 1.0,
                (name,): 2.0,
            }
        )
        short = list(full) if "of" in full or self.chance.maybe(0.4) else [name]
        return Character("ORG", list(full), short)

    def product(self, maker: Character) -> Character:
        """A thing on sale: `Harlow Falcon`, `Orbit 5`, `Zelpad`."""
        noun = self.chance.pick(lexicon.PRODUCT_NOUNS)
        number = str(2 + self.chance.below(9))
        maker_word = maker.short[0] if maker.short[0] != "the" else self.stem("ORG")
        full = self.chance.weighted(
            {(maker_word, noun): 2.0, (noun, number): 2.0, (self.stem("PRODUCT"),): 3.0, (self.stem("PRODUCT"), number): 2.0}
        )
        short = [full[0]] if full[0] != maker_word else [noun]
        return Character("PRODUCT", list(full), short)
