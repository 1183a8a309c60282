"""The sample corpus is what its generator writes, is valid, and its three formats agree with one another."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from conllu.models import Token, TokenList

from .sample_corpus import SAMPLE, SPLITS, constituents, crosses, enhanced, everything, sentences, trees, words

UNIVERSAL_TAGS = {
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
}  # fmt: skip
MOST_BYTES = 3_000_000


def generate(*arguments: str) -> str:
    command = [sys.executable, "-B", str(SAMPLE / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout


# The files


def test_generating_again_gives_the_committed_bytes(tmp_path: Path) -> None:
    # given a folder with nothing in it, when the generator writes into it
    generate("--output", str(tmp_path))
    # then every file of the corpus is there, equal to the committed one
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(f"{split}.{suffix}" for split in SPLITS for suffix in ("conllu", "bio", "brackets"))
    for name in written:
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes(), name


def test_another_seed_gives_another_corpus_of_the_size_asked_for(tmp_path: Path) -> None:
    generate("--output", str(tmp_path), "--seed", "99", "--documents", "20")
    text = (tmp_path / "train.conllu").read_text(encoding="utf-8")
    assert text.count("# newdoc") == 16
    assert text not in (SAMPLE / "train.conllu").read_text(encoding="utf-8")


def test_the_readme_shows_the_printed_statistics() -> None:
    assert generate("--statistics").strip() in (SAMPLE / "README.md").read_text(encoding="utf-8")


def test_size_and_splits() -> None:
    counts = {split: len(sentences(split)) for split in SPLITS}
    total = sum(counts.values())
    assert 1500 <= total <= 3000
    assert 0.77 <= counts["train"] / total <= 0.83
    assert all(0.08 <= counts[split] / total <= 0.12 for split in ("dev", "test"))
    assert sum(path.stat().st_size for path in SAMPLE.iterdir() if path.is_file()) < MOST_BYTES


# CoNLL-U


@pytest.mark.parametrize("split", SPLITS)
def test_every_line_has_ten_columns_and_every_sentence_its_comments(split: str) -> None:
    for block in (SAMPLE / f"{split}.conllu").read_text(encoding="utf-8").strip().split("\n\n"):
        lines = block.split("\n")
        assert all(len(line.split("\t")) == 10 and all(line.split("\t")) for line in lines if not line.startswith("#"))
        assert sum(line.startswith("# sent_id = ") for line in lines) == sum(line.startswith("# text = ") for line in lines) == 1


@pytest.mark.parametrize("split", SPLITS)
def test_every_tree_has_one_root_and_no_cycle(split: str) -> None:
    for sentence in sentences(split):
        heads = {token["id"]: token["head"] for token in words(sentence)}
        assert list(heads) == list(range(1, len(heads) + 1))
        assert [token["deprel"] for token in words(sentence) if token["head"] == 0] == ["root"]
        for word in heads:
            above = word
            for _ in range(len(heads)):
                above = heads[above] if above else 0
            assert above == 0, sentence.metadata["sent_id"]
        assert {token["upos"] for token in words(sentence)} <= UNIVERSAL_TAGS


@pytest.mark.parametrize("split", SPLITS)
def test_the_text_is_what_tokens_and_spaces_spell(split: str) -> None:
    for sentence in sentences(split):
        inside: set[int] = set()
        text = ""
        for token in sentence:
            if isinstance(token["id"], tuple) and token["id"][1] == "-":
                inside |= {token["id"][0], token["id"][2]}
            elif token["id"] in inside or not isinstance(token["id"], int):
                continue
            text += token["form"] + ("" if (token["misc"] or {}).get("SpaceAfter") == "No" else " ")
        assert text.rstrip() == sentence.metadata["text"]


@pytest.mark.parametrize("split", SPLITS)
def test_identifiers_are_unique_and_documents_have_about_ten_sentences(split: str) -> None:
    identifiers = [sentence.metadata["sent_id"] for sentence in sentences(split)]
    assert len(set(identifiers)) == len(identifiers)
    starts = [i for i, sentence in enumerate(sentences(split)) if "newdoc id" in sentence.metadata]
    lengths = [end - start for start, end in zip(starts, [*starts[1:], len(identifiers)], strict=True)]
    assert starts[0] == 0 and all(8 <= length <= 12 for length in lengths)


@pytest.mark.parametrize("split", SPLITS)
def test_every_word_of_the_enhanced_graph_is_reached_from_the_root(split: str) -> None:
    for sentence in sentences(split):
        below = defaultdict(list)
        for head, _, dependent in enhanced(sentence):
            below[head].append(dependent)
        reached: set[object] = {0}
        waiting: list[object] = [0]
        while waiting:
            fresh = [node for node in below[waiting.pop()] if node not in reached]
            reached.update(fresh)
            waiting += fresh
        nodes = {token["id"] for token in sentence if isinstance(token["id"], int) or token["id"][1] == "."}
        assert reached == nodes | {0}, sentence.metadata["sent_id"]


def subjects_and_finite_verbs(sentence: TokenList) -> Iterator[tuple[Token, Token, bool]]:
    """Each finite verb that shows number, its subject, and whether the subject is a pair joined by `and`."""
    by_id = {token["id"]: token for token in words(sentence)}
    for head, label, dependent in enhanced(sentence):
        if not label.startswith("nsubj") or label.endswith("xsubj") or head not in by_id or by_id[dependent]["deprel"] == "conj":
            continue
        predicate, subject = by_id[head], by_id[dependent]
        group = [predicate, *(t for t in by_id.values() if t["head"] == head and t["deprel"].partition(":")[0] in ("aux", "cop"))]
        finite = [token for token in group if (token["feats"] or {}).get("VerbForm") == "Fin" and "Number" in token["feats"]]
        within = dependent in ancestors(by_id, predicate["id"])
        conjuncts = [t for t in by_id.values() if t["head"] == dependent and t["deprel"] == "conj"]
        joined = {t["lemma"] for t in by_id.values() if t["deprel"] == "cc" and t["head"] in {c["id"] for c in conjuncts}}
        if conjuncts and not within and "or" in joined:
            continue
        yield from ((token, subject, bool(conjuncts) and not within) for token in finite)


def ancestors(by_id: dict[int, Token], word: int) -> list[int]:
    found = []
    while word:
        word = by_id[word]["head"]
        found.append(word)
    return found


@pytest.mark.parametrize("split", SPLITS)
def test_finite_verbs_agree_with_their_subjects(split: str) -> None:
    checked = 0
    for sentence in sentences(split):
        for verb, subject, joined in subjects_and_finite_verbs(sentence):
            feats = subject["feats"] or {}
            expected = ("Plur", "3") if joined else (feats.get("Number", "Sing"), feats.get("Person", "3"))
            assert (verb["feats"]["Number"], verb["feats"]["Person"]) == expected, (sentence.metadata["text"], verb["form"])
            checked += 1
    assert checked > len(sentences(split)) / 4


# The three formats


@pytest.mark.parametrize("split", SPLITS)
def test_bio_file_and_misc_column_have_the_same_tokens_and_tags(split: str) -> None:
    blocks = (SAMPLE / f"{split}.bio").read_text(encoding="utf-8").strip().split("\n\n")
    rows = [[tuple(line.split("\t")) for line in block.split("\n")] for block in blocks]
    assert rows == [[(token["form"], token["misc"]["NER"]) for token in words(sentence)] for sentence in sentences(split)]
    for row in rows:
        tags = ["O", *(tag for _, tag in row)]
        assert all(tag[0] != "I" or previous[2:] == tag[2:] for previous, tag in zip(tags, tags[1:], strict=False))


@pytest.mark.parametrize("split", SPLITS)
def test_bracket_leaves_are_the_words_with_their_penn_tags(split: str) -> None:
    assert len(trees(split)) == len(sentences(split))
    for tree, sentence in zip(trees(split), sentences(split), strict=True):
        spans, leaves = constituents(tree)
        assert leaves == [(token["xpos"], token["form"]) for token in words(sentence)]
        assert spans[-1][1:] == (0, len(leaves))


@pytest.mark.parametrize("split", SPLITS)
def test_brackets_and_dependencies_agree(split: str) -> None:
    """In a projective sentence exactly one word of each constituent has its head outside."""
    for tree, sentence in zip(trees(split), sentences(split), strict=True):
        heads = [token["head"] for token in words(sentence)]
        for label, start, end in [] if crosses(sentence) else constituents(tree)[0]:
            outside = [head for head in heads[start:end] if not start < head <= end]
            assert len(outside) == 1, (sentence.metadata["sent_id"], label)


# What the README promises


def test_five_to_eight_percent_of_the_sentences_have_crossing_arcs() -> None:
    found = everything()
    assert 0.05 <= sum(map(crosses, found)) / len(found) <= 0.08


@pytest.mark.parametrize("split", ["dev", "test"])
def test_three_to_six_percent_of_the_words_are_unseen_in_train(split: str) -> None:
    known = {token["form"] for sentence in sentences("train") for token in words(sentence)}
    forms = [token["form"] for sentence in sentences(split) for token in words(sentence)]
    assert 0.03 <= sum(form not in known for form in forms) / len(forms) <= 0.06
