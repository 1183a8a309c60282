"""Noun phrases with clauses inside: relative clauses, participles, appositions, coordination."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from . import lexicon, morphology, nominals
from .derivation import Arc, Item, Phrase, Word, node
from .nominals import Nominal
from .verbs import VerbGroup
from .vocabulary import Vocabulary

DEEPEST = 2  # clauses inside clauses
HUMAN = ("person", "organisation")


@dataclass
class Gap:
    """A displaced phrase looking for its place; the clause that has the place fills in governor, relation and preposition."""

    filler: Word | None  # None in relative clauses without a pronoun
    kind: str
    oblique: bool = False  # the place is behind a preposition
    long: bool = False  # the place is one clause further down
    governor: Word | None = None
    relation: str = ""
    preposition: str = ""

    def fill(self, governor: Word, relation: str, preposition: str = "") -> None:
        """Notes the place."""
        self.governor, self.relation, self.preposition = governor, relation, preposition

    @property
    def place(self) -> Word:
        """The governor of the displaced phrase.

        Raises:
            ValueError: no clause had a place for the phrase.
        """
        if self.governor is None:
            raise ValueError(f"no clause had a place for a displaced {self.kind}")
        return self.governor

    @property
    def enhanced(self) -> str:
        """The relation with the preposition, as the enhanced graph writes it."""
        return f"{self.relation}:{self.preposition}" if self.preposition else self.relation


@dataclass
class Predicate:
    """A verb phrase still without its auxiliaries."""

    group: VerbGroup
    inner: Phrase
    relation: str = "nsubj"  # what the subject is to it

    @property
    def phrase(self) -> Phrase:
        """The verb phrase with its auxiliaries, in plain order."""
        return self.group.wrap(self.inner)


class Arguments(ABC):
    """Builds noun phrases with the words of one document; `Clauses` adds the clauses that go inside."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.chance = vocabulary.chance

    @abstractmethod
    def predicate(self, subject: Nominal, depth: int) -> Predicate:
        """A finite verb phrase that suits the subject."""

    @abstractmethod
    def clause(self, depth: int, *, gap: Gap | None = None) -> Phrase:
        """A finite clause, with a place for the gap."""

    def simple(self, kind: str) -> Nominal:
        """A name or a common noun phrase without anything behind the noun."""
        return nominals.simple(self.vocabulary, kind, pronouns=False)

    def other(self, kind: str, first: Nominal) -> Nominal:
        """A simple noun phrase about something else than the first one."""
        while True:
            found = self.simple(kind)
            if found.head.lemma != first.head.lemma:
                return found

    def subject(self, depth: int = 0, *, human: bool | None = None) -> Nominal:
        """A subject; about three in four can act."""
        human = self.chance.maybe(0.76) if human is None else human
        kinds = {"person": 3.0, "organisation": 1.3} if human else {"artefact": 3.0, "document": 2.0, "event": 1.5, "place": 0.7}
        return self.argument(self.chance.weighted(kinds), depth, "Nom")

    def argument(self, kind: str, depth: int, case: str = "Acc") -> Nominal:
        """A noun phrase, perhaps with a modifier, a relative clause, an apposition or conjuncts."""
        nominal = nominals.simple(self.vocabulary, kind, case)
        if nominal.head.xpos == "PRP":
            return nominal
        if not nominal.bare:
            nominal = self._modified(nominal, depth)
        if self.chance.maybe(0.08):
            others = [self.other(kind, nominal) for _ in range(2 if self.chance.maybe(0.25) else 1)]
            return nominals.coordinate(self.vocabulary, nominal, others)
        if nominal.head.entity.endswith("PERSON") and self.chance.maybe(0.1):
            return self._apposition(nominal)
        return nominal

    def _apposition(self, nominal: Nominal) -> Nominal:
        article = Word("the", "the", "DET", "DT", {"Definite": "Def", "PronType": "Art"})
        role = node("NP", (article, "det"), morphology.noun(self.chance.pick(["editor", "manager", "minister", "coach", "mayor", "guide"])))
        inner = node("NP", role, (nominals.prepositional("of", self.simple("organisation")), "nmod"))
        before, after = morphology.punctuation(","), morphology.punctuation(",")
        phrase = node("NP", nominal.phrase, (before, "punct", inner.head), (inner, "appos"), (after, "punct", inner.head))
        return Nominal(phrase, "person", nominal.agreement, bare=True)

    def _modified(self, nominal: Nominal, depth: int) -> Nominal:
        phrase = nominals.modifier(self.vocabulary, nominal.kind) if self.chance.maybe(0.2) else None
        if phrase is not None:
            nominal = Nominal(node("NP", nominal.phrase, (phrase, "nmod")), nominal.kind, nominal.agreement)
        if depth < DEEPEST and self.chance.maybe(0.16 if depth == 0 else 0.06):
            item = self.relative(nominal, depth + 1)
            nominal = Nominal(node("NP", nominal.phrase, item), nominal.kind, nominal.agreement)
        return nominal

    def relative(self, antecedent: Nominal, depth: int, *, full: bool = False) -> tuple[Phrase, str]:
        """A relative clause, or a participle in its place, with its relation to the antecedent.

        `full` asks for a clause with a pronoun, the only sort that is extraposed.
        """
        relatable = antecedent.kind in lexicon.TRANSITIVE
        kind = self.chance.weighted(
            {
                "subject": 9.0,
                "object": 4.0 if relatable else 0.0,
                "bare object": 4.0 if relatable and not full else 0.0,
                "oblique": 0.0 if full else 0.5,
                "passive participle": 4.0 if relatable and not full else 0.0,
                "active participle": 4.0 if antecedent.kind in HUMAN and not full else 0.0,
            }
        )
        if kind.endswith("participle"):
            return self._participle(antecedent, active=kind.startswith("active")), "acl"
        if kind == "subject":
            return self._subject_relative(antecedent, depth), "acl:relcl"
        pronoun = None if kind == "bare object" else self._relative_pronoun(antecedent)
        long = kind != "oblique" and self.chance.maybe(0.04 if pronoun else 0.15)
        gap = Gap(pronoun, antecedent.kind, oblique=kind == "oblique", long=long)
        clause = self.clause(depth, gap=gap)
        phrase = node("SBAR", clause)
        if pronoun is not None:
            phrase = node("SBAR", (node("WHNP", pronoun), gap.relation, gap.place), clause)
            phrase.arcs.append(Arc(antecedent.head, pronoun, "ref"))
        phrase.arcs.append(Arc(gap.place, antecedent.head, gap.enhanced))
        return phrase, "acl:relcl"

    def _subject_relative(self, antecedent: Nominal, depth: int) -> Phrase:
        pronoun = self._relative_pronoun(antecedent)
        predicate = self.predicate(antecedent, depth)
        phrase = node("SBAR", (node("WHNP", pronoun), predicate.relation), node("S", predicate.phrase))
        phrase.arcs += [Arc(antecedent.head, pronoun, "ref"), Arc(predicate.inner.head, antecedent.head, predicate.relation)]
        return phrase

    def _relative_pronoun(self, antecedent: Nominal) -> Word:
        form = self.chance.pick(["that", "who"] if antecedent.kind == "person" else ["that", "that", "which"])
        return Word(form, form, "PRON", "WP" if form == "who" else "WDT", {"PronType": "Rel"}, refers=True)

    def _participle(self, antecedent: Nominal, *, active: bool) -> Phrase:
        if active:
            kind = self.chance.pick(list(lexicon.TRANSITIVE))
            verb = morphology.verb(self.vocabulary.transitive(kind), "VBG")
            return node("VP", verb, (nominals.simple(self.vocabulary, kind).phrase, "obj"))
        verb = morphology.verb(self.vocabulary.transitive(antecedent.kind), "VBN")
        verb.feats["Voice"] = "Pass"
        second: Item = (nominals.prepositional("by", self.simple("person")), "obl:agent")
        return node("VP", verb, second if self.chance.maybe(0.6) else nominals.date(self.vocabulary))
