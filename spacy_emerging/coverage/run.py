"""All chosen encodings on all corpora."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..errors import CorpusError
from .encodings import Encoding
from .measure import measured
from .report import Row
from .samples import KINDS, Samples


def rows_of(corpora: Mapping[str, Samples], encodings: Sequence[Encoding], train: Samples | None = None) -> Iterator[Row]:
    """One row per corpus and encoding of a kind of structure that the corpus has, kind by kind.

    train: sentences whose labels count as seen; kinds that it lacks are measured without.
    Raises CorpusError for a corpus without a structure that one of the encodings fits.
    """
    for name, samples in corpora.items():
        fitting = [encoding for kind in KINDS for encoding in encodings if encoding.kind == kind and samples[kind]]
        if not fitting:
            kinds = ", ".join(kind for kind in KINDS if any(encoding.kind == kind for encoding in encodings))
            raise CorpusError(
                f"{name}: no sentence is annotated with a structure of these kinds: {kinds}; choose another corpus or encoding."
            )
        for encoding in fitting:
            seen = train[encoding.kind] if train is not None and train[encoding.kind] else None
            yield Row(name, measured(encoding, samples[encoding.kind], seen))
