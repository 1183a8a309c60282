"""Bracketed trees in the shapes they come in, and back."""

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import CONSTITUENTS_KEY
from spacy_emerging.corpus.ptb import read_ptb, read_ptb_functions, without_function
from spacy_emerging.corpus.ptb_writer import write_ptb
from spacy_emerging.errors import CorpusError
from spacy_emerging.structures import StructureError

TREE = "(S (NP (PRP They)) (VP (VBP like) (NP (JJ green) (NNS eggs))) (. .))"


@pytest.fixture
def ptb(tmp_path) -> Callable[..., list[Doc]]:
    """Reads inline trees."""

    def read(text: str, **settings) -> list[Doc]:
        path = tmp_path / "sample.ptb"
        path.write_text(text, encoding="utf-8")
        return list(read_ptb(path, Vocab(), **settings))

    return read


def constituents(doc: Doc) -> list[tuple[str, int, int]]:
    return [(span.label_, span.start, span.end) for span in doc.spans[CONSTITUENTS_KEY]]


def kept(doc: Doc):
    """Everything that brackets tell about a Doc."""
    return [(token.text, token.tag_, token.is_sent_start) for token in doc], constituents(doc)


def test_words_tags_sentences_and_constituents_in_pre_order(ptb):
    (doc,) = ptb(f"{TREE}\n(NP (NN Soup))\n")
    assert [token.text for token in doc] == ["They", "like", "green", "eggs", ".", "Soup"]
    assert [token.tag_ for token in doc] == ["PRP", "VBP", "JJ", "NNS", ".", "NN"]
    assert [sent.text for sent in doc.sents] == ["They like green eggs .", "Soup"]
    assert constituents(doc) == [("S", 0, 5), ("NP", 0, 1), ("VP", 1, 4), ("NP", 2, 4), ("NP", 5, 6)]


def test_a_unary_chain_is_kept_with_its_topmost_constituent_first(ptb):
    (doc,) = ptb("(ROOT (S (VP (VB Go))))")
    assert constituents(doc) == [("ROOT", 0, 1), ("S", 0, 1), ("VP", 0, 1)]


def test_a_tree_may_spread_over_lines_between_comments_and_blank_lines(ptb):
    (doc,) = ptb("# a comment\n\n(S\n  (NP (NN a))\n  (VP\n\t(VB b)))\n\n* another\n(X (# #))(NP (NN c)) (NP\n(NN d))\n")
    assert [sent.text for sent in doc.sents] == ["a b", "#", "c", "d"]


def test_an_outer_bracket_without_label_is_dropped(ptb):
    (doc,) = ptb("( (S (NP (NN a)) (VP (VB b))) )\n( (NP (NN c)) (NP (NN d)))")
    assert constituents(doc) == [("S", 0, 2), ("NP", 0, 1), ("VP", 1, 2), ("NP", 2, 3), ("NP", 3, 4)]


def test_escapes_in_words_are_resolved_and_tags_stay(ptb):
    (doc,) = ptb(r"(X (-LRB- -LRB-) (CD 1\/2) (SYM :-RRB-) (-RRB- -RCB-) (_ x))")
    assert [(token.text, token.tag_) for token in doc] == [("(", "-LRB-"), ("1/2", "CD"), (":)", "SYM"), ("}", "-RRB-"), ("x", "")]


def test_traces_go_and_so_do_the_constituents_that_hold_nothing_else(ptb):
    (doc,) = ptb("(S (NP-SBJ (-NONE- *)) (VP (TO to) (VP (VB go) (ADVP (ADVP (-NONE- *T*)) (RB home)))))\n(S (NP (-NONE- *)))\n(NP (NN x))")
    assert [sent.text for sent in doc.sents] == ["to go home", "x"]
    assert constituents(doc) == [("S", 0, 3), ("VP", 0, 3), ("VP", 1, 3), ("ADVP", 2, 3), ("NP", 3, 4)]


@pytest.mark.parametrize(
    ("label", "expected"),
    [("NP", "NP"), ("NP-SBJ-1", "NP"), ("NP=2", "NP"), ("S-NOM=1", "S"), ("-LRB-", "-LRB-"), ("=", "="), ("PRT|ADVP", "PRT|ADVP")],
)
def test_functions_and_indices_are_what_follows_a_hyphen_or_equals_sign(label, expected):
    assert without_function(label) == expected


