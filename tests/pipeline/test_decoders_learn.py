"""Every registered decoder learns fifty sentences by heart, of each kind of label."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from spacy.training import Example
from thinc.api import Adam

from spacy_emerging.corpus.conllu import read_conllu
from spacy_emerging.registry import ARCHITECTURES

from .cases import ENCODE, blank, labeler_model
from .corpus import bare

DECODERS = sorted(name for name in ARCHITECTURES if name.endswith("Decoder.v1"))
BIO = {"linearization": {"@linearizations": "spacy-emerging.SpanTags.v1", "scheme": "bio"}}
PLANES = {"linearization": {"@linearizations": "spacy-emerging.BracketingDependency.v1", "planes": 2}}
SAMPLE = Path(__file__).parents[2] / "assets" / "sample" / "train.conllu"
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "spacy-emerging.DiffusionDecoder.v1": [{"denoiser_width": 64, "steps": 1}, {"denoiser_width": 64, "steps": 10}],
}
"""Settings to learn with; a decoder that is not listed learns as it comes."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factory", "settings", "scores"),
    [
        pytest.param("emerging_tagger", {}, ["tag_acc"], id="tags"),
        pytest.param("emerging_ner", BIO, ["ents_f"], id="bio"),
        pytest.param("emerging_parser", PLANES, ["dep_uas", "dep_las"], id="brackets"),
    ],
)
@pytest.mark.parametrize(
    ("name", "options"), [pytest.param(name, o, id=name.split(".")[1]) for name in DECODERS for o in VARIANTS.get(name, [{}])]
)
def test_fifty_sentences_of_the_sample_corpus_are_learned_by_heart(
    factory: str, settings: dict[str, Any], scores: list[str], name: str, options: dict[str, Any]
) -> None:
    # given
    nlp = blank()
    references = list(islice(read_conllu(SAMPLE, nlp.vocab), 5))
    assert sum(len(list(doc.sents)) for doc in references) >= 50
    embed = {"@architectures": "spacy.MultiHashEmbed.v2", "width": 64, "attrs": ["NORM"], "rows": [1000], "include_static_vectors": False}
    tok2vec = {"@architectures": "spacy.Tok2Vec.v2", "embed": embed, "encode": {**ENCODE, "width": 64}}
    nlp.add_pipe(factory, config={"model": labeler_model(tok2vec, {"@architectures": name, **options}), **settings})
    data = [Example(bare(reference), reference) for reference in references]
    nlp.initialize(lambda: data)
    # when
    optimizer = Adam(0.01)
    for _ in range(60):
        nlp.update(data, sgd=optimizer)
    # then
    found = nlp.evaluate([Example(bare(reference), reference) for reference in references])
    assert {score: found[score] for score in scores if found[score] < 0.99} == {}
