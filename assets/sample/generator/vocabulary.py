"""What a document talks about: its favourite words, a few words coined for it, and its cast."""

from __future__ import annotations

from . import lexicon
from .chance import Chance
from .names import Character, Names


class Vocabulary:
    """Word choice of one document. Favourites are frequent, so that a topic shows; coined words occur nowhere else."""

    def __init__(self, chance: Chance, names: Names) -> None:
        self.chance = chance
        self.nouns = {kind: chance.several(words, 5) for kind, words in lexicon.NOUNS.items()}
        self.verbs = {kind: chance.several(words, 5) for kind, words in lexicon.TRANSITIVE.items()}
        self.adjectives = chance.several(lexicon.ADJECTIVES, 5)
        self.coined = {kind: self._coin(kind) for kind in lexicon.COINED}
        self.cast = self._cast(names)

    def _coin(self, kind: str) -> str:
        stem = self.chance.pick(lexicon.STEMS)
        if self.chance.maybe(0.3):
            stem += self.chance.pick(["an", "ol", "ip", "er"])
        return stem + self.chance.pick(lexicon.COINED[kind])

    def _cast(self, names: Names) -> dict[str, list[Character]]:
        people = [names.person() for _ in range(3)]
        places = [names.place() for _ in range(2)]
        organisations = [names.organisation(place, people[0]) for place in places]
        return {"PERSON": people, "GPE": places, "ORG": organisations, "PRODUCT": [names.product(organisations[0])]}

    def noun(self, kind: str) -> str:
        """A noun of the kind."""
        if kind in self.coined and self.chance.maybe(0.06):
            return self.coined[kind]
        return self.chance.pick(self.nouns[kind] if self.chance.maybe(0.6) else lexicon.NOUNS[kind])

    def transitive(self, kind: str) -> str:
        """A verb whose object is of the kind."""
        if self.chance.maybe(0.07):
            return self.coined["verb"]
        return self.chance.pick(self.verbs[kind] if self.chance.maybe(0.6) else lexicon.TRANSITIVE[kind])

    def adjective(self) -> str:
        """An adjective for a noun."""
        if self.chance.maybe(0.08):
            return self.coined["adjective"]
        return self.chance.pick(self.adjectives if self.chance.maybe(0.5) else lexicon.ADJECTIVES)

    def adverb(self) -> str:
        """An adverb of manner or time, after the verb."""
        return self.coined["adverb"] if self.chance.maybe(0.12) else self.chance.pick(lexicon.ADVERBS)

    def character(self, label: str) -> Character:
        """Someone or something of the cast."""
        return self.chance.pick(self.cast[label])
