"""`emerging_graph` on the enhanced graphs of the sample corpus: real sentences, every phenomenon, learned by heart."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from spacy.training import Example
from thinc.api import Adam

from spacy_emerging.corpus.annotations import graph_arcs
from spacy_emerging.corpus.conllu import read_conllu
from spacy_emerging.corpus.sentences import cut_sentences

from .cases import blank, labeler_model
from .corpus import bare

SAMPLE = Path(__file__).parents[2] / "assets" / "sample" / "dev.conllu"
WIDTH = 64


@pytest.mark.filterwarnings("ignore:emerging_graph. a Doc has no sentence boundaries")
def test_graphs_of_the_sample_corpus_are_learned_by_heart() -> None:
    # given 40 sentences, with cycles, re-entrancies and labels of paths through empty nodes
    nlp = blank()
    references = [sentence for doc in islice(read_conllu(SAMPLE, nlp.vocab), 4) for sentence in cut_sentences(doc)]
    arcs = [arc for reference in references for arc in graph_arcs(reference) or ()]
    assert len(references) > 35 and len(arcs) > 300
    # when they are learned
    embed = {"@architectures": "spacy.MultiHashEmbed.v2", "width": WIDTH, "attrs": ["NORM"], "rows": [500], "include_static_vectors": False}
    encode = {"@architectures": "spacy-emerging.LSTMEncoder.v1", "width": WIDTH, "depth": 1}
    model = labeler_model({"@architectures": "spacy.Tok2Vec.v2", "embed": embed, "encode": encode})
    nlp.add_pipe("emerging_graph", config={"model": model})
    data = [Example(bare(reference), reference) for reference in references]
    nlp.initialize(lambda: data)
    optimizer = Adam(0.02)
    for _ in range(30):
        nlp.update(data, sgd=optimizer)
    # then nearly every arc is right
    scores = nlp.evaluate([Example(bare(reference), reference) for reference in references])
    assert scores["graph_f"] > 0.98
    assert scores["graph_exact_match"] > 0.9
    assert scores["graph_well_formed"] > 0.9
