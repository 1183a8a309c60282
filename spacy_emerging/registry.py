"""Every public name in one table. The entry points in pyproject.toml point here, so that nothing is imported before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import catalogue
from spacy.util import registry as spacy_registry

from .linearizations.base import Linearization

ARCHITECTURES = {
    "spacy-emerging.GatedLinearEncoder.v1": "encoders.gated_linear:GatedLinearEncoder",
    "spacy-emerging.LSTMEncoder.v1": "encoders.lstm:LSTMEncoder",
    "spacy-emerging.HydraEncoder.v1": "encoders.hydra:HydraEncoder",
    "spacy-emerging.MambaEncoder.v1": "encoders.mamba:MambaEncoder",
    "spacy-emerging.Mamba2Encoder.v1": "encoders.mamba2:Mamba2Encoder",
    "spacy-emerging.MinGRUEncoder.v1": "encoders.mingru:MinGRUEncoder",
    "spacy-emerging.MinLSTMEncoder.v1": "encoders.minlstm:MinLSTMEncoder",
    "spacy-emerging.StateSpaceEncoder.v1": "encoders.state_space:StateSpaceEncoder",
    "spacy-emerging.TransformerEncoder.v1": "encoders.transformer:TransformerEncoder",
    "spacy-emerging.XLSTMEncoder.v1": "encoders.xlstm:XLSTMEncoder",
    "spacy-emerging.WordEmbed.v1": "embed.words:WordEmbed",
    "spacy-emerging.SoftmaxDecoder.v1": "decoders.softmax:SoftmaxDecoder",
    "spacy-emerging.CRFDecoder.v1": "decoders.crf:CRFDecoder",
    "spacy-emerging.DiffusionDecoder.v1": "decoders.diffusion:DiffusionDecoder",
    "spacy-emerging.AdversarialDecoder.v1": "decoders.adversarial:AdversarialDecoder",
    "spacy-emerging.Labeler.v1": "pipeline.model:LabelerModel",
}

LINEARIZATIONS = {
    "spacy-emerging.TokenTags.v1": "linearizations.token_tags:TokenTags",
    "spacy-emerging.SpanTags.v1": "linearizations.span_tags:SpanTags",
    "spacy-emerging.SegmentTags.v1": "linearizations.segment_tags:SegmentTags",
    "spacy-emerging.AbsoluteDependency.v1": "linearizations.dependency.absolute:AbsoluteDependency",
    "spacy-emerging.RelativeDependency.v1": "linearizations.dependency.relative:RelativeDependency",
    "spacy-emerging.BracketingDependency.v1": "linearizations.dependency.bracketing:BracketingDependency",
    "spacy-emerging.PosRelativeDependency.v1": "linearizations.dependency.pos_relative:PosRelativeDependency",
    "spacy-emerging.FourBitDependency.v1": "linearizations.dependency.four_bit:FourBitDependency",
    "spacy-emerging.SevenBitDependency.v1": "linearizations.dependency.seven_bit:SevenBitDependency",
    "spacy-emerging.HexaTagDependency.v1": "linearizations.dependency.hexa_tag:HexaTagDependency",
    "spacy-emerging.HierarchicalBracketingDependency.v1": (
        "linearizations.dependency.hierarchical_bracketing:HierarchicalBracketingDependency"
    ),
    "spacy-emerging.ArcEagerDependency.v1": "linearizations.dependency.arc_eager:ArcEagerDependency",
    "spacy-emerging.AbsoluteConstituency.v1": "linearizations.constituency.absolute:AbsoluteConstituency",
    "spacy-emerging.RelativeConstituency.v1": "linearizations.constituency.relative:RelativeConstituency",
    "spacy-emerging.DynamicConstituency.v1": "linearizations.constituency.dynamic:DynamicConstituency",
    "spacy-emerging.TetraTagConstituency.v1": "linearizations.constituency.tetra_tag:TetraTagConstituency",
    "spacy-emerging.JuxtaposedConstituency.v1": "linearizations.constituency.juxtaposed:JuxtaposedConstituency",
    "spacy-emerging.AbsoluteGraph.v1": "linearizations.graph.absolute:AbsoluteGraph",
    "spacy-emerging.RelativeGraph.v1": "linearizations.graph.relative:RelativeGraph",
    "spacy-emerging.BracketingGraph.v1": "linearizations.graph.bracketing:BracketingGraph",
    "spacy-emerging.FourBitGraph.v1": "linearizations.graph.four_bit:FourBitGraph",
    "spacy-emerging.SixBitGraph.v1": "linearizations.graph.six_bit:SixBitGraph",
}

FACTORIES = {
    "emerging_tok2vec": "pipeline.tok2vec:make_tok2vec",
    "emerging_tagger": "pipeline.tagger:make_tagger",
    "emerging_ner": "pipeline.ner:make_ner",
    "emerging_spans": "pipeline.spans:make_spans",
    "emerging_parser": "pipeline.parser:make_parser",
    "emerging_constituency": "pipeline.constituency:make_constituency",
    "emerging_graph": "pipeline.graph:make_graph",
    "emerging_segmenter": "pipeline.segmenter:make_segmenter",
}

READERS = {"spacy-emerging.Corpus.v1": "corpus.reader:Corpus"}

TOKENIZERS = {"spacy-emerging.CharacterTokenizer.v1": "pipeline.characters:CharacterTokenizer"}

SCORERS = {"spacy-emerging.attachment_scorer.v1": "scoring.attachment:attachment_scorer"}

LOGGERS = {"spacy-emerging.ConsoleLogger.v1": "pipeline.logger:ConsoleLogger"}

SCHEDULES = {"spacy-emerging.WarmupLinear.v1": "pipeline.schedules:WarmupLinear"}

TABLES = {
    "spacy_architectures": ARCHITECTURES,
    "spacy_linearizations": LINEARIZATIONS,
    "spacy_factories": FACTORIES,
    "spacy_readers": READERS,
    "spacy_tokenizers": TOKENIZERS,
    "spacy_scorers": SCORERS,
    "spacy_loggers": LOGGERS,
    "thinc_schedules": SCHEDULES,
}
"""Entry-point group to names: what pyproject.toml must list (a test compares)."""

_ATTRIBUTES = {target.partition(":")[2]: target for table in TABLES.values() for target in table.values()}

if not hasattr(spacy_registry, "linearizations"):
    setattr(spacy_registry, "linearizations", catalogue.create("spacy", "linearizations", entry_points=True))  # noqa: B010 - new to the class


def __getattr__(name: str) -> Any:
    """Imports a registered function's module only when the function is asked for."""
    if name not in _ATTRIBUTES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _ATTRIBUTES[name].partition(":")
    return getattr(import_module(f"{__package__}.{module}"), attribute)


def linearization(name: str, **settings: Any) -> Linearization:
    """A linearization by its short or full name, for use without spaCy: `linearization("BracketingDependency", planes=2)`."""
    full = name if name.startswith("spacy-emerging.") else f"spacy-emerging.{name}.v1"
    return spacy_registry.get("linearizations", full)(**settings)
