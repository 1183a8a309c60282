"""`spacy-emerging convert` from the outside."""

from pathlib import Path

import pytest
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_emerging.cli.app import app
from spacy_emerging.corpus.annotations import graph_arcs

SAMPLE = Path(__file__).parents[2] / "assets" / "sample"
CONLLU = "1\tAnn\tAnn\tPROPN\tNNP\t_\t2\tnsubj\t2:nsubj\tNER=B-PER\n2\tleft\tleave\tVERB\tVBD\t_\t0\troot\t0:root\t_\n\n"
IOB = "Ann B-PER\nleft O\n\n"


def run(*arguments: object):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def docs_in(path: Path):
    return list(DocBin().from_disk(path).get_docs(Vocab()))


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "out" / "corpus.spacy"


@pytest.mark.parametrize(("name", "text"), [("a.conllu", CONLLU), ("a.iob", IOB), ("a.iob2", IOB), ("a.tsv", IOB), ("a.conll", IOB)])
def test_a_file_becomes_a_spacy_file_and_a_summary(tmp_path, output, name, text):
    (tmp_path / name).write_text(text * 12)
    result = run(tmp_path / name, output)
    assert result.exit_code == 0, result.output
    assert "2 docs, 12 sentences, 24 tokens, 12 entities" in result.stdout
    docs = docs_in(output)
    assert [len(doc) for doc in docs] == [20, 4]
    assert docs[0].ents[0].label_ == "PER"
    assert len(list(docs[0].sents)) == 10


def test_user_data_is_stored(tmp_path, output):
    (tmp_path / "a.conllu").write_text(CONLLU)
    run(tmp_path / "a.conllu", output)
    assert graph_arcs(docs_in(output)[0]) == [(2, 1, "nsubj"), (0, 2, "root")]


def test_a_spacy_file_becomes_text_again(tmp_path, output):
    # given a file that convert has made
    (tmp_path / "a.conllu").write_text(CONLLU * 12)
    run(tmp_path / "a.conllu", output)
    # when it is converted to a name with the extension of a text format
    result = run(output, tmp_path / "again.conllu")
    # then the text says what it said
    assert result.exit_code == 0, result.output
    assert "2 docs, 12 sentences, 24 tokens, 12 entities" in result.stdout
    text = (tmp_path / "again.conllu").read_text(encoding="utf-8")
    rows = [line.split("\t")[:9] for line in text.splitlines() if line and line[0] != "#"]
    assert rows == [line.split("\t")[:9] for line in CONLLU.strip().splitlines()] * 12


def test_graphs_go_from_conllu_to_sdp_and_back(tmp_path, output):
    # given the enhanced graphs of the sample corpus, as SDP columns
    run(SAMPLE / "dev.conllu", output)
    result = run(output, tmp_path / "a.sdp")
    assert result.exit_code == 0, result.output
    assert "20 docs, 207 sentences" in result.stdout
    assert "arcs of graphs" in result.stdout
    # when these are read and written once more
    assert run(tmp_path / "a.sdp", tmp_path / "again.spacy").exit_code == 0
    assert run(tmp_path / "again.spacy", tmp_path / "again.sdp").exit_code == 0
    # then graphs and files are the same
    assert [graph_arcs(doc) for doc in docs_in(tmp_path / "again.spacy")] == [graph_arcs(doc) for doc in docs_in(output)]
    assert (tmp_path / "again.sdp").read_bytes() == (tmp_path / "a.sdp").read_bytes()


def test_brackets_become_a_spacy_file_and_brackets_again(tmp_path, output):
    # given trees of the sample corpus
    lines = (SAMPLE / "dev.brackets").read_text(encoding="utf-8").splitlines()[:30]
    (tmp_path / "a.brackets").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # when they are converted
    result = run(tmp_path / "a.brackets", output)
    assert result.exit_code == 0, result.output
    assert "3 docs, 30 sentences" in result.stdout
    assert "constituents" in result.stdout
    # then the .spacy file holds the same trees
    assert run(output, tmp_path / "again.ptb").exit_code == 0
    assert (tmp_path / "again.ptb").read_text(encoding="utf-8").splitlines() == lines


def test_functions_of_constituents_are_kept_on_request(tmp_path, output):
    (tmp_path / "a.mrg").write_text("(S (NP-SBJ (NN a)))")
    labels = {}
    for format in ("auto", "ptb", "ptb-functions"):
        run(tmp_path, output, "--format", format)
        (doc,) = docs_in(output)
        labels[format] = [span.label_ for span in doc.spans["constituents"]]
    assert labels == {"auto": ["S", "NP"], "ptb": ["S", "NP"], "ptb-functions": ["S", "NP-SBJ"]}


