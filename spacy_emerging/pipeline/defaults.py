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
@architectures = "spacy-emerging.WordEmbed.v1"
width = 128

[model.tok2vec.encode]
@architectures = "spacy-emerging.Mamba2Encoder.v1"
width = 128
depth = 2

[model.decoder]
@architectures = "spacy-emerging.SoftmaxDecoder.v1"
""")["model"]
