"""Layout and buckets: where tokens lie, for any lengths."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from spacy_emerging.bridge.layout import WORTH_A_CALL, Layout, buckets

LENGTHS = st.lists(st.integers(1, 9), max_size=6)


def rows(layout: Layout) -> torch.Tensor:
    """(T, 2): different numbers everywhere, none of them zero."""
    return torch.arange(1.0, 2 * layout.tokens + 1).reshape(-1, 2)


def test_padding_by_hand() -> None:
    layout = Layout([2, 3])
    padded = layout.pad(torch.tensor([1, 2, 3, 4, 5]))
    assert padded.tolist() == [[1, 2, 0], [3, 4, 5]]
    assert layout.mask.tolist() == [[True, True, False], [True, True, True]]
    assert layout.position.tolist() == [0, 1, 0, 1, 2]
    assert layout.flip(torch.tensor([1, 2, 3, 4, 5])).tolist() == [2, 1, 5, 4, 3]
    assert layout.unpad(padded).tolist() == [1, 2, 3, 4, 5]


@given(LENGTHS)
def test_unpad_undoes_pad(lengths: list[int]) -> None:
    layout = Layout(lengths)
    flat = rows(layout)
    padded = layout.pad(flat)
    assert padded.shape == (len(lengths), max(lengths, default=0), 2)
    assert torch.equal(layout.unpad(padded), flat)
    # every sequence lies in its own row, and nothing stands behind it
    for row, piece, mask in zip(padded, flat.split(lengths), layout.mask, strict=True):
        assert torch.equal(row[: len(piece)], piece) and not row[len(piece) :].any()
        assert mask.tolist() == [i < len(piece) for i in range(layout.longest)]


@given(LENGTHS)
def test_flip_reverses_every_sequence_by_its_own_length(lengths: list[int]) -> None:
    layout = Layout(lengths)
    flat = rows(layout)
    reversed_pieces = [piece.flip(0) for piece in flat.split(lengths)]
    assert torch.equal(layout.flip(flat), torch.cat([flat[:0], *reversed_pieces]))
    assert torch.equal(layout.flip(layout.flip(flat)), flat)


@given(LENGTHS)
def test_doubled_layout_holds_both_directions(lengths: list[int]) -> None:
    layout = Layout(lengths)
    assert layout.doubled().lengths == (*lengths, *lengths)
    assert torch.equal(layout.doubled().mask, torch.cat([layout.mask, layout.mask]))


@given(LENGTHS)
def test_gradient_flows_through_padding(lengths: list[int]) -> None:
    layout = Layout(lengths)
    flat = rows(layout).requires_grad_()
    layout.unpad(layout.pad(flat) * 3.0).sum().backward()
    assert torch.equal(flat.grad, torch.full_like(flat, 3.0))


@given(st.lists(st.integers(0, 3000), max_size=40), st.integers(1, 5000))
def test_buckets_hold_every_sequence_once_within_the_limit(lengths: list[int], limit: int) -> None:
    groups = buckets(lengths, limit)
    assert sorted(i for group in groups for i in group) == [i for i, length in enumerate(lengths) if length]
    for group in groups:
        padded = len(group) * max(lengths[i] for i in group)
        assert padded <= limit or len(group) == 1, "only a sequence that alone exceeds the limit may"


@given(st.lists(st.integers(1, 3000), max_size=40))
def test_buckets_are_not_mostly_padding(lengths: list[int]) -> None:
    for group in buckets(lengths, 10**9):
        # tokens that stand beside more than their own number of padding tokens are few
        longest = lengths[group[0]]
        filled = 0
        for i in group:
            assert 2 * lengths[i] >= longest or filled < WORTH_A_CALL
            filled += lengths[i]


def test_one_long_doc_does_not_pad_short_ones() -> None:
    assert buckets([5, 20_000, 7, 0, 6], 8192) == [[1], [2, 4, 0]]
