"""Precision, recall and exact match of dependency graphs, as in the SDP shared tasks (Oepen et al. 2014, 2015)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from spacy.scorer import PRFScore
from spacy.training import Alignment, Example

from ..corpus.annotations import Arc, graph_arcs, sentence_units

Sentence = int


def score_graphs(examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
    """Scores of `doc._.graph` against the references that have one.

    graph_p, graph_r, graph_f: an arc is right if head, dependent and label are. graph_unlabeled_p, _r, _f: pairs of head and
    dependent, each once however many labels join them. graph_exact_match: share of the reference's sentences (of Docs, where it has no
    boundaries) all of whose labelled arcs are right, none missing and none too many. graph_per_type: {label: {p, r, f}}.
    Arcs from the root (the "top" of semantic graphs) count like all others, as in the shared tasks' scores "with top nodes".

    Words are those of the reference. A predicted arc between tokens that are not each one of its words is wrong, as in spaCy's
    scores of trees. All values are None where no reference has a graph.
    """
    labelled, unlabelled = PRFScore(), PRFScore()
    per_type: dict[str, PRFScore] = defaultdict(PRFScore)
    sentences = exact = 0
    for example in examples:
        gold = graph_arcs(example.reference)
        if gold is None:
            continue
        predicted, stray = _on_reference(example.alignment, graph_arcs(example.predicted) or [])
        _count(labelled, set(gold), set(predicted), len(stray))
        _count(unlabelled, {arc[:2] for arc in gold}, {arc[:2] for arc in predicted}, len({arc[:2] for arc in stray}))
        _count_types(per_type, gold, predicted, stray)
        for right in _sentences_right(example, set(gold), set(predicted), stray):
            sentences += 1
            exact += right
    if not sentences:
        return dict.fromkeys(KEYS)
    values = (*_prf(labelled), *_prf(unlabelled), exact / sentences, {label: per_type[label].to_dict() for label in sorted(per_type)})
    return dict(zip(KEYS, values, strict=True))


KEYS = (
    *("graph_p", "graph_r", "graph_f"),
    *("graph_unlabeled_p", "graph_unlabeled_r", "graph_unlabeled_f"),
    *("graph_exact_match", "graph_per_type"),
)


def _prf(score: PRFScore) -> tuple[float, float, float]:
    return score.precision, score.recall, score.fscore


def _on_reference(alignment: Alignment, arcs: Iterable[Arc]) -> tuple[list[Arc], list[Arc]]:
    """The arcs on the reference's words, and, as they are, those that have an end which is none of its words."""
    to_reference, to_predicted = alignment.x2y, alignment.y2x

    def word(position: int) -> int | None:
        if not position:
            return 0
        found = to_reference[position - 1]
        return int(found[0]) + 1 if len(found) == 1 and len(to_predicted[int(found[0])]) == 1 else None

    kept, stray = [], []
    for arc in arcs:
        head, dependent = word(arc[0]), word(arc[1])
        if head is None or dependent is None:
            stray.append(arc)
        else:
            kept.append((head, dependent, arc[2]))
    return kept, stray


def _count(score: PRFScore, gold: set[Any], predicted: set[Any], stray: int) -> None:
    right = len(gold & predicted)
    score.tp += right
    score.fp += len(predicted) - right + stray
    score.fn += len(gold) - right


def _count_types(per_type: dict[str, PRFScore], gold: list[Arc], predicted: list[Arc], stray: list[Arc]) -> None:
    by_label: dict[str, tuple[set[Arc], set[Arc]]] = defaultdict(lambda: (set(), set()))
    for place, arcs in enumerate((gold, predicted)):
        for arc in arcs:
            by_label[arc[2]][place].add(arc)
    for label, (of_gold, of_predicted) in by_label.items():
        _count(per_type[label], of_gold, of_predicted, 0)
    for arc in stray:
        per_type[arc[2]].fp += 1


def _sentences_right(example: Example, gold: set[Arc], predicted: set[Arc], stray: list[Arc]) -> list[bool]:
    """Whether each sentence of the reference has exactly its arcs; an arc belongs to the sentence of its dependent."""
    units = sentence_units(example.reference)
    sentence_of = [number for number, (start, end) in enumerate(units) for _ in range(start, end)]
    right = [True] * len(units)
    for _, dependent, _ in gold ^ predicted:
        right[sentence_of[dependent - 1]] = False
    for _, dependent, _ in stray:
        for i in example.alignment.x2y[dependent - 1]:
            right[sentence_of[int(i)]] = False
    return right