def test_functions_are_cut_unless_they_are_asked_for(ptb, tmp_path):
    text = "(S (NP-SBJ-1 (NN-X a)) (VP=2 (VB b)))"
    assert constituents(ptb(text)[0]) == [("S", 0, 2), ("NP", 0, 1), ("VP", 1, 2)]
    assert constituents(ptb(text, function_tags=True)[0]) == [("S", 0, 2), ("NP-SBJ-1", 0, 1), ("VP=2", 1, 2)]
    (doc,) = read_ptb_functions(tmp_path / "sample.ptb", Vocab())
    assert constituents(doc)[1][0] == "NP-SBJ-1"
    assert doc[0].tag_ == "NN-X"


def test_n_sents_make_a_doc(ptb):
    assert [len(doc) for doc in ptb("(NP (NN a))\n" * 12)] == [10, 2]
    assert [len(doc) for doc in ptb("(NP (NN a))\n" * 5, n_sents=2)] == [2, 2, 1]


@pytest.mark.parametrize(
    "carried",
    [
        lambda doc: Doc(doc.vocab).from_bytes(doc.to_bytes()),
        lambda doc: next(iter(DocBin().from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(Vocab()))),
        lambda doc: pickle.loads(pickle.dumps(doc)),
    ],
    ids=["to_bytes", "DocBin", "pickle"],
)
def test_constituents_survive_with_their_order(ptb, carried):
    (doc,) = ptb(f"(ROOT (S (VP (VB Go))))\n{TREE}")
    assert kept(carried(doc)) == kept(doc)


@pytest.mark.parametrize(
    ("text", "line", "telling"),
    [
        (f"{TREE}\n\n(S (NP (NN a))\n(VP\n", 3, "2 closing brackets are missing"),
        (f"{TREE}\n{TREE})\n", 2, "')' stands outside"),
        (f"{TREE}\nsome text\n", 2, "'some' stands outside"),
        (f"{TREE}\n(S\n(NP) (VP (VB b)))\n", 2, "'NP' after word 0 is empty"),
        ("(S ((NP (NN a)) (NN b)))\n", 1, "without a label"),
        (f"{TREE}\n()\n", 2, "holds no word"),
    ],
)
def test_the_message_names_file_line_and_fault(tmp_path, text, line, telling):
    path = tmp_path / "broken.mrg"
    path.write_text(text)
    with pytest.raises(CorpusError) as raised:
        list(read_ptb(path, Vocab()))
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert telling in str(raised.value)


@pytest.mark.parametrize("text", ["", "\n# only a comment\n", "(S (NP (-NONE- *)))"])
def test_a_file_without_sentences_is_refused(ptb, text):
    with pytest.raises(CorpusError, match="no sentences"):
        ptb(text)


def test_read_write_read_keeps_everything(ptb, tmp_path):
    # given Docs with unary chains, brackets, missing tags, a forest, words without constituent
    docs = ptb(f"{TREE}\n(S (VP (VB Go) (-LRB- -LRB-) (_ :-RRB-)))\n( (NP (NN c)) (NP (NN d)))\n(NN e)\n(X a (NN b))", n_sents=2)
    # when they are written and read again
    write_ptb(docs, tmp_path / "again.ptb")
    # then nothing has changed
    assert [kept(doc) for doc in read_ptb(tmp_path / "again.ptb", Vocab(), n_sents=2)] == [kept(doc) for doc in docs]
    assert (tmp_path / "again.ptb").read_text().splitlines()[0] == TREE


leaves = st.tuples(st.sampled_from(["NN", "-LRB-", ""]), st.sampled_from(["a", "(", ":)", "{-}", "1/2", "\\*", "\\\\/", "\\"]))
trees = st.recursive(
    leaves, lambda inner: st.tuples(st.sampled_from(["S", "NP", "-X-"]), st.lists(inner, min_size=1, max_size=3)), max_leaves=8
)


def laid_out(tree, words, spans):
    """Puts words and constituents of a nested tree into flat lists."""
    if isinstance(tree[1], str):
        words.append(tree)
        return
    at, start = len(spans), len(words)
    spans.append(None)
    for part in tree[1]:
        laid_out(part, words, spans)
    spans[at] = (tree[0], start, len(words))


