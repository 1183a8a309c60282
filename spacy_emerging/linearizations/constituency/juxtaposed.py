"""Trees as the actions that build them word by word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy

from ...structures import ConstituencyTree, Span
from ...types import LabelTuple
from ..base import Decoded, Linearization, needs_labels
from ..columns import columns, whole_number
from .chains import NO_CHAIN, collapsed, restored


class JuxtaposedConstituency(Linearization[ConstituencyTree]):
    """Each word says where it joins the tree of the words before it (Yang & Deng 2020, arXiv 2010.14568, section 3).

    depth: its target, a node on the rightmost chain of that tree, counted from 0 for what holds the whole sentence without being
        a constituent. The word either is attached to the target as its last part, or is juxtaposed: it and the target become the
        parts of a new constituent, in the place of the target.
    parent: label of a constituent that begins with this word, and so far holds nothing but it; empty for none.
    new: label of the new constituent of a juxtaposed word; empty for an attached one.
    Unary chains are one constituent with a joined label.

    Coverage: every tree.
    """

    fields = ("depth", "parent", "new")

    def encode(self, structure: ConstituencyTree) -> list[LabelTuple]:
        """(depth of the target, label of the word's own constituent, label of the constituent made of the target and the word)."""
        nodes = collapsed(structure)
        labels: list[LabelTuple] = []
        chains, starts, ends, depths, built = [NO_CHAIN], [-1], [structure.n], [0], [True]
        following = 0
        for word in range(structure.n):
            while ends[-1] <= word:
                for column in (chains, starts, ends, depths, built):
                    column.pop()  # type: ignore[attr-defined]
            target, new = depths[-1], NO_CHAIN if built[-1] else chains[-1]
            built[-1] = True
            parent = NO_CHAIN
            while following < len(nodes) and nodes[following][1] == word:
                parent, start, end = nodes[following]
                # A constituent that begins with another one is built when its second part comes, and in the place of the first.
                depths.append(depths[-1] + (starts[-1] != start))
                chains.append(parent)
                starts.append(start)
                ends.append(end)
                built.append(False)
                following += 1
            built[-1] = True
            labels.append((str(target), parent, new))
        return labels

    def decode(self, labels: Sequence[Sequence[str]]) -> Decoded:
        """The tree that the actions build. A depth that is no number or below the rightmost chain counts as the chain's last node;
        what would be juxtaposed to the whole sentence is juxtaposed to its last constituent, or else attached. Each is a repair."""
        return self._built(labels, lambda word, length: length - 1)

    @needs_labels
    def decode_scores(self, scores: Sequence[numpy.ndarray], vocab: Sequence[Sequence[str]]) -> Decoded:
        """As `decode` of the best-scored labels, but in place of a depth below the rightmost chain stands the best-scored one on it.

        scores: (n, K) log-probabilities per field; vocab: their K labels each.
        """
        numbers = [whole_number(text) for text in vocab[0]]
        depths = numpy.array([-1 if depth is None else min(max(depth, -1), len(scores[0])) for depth in numbers])

        def best_on_chain(word: int, length: int) -> int:
            possible = numpy.flatnonzero((depths >= 0) & (depths < length))
            return int(depths[possible[numpy.argmax(scores[0][word, possible])]]) if possible.size else length - 1

        best = [[names[k] for k in numpy.argmax(field, axis=1).tolist()] for field, names in zip(scores, vocab, strict=True)]
        return self._built(list(zip(*best, strict=True)), best_on_chain)

    def _built(self, labels: Sequence[Sequence[str]], instead: Callable[[int, int], int]) -> Decoded:
        """`instead` gives the target of a word without a possible one, from the word and the number of nodes on the chain. Linear:
        every node enters and leaves the chain once."""
        (depths, parents, news), repairs = columns(labels, 3)
        finished: list[Span] = []
        chain: list[tuple[str, int]] = [(NO_CHAIN, 0)]  # label and start
        for word, (text, parent, new) in enumerate(zip(depths, parents, news, strict=True)):
            depth = whole_number(text)
            if depth is None or not 0 <= depth < len(chain):
                depth = instead(word, len(chain))
                repairs += 1
            if new and not depth:
                depth, new = (1, new) if len(chain) > 1 else (0, NO_CHAIN)
                repairs += 1
            while len(chain) > depth + 1:
                finished.append((*chain.pop(), word))
            if new:
                target = chain.pop()
                finished.append((*target, word))
                chain.append((new, target[1]))
            if parent:
                chain.append((parent, word))
        finished += [(*node, len(depths)) for node in chain[1:]]
        tree, malformed = restored(len(depths), finished, ())
        return Decoded(tree, repairs + malformed)
