"""Clauses: what a verb takes, who controls an infinitive, and where a displaced phrase left its gap."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import lexicon, morphology, nominals
from .arguments import DEEPEST, HUMAN, Arguments, Gap, Predicate
from .derivation import Arc, Item, Part, Phrase, Word, node
from .nominals import Nominal
from .verbs import VerbGroup, verb_group

STRANDING = {"place": ["to", "in", "from"], "person": ["for", "at", "on"], "organisation": ["for", "on"]}
ADJUNCTS: dict[tuple[str, str], float] = {
    ("in", "place"): 4, ("at", "place"): 3, ("during", "event"): 3, ("after", "event"): 2, ("before", "event"): 2, ("near", "place"): 1,
    ("with", "person"): 2,
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What a predicate must be like."""

    subject: Nominal
    depth: int
    form: str = "finite"  # or "infinitive", "bare"
    inverted: bool = False
    plain: bool = False  # simple tense, no negation
    past: bool | None = None  # drawn if None
    gap: Gap | None = None


class Clauses(Arguments):
    """Builds clauses with the words of one document."""

    def clause(self, depth: int, *, gap: Gap | None = None, subject: Nominal | None = None) -> Phrase:
        """Subject and finite verb phrase, with a place for the gap if there is one."""
        if subject is None:
            subject = nominals.simple(self.vocabulary, "person", "Nom") if gap else self.subject(depth + 1)
        predicate = self.build(Request(subject, depth, gap=gap))
        return node("S", (subject.phrase, predicate.relation), predicate.phrase)

    def predicate(self, subject: Nominal, depth: int) -> Predicate:
        """A finite verb phrase that suits the subject."""
        return self.build(Request(subject, depth))

    def build(self, request: Request, *, adjuncts: bool = True) -> Predicate:
        """A predicate as requested, with adjuncts unless something is displaced from it."""
        frame = self._frame(request)
        result: Predicate = getattr(self, f"_{frame}")(request)
        if adjuncts and request.gap is None and frame not in ("clausal", "wondering"):
            found = self.adjuncts(request.depth, short=request.form != "finite")
            if frame != "copular":
                result.inner.parts += [Part(*item) for item in found]
            elif not request.inverted:
                result.group.behind += found
        return result

    def command(self) -> Predicate:
        """A predicate without a subject."""
        you = nominals.pronoun(self.vocabulary, "person", "Nom")
        frame = self.chance.weighted({"transitive": 6.0, "motion": 1.0, "ditransitive": 2.0, "particle": 1.5})
        result: Predicate = getattr(self, f"_{frame}")(Request(you, 1, form="bare", plain=True))
        return result

    def _frame(self, request: Request) -> str:
        """Which complements, given the subject, the gap and how deep we are."""
        gap, deep = request.gap, request.depth >= DEEPEST
        if gap is not None:
            if gap.long and not deep:
                return "clausal"
            if gap.oblique:
                return "motion"
            return self.chance.weighted({"transitive": 8.0, "controlling": 0.0 if deep else 1.5})
        if request.subject.kind not in HUMAN:
            return self.chance.weighted({"copular": 5.0, "passive": 5.0, "intransitive": 1.5, "raising": 0.0 if deep else 1.5})
        weights = {"transitive": 34.0, "intransitive": 8.0, "motion": 11.0, "ditransitive": 8.0, "particle": 4.0}
        weights |= {"copular": 10.0, "passive": 5.0}
        if not deep:
            weights |= {"clausal": 10.0, "controlling": 8.0, "commanding": 6.0, "raising": 4.0, "wondering": 2.0}
        return self.chance.weighted(weights)

    def _group(self, lemma: str, request: Request, *, passive: bool = False, stative: bool = False) -> tuple[VerbGroup, Word]:
        group = verb_group(
            self.chance, lemma, request.subject.agreement,
            form=request.form, passive=passive, inverted=request.inverted, plain=request.plain, past=request.past, stative=stative,
        )  # fmt: skip
        return group, group.verb

    def _phrase(self, main: Word, *complements: Item) -> Phrase:
        """The innermost verb phrase; an adverb may precede the verb."""
        adverb: list[Item] = []
        if self.chance.maybe(0.06):
            adverb.append((node("ADVP", morphology.closed(self.chance.pick(lexicon.MIDDLE_ADVERBS), "RB")), "advmod"))
        return node("VP", *adverb, main, *complements)

    # Frames

    def _transitive(self, request: Request) -> Predicate:
        gap = request.gap
        kind = gap.kind if gap else self.chance.weighted({"artefact": 4.0, "document": 3.0, "person": 2.0, "place": 2.0, "event": 2.0})
        group, main = self._group(self.vocabulary.transitive(kind), request)
        if gap is not None:
            gap.fill(main, "obj")
            return Predicate(group, self._phrase(main, *([nominals.date(self.vocabulary)] if self.chance.maybe(0.1) else [])))
        items: list[Item] = [(self.argument(kind, request.depth).phrase, "obj")]
        if kind == "artefact" and self.chance.maybe(0.25):
            items.append((nominals.prepositional("with", self.simple("instrument")), "obl"))
        elif kind in ("artefact", "document") and self.chance.maybe(0.12):
            items.append((nominals.prepositional("for", self.simple("person")), "obl"))
        return Predicate(group, self._phrase(main, *items))

    def _intransitive(self, request: Request) -> Predicate:
        human = request.subject.kind in HUMAN
        group, main = self._group(self.chance.pick(lexicon.INTRANSITIVE if human else ["work", "fall", "vanish", "return"]), request)
        return Predicate(group, self._phrase(main))

    def _motion(self, request: Request) -> Predicate:
        gap = request.gap
        form = self.chance.pick(STRANDING.get(gap.kind, ["on", "for"]) if gap else list(lexicon.MOTION))
        group, main = self._group(self.chance.pick(lexicon.MOTION[form]), request)
        if gap is not None and gap.filler is not None:
            gap.fill(main, "obl", form)
            return Predicate(group, node("VP", main, (node("PP", morphology.preposition(form)), "case", gap.filler)))
        kinds = {
            "to": ["place", "event"],
            "in": ["place"],
            "from": ["place"],
            "on": ["document", "event", "person"],
            "for": ["person", "document"],
            "at": ["person", "artefact", "event"],
        }
        inner = self.argument(self.chance.pick(kinds[form]), request.depth)
        return Predicate(group, self._phrase(main, (nominals.prepositional(form, inner), "obl")))

    def _ditransitive(self, request: Request) -> Predicate:
        group, main = self._group(self.chance.pick(lexicon.DITRANSITIVE), request)
        given = self.argument(self.chance.pick(["artefact", "document", "document"]), request.depth)
        receiver = self.argument(self.chance.pick(["person", "person", "organisation"]), DEEPEST)
        if self.chance.maybe(0.55) and given.head.xpos != "PRP":
            return Predicate(group, self._phrase(main, (receiver.phrase, "iobj"), (given.phrase, "obj")))
        return Predicate(group, self._phrase(main, (given.phrase, "obj"), (nominals.prepositional("to", receiver), "obl")))

    def _clausal(self, request: Request) -> Predicate:
        group, main = self._group(self.chance.pick(lexicon.CLAUSAL), request, stative=True)
        gap = replace(request.gap, long=False) if request.gap else None
        clause = self.clause(request.depth + 1, gap=gap)
        if gap is not None and request.gap is not None:
            request.gap.fill(gap.place, gap.relation, gap.preposition)
        complementizer: list[Item] = [(morphology.subordinator("that"), "mark")] if gap is None and self.chance.maybe(0.6) else []
        return Predicate(group, self._phrase(main, (node("SBAR", *complementizer, clause), "ccomp")))

    def _wondering(self, request: Request) -> Predicate:
        group, main = self._group(self.chance.pick(lexicon.WONDERING), request, stative=True)
        if self.chance.maybe(0.5):
            inner = node("SBAR", (morphology.subordinator("whether"), "mark"), self.clause(request.depth + 1))
        else:
            adverb = morphology.closed(self.chance.pick(["where", "when", "why", "how"]), "WRB")
            inner = node("SBAR", (node("WHADVP", adverb), "advmod"), self.clause(request.depth + 1))
        return Predicate(group, self._phrase(main, (inner, "ccomp")))

    def _infinitive(self, request: Request, controller: Nominal, gap: Gap | None = None) -> Phrase:
        """`to` and a verb phrase whose subject is the controller; a unary S over VP."""
        predicate = self.build(Request(controller, request.depth + 1, form="infinitive", gap=gap))
        phrase = node("S", predicate.phrase)
        phrase.arcs.append(Arc(predicate.inner.head, controller.head, f"{predicate.relation}:xsubj"))
        return phrase

    def _controlling(self, request: Request) -> Predicate:
        group, main = self._group(self.chance.pick(lexicon.SUBJECT_CONTROL), request, stative=True)
        return Predicate(group, self._phrase(main, (self._infinitive(request, request.subject, request.gap), "xcomp")))

    def _raising(self, request: Request) -> Predicate:
        group, main = self._group(self.chance.pick(lexicon.RAISING), request, stative=True)
        return Predicate(group, self._phrase(main, (self._infinitive(request, request.subject), "xcomp")))

    def _commanding(self, request: Request) -> Predicate:
        group, main = self._group(self.chance.pick(lexicon.OBJECT_CONTROL), request)
        controller = self.argument("person", DEEPEST)
        infinitive = self._infinitive(request, controller)
        return Predicate(group, self._phrase(main, (controller.phrase, "obj"), (infinitive, "xcomp")))

    def _particle(self, request: Request) -> Predicate:
        lemma, particle = self.chance.pick(lexicon.PARTICLE)
        group, main = self._group(lemma, request)
        target = self.argument(self.chance.pick(["artefact", "document"]), DEEPEST)
        items: list[Item] = [(node("PRT", morphology.closed(particle, "RP")), "compound:prt"), (target.phrase, "obj")]
        if target.head.xpos == "PRP" or self.chance.maybe(0.4):
            items.reverse()
        return Predicate(group, self._phrase(main, *items))

    def _passive(self, request: Request) -> Predicate:
        kind = request.subject.kind if request.subject.kind in lexicon.TRANSITIVE else "person"
        group, main = self._group(self.vocabulary.transitive(kind), request, passive=True)
        items: list[Item] = []
        if self.chance.maybe(0.45):
            agent = self.argument(self.chance.pick(["person", "organisation"]), request.depth)
            items.append((nominals.prepositional("by", agent), "obl:agent"))
        return Predicate(group, self._phrase(main, *items), "nsubj:pass")

    def _copular(self, request: Request) -> Predicate:
        group = verb_group(
            self.chance, None, request.subject.agreement,
            form=request.form, inverted=request.inverted, plain=request.plain, past=request.past,
        )  # fmt: skip
        human = request.subject.kind in HUMAN
        choice = self.chance.weighted(
            {
                "adjective": 6.0,
                "comparative": 1.0,
                "noun": 2.0 if human else 0.0,
                "place": 2.0,
                "control": 2.0 if human and request.depth < DEEPEST else 0.0,
            }
        )
        if choice == "noun":
            nominal = nominals.common(self.vocabulary, "person")
            return Predicate(group, self._modified(nominal, DEEPEST).phrase)
        if choice == "place":
            form = self.chance.pick(["in", "near", "at", "from"])
            return Predicate(group, nominals.prepositional(form, self.simple("place")))
        if choice == "control":
            word = morphology.adjective(self.chance.pick(lexicon.MENTAL_ADJECTIVES))
            return Predicate(group, node("ADJP", word, (self._infinitive(request, request.subject), "xcomp")))
        if choice == "comparative":
            word = morphology.adjective(self.chance.pick(list(lexicon.COMPARATIVES)), "Cmp")
            than = nominals.prepositional("than", self.simple(request.subject.kind if human else "artefact"))
            return Predicate(group, node("ADJP", word, (than, "obl")))
        word = morphology.adjective(self.vocabulary.adjective())
        degree: list[Item] = []
        if self.chance.maybe(0.3):
            degree.append((morphology.closed(self.chance.pick(["very", "too", "quite"]), "RB"), "advmod"))
        return Predicate(group, node("ADJP", *degree, word))

    # Adjuncts

    def adjuncts(self, depth: int, *, short: bool = False) -> list[tuple[Phrase, str]]:
        """Adverbs, places, dates and clauses behind a verb phrase."""
        found: list[tuple[Phrase, str]] = []
        scale = 0.5 if short or depth else 1.0
        if self.chance.maybe(0.13 * scale):
            found.append((node("ADVP", morphology.closed(self.vocabulary.adverb(), "RB")), "advmod"))
        if self.chance.maybe(0.16 * scale):
            form, kind = self.chance.weighted(ADJUNCTS)
            found.append((nominals.prepositional(form, self.simple(kind)), "obl"))
        if self.chance.maybe(0.16 * scale):
            found.append(nominals.date(self.vocabulary))
        if depth == 0 and not short and self.chance.maybe(0.07):
            found.append((self.subordinate(1), "advcl"))
        return found

    def subordinate(self, depth: int) -> Phrase:
        """`because` … and a clause."""
        return node("SBAR", (morphology.subordinator(self.chance.pick(lexicon.SUBORDINATORS)), "mark"), self.clause(depth))
