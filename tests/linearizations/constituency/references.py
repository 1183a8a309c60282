"""The encodings of constituents read from their papers, by plain recursion over nested nodes; for small trees only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from spacy_emerging.structures import ConstituencyTree


@dataclass
class Node:
    """A constituent with its joined label, or, with a word's position instead of children, that word."""

    label: str
    children: list[Node] = field(default_factory=list)
    word: int = -1

    def words(self) -> list[int]:
        return [self.word] if not self.children else [word for child in self.children for word in child.words()]


def nested(tree: ConstituencyTree) -> Node:
    """The tree below a top without a label; unary chains are one node. Labels must need no escape."""
    stretches = list(dict.fromkeys((start, end) for _, start, end in tree.spans()))
    return Node("", list(_parts(tree, 0, tree.n, stretches)))


def _parts(tree: ConstituencyTree, start: int, end: int, inner: list[tuple[int, int]]) -> Iterator[Node]:
    while start < end:
        node = next((stretch for stretch in inner if stretch[0] == start and stretch[1] <= end), None)
        if node is None:
            yield Node("", word=start)
            start += 1
        else:
            chain = "+".join(label for label, *stretch in tree.spans() if tuple(stretch) == node)
            yield Node(chain, list(_parts(tree, *node, inner[inner.index(node) + 1 :])))
            start = node[1]


def common_ancestors(tree: ConstituencyTree) -> list[tuple[int, str]]:
    """Per gap, the number of nodes that hold the words on both sides, the whole sentence included, and the lowest one's label."""
    nodes = {(0, tree.n): ""}
    for label, start, end in tree.spans():
        nodes[start, end] = "+".join(filter(None, [nodes.get((start, end), ""), label]))
    result = []
    for gap in range(tree.n - 1):
        around = sorted((end - start, label) for (start, end), label in nodes.items() if start <= gap and gap + 1 < end)
        result.append((len(around), around[0][1]))
    return result


def tetra_tags(tree: ConstituencyTree) -> list[tuple[str, str, str]]:
    """(tag of the word, tag of the gap after it, label of the gap) per word, read off the binary tree in in-order."""
    whole = nested(tree)
    top = whole.children[0] if len(whole.children) == 1 and whole.children[0].children else whole
    steps = list(_in_order(top.label, top.children, "l")) if tree.n > 1 else [("l", "")]
    tags, labels = [tag for tag, _ in steps], [label for _, label in steps]
    return list(zip(tags[::2], [tag.upper() for tag in tags[1::2]] + ["end"], [*labels[1::2], ""], strict=True))


def _in_order(label: str, parts: list[Node], side: str) -> Iterator[tuple[str, str]]:
    """Side and label of every node below a binary node: the first part, the node, and the rest as one part without a label."""
    if len(parts) == 1:
        (part,) = parts
        if len(part.words()) == 1:
            yield side, ""
        else:
            yield from _in_order(part.label, part.children, side)
    else:
        yield from _in_order("", parts[:1], "l")
        yield side, label
        yield from _in_order("", parts[1:], "r")


def juxtaposed_actions(tree: ConstituencyTree) -> list[tuple[str, str, str]]:
    """The actions, found by taking them back from the last word on, as the paper's oracle does."""
    top, actions = nested(tree), []
    for _ in range(tree.n):
        path = [top]
        while path[-1].children:
            path.append(path[-1].children[-1])
        last = path.pop()
        own = path.pop() if len(path[-1].children) == 1 and path[-1] is not top else last
        target = path[-1]
        target.children.remove(own)
        new = ""
        if target is not top and len(target.children) == 1 and target.children[0].children:
            new = target.label
            (sibling,) = target.children
            target.label, target.children = sibling.label, sibling.children
        actions.append((str(len(path) - 1), own.label if own is not last else "", new))
    return actions[::-1]
