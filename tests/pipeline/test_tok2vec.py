"""The shared token vectors: spaCy's component, and what a damaged directory is told."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.pipeline import Tok2Vec

from spacy_emerging.errors import ModelDataError

from .cases import LISTENER, TOK2VEC, blank
from .corpus import examples

TEXT = "Anna lives in New York ."


@pytest.fixture
def shared(case_named) -> Language:
    """A tagger above shared vectors, initialized."""
    nlp = blank()
    nlp.add_pipe("emerging_tok2vec", name="tok2vec", config={"model": TOK2VEC})
    case_named("tag").add_to(nlp, LISTENER)
    nlp.initialize(lambda: examples(nlp.vocab))
    return nlp


def vectors(nlp: Language) -> list[list[float]]:
    return nlp(TEXT).tensor.tolist()


def test_it_is_spacys_component_with_listeners(shared: Language) -> None:
    pipe = shared.get_pipe("tok2vec")

    assert isinstance(pipe, Tok2Vec)
    assert pipe.listening_components == ["labeler"]
    assert shared.get_pipe_meta("tok2vec").assigns == ["doc.tensor"]


def test_it_runs_out_of_the_box() -> None:
    nlp = blank()
    nlp.add_pipe("emerging_tok2vec")
    nlp.initialize(lambda: examples(nlp.vocab))

    assert nlp("Anna lives .").tensor.shape == (3, 128)


def test_saving_bytes_and_pickle_change_nothing(shared: Language, tmp_path: Path) -> None:
    shared.to_disk(tmp_path)
    pipe = shared.get_pipe("tok2vec")
    unpickled = pickle.loads(pickle.dumps(pipe))

    assert vectors(spacy.load(tmp_path)) == vectors(shared)
    assert vectors(blank().from_config(shared.config).from_bytes(shared.to_bytes())) == vectors(shared)
    assert unpickled(shared.make_doc(TEXT)).tensor.tolist() == vectors(shared)


def test_saved_before_initialize(tmp_path: Path) -> None:
    nlp = blank()
    nlp.add_pipe("emerging_tok2vec", config={"model": TOK2VEC})

    nlp.to_disk(tmp_path)

    assert spacy.load(tmp_path).pipe_names == ["emerging_tok2vec"]


def test_what_is_excluded_is_not_asked_for(shared: Language, tmp_path: Path) -> None:
    pipe = shared.get_pipe("tok2vec")
    for part in ("cfg", "model"):
        pipe.to_disk(tmp_path / part, exclude=[part])
        pipe.from_disk(tmp_path / part, exclude=[part])

    pipe.from_bytes(pipe.to_bytes(exclude=["cfg"]), exclude=["cfg"])


# Damage


def _flip_a_bit(path: Path, where: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 4
    path.write_bytes(data)


def _cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


DAMAGES = {
    "model missing": lambda path: (path / "model").unlink(),
    "model empty": lambda path: _cut(path / "model", 0.0),
    "model cut": lambda path: _cut(path / "model", 0.5),
    "model one byte short": lambda path: _cut(path / "model", 0.99999),
    "cfg missing": lambda path: (path / "cfg").unlink(),
    "cfg cut": lambda path: _cut(path / "cfg", 0.5),
    "cfg without the checksum": lambda path: (path / "cfg").write_text("{}", encoding="utf8"),
    **{f"bit flipped at {where}": lambda path, where=where: _flip_a_bit(path / "model", where) for where in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_directory_is_named(damage: str, shared: Language, tmp_path: Path) -> None:
    shared.to_disk(tmp_path)

    DAMAGES[damage](tmp_path / "tok2vec")

    with pytest.raises(ModelDataError, match="^tok2vec: ") as caught:
        spacy.load(tmp_path)
    assert str(tmp_path / "tok2vec") in str(caught.value)


def test_damaged_bytes_are_named(shared: Language) -> None:
    pipe = shared.get_pipe("tok2vec")
    data = pipe.to_bytes()

    with pytest.raises(ModelDataError, match="^tok2vec: cannot load the given bytes"):
        pipe.from_bytes(data[: len(data) // 2])


def test_a_checksum_from_before_does_not_count(shared: Language, tmp_path: Path) -> None:
    """Given a component that was saved once, when it loads another model without a cfg, that is what the message says."""
    pipe = shared.get_pipe("tok2vec")
    pipe.to_disk(tmp_path / "first")
    shared.initialize(lambda: examples(shared.vocab))
    pipe.to_disk(tmp_path / "second", exclude=["cfg"])

    with pytest.raises(ModelDataError, match="cfg file of .*second is missing"):
        pipe.from_disk(tmp_path / "second")
