"""Malformed CoNLL-U: one sentence that names file and line."""

import pytest
from spacy.vocab import Vocab

from spacy_emerging.corpus.conllu import read_conllu
from spacy_emerging.errors import CorpusError

GOOD = "1  a  a  DET  DT  _  2  det  2:det  _\n2  b  b  NOUN  NN  _  0  root  0:root  _\n"

BROKEN = {
    "too few columns": ("1  a  a  DET  DT  _  0  root  _\n", 1, "9 columns"),
    "too many columns": (GOOD + "3  a  a  DET  DT  _  2  dep  _  _  _\n", 3, "11 columns"),
    "spaces instead of tabs": ("1 a a DET DT _ 0 root _ _\n", 1, "1 columns"),
    "empty form": ("1\t\ta  DET  DT  _  0  root  _  _\n", 1, "form"),
    "id out of order": ("1  a  a  DET  DT  _  0  root  _  _\n3  b  b  NOUN  NN  _  1  dep  _  _\n", 2, "the id is 3, but 2"),
    "first id not 1": ("2  a  a  DET  DT  _  0  root  _  _\n", 1, "the id is 2, but 1"),
    "id of another kind": ("x  a  a  DET  DT  _  0  root  _  _\n", 1, "'x'"),
    "missing blank line": (GOOD + GOOD, 3, "the id is 1, but 3"),
    "head no number": ("1  a  a  DET  DT  _  one  root  _  _\n", 1, "'one'"),
    "negative head": ("1  a  a  DET  DT  _  -1  root  _  _\n", 1, "'-1'"),
    "head beyond the sentence": ("1  a  a  DET  DT  _  0  root  _  _\n2  b  b  NOUN  NN  _  3  dep  _  _\n", 2, "from 0 to 2"),
    "head missing": ("1  a  a  DET  DT  _  0  root  _  _\n2  b  b  NOUN  NN  _  _  dep  _  _\n", 2, "'_'"),
    "relation missing": ("1  a  a  DET  DT  _  0  _  _  _\n", 1, "no relation"),
    "no root": ("1  a  a  DET  DT  _  2  dep  _  _\n2  b  b  NOUN  NN  _  1  dep  _  _\n", 1, "no root"),
    "two roots": ("1  a  a  DET  DT  _  0  root  _  _\n2  b  b  NOUN  NN  _  0  root  _  _\n", 2, "second root"),
    "own head": ("1  a  a  DET  DT  _  0  root  _  _\n2  b  b  NOUN  NN  _  2  dep  _  _\n", 2, "circle"),
    "cycle": (
        "1  a  a  X  X  _  0  root  _  _\n2  b  b  X  X  _  3  dep  _  _\n3  c  c  X  X  _  4  dep  _  _\n4  d  d  X  X  _  3  dep  _  _\n",
        3,
        "circle",
    ),
    "unknown part of speech": ("1  a  a  ARTICLE  DT  _  0  root  _  _\n", 1, "'ARTICLE'"),
    "feature without value": ("1  a  a  DET  DT  Definite  0  root  _  _\n", 1, "'Definite'"),
    "feature with two values": ("1  a  a  DET  DT  A=B=C  0  root  _  _\n", 1, "'A=B=C'"),
    "range too long": ("1-3  ab  _  _  _  _  _  _  _  _\n" + GOOD, 1, "beyond the sentence"),
    "range backwards": ("1-0  ab  _  _  _  _  _  _  _  _\n" + GOOD, 1, "'1-0'"),
    "range after its word": (GOOD + "2-3  ab  _  _  _  _  _  _  _  _\n", 3, "range 2-3"),
    "ranges overlap": ("1-2  ab  _  _  _  _  _  _  _  _\n1-2  ab  _  _  _  _  _  _  _  _\n" + GOOD, 2, "overlap"),
    "range without words": ("1-2  ab  _  _  _  _  _  _  _  _\n", 1, "no words"),
    "empty node elsewhere": ("2.1  c  _  _  _  _  _  _  0:x  _\n" + GOOD, 1, "after word 2"),
    "enhanced head unknown": ("1  a  a  DET  DT  _  0  root  7:det  _\n", 1, "'7:det'"),
    "enhanced relation missing": ("1  a  a  DET  DT  _  0  root  0  _\n", 1, "colon"),
    "enhanced self-loop": ("1  a  a  DET  DT  _  0  root  1:det  _\n", 1, "own head"),
    "entity never closed": ("1  a  a  DET  DT  _  0  root  _  Entity=(person-1\n", 1, "not closed"),
    "entity never opened": ("1  a  a  DET  DT  _  0  root  _  Entity=person)\n", 1, "not open"),
    "entity of another name": (
        "1  a  a  DET  DT  _  0  root  _  Entity=(1-person\n2  b  b  X  X  _  1  dep  _  Entity=2)\n",
        2,
        "not open",
    ),
    "entity unreadable": ("1  a  a  DET  DT  _  0  root  _  Entity=person\n", 1, "'person'"),
    "entity tag unreadable": ("1  a  a  DET  DT  _  0  root  _  NER=person\n", 1, "'person'"),
    "columns without FORM": ("# global.columns = ID UPOS\n1  X\n", 1, "global.columns"),
}


@pytest.mark.parametrize(("text", "line", "telling"), BROKEN.values(), ids=BROKEN.keys())
def test_the_message_names_file_line_and_fault(write, text, line, telling):
    # Given the fault in the second sentence of a file whose first takes three lines,
    path = write(f"{GOOD}\n{text}" if not text.startswith("#") else text)
    expected = line if text.startswith("#") else line + 3
    # when it is read, then the message begins with the place to jump to and says what is wrong.
    with pytest.raises(CorpusError) as raised:
        list(read_conllu(path, Vocab()))
    assert str(raised.value).startswith(f"{path}:{expected}: ")
    assert telling in str(raised.value)


def test_a_file_that_is_parsed_in_part_is_refused(write):
    path = write(f"{GOOD}\n1  a  a  DET  DT  _  _  _  _  _\n")
    with pytest.raises(CorpusError, match=rf"{path}:4: .*no heads"):
        list(read_conllu(path, Vocab()))


@pytest.mark.parametrize("text", ["", "\n\n", "# newdoc\n# text = nothing\n\n"])
def test_a_file_without_sentences_is_refused(write, text):
    path = write(text)
    with pytest.raises(CorpusError, match=f"{path}: .*no sentences"):
        list(read_conllu(path, Vocab()))


def test_other_encodings_than_utf8_are_refused_with_their_line(tmp_path):
    path = tmp_path / "latin.conllu"
    path.write_bytes("# text = Café\n".encode() + "1\tCafé\t_\tX\t_\t_\t0\troot\t_\t_\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=rf"{path}:2: byte 6 .*UTF-8"):
        list(read_conllu(path, Vocab()))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="absent.conllu: the file cannot be read"):
        list(read_conllu(tmp_path / "absent.conllu", Vocab()))
