"""Precision, recall and exact match of dependency graphs, as in the SDP shared tasks (Oepen et al. 2014, 2015)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy
from spacy.scorer import PRFScore
from spacy.training import Example

from ..corpus.annotations import Arc, graph_arcs
from .alignment import counterparts, sentences

KEYS = (
    *("graph_p", "graph_r", "graph_f"),
    *("graph_unlabeled_p", "graph_unlabeled_r", "graph_unlabeled_f"),
    *("graph_exact_match", "graph_per_type"),
)


class SentenceArcs(NamedTuple):
    """The arcs of one sentence of the reference, all on the reference's words.

    stray: labels of predicted arcs with an end that is no word of the reference; stray_pairs: how many pairs of ends they join.
    """

    gold: set[Arc]
    predicted: set[Arc]
    stray: list[str]
    stray_pairs: int

    def counts(self) -> tuple[int, int, int]:
        """Arcs that are right, gold arcs, predicted arcs."""
        return len(self.gold & self.predicted), len(self.gold), len(self.predicted) + len(self.stray)

    def unlabeled_counts(self) -> tuple[int, int, int]:
        """The same for pairs of head and dependent, each once however many labels join them."""
        gold, predicted = {arc[:2] for arc in self.gold}, {arc[:2] for arc in self.predicted}
        return len(gold & predicted), len(gold), len(predicted) + self.stray_pairs


def score_graphs(examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
    """Scores of `doc._.graph` against the references that have one.

    graph_p, graph_r, graph_f: an arc is right if head, dependent and label are. graph_unlabeled_p, _r, _f: pairs of head and
    dependent, each once however many labels join them. graph_exact_match: share of the reference's sentences (of Docs, where it has no
    boundaries) all of whose labelled arcs are right, none missing and none too many. graph_per_type: {label: {p, r, f}}.
    Arcs from the root (the "top" of semantic graphs) count like all others, as in the shared tasks' scores with top nodes.

    Words are those of the reference. A predicted arc between tokens that are not each one of its words is wrong, as in spaCy's
    scores of trees. All values are None where no reference has a graph.
    """
    found = [sentence for example in examples for sentence in sentence_arcs(example)]
    if not found:
        return dict.fromkeys(KEYS)
    counts = [sentence.counts() for sentence in found]
    exact = sum(right == gold == predicted for right, gold, predicted in counts) / len(found)
    unlabeled = [sentence.unlabeled_counts() for sentence in found]
    values = (*_prf(_summed(counts)), *_prf(_summed(unlabeled)), exact, _per_type(found))
    return dict(zip(KEYS, values, strict=True))


def graph_counts(examples: Iterable[Example], labeled: bool = True) -> numpy.ndarray:
    """(S, 3) numbers of right, gold and predicted arcs (pairs, if not labeled) per sentence: what `significance.compare` takes."""
    found = [sentence for example in examples for sentence in sentence_arcs(example)]
    counts = [sentence.counts() if labeled else sentence.unlabeled_counts() for sentence in found]
    return numpy.array(counts, dtype="int64").reshape(-1, 3)


def sentence_arcs(example: Example) -> Iterator[SentenceArcs]:
    """The arcs by sentence of the reference, that of their dependent; nothing where the reference has no graph."""
    gold_arcs = graph_arcs(example.reference)
    if gold_arcs is None:
        return
    words = {0: 0} | {i + 1: word + 1 for i, word in enumerate(counterparts(example)) if word is not None}
    count, of_reference, of_predicted = sentences(example)
    gold: list[set[Arc]] = [set() for _ in range(count)]
    predicted: list[set[Arc]] = [set() for _ in range(count)]
    stray: list[list[Arc]] = [[] for _ in range(count)]
    for arc in gold_arcs:
        gold[of_reference[arc[1] - 1]].add(arc)
    for head, dependent, label in graph_arcs(example.predicted) or ():
        if head in words and dependent in words:
            predicted[of_reference[words[dependent] - 1]].add((words[head], words[dependent], label))
        elif count:
            stray[of_predicted[dependent - 1]].append((head, dependent, label))
    for number in range(count):
        labels, pairs = [arc[2] for arc in stray[number]], {arc[:2] for arc in stray[number]}
        yield SentenceArcs(gold[number], predicted[number], labels, len(pairs))


def _summed(counts: Sequence[tuple[int, int, int]]) -> PRFScore:
    right, gold, predicted = (sum(column) for column in zip(*counts, strict=True))
    return PRFScore(tp=right, fp=predicted - right, fn=gold - right)


def _prf(score: PRFScore) -> tuple[float, float, float]:
    return score.precision, score.recall, score.fscore


def _per_type(found: Sequence[SentenceArcs]) -> dict[str, dict[str, float]]:
    right, gold, predicted = (
        Counter(label for sentence in found for label in labels(sentence))
        for labels in (
            lambda sentence: [arc[2] for arc in sentence.gold & sentence.predicted],
            lambda sentence: [arc[2] for arc in sentence.gold],
            lambda sentence: [arc[2] for arc in sentence.predicted] + sentence.stray,
        )
    )
    return {label: _summed([(right[label], gold[label], predicted[label])]).to_dict() for label in sorted(gold | predicted)}
