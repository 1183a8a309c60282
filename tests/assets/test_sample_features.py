"""Every feature that the sample corpus's README names does occur in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable

import pytest
from conllu.models import Token, TokenList

from .sample_corpus import SAMPLE, SPLITS, crosses, enhanced, everything, sentences, trees, words


def relations(*names: str) -> Callable[[], bool]:
    return lambda: set(names) <= {token["deprel"] for sentence in everything() for token in words(sentence)}


def enhanced_relations(*names: str) -> Callable[[], bool]:
    return lambda: set(names) <= {label for sentence in everything() for _, label, _ in enhanced(sentence)}


def brackets(*patterns: str) -> Callable[[], bool]:
    text = "\n".join(tree for split in SPLITS for tree in trees(split))
    return lambda: all(re.search(pattern, text, flags=re.MULTILINE) for pattern in patterns)


def tags_of(lemma: str) -> set[str]:
    return {token["upos"] for sentence in everything() for token in words(sentence) if token["lemma"] == lemma}


def labels_of_names() -> dict[str, set[str]]:
    found = defaultdict(set)
    for sentence in everything():
        for token in words(sentence):
            if token["xpos"] == "NNP" and token["misc"]["NER"] != "O":
                found[token["form"]].add(token["misc"]["NER"][2:])
    return found


def attachments(preposition: str) -> set[str]:
    """The relations of nouns whose preposition follows an object."""
    found = set()
    for sentence in everything():
        by_id = {token["id"]: token for token in words(sentence)}
        for token in by_id.values():
            if token["form"] == preposition and token["deprel"] == "case":
                found.add(by_id[token["head"]]["deprel"])
    return found


def graph_has(test: Callable[[set[tuple[object, object]]], bool]) -> bool:
    return any(test({(head, dependent) for head, _, dependent in enhanced(sentence)}) for sentence in everything())


def has_token(test: Callable[[Token], bool]) -> Callable[[], bool]:
    return lambda: any(test(token) for sentence in everything() for token in sentence)


FEATURES: dict[str, Callable[[], bool]] = {
    "agreement": has_token(lambda token: token["xpos"] == "VBZ" and token["feats"]["Number"] == "Sing"),
    "auxiliaries": brackets(r"\(MD ", r"\(VB[ZPD] (has|have|had)\) \(VP", r"\(VP \(VBG ", r"\(VB[DZP] (did|does|do|Did|Does|Do)\)"),
    "attachment ambiguity": lambda: {"obl", "nmod"} <= attachments("with") and {"obl", "nmod"} <= attachments("in"),
    "subject relative clauses": brackets(r"\(SBAR \(WHNP \((WDT|WP) \w+\)\) \(S \(VP"),
    "object relative clauses": brackets(r"\(SBAR \(WHNP \((WDT|WP) \w+\)\) \(S \(NP", r"\(NP \(NP [^S]*\(SBAR \(S \(NP"),
    "reduced relative clauses": relations("acl"),
    "questions": brackets(r"^\(SQ ", r"^\(SBARQ \(WHNP", r"^\(SBARQ \(WHADVP", r"\(PP \(IN \w+\)\)", r"\(WP Who\)", r"\(WDT Which\)"),
    "topicalisation": lambda: any(map(fronted_object, everything())),
    "extraposition": lambda: any(map(extraposed, everything())),
    "crossing dependencies": lambda: any(map(crosses, everything())),
    "coordination": brackets(r"\(NNS \w+\) \(CC and\) \(NNS", r"\(NP \(NP .*\(CC and\) \(NP", r"\(VP \(VP .*\(CC ", r"^\(S \(S "),
    "ditransitives": relations("iobj"),
    "control": lambda: any(label == "nsubj:xsubj" for sentence in everything() for _, label, _ in enhanced(sentence)),
    "raising": brackets(r"\(VB\w? (seem|seems|seemed)\) \(S \(VP \(TO to"),
    "expletives": relations("expl", "csubj"),
    "quotations": brackets(r'\(`` "\)', r"\(SINV "),
    "ellipsis": has_token(lambda token: isinstance(token["id"], tuple) and token["id"][1] == "."),
    "noun or verb": lambda: all({"NOUN", "VERB"} <= tags_of(lemma) for lemma in ("watch", "plan", "report")),
    "ambiguous names": lambda: any(len(labels & {"PERSON", "GPE", "ORG"}) > 1 for labels in labels_of_names().values()),
    "entities": lambda: set().union(*labels_of_names().values()) == {"PERSON", "ORG", "GPE", "DATE", "PRODUCT"},
    "multiword tokens": has_token(lambda token: isinstance(token["id"], tuple) and token["form"].endswith("n't")),
    "numbers": lambda: {"Digit", "Word"} <= {(t["feats"] or {}).get("NumForm") for s in everything() for t in words(s)},
    "headlines": lambda: any("newdoc id" in s.metadata and words(s)[-1]["upos"] != "PUNCT" for s in everything()),
    "enhanced graph": enhanced_relations("obl:in", "nmod:about", "conj:and", "conj:but", "ref"),
    "enhanced cycles": lambda: graph_has(lambda arcs: any((b, a) in arcs for a, b in arcs)),
    "coined words": lambda: any(re.fullmatch(r"[a-z]+(ometer|ogram)s?", t["form"]) for s in sentences("test") for t in words(s)),
}


def fronted_object(sentence: TokenList) -> bool:
    """An object before the subject of the same verb, and no question."""
    heads = {token["deprel"]: token for token in words(sentence) if token["head"] and token["deprel"] in ("obj", "nsubj")}
    asked = words(sentence)[-1]["form"] == "?" or any(t["xpos"] in ("WDT", "WP") for t in words(sentence))
    return not asked and len(heads) == 2 and heads["obj"]["head"] == heads["nsubj"]["head"] and heads["obj"]["id"] < heads["nsubj"]["id"]


def extraposed(sentence: TokenList) -> bool:
    """A relative clause whose verb's arc spans the governor of its noun."""
    by_id = {token["id"]: token for token in words(sentence)}
    clauses = [token for token in by_id.values() if token["deprel"] == "acl:relcl"]
    return any(clause["head"] < by_id[clause["head"]]["head"] < clause["id"] for clause in clauses)


def test_the_readme_lists_exactly_the_features_checked_here() -> None:
    text = (SAMPLE / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^- \*\*(.+?)\*\*:", text, flags=re.MULTILINE) == list(FEATURES)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_that_the_readme_names_occurs(feature: str) -> None:
    assert FEATURES[feature]()
