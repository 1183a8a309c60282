"""Whole sentences: statements, questions, commands, and the orders in which phrases leave their place."""

from __future__ import annotations

from . import lexicon, morphology, nominals
from .arguments import Gap
from .clauses import Clauses, Request
from .derivation import Arc, Ellipsis, Item, Part, Phrase, Word, leaves, node
from .morphology import THIRD
from .nominals import Nominal
from .verbs import verb_group
from .vocabulary import Vocabulary

WEIGHTS: dict[str, float] = {
    "statement": 45, "fronted": 12, "two_predicates": 6, "two_clauses": 5, "command": 3.5, "existence": 3, "expletive": 2, "quotation": 3.5,
    "gapping": 1.6, "polar_question": 4, "subject_question": 3, "object_question": 4, "adverb_question": 2, "extraposed_clause": 2.3,
    "extraposed_phrase": 0.9, "topic_first": 2.0,
}  # fmt: skip
PUNCTUATED = {"polar_question": "?", "subject_question": "?", "object_question": "?", "adverb_question": "?"}


class Sentences:
    """Draws sentences for one document."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.chance = vocabulary.chance
        self.clauses = Clauses(vocabulary)

    def sentence(self) -> Phrase:
        """Any sentence with its final punctuation."""
        kind = self.chance.weighted(WEIGHTS)
        phrase: Phrase = getattr(self, f"_{kind}")()
        mark = PUNCTUATED.get(kind) or self.chance.weighted({".": 30.0, "!": 1.0, ";": 0.8})
        phrase.parts.append(Part(morphology.punctuation(mark), "punct"))
        return phrase

    def headline(self) -> Phrase:
        """A title in the telegraphic present: no articles and no full stop."""
        subject = nominals.name(self.vocabulary, self.chance.pick(["ORG", "PERSON", "GPE"]))
        kind = self.chance.pick(["artefact", "document", "event", "event"])
        target = nominals.common(self.vocabulary, kind, determined=False)
        verb = morphology.verb(self.vocabulary.transitive(kind), "VBZ")
        place: list[Item] = []
        if self.chance.maybe(0.5):
            place.append((nominals.prepositional("in", nominals.name(self.vocabulary, "GPE")), "obl"))
        return node("S", (subject.phrase, "nsubj"), node("VP", verb, (target.phrase, "obj"), *place))

    # Statements

    def _clause_items(self) -> list[Item]:
        subject = self.clauses.subject()
        predicate = self.clauses.build(Request(subject, 0))
        return [(subject.phrase, predicate.relation), predicate.phrase]

    def _statement(self) -> Phrase:
        return node("S", *self._clause_items())

    def _fronted(self) -> Phrase:
        """An adverb, a date, a place or a clause before the subject."""
        choice = self.chance.weighted({"date": 4.0, "place": 3.0, "adverb": 2.0, "clause": 3.0})
        front: Item
        if choice == "date":
            front = nominals.date(self.vocabulary)
        elif choice == "place":
            front = (nominals.prepositional(self.chance.pick(["in", "at", "near"]), self.clauses.simple("place")), "obl")
        elif choice == "adverb":
            front = (node("ADVP", morphology.closed(self.chance.pick(lexicon.FRONT_ADVERBS), "RB")), "advmod")
        else:
            front = (self.clauses.subordinate(1), "advcl")
        comma: list[Item] = [(morphology.punctuation(","), "punct")] if choice in ("adverb", "clause") or self.chance.maybe(0.6) else []
        return node("S", front, *comma, *self._clause_items())

    def _two_predicates(self) -> Phrase:
        """Two verb phrases share a subject."""
        subject = self.clauses.subject(human=True)
        past = self.chance.maybe(0.6)
        first = self.clauses.build(Request(subject, 1, past=past), adjuncts=False)
        second = self.clauses.build(Request(subject, 1, plain=True, past=past))
        conjunction = morphology.closed(self.chance.pick(["and", "and", "but"]), "CC")
        both = node("VP", first.phrase, (conjunction, "cc", second.inner.head), (second.phrase, "conj"))
        both.arcs.append(Arc(second.inner.head, subject.head, second.relation))
        return node("S", (subject.phrase, first.relation), both)

    def _two_clauses(self) -> Phrase:
        first, second = node("S", *self._clause_items()), self.clauses.clause(1)
        comma = morphology.punctuation(",")
        conjunction = morphology.closed(self.chance.pick(["and", "but", "or"]), "CC")
        return node("S", first, (comma, "punct", second.head), (conjunction, "cc", second.head), (second, "conj"))

    def _existence(self) -> Phrase:
        subject = nominals.common(self.vocabulary, self.chance.pick(["document", "artefact", "event", "person"]), determined=False)
        if subject.agreement.number == "Sing":
            article = Word("a", "a", "DET", "DT", {"Definite": "Ind", "PronType": "Art"})
            subject.phrase.parts.insert(0, Part(article, "det"))
            nominals.agree_article(subject.phrase)
        verb = morphology.verb("be", self.chance.pick(["VBZ", "VBD"]), subject.agreement)
        place = nominals.prepositional(self.chance.pick(["in", "near", "at"]), self.clauses.simple("place"))
        there = node("NP", morphology.closed("there", "EX"))
        return node("S", (there, "expl"), node("VP", verb, (subject.phrase, "nsubj"), (place, "obl")))

    def _expletive(self) -> Phrase:
        """`It is clear that` …"""
        group = verb_group(self.chance, None, THIRD)
        clause = node("SBAR", (morphology.subordinator("that"), "mark"), self.clauses.clause(1))
        group.behind.append((clause, "csubj"))
        it = Word("it", "it", "PRON", "PRP", {"Case": "Nom", "Gender": "Neut", "Number": "Sing", "Person": "3", "PronType": "Prs"})
        predicate = node("ADJP", morphology.adjective(self.chance.pick(lexicon.CLAUSE_ADJECTIVES)))
        return node("S", (node("NP", it), "expl"), group.wrap(predicate))

    def _quotation(self) -> Phrase:
        said, speaker = self.clauses.clause(1), self.clauses.subject(1, human=True)
        verb = morphology.verb(self.chance.pick(["say", "say", "shout", "think"]), "VBD", speaker.agreement)
        opening, closing = Word('"', '"', "PUNCT", "``", glued=True), Word('"', '"', "PUNCT", "''")
        marks: list[Item] = [(mark, "punct", said.head) for mark in (morphology.punctuation(","), closing)]
        front: list[Item] = [(opening, "punct", said.head), (said, "ccomp"), *marks]
        if self.chance.maybe(0.5) and speaker.head.xpos != "PRP":
            return node("SINV", *front, node("VP", verb), (speaker.phrase, "nsubj"))
        return node("S", *front, (speaker.phrase, "nsubj"), node("VP", verb))

    def _gapping(self) -> Phrase:
        """`A bought a boat and B a kite`: the second verb is an empty node of the enhanced graph."""
        kind = self.chance.pick(["artefact", "document", "place"])
        subjects, targets = [self.clauses.simple("person")], [self.clauses.simple(kind)]
        subjects.append(self.clauses.other("person", subjects[0]))
        targets.append(self.clauses.other(kind, targets[0]))
        verb = morphology.verb(self.vocabulary.transitive(kind), "VBD")
        first = node("S", (subjects[0].phrase, "nsubj"), node("VP", verb, (targets[0].phrase, "obj")))
        second = node("S", subjects[1].phrase, (targets[1].phrase, "orphan"))
        conjunction = morphology.closed("and", "CC")
        comma: list[Item] = [(morphology.punctuation(","), "punct", second.head)] if self.chance.maybe(0.5) else []
        whole = node("S", first, *comma, (conjunction, "cc", second.head), (second, "conj"))
        left = [(subjects[1].head, "nsubj"), (targets[1].head, "obj"), (conjunction, "cc")]
        whole.ellipses.append(Ellipsis(verb, last_word(subjects[1]), "conj:and", left))
        return whole

    # Displacement

    def _extraposed_clause(self) -> Phrase:
        """A relative clause behind the verb phrase, or behind an adjunct, while its antecedent stays where it was."""
        adjunct: Item = nominals.date(self.vocabulary)
        if self.chance.maybe(0.4):
            adjunct = (node("ADVP", morphology.closed(self.vocabulary.adverb(), "RB")), "advmod")
        if self.chance.maybe(0.5):
            antecedent = nominals.common(self.vocabulary, self.chance.pick(["person", "document", "artefact"]))
            verb = morphology.verb(self.chance.pick(lexicon.APPEARING), self.chance.pick(["VBD", "VBD", "VBZ"]), antecedent.agreement)
            clause, relation = self.clauses.relative(antecedent, 1, full=True)
            return node("S", (antecedent.phrase, "nsubj"), node("VP", verb, adjunct), (clause, relation, antecedent.head))
        subject = self.clauses.subject(2, human=True)
        kind = self.chance.pick(["document", "artefact", "person"])
        antecedent = nominals.common(self.vocabulary, kind)
        group = verb_group(self.chance, self.vocabulary.transitive(kind), subject.agreement)
        clause, relation = self.clauses.relative(antecedent, 1, full=True)
        inner = node("VP", group.verb, (antecedent.phrase, "obj"), adjunct, (clause, relation, antecedent.head))
        return node("S", (subject.phrase, "nsubj"), group.wrap(inner))

    def _extraposed_phrase(self) -> Phrase:
        """`A report appeared last week about safety`."""
        subject = nominals.common(self.vocabulary, "document")
        verb = morphology.verb(self.chance.pick(lexicon.APPEARING), "VBD", subject.agreement)
        about = nominals.prepositional("about", self.clauses.simple(self.chance.pick(["topic", "event"])))
        return node("S", (subject.phrase, "nsubj"), node("VP", verb, nominals.date(self.vocabulary)), (about, "nmod", subject.head))

    def _topic_first(self) -> Phrase:
        """An object in front of its clause, sometimes of an embedded one."""
        kind = self.chance.pick(["document", "artefact", "place", "person"])
        topic = nominals.common(self.vocabulary, kind)
        gap = Gap(topic.head, kind, long=self.chance.maybe(0.25))
        clause = self.clauses.clause(0, gap=gap, subject=self.clauses.subject(2, human=True))
        front = [Part(topic.phrase, gap.relation, gap.place)]
        if self.chance.maybe(0.5):
            front.append(Part(morphology.punctuation(","), "punct", topic.head))
        clause.parts[:0] = front
        return clause

    # Questions and commands

    def _polar_question(self) -> Phrase:
        subject = self.clauses.subject(1)
        predicate = self.clauses.build(Request(subject, 0, inverted=True))
        front, rest = predicate.group.invert(predicate.inner)
        return node("SQ", *front, (subject.phrase, predicate.relation), rest)

    def _asked(self, kind: str) -> Nominal:
        """`who`, `what`, or `which` with a noun."""
        if self.chance.maybe(0.5) and kind in ("person", "artefact", "document"):
            form = "who" if kind == "person" else "what"
            return Nominal(node("WHNP", Word(form, form, "PRON", "WP", {"PronType": "Int"})), kind)
        noun = nominals.common(self.vocabulary, kind, determined=False)
        items: list[Item] = [(part.child, part.relation) if part.relation else part.child for part in noun.phrase.parts]
        which = Word("which", "which", "DET", "WDT", {"PronType": "Int"})
        return Nominal(node("WHNP", (which, "det"), *items), kind, noun.agreement)

    def _subject_question(self) -> Phrase:
        asked = self._asked(self.chance.pick(["person", "person", "artefact"]))
        predicate = self.clauses.build(Request(asked, 1))
        return node("SBARQ", (asked.phrase, predicate.relation), node("SQ", predicate.phrase))

    def _object_question(self) -> Phrase:
        """The place of the asked phrase may be an object, behind a preposition, or in an embedded clause."""
        oblique = self.chance.maybe(0.2)
        kind = self.chance.pick(["person", "place"] if oblique else ["artefact", "document", "person", "place"])
        asked = self._asked(kind)
        subject = nominals.simple(self.vocabulary, "person", "Nom")
        gap = Gap(asked.head, kind, oblique=oblique, long=not oblique and self.chance.maybe(0.2))
        predicate = self.clauses.build(Request(subject, 0, inverted=True, gap=gap))
        front, rest = predicate.group.invert(predicate.inner)
        question = node("SQ", *front, (subject.phrase, predicate.relation), rest)
        return node("SBARQ", (asked.phrase, gap.relation, gap.place), question)

    def _adverb_question(self) -> Phrase:
        adverb = node("WHADVP", morphology.closed(self.chance.pick(["where", "when", "why", "how"]), "WRB"))
        return node("SBARQ", (adverb, "advmod"), self._polar_question())

    def _command(self) -> Phrase:
        """A bare verb phrase; its frame needs no controller, since a subject that is not said cannot control."""
        predicate = self.clauses.command()
        predicate.inner.head.feats = {"Mood": "Imp", "VerbForm": "Fin"}
        return node("S", predicate.phrase)


def last_word(nominal: Nominal) -> Word:
    """The last word of a noun phrase."""
    return list(leaves(nominal.phrase))[-1]
