"""CoNLL-U, BIO and bracket files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .derivation import Word, brackets
from .documents import Document, Sentence
from .enhanced import NodeId


def _number(node: NodeId) -> str:
    return f"{node[0]}.{node[1]}" if node[1] else str(node[0])


def _pairs(values: dict[str, str]) -> str:
    return "|".join(f"{key}={values[key]}" for key in sorted(values, key=str.lower)) or "_"


def _range_line(sentence: Sentence, first: int) -> str:
    start, end = sentence.words[first], sentence.words[first + 1]
    misc = "SpaceAfter=No" if end.glued else "_"
    return "\t".join([f"{first + 1}-{first + 2}", start.form + end.form, *"_______", misc])


def _word_line(sentence: Sentence, i: int, in_range: bool) -> str:
    word = sentence.words[i]
    misc = {"NER": word.entity} | ({"SpaceAfter": "No"} if word.glued and not in_range else {})
    dependencies = "|".join(f"{_number(head)}:{label}" for head, label in sentence.enhanced.arcs[(i + 1, 0)])
    head, relation = str(sentence.heads[i]), sentence.relations[i]
    columns = [str(i + 1), word.form, word.lemma, word.upos, word.xpos, _pairs(word.feats), head, relation, dependencies, _pairs(misc)]
    return "\t".join(columns)


def _empty_line(sentence: Sentence, node: NodeId, word: Word) -> str:
    dependencies = "|".join(f"{_number(head)}:{label}" for head, label in sentence.enhanced.arcs[node])
    return "\t".join([_number(node), word.form, word.lemma, word.upos, word.xpos, _pairs(word.feats), "_", "_", dependencies, "_"])


def sentence_to_conllu(sentence: Sentence) -> str:
    """A sentence block, blank line included."""
    lines = [f"# sent_id = {sentence.identifier}", f"# text = {sentence.text}"]
    for i, word in enumerate(sentence.words):
        if word.fused:
            lines.append(_range_line(sentence, i))
        in_range = word.fused or (i > 0 and sentence.words[i - 1].fused)
        lines.append(_word_line(sentence, i, in_range))
        empty = (i + 1, 1)
        if empty in sentence.enhanced.empty:
            lines.append(_empty_line(sentence, empty, sentence.enhanced.empty[empty]))
    return "\n".join(lines) + "\n\n"


def to_conllu(documents: list[Document]) -> str:
    """All sentences with `# newdoc` at the first of each document."""
    return "".join(
        f"# newdoc id = {document.identifier}\n" + "".join(map(sentence_to_conllu, document.sentences)) for document in documents
    )


def to_bio(documents: list[Document]) -> str:
    """One token and its tag a line, a blank line after each sentence."""
    sentences = [sentence for document in documents for sentence in document.sentences]
    blocks = ["".join(f"{word.form}\t{word.entity}\n" for word in sentence.words) for sentence in sentences]
    return "\n".join(blocks) + "\n"


def to_brackets(documents: list[Document]) -> str:
    """One tree a line."""
    return "".join(brackets(sentence.root) + "\n" for document in documents for sentence in document.sentences)


WRITERS: dict[str, Callable[[list[Document]], str]] = {"conllu": to_conllu, "bio": to_bio, "brackets": to_brackets}


def write_corpus(splits: dict[str, list[Document]], folder: Path) -> None:
    """Writes `<split>.<format>` for every split and format; each file is moved into place once it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, documents in splits.items():
        for suffix, writer in WRITERS.items():
            target = folder / f"{split}.{suffix}"
            partial = target.with_name(target.name + ".partial")
            partial.write_bytes(writer(documents).encode("utf-8"))
            os.replace(partial, target)
