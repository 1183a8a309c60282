"""Tags of binary trees in in-order (Kitaev & Klein 2020, section 3): which sequences are legal, and the best one under scores.

Each word, and each gap between words (the binary node that joins what is left of it to what is right of it), is a left or a
right child. Read from the left with a stack of unfinished trees:
    word, left child     puts a finished one-word tree on the stack
    word, right child    finishes the tree on top
    gap, left child      makes the finished tree on top the left part of a new tree with an open place
    gap, right child     puts it, as the left part of such a tree, into the open place of the tree below it
All that matters for legality is the depth of the stack, and it must be 1 after the last word. So a search that keeps the best
sequence per depth is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy

LEFT, RIGHT = 0, 1
WORST = -1e6
"""Stands for a log-probability of -inf, so that there is always a best legal sequence."""


def nearest_legal(words: Sequence[int], gaps: Sequence[int]) -> tuple[list[int], list[int], int]:
    """Legal tags that follow the wishes wherever they can, from the left, and how many they could not follow. Linear.

    words: n of LEFT, RIGHT or anything else (no wish); gaps: n - 1 likewise.
    """
    n = len(words)
    legal_words: list[int] = []
    legal_gaps: list[int] = []
    refused = depth = 0
    for i, wish in enumerate(words):
        left_over = n - 1 - i  # words still to come; each can lower the depth by one, so it never exceeds left_over + 1
        tag = wish
        if (tag != LEFT or depth > left_over) and (tag != RIGHT or depth < 1):
            tag = RIGHT if depth else LEFT
            refused += 1
        legal_words.append(tag)
        depth += tag == LEFT
        if left_over:
            tag = gaps[i]
            if (tag != LEFT or depth > left_over) and (tag != RIGHT or depth < 2):
                tag = LEFT if depth <= left_over else RIGHT
                refused += 1
            legal_gaps.append(tag)
            depth -= tag == RIGHT
    return legal_words, legal_gaps, refused


def deepest(words: Sequence[int], gaps: Sequence[int]) -> int:
    """The greatest depth of the stack that legal tags lead to."""
    depth = greatest = 0
    for i, tag in enumerate(words):
        depth += tag == LEFT
        greatest = max(greatest, depth)
        depth -= i < len(gaps) and gaps[i] == RIGHT
    return greatest


def scores_of_tags(scores: numpy.ndarray, labels: Sequence[str], tags: Sequence[str]) -> numpy.ndarray:
    """(n, K) scores of labels as (n, number of tags) scores of the tags, -inf where no label is the tag."""
    result = numpy.full((len(scores), len(tags)), -numpy.inf)
    for k, label in enumerate(labels):
        if label in tags:
            result[:, tags.index(label)] = scores[:, k]
    return result


def best_legal(words: numpy.ndarray, gaps: numpy.ndarray, max_depth: int) -> tuple[list[int], list[int]]:
    """The legal tags with the largest sum of scores among those that need no depth above `max_depth` (at least 1). Exact.

    words: (n, 2) scores of LEFT and RIGHT, n >= 1; gaps: (n - 1, 2) likewise. Time and memory n times the depth.
    """
    n = len(words)
    words, gaps = (numpy.maximum(numpy.nan_to_num(scores, nan=WORST), WORST) for scores in (words, gaps))
    size = min(max_depth, (n + 1) // 2) + 2  # depths 0 .. size - 2, and a border
    word_is_right = numpy.zeros((n, size), dtype=bool)
    gap_is_right = numpy.zeros((n, size), dtype=bool)
    best = numpy.full(size, -numpy.inf)
    best[0] = 0.0
    after = numpy.full(size, -numpy.inf)
    for i in range(n):
        stays, rises = best[1:-1] + words[i, RIGHT], best[:-2] + words[i, LEFT]
        numpy.greater(stays, rises, out=word_is_right[i, 1:-1])
        numpy.maximum(stays, rises, out=after[1:-1])
        if i < n - 1:
            keeps, falls = after[1:-1] + gaps[i, LEFT], after[2:] + gaps[i, RIGHT]
            numpy.greater(falls, keeps, out=gap_is_right[i, 1:-1])
            best = numpy.full(size, -numpy.inf)
            numpy.maximum(keeps, falls, out=best[1:-1])
    return _followed_back(word_is_right, gap_is_right)


def _followed_back(word_is_right: numpy.ndarray, gap_is_right: numpy.ndarray) -> tuple[list[int], list[int]]:
    words: list[int] = []
    gaps: list[int] = []
    depth = 1
    for i in range(len(word_is_right) - 1, -1, -1):
        words.append(RIGHT if word_is_right[i, depth] else LEFT)
        depth -= words[-1] == LEFT
        if i:
            gaps.append(RIGHT if gap_is_right[i - 1, depth] else LEFT)
            depth += gaps[-1] == RIGHT
    return words[::-1], gaps[::-1]
