"""`spacy-emerging.Corpus.v1` reads as `spacy.Corpus.v1` does, and loses less."""

import pickle

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus as StockCorpus
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import GRAPH_KEY, graph_arcs, set_graph_arcs
from spacy_emerging.corpus.reader import Corpus
from spacy_emerging.errors import CorpusError, SettingError


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("xx")


@pytest.fixture
def folder(tmp_path):
    """Seven Docs of one to seven two-word sentences in two files, one of them in a subfolder."""
    vocab = Vocab()
    docs = []
    for size in range(1, 8):
        words = [word for i in range(size) for word in (f"first{size}", f"second{i}")]
        heads = [i // 2 * 2 for i in range(2 * size)]
        doc = Doc(vocab, words=words, spaces=[True] * len(words), heads=heads, deps=["root", "dep"] * size, ents=["B-X", "O"] * size)
        doc.spans["sc"] = [doc[0:2]]
        set_graph_arcs(doc, [(0, 2 * i + 1, "root") for i in range(size)])
        docs.append(doc)
    (tmp_path / "more").mkdir()
    DocBin(docs=docs[:4], store_user_data=True).to_disk(tmp_path / "a.spacy")
    DocBin(docs=[*docs[4:], Doc(vocab)], store_user_data=True).to_disk(tmp_path / "more" / "b.spacy")
    (tmp_path / "readme.txt").write_text("no corpus")
    return tmp_path


def texts(examples):
    return [(example.predicted.text, example.reference.text) for example in examples]


@pytest.mark.parametrize(
    "settings", [{}, {"limit": 3}, {"max_length": 6}, {"max_length": 2}, {"gold_preproc": True}, {"gold_preproc": True, "limit": 5}]
)
def test_it_gives_what_the_stock_reader_gives(nlp, folder, settings):
    stock = texts(StockCorpus(folder / "a.spacy", **settings)(nlp))
    if stock:
        assert texts(Corpus(folder / "a.spacy", **settings)(nlp)) == stock
    else:
        with pytest.raises(CorpusError, match="max_length = 2"):
            list(Corpus(folder / "a.spacy", **settings)(nlp))


def test_a_folder_is_read_with_its_subfolders(nlp, folder):
    assert [len(example.reference) for example in Corpus(folder)(nlp)] == [2, 4, 6, 8, 10, 12, 14]


def test_limit_counts_through_all_files(nlp, folder):
    assert len(list(Corpus(folder, limit=5)(nlp))) == 5


@pytest.mark.parametrize("settings", [{"gold_preproc": True}, {"max_length": 3}])
def test_cut_sentences_keep_spans_entities_and_graph(nlp, folder, settings):
    examples = list(Corpus(folder, **settings)(nlp))
    assert len(examples) == 1 + 2 + 3 + 4 + 5 + 6 + 7
    for example in examples:
        assert graph_arcs(example.reference) == [(0, 1, "root")]
        assert [ent.label_ for ent in example.reference.ents] == ["X"]
    assert sum(len(example.reference.spans["sc"]) for example in examples) == 7


def test_predicted_docs_know_nothing_of_the_gold_annotation(nlp, folder):
    for example in Corpus(folder, gold_preproc=True)(nlp):
        assert GRAPH_KEY not in example.predicted.user_data
        assert not example.predicted.ents and not example.predicted.has_annotation("DEP")


def test_unknown_spaces_keep_the_gold_tokens(nlp, tmp_path):
    DocBin(docs=[Doc(Vocab(), words=["can", "not"])]).to_disk(tmp_path / "words.spacy")
    (example,) = Corpus(tmp_path / "words.spacy")(nlp)
    assert [token.text for token in example.predicted] == ["can", "not"]


def test_shuffling_is_seeded_and_differs_from_pass_to_pass(nlp, folder):
    first, twin, other = (Corpus(folder, shuffle=True, seed=seed) for seed in (1, 1, 2))
    order, next_order = texts(first(nlp)), texts(first(nlp))
    assert sorted(order) == sorted(next_order) == sorted(texts(Corpus(folder)(nlp)))
    assert order != next_order
    assert order == texts(twin(nlp))
    assert order != texts(other(nlp))


def doubled(nlp, example):
    yield example
    yield Example(nlp.make_doc(example.reference.text.upper()), example.reference)


def test_an_augmenter_makes_further_examples(nlp, folder):
    assert len(list(Corpus(folder, augmenter=doubled)(nlp))) == 14


def test_the_reader_can_be_pickled(nlp, folder):
    reader = Corpus(folder, gold_preproc=True, shuffle=True, seed=3, augmenter=doubled)
    again = pickle.loads(pickle.dumps(reader))
    assert texts(again(nlp)) == texts(reader(nlp))


def test_a_missing_path_a_folder_without_corpus_and_an_empty_corpus_are_refused(nlp, tmp_path):
    (tmp_path / "folder").mkdir()
    DocBin().to_disk(tmp_path / "empty.spacy")
    for path, telling in [("absent.spacy", "no such corpus"), ("folder", "holds no .spacy file"), ("empty.spacy", "holds no tokens")]:
        with pytest.raises(CorpusError, match=telling) as raised:
            list(Corpus(tmp_path / path)(nlp))
        assert str(tmp_path / path) in str(raised.value)
    with pytest.raises(CorpusError, match="paths.train"):
        Corpus(None)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"1\ta\tb\n", lambda data: b""])
def test_a_damaged_file_is_refused(nlp, folder, damage):
    path = folder / "a.spacy"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorpusError, match="a.spacy: the file is no .spacy file or is damaged"):
        list(Corpus(folder)(nlp))


@pytest.mark.parametrize("setting", ["max_length", "limit"])
def test_negative_numbers_are_refused(tmp_path, setting):
    with pytest.raises(SettingError, match=setting):
        Corpus(tmp_path, **{setting: -1})
