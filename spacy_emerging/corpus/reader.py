"""`spacy-emerging.Corpus.v1`: the .spacy files that training reads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.vocab import Vocab

from ..errors import CorpusError, SettingError
from ..pipeline.characters import Characters
from .annotations import note_one_sentence
from .sentences import cut_sentences

EXTENSION = ".spacy"
Augmenter = Callable[[Language, Example], Iterator[Example]]


def Corpus(
    path: str | Path | None,
    max_length: int = 0,
    limit: int = 0,
    gold_preproc: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    augmenter: Augmenter | None = None,
) -> Callable[[Language], Iterable[Example]]:
    """A reader of .spacy files like `spacy.Corpus.v1`, whose sentences keep doc.spans and the dependency graph.

    path: a .spacy file, or a folder that holds some, subfolders included.
    max_length: Docs of so many tokens or more are cut into sentences, and such sentences are left out; 0: no bound.
    limit: Docs read at most, 0: all.
    gold_preproc: train on gold sentences and tokens instead of on what the tokenizer makes of each Doc's text. A pipeline whose tokens
        are characters gets the characters of the sentences.
    shuffle: another order at each pass over the corpus; it then has to fit into memory.
    seed: of the order; equal seeds give equal orders.
    augmenter: makes further Examples of each, for instance `spacy.lower_case.v1`.
    Raises SettingError for a negative number; CorpusError, when read, where there is no corpus or nothing in it.
    """
    for name, value in (("max_length", max_length), ("limit", limit)):
        if value < 0:
            raise SettingError(f"spacy-emerging.Corpus.v1: setting '{name}' is {value!r}, but must be 0 (no bound) or more.")
    if path is None:
        raise CorpusError("spacy-emerging.Corpus.v1: setting 'path' is empty; give --paths.train and --paths.dev a .spacy file or folder.")
    return CorpusReader(Path(path), max_length, limit, gold_preproc, shuffle, seed, augmenter)


class CorpusReader:
    """Gives the Examples of a corpus at each call; the settings are those of `Corpus`."""

    def __init__(
        self, path: Path, max_length: int, limit: int, gold_preproc: bool, shuffle: bool, seed: int, augmenter: Augmenter | None
    ) -> None:
        self.path = path
        self.max_length = max_length
        self.limit = limit
        self.gold_preproc = gold_preproc
        self.shuffle = shuffle
        self.augmenter = augmenter
        self.order = random.Random(seed)

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """The Examples, one at a time. Raises CorpusError where there are none."""
        references: Iterable[Doc] = self._references(nlp.vocab)
        if self.shuffle:
            references = list(references)
            self.order.shuffle(references)
        docs = examples = 0
        for reference in references:
            docs += 1
            for piece in self._pieces(reference):
                examples += 1
                example = _example(nlp, piece, self.gold_preproc)
                note_one_sentence(example.predicted, piece)
                yield from [example] if self.augmenter is None else self.augmenter(nlp, example)
        if not docs:
            raise CorpusError(f"{self.path}: the corpus holds no tokens; convert it again, and check that the source is not empty.")
        if not examples:
            raise CorpusError(f"{self.path}: no Doc or sentence is shorter than max_length = {self.max_length}; choose a larger one, or 0.")

    def _pieces(self, reference: Doc) -> Iterator[Doc]:
        """What one Example each is made of."""
        if self.gold_preproc:
            yield from cut_sentences(reference)
        elif not self.max_length or len(reference) < self.max_length:
            yield reference
        elif reference.has_annotation("SENT_START"):
            yield from (sentence for sentence in cut_sentences(reference) if len(sentence) < self.max_length)

    def _references(self, vocab: Vocab) -> Iterator[Doc]:
        """The Docs with at least one token, at most `limit`."""
        count = 0
        for file in self._files():
            for doc in packed_docs(file, vocab):
                if len(doc):
                    yield doc
                    count += 1
                    if count == self.limit:
                        return

    def _files(self) -> list[Path]:
        """The files to read, in the order of their names, without hidden ones."""
        if self.path.is_file():
            return [self.path]
        if not self.path.exists():
            raise CorpusError(f"{self.path}: there is no such corpus; make it with `spacy-emerging convert`.")
        found = sorted(file for file in self.path.rglob(f"*{EXTENSION}") if not file.name.startswith("."))
        if not found:
            raise CorpusError(f"{self.path}: the folder holds no {EXTENSION} file; make one with `spacy-emerging convert`.")
        return found


def packed_docs(file: Path, vocab: Vocab) -> Iterator[Doc]:
    """The Docs of one .spacy file. Raises CorpusError for what is not a .spacy file, or a damaged one."""
    try:
        packed = DocBin().from_disk(file)
    # The bytes of a damaged file can fail in decompression, unpacking or any reshaping after it.
    except Exception as error:
        raise CorpusError(f"{file}: the file is no {EXTENSION} file or is damaged; make it again with `spacy-emerging convert`.") from error
    yield from packed.get_docs(vocab)


def _example(nlp: Language, reference: Doc, gold_tokens: bool) -> Example:
    """The reference beside what the pipeline starts from. Where that is characters, words are to be found, and blanks not to be made up."""
    words: list[Any] = [token.text for token in reference]
    if isinstance(nlp.tokenizer, Characters):
        return Example(nlp.make_doc("".join(words) if reference.has_unknown_spaces else reference.text), reference)
    if gold_tokens or reference.has_unknown_spaces:
        spaces = [bool(token.whitespace_) for token in reference]
        return Example(Doc(nlp.vocab, words=words, spaces=spaces), reference)
    return Example(nlp.make_doc(reference.text), reference)
