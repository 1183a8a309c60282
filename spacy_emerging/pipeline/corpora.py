"""What a corpus must give before there is anything to learn: Docs, and with them what a component learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import CorpusError, SettingError

STOCK_READER, OUR_READER = "spacy.Corpus.v1", "spacy-emerging.Corpus.v1"
CUTTING = ("gold_preproc", "max_length")
"""Its settings that cut Docs into sentences by `Span.as_doc()`, which drops user data and `doc.spans`."""


SAMPLE = 10
"""Docs from which layers learn their sizes, as many as spaCy's own components take."""


def sample_docs(name: str, get_examples: Callable[[], Iterable[Example]]) -> list[Doc]:
    """The first Docs of the training data. Raises CorpusError where there are none: spaCy's own reader gives nothing in silence."""
    docs = [example.x for example in islice(get_examples(), SAMPLE)]
    if not docs:
        raise CorpusError(
            f"{name}: the training corpus has no Docs, or none within the reader's 'max_length' and 'limit'; check the path, such as "
            f"--paths.train, and what `spacy-emerging convert` wrote there."
        )
    return docs


def refuse_stock_cuts(nlp: Language | None, name: str, lost: str) -> None:
    """Raises SettingError if a corpus of the config is cut into sentences by spaCy's own reader.

    nlp: the pipeline, None where there is no config to look at. name: of the component. lost: what it would miss, "" for nothing.
    """
    corpora = nlp.config.interpolate().get("corpora", {}) if nlp is not None and lost else {}
    for corpus, setting in _cutting("corpora", corpora):
        raise SettingError(
            f"{name}: the setting '{setting}' of [{corpus}] makes {STOCK_READER} cut Docs into sentences without {lost}; put "
            f'@readers = "{OUR_READER}" there, which keeps it.'
        )


def hint(lost: str) -> str:
    """What to think of where a corpus seems to lack `lost`; "" for what no reader loses."""
    return f" (spaCy's own reader loses {lost} when it cuts sentences; {OUR_READER} keeps it)" if lost else ""


def _cutting(path: str, block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The (section, setting) pairs by which the stock reader cuts, in this block and those below it."""
    if block.get("@readers") == STOCK_READER:
        yield from ((path, setting) for setting in CUTTING if block.get(setting))
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _cutting(f"{path}.{key}", value)
