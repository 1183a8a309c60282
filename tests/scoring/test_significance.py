"""Tests of significance against exact values and textbook behaviour."""

import numpy
import pytest

from spacy_emerging.errors import SettingError
from spacy_emerging.scoring.significance import compare


def counts(right, total=10):
    """A table of sentences with `total` gold and predicted items each."""
    return numpy.array([[number, total, total] for number in right])


def test_the_scores_are_f1_over_all_sentences():
    first, second = numpy.array([[1, 2, 4], [2, 2, 2]]), numpy.array([[2, 2, 2], [1, 2, 2]])
    result = compare(first, second)
    assert (result.first, result.second) == pytest.approx((2 * 3 / 10, 2 * 3 / 8))
    assert result.difference == pytest.approx(0.75 - 0.6)


def test_few_sentences_give_the_exact_p_value():
    # given 4 sentences in which the second system is always better by the same amount
    result = compare(counts([5] * 4), counts([6] * 4))
    # then of the 16 arrangements two are as extreme: nothing changed, everything changed
    assert result.p_value == pytest.approx(2 / 16)


def test_p_values_are_those_of_all_arrangements():
    # given differences of 3, 1 and -1: of the 8 sums of +-3 +-1 +-1, six are at least 3 from zero, and the observed one is 3
    result = compare(counts([1, 1, 2]), counts([4, 2, 1]))
    assert result.p_value == pytest.approx(6 / 8)


def test_equal_systems_do_not_differ():
    result = compare(counts(range(10)), counts(range(10)))
    assert (result.difference, result.low, result.high) == (0, 0, 0)
    assert result.p_value == 1.0


def test_a_steady_small_gain_is_significant_and_chance_is_not():
    generator = numpy.random.default_rng(0)
    base = generator.integers(3, 7, 200)
    better, luck = compare(counts(base), counts(base + 1), 1000), compare(counts(base), counts(generator.permutation(base)), 1000)
    assert better.p_value < 0.01 and better.low > 0
    assert luck.p_value > 0.05 and luck.low < 0 < luck.high


def test_the_interval_is_about_the_normal_one_where_all_sentences_are_alike_in_size():
    # given differences of mean 0.05 per item: the textbook interval is the mean plus or minus 1.96 standard errors
    generator = numpy.random.default_rng(1)
    first = generator.integers(3, 8, 400)
    gain = generator.integers(-1, 3, 400)
    result = compare(counts(first), counts(first + gain), 2000)
    error = 1.96 * gain.std() / 10 / 20
    assert (result.low, result.high) == pytest.approx((gain.mean() / 10 - error, gain.mean() / 10 + error), abs=0.002)


def test_equal_seeds_give_equal_answers():
    first, second = counts(range(1, 40), 40), counts([*range(3, 40), 1, 2], 40)
    assert compare(first, second, 500, seed=3) == compare(first, second, 500, seed=3)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (counts([1, 2]), counts([1, 2, 3]), "shapes"),
        (counts([1]), counts([1]), "shapes"),
        (counts([1, 2]), counts([1, 2], total=9), "sentence 1 differs"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(first, second, message):
    with pytest.raises(SettingError, match=message):
        compare(first, second)
