"""The model that `nlp.add_pipe("emerging_...")` trains out of the box."""

from __future__ import annotations

from typing import Any

from thinc.api import Config

MODEL: dict[str, Any] = Config().from_str("""
[model]
@architectures = "spacy-emerging.Labeler.v1"

[model.tok2vec]
@architectures = "spacy.Tok2Vec.v2"

[model.tok2vec.embed]
@architectures = "spacy.MultiHashEmbed.v2"
width = 128
attrs = ["NORM", "PREFIX", "SUFFIX", "SHAPE"]
rows = [5000, 1000, 2500, 2500]
include_static_vectors = false

[model.tok2vec.encode]
@architectures = "spacy-emerging.LSTMEncoder.v1"
width = 128
depth = 2

[model.decoder]
@architectures = "spacy-emerging.SoftmaxDecoder.v1"
""")["model"]
