"""`.spacy` files as one more format that `convert` reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from .files import replacing
from .reader import packed_docs


def read_spacy(path: str | Path, vocab: Vocab, n_sents: int = 10) -> Iterator[Doc]:
    """The Docs of one file, as they were packed.

    n_sents: plays no part, since the file says where its Docs begin.
    Raises CorpusError for what is not a .spacy file, or a damaged one.
    """
    yield from packed_docs(Path(path), vocab)


def write_spacy(docs: Iterable[Doc], path: str | Path) -> None:
    """Packs Docs with all that is annotated on them into one file, which appears when all is written."""
    packed = DocBin(store_user_data=True)
    for doc in docs:
        packed.add(doc)
    with replacing(Path(path)) as unfinished:
        packed.to_disk(unfinished)