def test_a_spacy_file_without_sentence_boundaries_can_be_written(tmp_path, output):
    output.parent.mkdir()
    DocBin(docs=[Doc(Vocab(), words=["a", "b"]), Doc(Vocab())]).to_disk(output)
    result = run(output, tmp_path / "again.conllu")
    assert "2 docs, 1 sentences, 2 tokens" in result.stdout


def test_spacy_files_in_a_folder_are_read_on_request(tmp_path):
    # given a folder with the source of a corpus and what was made of it
    (tmp_path / "a.conllu").write_text(CONLLU)
    run(tmp_path / "a.conllu", tmp_path / "a.spacy")
    # then the .spacy file is not taken for a further source, unless it is asked for
    assert "1 docs" in run(tmp_path, tmp_path / "out" / "all.spacy").stdout
    assert "2 docs" in run(tmp_path, tmp_path / "all.conllu", "--format", "spacy").stdout


def test_the_number_of_sentences_in_a_doc_can_be_chosen(tmp_path, output):
    (tmp_path / "a.conllu").write_text(CONLLU * 5)
    assert run(tmp_path / "a.conllu", output, "--n-sents", 2).exit_code == 0
    assert [len(doc) for doc in docs_in(output)] == [4, 4, 2]


def test_a_folder_is_read_in_the_order_of_names(tmp_path, output):
    (tmp_path / "b.conllu").write_text(CONLLU)
    (tmp_path / "a.iob").write_text("Bob B-PER\n")
    (tmp_path / "README.md").write_text("about it")
    assert run(tmp_path, output).exit_code == 0
    assert [doc[0].text for doc in docs_in(output)] == ["Bob", "Ann"]


def test_the_format_can_be_named(tmp_path, output):
    (tmp_path / "test.annotated").write_text(IOB)
    assert run(tmp_path / "test.annotated", output, "--format", "iob").exit_code == 0
    assert len(docs_in(output)) == 1


def test_a_language_needs_no_tokenizer_of_its_own(tmp_path, output):
    (tmp_path / "a.iob").write_text(IOB)
    assert run(tmp_path / "a.iob", output, "--lang", "ja").exit_code == 0


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.conllu", CONLLU.encode() + b"1\tx\n", [], "a.conllu:4: the line has 2 columns"),
        ("a.conllu", CONLLU.replace("2\tnsubj\t", "x\tnsubj\t").encode(), [], "a.conllu:1: the head of word 1 is 'x'"),
        ("a.conllu", CONLLU.replace("0\troot", "1\tdep").encode(), [], "a.conllu:1: "),
        ("a.conllu", b"", [], "a.conllu: the file holds no sentences"),
        ("a.iob", b"a O\nb\n", [], "a.iob:2: "),
        ("a.iob", b"a O\n\xff O\n", [], "a.iob:2: byte 1"),
        ("a.txt", b"some text", [], "a.txt: the extension is none of"),
        ("a.iob", IOB.encode(), ["--lang", "qq"], "'qq'"),
    ],
)
def test_bad_input_gives_one_sentence_and_no_file(tmp_path, output, name, content, options, message):
    # given an older output beside which nothing may be left lying
    output.parent.mkdir()
    output.write_bytes(b"old")
    (tmp_path / name).write_bytes(content)
    # when bad input is converted
    result = run(tmp_path / name, output, *options)
    # then the exit code is 1, the error one line, and the output untouched
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
    assert [file.name for file in output.parent.iterdir()] == ["corpus.spacy"]
    assert output.read_bytes() == b"old"


def test_a_missing_input_an_empty_folder_and_another_extension_are_refused(tmp_path, output):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.iob").write_text(IOB)
    for arguments, message in [
        ((tmp_path / "absent.conllu", output), "absent.conllu: there is no such file"),
        ((tmp_path / "empty", output), "the folder holds no corpus file"),
        ((tmp_path / "a.iob", tmp_path / "out.txt"), "must end in .spacy"),
        ((tmp_path / "a.iob", tmp_path / "out.iob"), "or in one of .conllu"),
        ((tmp_path / "a.iob", tmp_path / "a.iob" / "out.spacy"), "cannot be written"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 1
        assert message in result.stderr
    assert not output.exists()


def test_a_file_is_not_converted_into_itself(tmp_path):
    file = tmp_path / "a.conllu"
    file.write_text(CONLLU)
    for source in (file, tmp_path):
        result = run(source, file)
        assert result.exit_code == 1
        assert "a.conllu: the output is also read" in result.stderr
    assert file.read_text() == CONLLU


def test_one_broken_file_in_a_folder_stops_all(tmp_path, output):
    (tmp_path / "a.conllu").write_text(CONLLU)
    (tmp_path / "b.conllu").write_text("1\tx\n")
    result = run(tmp_path, output)
    assert result.exit_code == 1
    assert "b.conllu:1: " in result.stderr
    assert not output.exists()
