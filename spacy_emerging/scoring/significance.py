"""Whether one system is better than another, or only luckier: tests over sentences that both have answered."""

from __future__ import annotations

from typing import NamedTuple

import numpy
from scipy.stats import bootstrap, permutation_test

from ..errors import SettingError

BATCH_VALUES = 5_000_000
"""Numbers that one batch of resamples may hold."""


class Comparison(NamedTuple):
    """F1 of two systems, their difference (second minus first), its p-value and a confidence interval."""

    first: float
    second: float
    difference: float
    p_value: float
    low: float
    high: float


def compare(first: numpy.ndarray, second: numpy.ndarray, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0) -> Comparison:
    """Compares the F1 of two systems on the same sentences.

    first, second: (S, 3) numbers of right, gold and predicted items per sentence, as `graph_counts` and `attachment_counts` give them.
    resamples: recommended 1,000 to 100,000. confidence: of the interval, above 0 and below 1. seed: equal seeds give equal answers.

    p_value: two-sided, by approximate randomization (Noreen 1989; Yeh 2000): the two systems' answers to a sentence change places at
    random, and it is counted how often the difference is as large as the observed one; exact where there are fewer arrangements
    than resamples. low, high: percentile interval of the difference by the paired bootstrap (Koehn 2004), which draws sentences
    with replacement.
    Raises SettingError for tables of other shapes, fewer than two sentences, or different gold.
    """
    first, second = numpy.asarray(first), numpy.asarray(second)
    _check(first, second)
    n = len(first)
    counts = numpy.concatenate([first, second])

    def difference(one: numpy.ndarray, other: numpy.ndarray, axis: int = -1) -> numpy.ndarray:
        return _f1(counts[other].sum(axis=axis - 1)) - _f1(counts[one].sum(axis=axis - 1))

    rows = numpy.arange(n), numpy.arange(n, 2 * n)
    batch = max(1, BATCH_VALUES // (6 * n))
    tested = permutation_test(
        rows, difference, permutation_type="samples", vectorized=True, n_resamples=resamples, batch=batch, axis=-1, rng=_generator(seed)
    )
    drawn = bootstrap(
        rows,
        difference,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=batch,
        confidence_level=confidence,
        method="percentile",
        axis=-1,
        rng=_generator(seed),
    )
    interval = drawn.confidence_interval
    return Comparison(
        float(_f1(first.sum(axis=0))),
        float(_f1(second.sum(axis=0))),
        float(tested.statistic),
        float(tested.pvalue),
        float(interval.low),
        float(interval.high),
    )


def _generator(seed: int) -> numpy.random.Generator:
    return numpy.random.default_rng(seed)


def _f1(counts: numpy.ndarray) -> numpy.ndarray:
    """F1 of (..., 3) right, gold and predicted; 0 where there is nothing."""
    return 2 * counts[..., 0] / numpy.maximum(counts[..., 1] + counts[..., 2], 1)


def _check(first: numpy.ndarray, second: numpy.ndarray) -> None:
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != 3 or len(first) < 2:
        raise SettingError(
            f"compare: the tables have the shapes {first.shape} and {second.shape}, but must both be (sentences, 3), of two or more "
            f"sentences."
        )
    differing = numpy.flatnonzero(first[:, 1] != second[:, 1])
    if len(differing):
        raise SettingError(
            f"compare: the number of gold items in sentence {differing[0] + 1} differs between the systems; give both the same references."
        )
