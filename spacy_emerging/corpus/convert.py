"""From a text file or a folder of them to one .spacy file, and from there back to text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy.tokens import Doc
from spacy.util import get_lang_class
from spacy.vocab import Vocab, create_vocab

from ..errors import CorpusError, SettingError, check_choice
from .annotations import CONSTITUENTS_KEY, graph_arcs, sentence_units
from .bmes import read_bmes
from .conllu import read_conllu
from .conllu_writer import write_conllu
from .files import check_writable
from .iob import read_iob
from .packed import read_spacy, write_spacy
from .ptb import read_ptb, read_ptb_functions
from .ptb_writer import write_ptb
from .sdp import read_sdp
from .sdp_writer import write_sdp
from .segmented import read_segmented, read_segmented_blanks
from .segmented_writer import write_bmes, write_segmented

PACKED = "spacy"

READERS: dict[str, Callable[[Path, Vocab, int], Iterator[Doc]]] = {
    "conllu": read_conllu,
    "iob": read_iob,
    "ptb": read_ptb,
    "ptb-functions": read_ptb_functions,
    "sdp": read_sdp,
    "segmented": read_segmented,
    "segmented-blanks": read_segmented_blanks,
    "bmes": read_bmes,
    PACKED: read_spacy,
}
"""How each format is read: file, vocabulary, sentences per Doc. What follows a hyphen is another way to read the same files."""

WRITERS: dict[str, Callable[[Iterable[Doc], Path], None]] = {
    PACKED: write_spacy,
    "conllu": write_conllu,
    "ptb": write_ptb,
    "sdp": write_sdp,
    "segmented": write_segmented,
    "bmes": write_bmes,
}
"""How each format is written, in one piece: the file appears when all is written."""

EXTENSIONS = {
    ".spacy": PACKED,
    ".conllu": "conllu",
    ".conllup": "conllu",
    ".iob": "iob",
    ".iob2": "iob",
    ".bio": "iob",
    ".bioes": "iob",
    ".bilou": "iob",
    ".conll": "iob",
    ".tsv": "iob",
    ".sdp": "sdp",
    ".ptb": "ptb",
    ".mrg": "ptb",
    ".parse": "ptb",
    ".brackets": "ptb",
    ".const": "ptb",
    ".seg": "segmented",
    ".utf8": "segmented",
    ".bmes": "bmes",
    ".bies": "bmes",
}
AUTO = "auto"


@dataclass
class Summary:
    """What was written."""

    docs: int = 0
    sentences: int = 0
    tokens: int = 0
    entities: int = 0
    constituents: int = 0
    arcs: int = 0

    def add(self, doc: Doc) -> None:
        """Counts one more Doc."""
        self.docs += 1
        self.sentences += len(sentence_units(doc))
        self.tokens += len(doc)
        self.entities += len(doc.ents)
        self.constituents += len(doc.spans.get(CONSTITUENTS_KEY, ()))
        self.arcs += len(graph_arcs(doc) or ())


def read_corpus(path: str | Path, vocab: Vocab, n_sents: int = 10, format: str = AUTO) -> Iterator[Doc]:
    """The Docs of a file, or of every corpus file in a folder and its subfolders in the order of their names.

    n_sents: sentences per Doc where a file does not mark its documents; at least 1, 10 is our default.
    format: a name of READERS, or "auto" to go by the extension. In a folder, files of other formats are passed over; .spacy
    files too, unless "spacy" is asked for, since they are what was made of the others.
    Raises CorpusError where nothing can be read, SettingError for an unknown format.
    """
    for file in _files(Path(path), format):
        yield from READERS[EXTENSIONS[file.suffix.lower()] if format == AUTO else format](file, vocab, n_sents)


def _files(path: Path, format: str) -> list[Path]:
    """The files to read. Raises as `read_corpus`."""
    check_choice("convert", "format", format, [AUTO, *READERS])
    known = [extension for extension, name in EXTENSIONS.items() if format == AUTO or format.partition("-")[0] == name]
    if path.is_dir():
        known = [extension for extension in known if format == PACKED or EXTENSIONS[extension] != PACKED]
        found = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in known)
        if not found:
            raise CorpusError(f"{path}: the folder holds no corpus file; known extensions are {', '.join(known)}.")
        return found
    if not path.exists():
        raise CorpusError(f"{path}: there is no such file or folder.")
    if format == AUTO and path.suffix.lower() not in known:
        raise CorpusError(f"{path}: the extension is none of {', '.join(known)}; name the format with --format.")
    return [path]


def vocabulary(lang: str) -> Vocab:
    """An empty vocabulary of a language. Needs no tokenizer, hence none of the packages some languages ask for.

    lang: a code that spaCy knows. Raises SettingError for another.
    """
    try:
        return create_vocab(lang, get_lang_class(lang).Defaults)
    except ImportError as error:
        raise SettingError(f"convert: the language is {lang!r}, which spaCy does not know; use one such as en, or xx for any.") from error


def convert(path: str | Path, output: str | Path, vocab: Vocab, n_sents: int = 10, format: str = AUTO) -> Summary:
    """Writes the Docs of `read_corpus` to one file, in the format of its extension; nothing is written on an error.

    output: a .spacy file for training, or a text file, for instance .conllu; its folder is made if needed.
    Raises CorpusError for malformed input and for an output that is a file to be read, SettingError for an output whose extension says
    nothing of a format that can be written.
    """
    output = Path(output)
    name = EXTENSIONS.get(output.suffix)
    if name not in WRITERS:
        texts = ", ".join(extension for extension, known in EXTENSIONS.items() if known in WRITERS and known != PACKED)
        raise SettingError(
            f"convert: the output is {str(output)!r}, but its name must end in .spacy to be found by training, or in one of {texts} "
            f"for text."
        )
    check_writable(output, _files(Path(path), format))
    summary = Summary()
    WRITERS[name](_counted(read_corpus(path, vocab, n_sents, format), summary), output)
    return summary


def _counted(docs: Iterable[Doc], summary: Summary) -> Iterator[Doc]:
    for doc in docs:
        summary.add(doc)
        yield doc
