"""Tokens in step order: who has a token at which step, and how to get there and back."""

from __future__ import annotations

import torch

from spacy_emerging.kernels.steps import Steps


def test_step_order_takes_all_first_tokens_first_and_the_longest_sequence_first() -> None:
    # given "ab", "wxyz", "" and "k", laid end to end
    steps = Steps(torch.tensor([2, 4, 0, 1]))
    letters = torch.tensor([ord(letter) for letter in "abwxyzk"])

    assert "".join(map(chr, steps.arranged(letters).tolist())) == "wakxbyz"
    assert (steps.sizes, steps.begins) == ([3, 2, 1, 1], [0, 3, 5, 6])
    assert steps.order.tolist() == [1, 0, 3]
    assert (steps.sequences, steps.tokens) == (3, 7)


def test_neighbours_of_tokens() -> None:
    steps = Steps(torch.tensor([2, 4, 0, 1]))
    letters = steps.arranged(torch.tensor([ord(letter) for letter in "abwxyzk"]))

    assert "".join(map(chr, letters[steps.last].tolist())) == "zbk"
    assert "".join(map(chr, letters[steps.previous].tolist())) == "waxy"
    here, before = zip(*steps.slices(), strict=True)
    assert here == (slice(3, 5), slice(5, 6), slice(6, 7))
    assert before == (slice(0, 2), slice(3, 4), slice(5, 6))
    torch.testing.assert_close(steps.sums(torch.ones(7)), torch.tensor([4.0, 2.0, 1.0]))


def test_only_chosen_sequences_take_part() -> None:
    steps = Steps(torch.tensor([2, 4, 3]), torch.tensor([True, False, True]))

    assert steps.order.tolist() == [2, 0]
    assert steps.index.tolist() == [6, 0, 7, 1, 8]


def test_no_sequence_at_all() -> None:
    for lengths in ([], [0, 0]):
        steps = Steps(torch.tensor(lengths, dtype=torch.int64))
        assert (steps.sequences, steps.tokens, steps.sizes, steps.slices()) == (0, 0, [], [])
