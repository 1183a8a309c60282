"""Word embedding read once per distinct word of a batch: hashed lexical attributes, letters, and static vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy
import torch
from spacy.attrs import IDS, ORTH
from spacy.tokens import Doc
from spacy.vectors import Mode
from spacy.vocab import Vocab
from thinc.api import Model, NumpyOps
from thinc.types import Floats2d
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from ..bridge.encoder import join, split
from ..bridge.shim import TorchShim, shim_of
from ..errors import SettingError, check_flag, check_number, check_whole
from ..kernels.dropout import Dropout

PADDING = 0
HASHES = 4
"""Rows of a hash table that are added up for one key, so that two keys seldom collide in all of them [Miranda et al. 2022]."""


class Words(nn.Module):
    """Distinct words to vectors: maxout over hashed attributes, final states of a character LSTM, and static vectors.

    rows: per attribute, the size of its hash table. characters: size of the character table. character_width: its units.
    spelling_width: units a word gets from its characters, half per direction; 0 for none. static_width: of static vectors; 0 for none.
    """

    def __init__(
        self, width: int, rows: list[int], characters: int, character_width: int, spelling_width: int, static_width: int, dropout: float
    ) -> None:
        super().__init__()
        self.tables = nn.ModuleList(_hash_table(count, width) for count in rows)
        self.dropout = Dropout(dropout)
        if spelling_width:
            self.characters = nn.Embedding(characters, character_width, padding_idx=PADDING)
            self.spelling = nn.LSTM(character_width, spelling_width // 2, batch_first=True, bidirectional=True)
        if static_width:
            self.static = nn.Linear(static_width, width, bias=False)
        joined = width * (len(rows) + bool(static_width)) + spelling_width
        self.mix = nn.Linear(joined, width * PIECES)
        self.norm = nn.LayerNorm(width)

    def forward(self, keys: Tensor, letters: Tensor | None, counts: Tensor | None, vectors: Tensor | None) -> Tensor:
        """keys (words, attributes, HASHES), letters (words, characters), counts (words,), vectors (words, M): to (words, D)."""
        parts = [table(keys[:, i]) for i, table in enumerate(self.tables)]
        if letters is not None and counts is not None:
            packed = pack_padded_sequence(self.dropout(self.characters(letters)), counts, batch_first=True, enforce_sorted=False)
            parts.append(self.spelling(packed)[1][0].transpose(0, 1).flatten(1))
        if vectors is not None:
            parts.append(self.static(vectors))
        mixed = self.mix(self.dropout(torch.cat(parts, dim=1)))
        return self.norm(mixed.unflatten(1, (-1, PIECES)).amax(dim=2))


PIECES = 3
"""Linear pieces of the maxout [Goodfellow et al. 2013], as many as spaCy's own embedding layers take."""


def _hash_table(rows: int, width: int) -> nn.EmbeddingBag:
    table = nn.EmbeddingBag(rows, width, mode="sum")
    nn.init.uniform_(table.weight, -0.1, 0.1)
    return table


def WordEmbed(
    width: int,
    attrs: Sequence[str] = ("NORM", "PREFIX", "SUFFIX", "SHAPE"),
    rows: Sequence[int] = (5000, 1000, 2500, 2500),
    spelling_width: int = 64,
    character_width: int = 32,
    characters: int = 1024,
    max_length: int = 24,
    include_static_vectors: bool = False,
    dropout: float = 0.0,
    lr_scale: float = 1.0,
) -> Model[list[Doc], list[Floats2d]]:
    """Hash embeddings of lexical attributes with a character LSTM [Ling et al. 2015], computed once per distinct word of a batch.

    width (int): Output width D. attrs (List[str]): Lexical attributes, functions of the word's form alone.
    rows (List[int]): Size of each attribute's hash table. Recommended 1,000 to 10,000.
    spelling_width (int): Units that a word gets from its characters; even, 0 for none. Recommended 50 to 128.
    character_width (int): Units per character. Recommended 16 to 64.
    characters (int): Size of the character table; code points share rows beyond it. Recommended 256 (Latin) to 8192 (Han).
    max_length (int): Characters read of a word; of a longer one, the first and the last half of them. Recommended 16 to 32.
    include_static_vectors (bool): Add the pipeline's word vectors, through a learned projection.
    dropout (float): Rate on characters and features, until spaCy sets `training.dropout`. lr_scale (float): Factor on the learning rate.
    Raises SettingError for a setting that cannot work. The sizes are our defaults.
    """
    name = "spacy-emerging.WordEmbed.v1"
    least = {"width": 1, "spelling_width": 0, "character_width": 1, "characters": 2, "max_length": 2}
    _check(name, attrs, rows, least, dict(locals()))
    settings = {
        "width": width,
        "rows": list(rows),
        "characters": characters,
        "character_width": character_width,
        "spelling_width": spelling_width,
        "dropout": dropout,
    }
    reading = {"attrs": [IDS[attr] for attr in attrs], "rows": list(rows), "characters": characters if spelling_width else 0}
    return Model(
        name,
        _forward,
        init=_init,
        dims={"nO": width},
        attrs={"dropout_rate": dropout, "max_length": max_length, "static": include_static_vectors, **reading},
        shims=[TorchShim(name, partial(_build, settings), lr_scale=lr_scale)],
    )


