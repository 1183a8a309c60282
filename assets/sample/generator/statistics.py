"""The table of counts in the README."""

from __future__ import annotations

from collections.abc import Callable

from .documents import Document, Sentence


def crosses(heads: list[int]) -> bool:
    """Whether two arcs cross, the root's arc from 0 included."""
    arcs = [(min(head, i), max(head, i)) for i, head in enumerate(heads, 1)]
    return any(a < c < b < d for a, b in arcs for c, d in arcs)


def _re_entrant(sentence: Sentence) -> bool:
    return any(len({head for head, _ in heads}) > 1 for heads in sentence.enhanced.arcs.values())


def _cyclic(sentence: Sentence) -> bool:
    """Whether some node of the enhanced graph is its own ancestor: remove nodes without heads left until nothing changes."""
    left = {node: {head for head, _ in heads} for node, heads in sentence.enhanced.arcs.items()}
    while True:
        free = [node for node, heads in left.items() if not heads & left.keys()]
        if not free:
            return bool(left)
        for node in free:
            del left[node]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def statistics(splits: dict[str, list[Document]]) -> str:
    """A Markdown table, one column per split."""
    known = {word.form for document in splits["train"] for sentence in document.sentences for word in sentence.words}

    def row(name: str, count: Callable[[list[Document], list[Sentence]], str]) -> str:
        cells = [count(documents, [sentence for document in documents for sentence in document.sentences]) for documents in splits.values()]
        return f"| {name} | {' | '.join(cells)} |"

    def entities(label: str) -> Callable[[list[Document], list[Sentence]], str]:
        return lambda _, found: str(sum(word.entity == f"B-{label}" for sentence in found for word in sentence.words))

    def unseen(_: list[Document], found: list[Sentence]) -> str:
        forms = [word.form for sentence in found for word in sentence.words]
        return _percent(sum(form not in known for form in forms), len(forms))

    def share(test: Callable[[Sentence], bool]) -> Callable[[list[Document], list[Sentence]], str]:
        return lambda _, found: _percent(sum(map(test, found)), len(found))

    def distinct(read: Callable[[Sentence], list[str]]) -> Callable[[list[Document], list[Sentence]], str]:
        return lambda _, found: str(len({value for sentence in found for value in read(sentence)}))

    labels = sorted({word.entity[2:] for document in splits["train"] for s in document.sentences for word in s.words if word.entity != "O"})
    rows = [
        f"| | {' | '.join(splits)} |",
        f"|---|{'---:|' * len(splits)}",
        row("documents", lambda documents, _: str(len(documents))),
        row("sentences", lambda _, found: str(len(found))),
        row("words", lambda _, found: str(sum(len(sentence.words) for sentence in found))),
        row("words unseen in train", unseen),
        row("sentences with crossing arcs", share(lambda sentence: crosses(sentence.heads))),
        row("sentences whose enhanced graph has a re-entrancy", share(_re_entrant)),
        row("sentences whose enhanced graph has a cycle", share(_cyclic)),
        row("multiword tokens", lambda _, found: str(sum(word.fused for sentence in found for word in sentence.words))),
        row("empty nodes", lambda _, found: str(sum(len(sentence.enhanced.empty) for sentence in found))),
        row("universal tags", distinct(lambda sentence: [word.upos for word in sentence.words])),
        row("Penn tags", distinct(lambda sentence: [word.xpos for word in sentence.words])),
        row("dependency relations", distinct(lambda sentence: sentence.relations)),
        *(row(f"entities: {label}", entities(label)) for label in labels),
    ]
    return "\n".join(rows)