@settings(max_examples=50)
@given(st.lists(trees, min_size=1, max_size=2))
def test_any_trees_are_read_as_they_were_written(tmp_path_factory, sentences):
    vocab = Vocab()
    docs = []
    for tree in sentences:
        words, spans = [], []
        laid_out(tree, words, spans)
        doc = Doc(vocab, words=[word for _, word in words], tags=[tag for tag, _ in words], sent_starts=[i == 0 for i in range(len(words))])
        doc.spans[CONSTITUENTS_KEY] = [Span(doc, start, end, label) for label, start, end in spans]
        docs.append(doc)
    path = tmp_path_factory.getbasetemp() / "any.ptb"
    write_ptb(docs, path)
    assert [kept(doc) for doc in read_ptb(path, vocab, n_sents=1)] == [kept(doc) for doc in docs]


@settings(max_examples=50)
@given(st.lists(st.text(r"\/*-LRSCB[}a_#", min_size=1, max_size=8), min_size=1, max_size=5))
def test_whatever_words_a_file_holds_are_written_as_they_were_read(tmp_path_factory, words):
    """Given words with escapes, names of brackets and parts of these: what is read once is read again after writing."""
    path, again = (tmp_path_factory.getbasetemp() / name for name in ("words.ptb", "written.ptb"))
    path.write_text("(S " + " ".join(f"(-LRB- {word})" for word in words) + ")")
    docs = list(read_ptb(path, Vocab()))
    write_ptb(docs, again)
    assert [kept(doc) for doc in read_ptb(again, Vocab())] == [kept(doc) for doc in docs]


def test_a_bracket_and_its_name_are_one_word_to_the_format(tmp_path):
    doc = Doc(Vocab(), words=["(", "-LRB-", "[", "-LSB-"], tags=["-LRB-", "(", "X", "X"])
    doc.spans[CONSTITUENTS_KEY] = [Span(doc, 0, 4, "NP")]
    write_ptb([doc], tmp_path / "a.ptb")
    assert (tmp_path / "a.ptb").read_text() == "(NP (-LRB- -LRB-) (-LRB- -LRB-) (X [) (X -LSB-))\n"
    (again,) = read_ptb(tmp_path / "a.ptb", Vocab())
    assert [(token.text, token.tag_) for token in again] == [("(", "-LRB-"), ("(", "-LRB-"), ("[", "X"), ("[", "X")]


def test_a_word_tagged_as_a_trace_is_refused_since_readers_would_leave_it_out(tmp_path):
    doc = Doc(Vocab(), words=["a", "b"], tags=["NN", "-NONE-"])
    doc.spans[CONSTITUENTS_KEY] = [Span(doc, 0, 2, "NP")]
    with pytest.raises(CorpusError, match="token 1 of Doc 1 has the tag -NONE-"):
        write_ptb([doc], tmp_path / "a.ptb")


def test_a_doc_without_boundaries_is_one_sentence_and_blanks_become_underscores(tmp_path):
    doc = Doc(Vocab(), words=["New York", "(", "x"], tags=["NNP", "-LRB-", ""])
    doc.spans[CONSTITUENTS_KEY] = [Span(doc, 0, 3, "X"), Span(doc, 0, 1, "NP")]
    write_ptb([doc], tmp_path / "a.ptb")
    assert (tmp_path / "a.ptb").read_text() == "(X (NP (NNP New_York)) (-LRB- -LRB-) (_ x))\n"


def test_a_doc_without_constituents_and_one_whose_constituents_cross_are_refused(tmp_path):
    doc = Doc(Vocab(), words=["a", "b", "c"])
    with pytest.raises(CorpusError, match="Doc 1 has no doc.spans"):
        write_ptb([doc], tmp_path / "a.ptb")
    doc.spans[CONSTITUENTS_KEY] = [Span(doc, 0, 2, "X"), Span(doc, 1, 3, "NP")]
    with pytest.raises(StructureError, match="of Doc 1 holds no tree: .* cross"):
        write_ptb([doc], tmp_path / "a.ptb")
    assert not list(tmp_path.iterdir())
