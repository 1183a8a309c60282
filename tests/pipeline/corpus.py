"""Five short sentences with every annotation that a component of this package reads: small enough to be learned by heart."""

from __future__ import annotations

from collections.abc import Sequence

from spacy.tokens import Doc, Span, Token
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_emerging.corpus.annotations import CONSTITUENTS_KEY, set_graph_arcs
from spacy_emerging.pipeline.characters import Characters
from spacy_emerging.structures import ConstituencyTree

SENTENCES = [
    # word, tag, part of speech, morphology, head (1-based, 0: root), relation, entity, arcs of the graph
    """
    Anna     NNP  PROPN  Number=Sing              2  nsubj     B-PERSON  2:agent|5:resident
    lives    VBZ  VERB   Number=Sing|Tense=Pres   0  ROOT      O         0:root
    in       IN   ADP    _                        5  case      O         _
    New      NNP  PROPN  Number=Sing              5  compound  B-GPE     5:compound
    York     NNP  PROPN  Number=Sing              2  obl       I-GPE     2:place
    .        .    PUNCT  _                        2  punct     O         _
    """,
    """
    They     PRP  PRON   Number=Plur              2  nsubj     O         2:agent
    like     VBP  VERB   Tense=Pres               0  ROOT      O         0:root|4:liked
    green    JJ   ADJ    Degree=Pos               4  amod      O         4:mod
    eggs     NNS  NOUN   Number=Plur              2  obj       O         2:theme
    .        .    PUNCT  _                        2  punct     O         _
    """,
    # not projective: the arc from "dog" to "barked" crosses the one from "saw" to "today"
    """
    Bob      NNP  PROPN  Number=Sing              2  nsubj     B-PERSON  2:agent
    saw      VBD  VERB   Tense=Past               0  ROOT      O         0:root
    a        DT   DET    Definite=Ind             4  det       O         _
    dog      NN   NOUN   Number=Sing              2  obj       O         2:theme|7:agent
    today    RB   ADV    _                        2  advmod    O         2:time
    that     WDT  PRON   _                        7  nsubj     O         4:ref
    barked   VBD  VERB   Tense=Past               4  acl       O         0:root|4:relative
    .        .    PUNCT  _                        2  punct     O         _
    """,
    """
    Why      WRB  ADV    _                        2  advmod    O         _
    bark     VB   VERB   _                        0  ROOT      O         _
    ?        .    PUNCT  _                        2  punct     O         _
    """,
    """
    Bob      NNP  PROPN  Number=Sing              2  nsubj     B-PERSON  2:agent
    likes    VBZ  VERB   Number=Sing|Tense=Pres   0  ROOT      O         0:root
    New      NNP  PROPN  Number=Sing              4  compound  B-GPE     4:compound
    York     NNP  PROPN  Number=Sing              2  obj       I-GPE     2:theme
    .        .    PUNCT  _                        2  punct     O         _
    """,
]

TREES = [
    "(S (NP (NNP Anna)) (VP (VBZ lives) (PP (IN in) (NP (NNP New) (NNP York)))) (. .))",
    "(S (NP (PRP They)) (VP (VBP like) (NP (JJ green) (NNS eggs))) (. .))",
    "(S (NP (NNP Bob)) (VP (VBD saw) (NP (NP (DT a) (NN dog)) (ADVP (RB today)) (SBAR (WHNP (WDT that)) (S (VP (VBD barked)))))) (. .))",
    "(SBARQ (WHADVP (WRB Why)) (SQ (VP (VB bark))) (. ?))",
    "(S (NP (NNP Bob)) (VP (VBZ likes) (NP (NNP New) (NNP York))) (. .))",
]
"""The constituents of each sentence."""

DOCS = [(0, 1, 2, 3, 4), (4, 1), (3, 0)]
"""Which sentences make up which Doc."""

SPANS_KEY = "sc"
EXTENSION = "casing"
CHARACTERS = "characters"
"""Key in `doc.user_data` of references that are predicted on character by character."""

Row = tuple[str, ...]


def rows(sentence: int) -> list[Row]:
    """The words of a sentence and their annotation."""
    return [tuple(line.split()) for line in SENTENCES[sentence].strip().splitlines()]


def graph_of(row: Row) -> list[tuple[int, str]]:
    """The heads of a word in the graph (1-based, 0: root), and the labels."""
    entries = (entry.partition(":") for entry in row[7].split("|") if entry != "_")
    return [(int(head), label) for head, _, label in entries]


def gold_doc(vocab: Vocab, sentences: Sequence[int]) -> Doc:
    """A Doc with every kind of annotation."""
    table, heads, arcs = [], [], []
    for sentence in sentences:
        offset = len(table)
        for i, row in enumerate(rows(sentence)):
            heads.append(offset + (int(row[4]) - 1 if int(row[4]) else i))
            arcs += [(offset + head if head else 0, offset + i + 1, label) for head, label in graph_of(row)]
            table.append(row)
    words, tags, pos, morphs, _, deps, ents, _ = (list(column) for column in zip(*table, strict=True))
    doc = Doc(vocab, words=words, tags=tags, pos=pos, morphs=morphs, heads=heads, deps=deps, ents=ents)
    doc.spans[SPANS_KEY] = [span for sent in doc.sents for span in overlapping_spans(sent)]
    doc.spans[CONSTITUENTS_KEY] = [
        Span(doc, sent.start + start, sent.start + end, label)
        for sent, number in zip(doc.sents, sentences, strict=True)
        for label, start, end in ConstituencyTree.from_brackets(TREES[number]).spans()
    ]
    set_graph_arcs(doc, arcs)
    if not Token.has_extension(EXTENSION):
        Token.set_extension(EXTENSION, default=None)
    for token in doc:
        token._.set(EXTENSION, "title" if token.is_title else "other")
    return doc


def overlapping_spans(sentence: Span) -> list[Span]:
    """The sentence without its last token, and the places in it."""
    doc = sentence.doc
    places = [Span(doc, entity.start, entity.end, label="PLACE") for entity in sentence.ents if entity.label_ == "GPE"]
    return [Span(doc, sentence.start, sentence.end - 1, label="CLAUSE"), *places]


def bare(doc: Doc) -> Doc:
    """What is predicted on: the same tokens without annotation, or the characters of a Doc whose words are to be found."""
    if doc.user_data.get(CHARACTERS):
        return Characters(doc.vocab)(doc.text)
    return Doc(doc.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])


def joined_doc(vocab: Vocab, sentences: Sequence[int]) -> Doc:
    """A Doc whose words are not separated by blanks."""
    words = [row[0] for sentence in sentences for row in rows(sentence)]
    return Doc(vocab, words=words, spaces=[False] * len(words), user_data={CHARACTERS: True})


def joined_examples(vocab: Vocab) -> list[Example]:
    """All Docs of the corpus without blanks, each with its characters to be predicted on."""
    references = [joined_doc(vocab, sentences) for sentences in DOCS]
    return [Example(bare(reference), reference) for reference in references]


def examples(vocab: Vocab) -> list[Example]:
    """All Docs of the corpus, each with a bare one to be predicted on."""
    references = [gold_doc(vocab, sentences) for sentences in DOCS]
    return [Example(bare(reference), reference) for reference in references]
