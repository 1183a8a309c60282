"""Documents of sentences on one topic, and the last touches: contractions, spacing, capitals."""

from __future__ import annotations

from dataclasses import dataclass

from .chance import Chance
from .derivation import Phrase, Word, governors, leaves
from .enhanced import EnhancedGraph, enhanced_graph
from .names import Names
from .sentences import Sentences
from .vocabulary import Vocabulary

SPLITS = {"train": 0.8, "dev": 0.1, "test": 0.1}
LEANING = {"is": "'s", "am": "'m", "are": "'re", "will": "'ll", "have": "'ve"}
LEANS_LEFT = {",", ".", "?", "!", ";", ":", "''", "POS"}  # Penn tags of words written without a space before them
LONGEST = 45


@dataclass
class Sentence:
    """A finished sentence: the derivation, its words in order, and both structures read off it."""

    identifier: str
    root: Phrase
    words: list[Word]
    heads: list[int]
    relations: list[str]
    enhanced: EnhancedGraph

    @property
    def text(self) -> str:
        """The sentence as it is written."""
        return "".join(word.form + ("" if word.glued or word.fused else " ") for word in self.words).rstrip()


@dataclass
class Document:
    """Sentences that share a vocabulary and a cast."""

    identifier: str
    sentences: list[Sentence]


def _contract(words: list[Word], chance: Chance) -> None:
    """`she is` becomes `she's`, now and then."""
    for pronoun, verb in zip(words, words[1:], strict=False):
        subject = pronoun.xpos == "PRP" and pronoun.feats.get("Case") == "Nom"
        if subject and verb.upos == "AUX" and verb.form in LEANING and not verb.fused and chance.maybe(0.3):
            verb.form, pronoun.fused = LEANING[verb.form], True


def _space(words: list[Word]) -> None:
    for word, following in zip(words, words[1:], strict=False):
        if following.xpos in LEANS_LEFT or following.form == ":":
            word.glued = True


def finish(identifier: str, root: Phrase, chance: Chance) -> Sentence:
    """Reads words, tree and graph off a derivation."""
    words = list(leaves(root))
    _contract(words, chance)
    _space(words)
    first = next(word for word in words if word.xpos != "``")
    first.form = first.form[0].upper() + first.form[1:]
    position = {word: i for i, word in enumerate(words, 1)}
    tree = governors(root)
    heads = [position[tree[word][0]] if word in tree else 0 for word in words]
    relations = [tree[word][1] if word in tree else "root" for word in words]
    return Sentence(identifier, root, words, heads, relations, enhanced_graph(root, position))


def document(identifier: str, chance: Chance, names: Names) -> Document:
    """Eight to twelve sentences, the first sometimes a headline."""
    source = Sentences(Vocabulary(chance, names))
    count = 8 + chance.below(5)
    found: list[Sentence] = []
    while len(found) < count:
        root = source.headline() if not found and chance.maybe(0.4) else source.sentence()
        if sum(1 for _ in leaves(root)) <= LONGEST:
            found.append(finish(f"{identifier}-{len(found) + 1:02}", root, chance))
    return Document(identifier, found)


def corpus(seed: int, size: int) -> dict[str, list[Document]]:
    """`size` documents, cut into train, dev and test."""
    chance = Chance(seed)
    names = Names(chance)
    splits: dict[str, list[Document]] = {}
    for split, share in SPLITS.items():
        splits[split] = [document(f"{split}-{i:03}", chance, names) for i in range(1, round(size * share) + 1)]
    return splits
