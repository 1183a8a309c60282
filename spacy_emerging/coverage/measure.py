"""What an encoding can represent of a corpus, how many labels that takes, and how fast it is."""

from __future__ import annotations

import inspect
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, TypeVar

import numpy

from ..linearizations.base import Linearization
from ..structures import ConstituencyTree, DependencyGraph, DependencyTree
from ..types import LabelTuple
from .encodings import Encoding
from .samples import Sample, words_in

TURNS = 3
"""How often a pass is timed; the quickest counts, since whatever else runs on the machine only ever slows one down."""
TIMED_WORDS, SEARCHED_WORDS = 5_000, 1_000
"""Words on which encoding and decoding, and a search over scores, are timed: the first sentences that have so many together."""
GOLD_LEAD = 5.0
"""What the gold label's score gets on top of standard normal noise while a search is timed. Our default."""

Item = TypeVar("Item")
Labels = list[LabelTuple]


@dataclass(frozen=True)
class Unseen:
    """Labels that do not occur in training data: how many different ones, and the share of words with such a label."""

    types: int
    words: float


@dataclass(frozen=True)
class Coverage:
    """What was measured of one encoding. Shares are between 0 and 1, speeds in words per second of processor time.

    structures, words, parts: how many there are; parts are arcs or constituents. structures_exact, parts_exact: shares that come
    back from decode(encode(x)), labels included; *_unlabelled: without them. labels: distinct ones per field; tuples: distinct label
    tuples. unseen: per field; None without training data. out_of_reach: the share of words with an unseen label in any field.
    search_speed: of decode_scores, where the encoding has one of its own.
    """

    encoding: Encoding
    structures: int
    words: int
    parts: int
    structures_exact: float
    structures_unlabelled: float
    parts_exact: float
    parts_unlabelled: float
    labels: dict[str, int]
    tuples: int
    unseen: dict[str, Unseen] | None
    out_of_reach: float | None
    encode_speed: float
    decode_speed: float
    search_speed: float | None


def measured(encoding: Encoding, samples: Sequence[Sample], train: Sequence[Sample] | None = None) -> Coverage:
    """Measures one encoding on sentences of its kind, at least one; labels that `train` lacks are counted where it is given."""
    linearization = encoding.make()
    encode = _encoder(linearization)
    encoded = [encode(sample) for sample in samples]
    counted = _Counted()
    for sample, labels in zip(samples, encoded, strict=True):
        counted.add(sample.structure, linearization.decode(labels).structure)
    vocabulary = Vocabulary(linearization, encoded)
    seen = None if train is None else Vocabulary(linearization, map(encode, train))
    return Coverage(
        encoding=encoding,
        structures=len(samples),
        words=words_in(samples),
        parts=counted.parts,
        structures_exact=counted.exact / len(samples),
        structures_unlabelled=counted.exact_unlabelled / len(samples),
        parts_exact=_share(counted.parts_exact, counted.parts),
        parts_unlabelled=_share(counted.parts_unlabelled, counted.parts),
        labels={name: len(labels) for name, labels in vocabulary.fields.items()},
        tuples=len(vocabulary.tuples),
        unseen=None if seen is None else vocabulary.unseen_in(seen),
        out_of_reach=None if seen is None else vocabulary.out_of_reach_of(seen),
        encode_speed=_speed(encode, samples, TIMED_WORDS),
        decode_speed=_speed(linearization.decode, encoded, TIMED_WORDS),
        search_speed=_search_speed(linearization, encoded),
    )


def labelled_parts(structure: Any) -> Iterable[tuple[str, int, int]]:
    """The arcs or constituents of a structure as (label, place, place)."""
    if isinstance(structure, DependencyTree):
        return [(deprel, head, word) for word, (head, deprel) in enumerate(zip(structure.heads, structure.deprels, strict=True), 1)]
    if isinstance(structure, ConstituencyTree):
        return structure.spans()
    assert isinstance(structure, DependencyGraph)
    return [(label, head, word) for head, word, label in structure.arcs]


class _Counted:
    """Running counts of structures and parts, and of those that came back."""

    def __init__(self) -> None:
        self.exact = self.exact_unlabelled = self.parts = self.parts_exact = self.parts_unlabelled = 0

    def add(self, gold: Any, found: Any) -> None:
        parts = list(labelled_parts(gold))
        size = both = unlabelled = len(parts)
        if gold == found:
            self.exact += 1
            self.exact_unlabelled += 1
        else:
            others = list(labelled_parts(found))
            both = (Counter(parts) & Counter(others)).total()
            places, found_places = (Counter(part[1:] for part in some) for some in (parts, others))
            unlabelled = (places & found_places).total()
            self.exact_unlabelled += places == found_places
        self.parts += size
        self.parts_exact += both
        self.parts_unlabelled += unlabelled