def _check(name: str, attrs: Sequence[str], rows: Sequence[int], least: dict[str, int], settings: dict[str, Any]) -> None:
    """least: per setting that is a whole number, its smallest value."""
    known = isinstance(attrs, Sequence) and all(isinstance(attr, str) and attr in IDS for attr in attrs)
    if not known or not attrs:
        raise SettingError(f"{name}: setting 'attrs' is {attrs!r}, but must list lexical attributes, such as NORM and SHAPE.")
    if not isinstance(rows, Sequence) or len(rows) != len(attrs) or not all(type(size) is int and size >= 1 for size in rows):
        raise SettingError(f"{name}: setting 'rows' is {rows!r}, but must give a size of at least 1 for each of {len(attrs)} attrs.")
    for setting, smallest in least.items():
        check_whole(name, setting, settings[setting], smallest, even=setting == "spelling_width")
    check_flag(name, "include_static_vectors", settings["include_static_vectors"])
    check_number(name, "dropout", settings["dropout"], below=1)


def _build(settings: dict[str, Any], cfg: dict[str, Any]) -> nn.Module:
    return Words(static_width=cfg.get("static_width", 0), **settings)


def _init(model: Model, X: list[Doc] | None = None, Y: Any = None) -> None:
    static_width = 0
    if model.attrs["static"]:
        static_width = X[0].vocab.vectors_length if X else 0
        if not static_width:
            raise SettingError(f"{model.name}: 'include_static_vectors' is on, but the pipeline has no vectors; set initialize.vectors.")
    shim_of(model).create({"static_width": static_width})


def _forward(model: Model, docs: list[Doc], is_train: bool) -> tuple[list[Floats2d], Callable[[list[Floats2d]], list[Doc]]]:
    lengths = [len(doc) for doc in docs]
    if not any(lengths):
        return [model.ops.alloc2f(0, model.get_dim("nO")) for _ in docs], lambda dY: []
    shim = shim_of(model)
    shim.set_dropout(model.attrs["dropout_rate"])
    orths = numpy.concatenate([doc.to_array(ORTH) for doc in docs])
    _, first, places = numpy.unique(orths, return_index=True, return_inverse=True)
    with shim.running(is_train) as module:
        inputs = _read(model, docs, orths, first, shim.device)
        vectors = module(*inputs).float().index_select(0, torch.from_numpy(places).to(shim.device))

    def backprop(dY: list[Floats2d]) -> list[Doc]:
        shim.backward(vectors, join(model, dY), vectors.detach())
        return []

    return split(vectors, lengths), backprop


def _read(model: Model, docs: list[Doc], orths: numpy.ndarray, first: numpy.ndarray, device: torch.device) -> tuple[Tensor | None, ...]:
    """What the module reads of each distinct word, known by the place of its first token."""
    attrs = model.attrs["attrs"]
    columns = numpy.concatenate([doc.to_array(attrs).reshape(len(doc), len(attrs)) for doc in docs])[first]
    # every attribute has hash functions of its own; thinc's hashing wants writable columns
    keys = [_OPS.hash(columns[:, i].copy(), seed=8 + i) % rows for i, rows in enumerate(model.attrs["rows"])]
    letters = counts = vectors = None
    vocab = docs[0].vocab
    if model.attrs["characters"]:
        strings = vocab.strings
        spelled = [spell(strings[orth], model.attrs["characters"], model.attrs["max_length"]) for orth in orths[first].tolist()]
        letters, counts = _padded(spelled)
        letters = letters.to(device)
    if model.attrs["static"]:
        vectors = torch.from_numpy(_static(vocab, orths[first])).to(device)
    return torch.from_numpy(numpy.stack(keys, axis=1).astype("int64")).to(device), letters, counts, vectors


_OPS = NumpyOps()


def _static(vocab: Vocab, orths: numpy.ndarray) -> numpy.ndarray:
    """(words, M) vectors, zeros for words without one."""
    to_numpy = _OPS.xp.asarray if isinstance(vocab.vectors.data, numpy.ndarray) else vocab.vectors.data.__class__.get
    if vocab.vectors.mode != Mode.default:
        return numpy.asarray(to_numpy(vocab.vectors.get_batch(orths.tolist())), dtype="float32")
    found = vocab.vectors.find(keys=orths)
    vectors = numpy.array(to_numpy(vocab.vectors.data[found]), dtype="float32")
    vectors[found < 0] = 0.0
    return vectors


def _padded(spelled: list[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    counts = numpy.array([len(ids) for ids in spelled])
    padded = numpy.full((len(spelled), int(counts.max())), PADDING, dtype="int64")
    padded[numpy.arange(padded.shape[1]) < counts[:, None]] = numpy.concatenate(spelled)
    return torch.from_numpy(padded), torch.from_numpy(counts)


@lru_cache(maxsize=2**16)
def spell(word: str, characters: int, max_length: int) -> tuple[int, ...]:
    """A word's characters as rows of the table (PADDING is none of them); an empty word has one, of its own."""
    if len(word) > max_length:
        head = max_length // 2
        word = word[:head] + word[head - max_length :]
    return tuple(ord(character) % (characters - 1) + 1 for character in word) or (1,)
