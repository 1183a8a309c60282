"""The enhanced graph: the tree with relations spelt out, plus what the derivation knows beyond the tree."""

from __future__ import annotations

from dataclasses import dataclass

from .derivation import Ellipsis, Phrase, Word, governors, phrases

MARKED = {"nmod": ("case",), "obl": ("case",), "advcl": ("mark",), "conj": ("cc",)}
NodeId = tuple[int, int]  # (3, 0) is word 3, (3, 1) the empty node behind it


@dataclass
class EnhancedGraph:
    """Arcs `(head, relation)` by dependent, and the empty nodes with the words they copy."""

    arcs: dict[NodeId, list[tuple[NodeId, str]]]
    empty: dict[NodeId, Word]


def _spell(relation: str, word: Word, children: dict[Word, list[tuple[Word, str]]]) -> str:
    """`obl` with its preposition, `conj` with its conjunction, and so on."""
    for child, kind in children.get(word, []):
        if kind in MARKED.get(relation, ()):
            return f"{relation}:{child.lemma}"
    return relation


def _conjunction(word: Word, head: Word, tree: dict[Word, tuple[Word, str]], children: dict[Word, list[tuple[Word, str]]]) -> str:
    """The conjunction of a list stands before its last member and holds for all."""
    members = [word] + [other for other, (governor, relation) in tree.items() if governor is head and relation == "conj"]
    found = [_spell("conj", member, children) for member in members]
    return next((label for label in found if label != "conj"), "conj")


def _below(word: Word, top: Word, tree: dict[Word, tuple[Word, str]]) -> bool:
    while word in tree:
        word = tree[word][0]
        if word is top:
            return True
    return False


def enhanced_graph(root: Phrase, position: dict[Word, int]) -> EnhancedGraph:
    """The graph of a sentence whose words stand at the given 1-based positions."""
    tree = governors(root)
    children: dict[Word, list[tuple[Word, str]]] = {}
    for word in sorted(tree, key=position.__getitem__):
        children.setdefault(tree[word][0], []).append((word, tree[word][1]))
    inner = list(phrases(root))
    ellipses = [ellipsis for phrase in inner for ellipsis in phrase.ellipses]
    replaced = {word for ellipsis in ellipses for word, _ in ellipsis.dependents}

    found: dict[Word, list[tuple[Word, str]]] = {word: [] for word in position}
    for word, (governor, relation) in tree.items():
        if word in replaced or word.refers:
            continue
        label = _conjunction(word, governor, tree, children) if relation == "conj" else _spell(relation, word, children)
        found[word].append((governor, label))
    for phrase in inner:
        for arc in phrase.arcs:
            found[arc.dependent].append((arc.governor, arc.relation))
    _propagate(found, tree)

    arcs = {(position[word], 0): [((position[head], 0), label) for head, label in found[word]] for word in position}
    arcs[(position[root.head], 0)].insert(0, ((0, 0), "root"))
    empty = dict(_fill(ellipsis, arcs, position) for ellipsis in ellipses)
    return EnhancedGraph({node: sorted(set(heads)) for node, heads in arcs.items()}, empty)


def _propagate(found: dict[Word, list[tuple[Word, str]]], tree: dict[Word, tuple[Word, str]]) -> None:
    """A conjunct is to the governors of the first conjunct what that one is, except inside the first one's own relative clause."""
    for word, (first, relation) in tree.items():
        if relation == "conj":
            outside = [(head, label) for head, label in found[first] if not _below(head, first, tree)]
            found[word] += [(head, label) for head, label in outside if not label.startswith("conj")]


def _fill(ellipsis: Ellipsis, arcs: dict[NodeId, list[tuple[NodeId, str]]], position: dict[Word, int]) -> tuple[NodeId, Word]:
    empty = (position[ellipsis.after], 1)
    arcs[empty] = [((position[ellipsis.copied], 0), ellipsis.relation)]
    for word, relation in ellipsis.dependents:
        arcs[(position[word], 0)].append((empty, relation))
    return empty, ellipsis.copied