def _encoder(linearization: Linearization) -> Callable[[Sample], Labels]:
    encode: Any = linearization.encode
    if "pos" in inspect.signature(encode).parameters:
        return lambda sample: encode(sample.structure, sample.pos)
    return lambda sample: encode(sample.structure)


def out_of_reach(encoding: Encoding, samples: Iterable[Sample], train: Iterable[Sample]) -> float:
    """The share of words with a label that training data lack, without measuring anything else."""
    linearization = encoding.make()
    encode = _encoder(linearization)
    found, seen = (Vocabulary(linearization, map(encode, part)) for part in (samples, train))
    return found.out_of_reach_of(seen)


def _first(items: Sequence[Item], words: int) -> list[Item]:
    """As many sentences from the first on as it takes to have so many words, or all."""
    counts = [0, *accumulate(_length(item) for item in items)]
    return list(items[: bisect_left(counts, words)])


def _length(item: Any) -> int:
    if isinstance(item, Sample):
        return len(item.structure)
    return item.words if isinstance(item, _Scored) else len(item)


def _speed(function: Callable[[Item], object], items: Sequence[Item], words: int) -> float:
    """Words per processor second of the quickest of TURNS turns."""
    some = _first(items, words)
    best = float("inf")
    for _ in range(TURNS):
        begun = time.process_time()
        for item in some:
            function(item)
        best = min(best, time.process_time() - begun)
    return sum(map(_length, some)) / max(best, 1e-9)


class Vocabulary:
    """How often each label tuple occurs, and each label of each field."""

    def __init__(self, linearization: Linearization, encoded: Iterable[Labels]) -> None:
        self.tuples: Counter[LabelTuple] = Counter()
        for labels in encoded:
            self.tuples.update(labels)
        self.fields: dict[str, Counter[str]] = {name: Counter() for name in linearization.fields}
        for labels_of_a_word, count in self.tuples.items():
            for counts, label in zip(self.fields.values(), labels_of_a_word, strict=True):
                counts[label] += count

    def unseen_in(self, seen: Vocabulary) -> dict[str, Unseen]:
        """Per field, what the other vocabulary lacks."""
        result = {}
        for name, counts in self.fields.items():
            strange = [count for label, count in counts.items() if label not in seen.fields[name]]
            result[name] = Unseen(len(strange), _share(sum(strange), counts.total()))
        return result

    def out_of_reach_of(self, seen: Vocabulary) -> float:
        """The share of words with a label that the other vocabulary lacks, so that nothing trained on it labels them right."""
        known = list(seen.fields.values())
        strange = (count for labels, count in self.tuples.items() if any(label not in known[f] for f, label in enumerate(labels)))
        return _share(sum(strange), self.tuples.total())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _search_speed(linearization: Linearization, encoded: Sequence[Labels]) -> float | None:
    """Words per second of the linearization's own search over scores in which gold labels lead; None where it has none."""
    if type(linearization).decode_scores is Linearization.decode_scores:
        return None
    some = _first(encoded, SEARCHED_WORDS)
    vocab = [sorted(labels) for labels in Vocabulary(linearization, some).fields.values()]
    chance = numpy.random.default_rng(0)
    scored = [_Scored(_scores(labels, vocab, chance), len(labels)) for labels in some]
    return _speed(lambda one: linearization.decode_scores(one.scores, vocab), scored, SEARCHED_WORDS)


class _Scored(NamedTuple):
    """Scores of one sentence."""

    scores: list[numpy.ndarray]
    words: int


def _scores(labels: Labels, vocab: Sequence[Sequence[str]], chance: numpy.random.Generator) -> list[numpy.ndarray]:
    """Log-probabilities per field, (n, K) each."""
    result = []
    for f, names in enumerate(vocab):
        index = {name: k for k, name in enumerate(names)}
        scores = chance.normal(size=(len(labels), len(names)))
        scores[numpy.arange(len(labels)), [index[label[f]] for label in labels]] += GOLD_LEAD
        result.append(scores - numpy.log(numpy.exp(scores).sum(axis=1, keepdims=True)))
    return result
