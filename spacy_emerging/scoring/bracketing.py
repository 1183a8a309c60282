"""Labelled bracketing of constituency trees by the rules of EVALB (Sekine & Collins 1997, nlp.cs.nyu.edu/evalb)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress
from typing import Any, NamedTuple

import numpy
from spacy.scorer import PRFScore
from spacy.training import Example

from ..corpus.annotations import CONSTITUENTS_KEY, constituency_trees, sentence_units
from ..structures import ConstituencyTree, Span


class Rules(NamedTuple):
    """What is left out and what counts as equal before brackets are compared.

    deleted: labels of constituents and of words. A constituent loses its bracket, a word goes altogether, so that brackets over the
    words that remain are compared, and one over none of them is left out.
    equal: label to the label that it counts as.
    functions: whether NP-SBJ and NP=2 are other labels than NP.
    """

    deleted: Collection[str]
    equal: Mapping[str, str]
    functions: bool = False


COLLINS = Rules(frozenset(("TOP", "-NONE-", ",", ":", "``", "''", ".", "", "ROOT", "S1", "VROOT")), {"PRT": "ADVP"})
"""The meaning of COLLINS.prm; beside its TOP the names that other treebanks give to the bracket around a tree, and none at all."""


@dataclass
class BracketScore:
    """Sums over sentences.

    sentences: compared. errors: sentences left out since they differ in the words that remain. brackets: right, wrong and missing ones.
    complete: sentences with the same brackets. crossing: predicted brackets that cross one of the gold tree.
    """

    rules: Rules = COLLINS
    sentences: int = 0
    errors: int = 0
    complete: int = 0
    crossing: int = 0
    brackets: PRFScore = field(default_factory=PRFScore)
    per_type: dict[str, PRFScore] = field(default_factory=lambda: defaultdict(PRFScore))

    def add(self, gold: ConstituencyTree, predicted: ConstituencyTree) -> None:
        """Compares two trees over the same words. Each tree's own tags say which of its words are deleted, as in EVALB.

        Two trees that then have different words count as one of `errors` and in nothing else; words are compared only if both
        trees have them.
        """
        of_gold, of_predicted = _kept(gold, self.rules), _kept(predicted, self.rules)
        compared = [(gold.words, of_gold), (predicted.words, of_predicted)]
        words = [list(compress(found, kept)) for found, kept in compared if found is not None]
        if sum(of_gold) != sum(of_predicted) or (len(words) == 2 and words[0] != words[1]):
            self.errors += 1
            return
        self._count(_brackets(gold.spans(), of_gold, self.rules), _brackets(predicted.spans(), of_predicted, self.rules))

    def add_spans(self, gold: ConstituencyTree, predicted: Iterable[Span], stray: Iterable[str]) -> None:
        """Compares a tree with constituents over its words, which may cross; the tags of the tree say which words are deleted.

        stray: labels of predicted constituents that are no stretch of its words; they are wrong.
        """
        kept = _kept(gold, self.rules)
        wrong = [label for label in (_compared(label, self.rules) for label in stray) if label not in self.rules.deleted]
        self._count(_brackets(gold.spans(), kept, self.rules), _brackets(predicted, kept, self.rules), wrong)

    def _count(self, gold: list[Span], predicted: list[Span], wrong: Sequence[str] = ()) -> None:
        of_gold, of_predicted = Counter(gold), Counter(predicted)
        of_predicted.update((label, -1, -1) for label in wrong)
        right = of_gold & of_predicted
        for counts, name in ((right, "tp"), (of_predicted - right, "fp"), (of_gold - right, "fn")):
            for (label, _, _), count in counts.items():
                for score in (self.brackets, self.per_type[label]):
                    setattr(score, name, getattr(score, name) + count)
        self.sentences += 1
        self.complete += of_gold == of_predicted
        self.crossing += _crossing(gold, predicted)

    @property
    def complete_match(self) -> float:
        """Share of the sentences whose brackets are all right, none missing and none too many."""
        return self.complete / self.sentences if self.sentences else 0.0

    @property
    def average_crossing(self) -> float:
        """Crossing brackets per sentence."""
        return self.crossing / self.sentences if self.sentences else 0.0


def score_trees(gold: Iterable[ConstituencyTree], predicted: Iterable[ConstituencyTree], rules: Rules = COLLINS) -> BracketScore:
    """Compares trees pair by pair, as EVALB compares the lines of two files. Raises ValueError for unequal numbers of trees."""
    score = BracketScore(rules)
    for pair in zip(gold, predicted, strict=True):
        score.add(*pair)
    return score


def score_constituents(examples: Iterable[Example], rules: Rules = COLLINS, **kwargs: Any) -> dict[str, Any]:
    """Scores of doc.spans["constituents"] against the references that have them.

    constituents_p, constituents_r, constituents_f: labelled brackets by `rules`; constituents_complete_match: share of the
    reference's sentences whose brackets are all right; constituents_average_crossing: crossing brackets per sentence;
    constituents_per_type: {label: {p, r, f}}.

    Words, their tags and sentences are those of the reference; a predicted constituent that does not begin and end with its words, or
    leaves its sentences, is wrong. A sentence without any constituent in the reference is not annotated. All values are None where
    no sentence is.
    """
    score = BracketScore(rules)
    for example in examples:
        units = sentence_units(example.reference)
        trees = constituency_trees(example.reference, units)
        if trees is None:
            continue
        for tree, (predicted, stray) in zip(trees, _on_reference(example, units), strict=True):
            if tree.spans():
                score.add_spans(tree, predicted, stray)
    if not score.sentences:
        return dict.fromkeys(KEYS)
    found = score.brackets
    per_type = {label: score.per_type[label].to_dict() for label in sorted(score.per_type)}
    values = (found.precision, found.recall, found.fscore, score.complete_match, score.average_crossing, per_type)
    return dict(zip(KEYS, values, strict=True))


KEYS = tuple(f"constituents_{name}" for name in ("p", "r", "f", "complete_match", "average_crossing", "per_type"))


def _on_reference(example: Example, units: Sequence[tuple[int, int]]) -> list[tuple[list[Span], list[str]]]:
    """Per sentence of the reference, the predicted constituents on its words, and the labels of those that do not fit."""
    to_reference, to_predicted = example.alignment.x2y, example.alignment.y2x
    sentence_of = [number for number, (start, end) in enumerate(units) for _ in range(start, end)]
    found: list[tuple[list[Span], list[str]]] = [([], []) for _ in units]
    for span in example.predicted.spans.get(CONSTITUENTS_KEY, ()):
        below = [int(i) for i in (*to_reference[span.start], *to_reference[span.end - 1])]
        if not below:
            continue
        first, last = below[0], below[-1]
        number = sentence_of[first]
        spans, stray = found[number]
        exact = int(to_predicted[first][0]) == span.start and int(to_predicted[last][-1]) == span.end - 1
        if exact and sentence_of[last] == number:
            at = units[number][0]
            spans.append((span.label_, first - at, last + 1 - at))
        else:
            stray.append(span.label_)
    return found


def _kept(tree: ConstituencyTree, rules: Rules) -> list[bool]:
    """Per word, whether it stays; the empty tag is none, and deletes nothing."""
    return [not tag or tag not in rules.deleted for tag in tree.tags or ("",) * tree.n]


def _compared(label: str, rules: Rules) -> str:
    """The label without its function, by the name under which it is compared."""
    if not rules.functions:
        label = label.partition("-")[0].partition("=")[0] or label
    return rules.equal.get(label, label)


def _brackets(spans: Iterable[Span], kept: Sequence[bool], rules: Rules) -> list[Span]:
    """The brackets to compare, over the words that stay."""
    before = list(accumulate(map(int, kept), initial=0))
    renamed = ((_compared(label, rules), before[start], before[end]) for label, start, end in spans)
    return [span for span in renamed if span[1] < span[2] and span[0] not in rules.deleted]


def _crossing(gold: Sequence[Span], predicted: Sequence[Span]) -> int:
    """How many predicted brackets cross a gold one."""
    n = max((end for _, _, end in (*gold, *predicted)), default=0)
    furthest_end = numpy.zeros(n + 1, dtype="int64")  # of the gold brackets that start here
    furthest_start = numpy.full(n + 1, n)  # of the gold brackets that end here
    for _, start, end in gold:
        furthest_end[start] = max(furthest_end[start], end)
        furthest_start[end] = min(furthest_start[end], start)
    inside = (slice(start + 1, end) for _, start, end in predicted if end - start > 1)
    return sum(bool((furthest_end[s] > s.stop).any() or (furthest_start[s] < s.start - 1).any()) for s in inside)
