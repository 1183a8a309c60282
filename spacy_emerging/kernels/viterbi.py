"""The best label sequences of a linear chain: one (Viterbi 1967; Forney 1973), or several (list Viterbi, Seshadri & Sundberg 1994).

Letters and arguments are those of `crf.py`, and N the number of sequences asked for. Ties go to the label that comes first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from . import native
from .crf import by_history, reduced, rows_at_once, widened
from .steps import Steps


@torch.no_grad()
def best_path(emissions: Tensor, transitions: Tensor, steps: Steps) -> Tensor:
    """(T,) label ids of the best sequence in step order. emissions: (T, K), transitions: (G, K, K); half precision is widened.

    Only the best scores of states are kept; the way back finds again which state each came from, for one state per sequence.
    """
    dtype = torch.promote_types(torch.promote_types(emissions.dtype, transitions.dtype), torch.float32)
    emissions, transitions = emissions.to(dtype), transitions.to(dtype)
    if native.usable(emissions, transitions):
        return _by_loops(emissions, transitions, steps)
    incoming = transitions.transpose(1, 2).contiguous()
    best = _best_scores(emissions, incoming, steps)
    histories, labels = best.shape[1:]
    into = incoming.reshape(histories * labels, labels)  # one row per state: from each label before
    current = best[steps.last].flatten(1).argmax(1)  # (B,) states; a sequence takes part from its last step on
    path = torch.empty(steps.tokens, dtype=torch.int64, device=emissions.device)
    for here, before in reversed(steps.slices()):
        active = current[: here.stop - here.start]
        path[here] = active
        previous = best[before].reshape(-1, labels, histories)
        history = torch.div(active, labels, rounding_mode="floor")
        reached = previous[:, :, 0] if histories == 1 else previous[torch.arange(len(active), device=active.device), :, history]
        active.copy_((reached + into[active]).argmax(1) * histories + history)
    path[: steps.sequences] = current
    return path % labels


def _by_loops(emissions: Tensor, transitions: Tensor, steps: Steps) -> Tensor:
    """The same, sequence by sequence."""
    path = torch.empty(steps.tokens, dtype=torch.int64, device=emissions.device)
    best = emissions.new_empty(steps.tokens, *transitions.shape[:2])
    arrays = (emissions.contiguous(), transitions.contiguous(), steps.begin_tensor, steps.lengths, best, path)
    native.run("viterbi_forward", *arrays, steps.sequences, *transitions.shape[:2])
    return path


def _best_scores(emissions: Tensor, incoming: Tensor, steps: Steps) -> Tensor:
    """(T, G, K) score of the best way to each state, the best state of a token having 0, so that long sequences lose no digits."""
    best = emissions.new_full((len(emissions), *incoming.shape[:2]), -math.inf)
    lowest = torch.finfo(emissions.dtype).min
    spread = emissions[:, None]
    first = slice(0, steps.sequences)
    best[first, -1] = emissions[first]
    for here, before in steps.slices():
        moved = reduced(by_history(best[before]), incoming, largest).transpose(0, 1) + spread[here]
        torch.sub(moved, moved.amax((1, 2), keepdim=True).clamp_min(lowest), out=best[here])
    return best


def largest(scores: Tensor) -> Tensor:
    """Over the last dimension."""
    return scores.amax(-1)


@torch.no_grad()
def n_best_paths(emissions: Tensor, transitions: Tensor, steps: Steps, count: int) -> tuple[Tensor, Tensor]:
    """(T, N) label ids in step order of the N best sequences, the best first, and their scores (B, N), in float64.

    Where there are fewer than N, the scores of the rest are -inf, and their labels mean nothing. Memory is O(T G K N).
    """
    emissions, transitions = widened(emissions), widened(transitions)
    histories, labels, _ = transitions.shape
    scores = emissions.new_full((steps.sequences, histories, labels, count), -math.inf)  # of the current step
    scores[:, -1, :, 0] = emissions[: steps.sequences]
    finals = torch.empty_like(scores)
    origins = torch.empty((steps.tokens, histories, labels, count), dtype=torch.int64, device=emissions.device)
    for here, _ in steps.slices():
        size = here.stop - here.start
        finals[size : len(scores)] = scores[size:]
        scores, origins[here] = _n_best_step(scores[:size], transitions, count)
        scores = scores + emissions[here, None, :, None]
    finals[: len(scores)] = scores
    totals, current = finals.flatten(1).topk(count, 1)  # current: (B, N), each a state and its rank among the ways there
    path = torch.empty((steps.tokens, count), dtype=torch.int64, device=emissions.device)
    for here, _ in reversed(steps.slices()):
        active = current[: here.stop - here.start]
        path[here] = active
        active.copy_(origins[here].flatten(1).gather(1, active))
    path[: steps.sequences] = current
    return torch.div(path, count, rounding_mode="floor") % labels, totals


def _n_best_step(scores: Tensor, transitions: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(n, G, K, N) before a step to the same after it, and where each came from: state * N + rank."""
    histories, labels, _ = transitions.shape
    incoming = transitions.transpose(1, 2)[:, None, :, :, None]  # (G, 1, next, before, 1)
    history = torch.arange(histories, device=scores.device)[None, :, None, None]
    results, origins = [], []
    for part in scores.split(rows_at_once(transitions.numel() * count)):
        ranked = part.reshape(len(part), labels, histories, count).permute(2, 0, 1, 3)[:, :, None]  # (G, n, 1, before, N)
        found, place = (ranked + incoming).flatten(3).topk(count, -1)
        before, rank = torch.div(place, count, rounding_mode="floor").transpose(0, 1), (place % count).transpose(0, 1)
        results.append(found.transpose(0, 1))
        origins.append((before * histories + history) * count + rank)
    return torch.cat(results), torch.cat(origins)
