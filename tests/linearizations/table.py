"""Every linearization with the structures it covers. A new one gets one row, and the whole suite runs over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from spacy_emerging.linearizations.base import Linearization
from spacy_emerging.linearizations.constituency.absolute import AbsoluteConstituency
from spacy_emerging.linearizations.constituency.dynamic import DynamicConstituency
from spacy_emerging.linearizations.constituency.juxtaposed import JuxtaposedConstituency
from spacy_emerging.linearizations.constituency.relative import RelativeConstituency
from spacy_emerging.linearizations.constituency.tetra_tag import TetraTagConstituency
from spacy_emerging.linearizations.dependency.absolute import AbsoluteDependency
from spacy_emerging.linearizations.dependency.arc_eager import ArcEagerDependency
from spacy_emerging.linearizations.dependency.bracketing import BracketingDependency
from spacy_emerging.linearizations.dependency.four_bit import FourBitDependency
from spacy_emerging.linearizations.dependency.hexa_tag import HexaTagDependency
from spacy_emerging.linearizations.dependency.hierarchical_bracketing import HierarchicalBracketingDependency as Hierarchical
from spacy_emerging.linearizations.dependency.pos_relative import PosRelativeDependency
from spacy_emerging.linearizations.dependency.relative import RelativeDependency
from spacy_emerging.linearizations.dependency.seven_bit import SevenBitDependency
from spacy_emerging.linearizations.graph.absolute import AbsoluteGraph
from spacy_emerging.linearizations.graph.bracketing import BracketingGraph
from spacy_emerging.linearizations.graph.four_bit import FourBitGraph
from spacy_emerging.linearizations.graph.relative import RelativeGraph
from spacy_emerging.linearizations.graph.six_bit import SixBitGraph
from spacy_emerging.linearizations.segment_tags import SegmentTags
from spacy_emerging.linearizations.span_tags import SpanTags
from spacy_emerging.linearizations.token_tags import TokenTags
from spacy_emerging.structures import ConstituencyTree, DependencyGraph, DependencyTree, Segments, Spans

from .strategies import TAGS, constituency_trees, dependency_graphs, dependency_trees, projective_trees, segments, spans


class Row(NamedTuple):
    """What the suite must know of a linearization."""

    name: str
    make: Callable[[], Linearization]
    covered: st.SearchStrategy[Any]  # structures that decode(encode(x)) must give back
    valid: st.SearchStrategy[Any]  # structures that encode must at least accept
    kind: type
    alphabet: str  # what labels are made of, to make arbitrary labels that are nearly right


TREES, ANY_TREES, PROJECTIVE = dependency_trees(), dependency_trees(several_roots=True), projective_trees()
DIGITS, BRACKETS = "0123456789-", "\\></*"

DEPENDENCY = [
    Row("absolute", AbsoluteDependency, TREES, ANY_TREES, DependencyTree, DIGITS),
    Row("relative", RelativeDependency, TREES, ANY_TREES, DependencyTree, DIGITS),
    Row("part-of-speech-relative, without tags", PosRelativeDependency, TREES, ANY_TREES, DependencyTree, "01-,"),
    Row("bracketing, 1 plane", lambda: BracketingDependency(planes=1), PROJECTIVE, ANY_TREES, DependencyTree, BRACKETS),
    Row("bracketing, 2 planes", BracketingDependency, PROJECTIVE, ANY_TREES, DependencyTree, BRACKETS),
    Row("bracketing, planes for every arc", lambda: BracketingDependency(planes=25), TREES, ANY_TREES, DependencyTree, BRACKETS),
    Row("4 bits", FourBitDependency, PROJECTIVE, ANY_TREES, DependencyTree, "01"),
    Row("4 bits, head", lambda: FourBitDependency("head"), PROJECTIVE, ANY_TREES, DependencyTree, "01a↑↓"),
    Row("4 bits, head+path", lambda: FourBitDependency("head+path"), PROJECTIVE, ANY_TREES, DependencyTree, "01a↑↓"),
    Row("4 bits, path", lambda: FourBitDependency("path"), PROJECTIVE, ANY_TREES, DependencyTree, "01a↑↓"),
    Row("hexatags", HexaTagDependency, PROJECTIVE, ANY_TREES, DependencyTree, "lrLR"),
    Row("hexatags, greedy, head", lambda: HexaTagDependency("head", "greedy"), PROJECTIVE, ANY_TREES, DependencyTree, "lrLR↑↓"),
    Row("hexatags, path", lambda: HexaTagDependency("path"), PROJECTIVE, ANY_TREES, DependencyTree, "lrLR↑↓"),
    Row("arc-eager", ArcEagerDependency, PROJECTIVE, ANY_TREES, DependencyTree, "SHRALE_"),
    Row("hierarchical", Hierarchical, PROJECTIVE, ANY_TREES, DependencyTree, BRACKETS + "^"),
    Row("hierarchical, head+path", lambda: Hierarchical("projective", "head+path"), PROJECTIVE, ANY_TREES, DependencyTree, "<>/\\^↑↓"),
    Row("hierarchical, nonprojective", lambda: Hierarchical("nonprojective"), TREES, ANY_TREES, DependencyTree, BRACKETS + "^"),
    Row("7 bits", SevenBitDependency, PROJECTIVE, ANY_TREES, DependencyTree, "01"),
]
PHRASES = constituency_trees()
CONSTITUENCY = [
    Row("absolute levels", AbsoluteConstituency, PHRASES, PHRASES, ConstituencyTree, "0123-end"),
    Row("relative levels", RelativeConstituency, PHRASES, PHRASES, ConstituencyTree, "0123-ROT+\\p"),
    Row("relative levels, plain", lambda: RelativeConstituency(root_label=False), PHRASES, PHRASES, ConstituencyTree, "0123-"),
    Row("dynamic levels", DynamicConstituency, PHRASES, PHRASES, ConstituencyTree, "0123-="),
    Row("tetra-tags", TetraTagConstituency, PHRASES, PHRASES, ConstituencyTree, "lrLR+"),
    Row("tetra-tags, greedy", lambda: TetraTagConstituency("greedy"), PHRASES, PHRASES, ConstituencyTree, "lrLR"),
    Row("juxtaposed", JuxtaposedConstituency, PHRASES, PHRASES, ConstituencyTree, "0123-+\\b"),
]
GRAPHS, NO_LOOPS = dependency_graphs(), dependency_graphs(self_loops=False)
GRAPH = [
    Row("absolute graph", AbsoluteGraph, GRAPHS, GRAPHS, DependencyGraph, "012,-|a"),
    Row("relative graph", RelativeGraph, GRAPHS, GRAPHS, DependencyGraph, "012,-|a"),
    Row("bracketing graph, 2 planes", BracketingGraph, dependency_graphs(2, self_loops=False), GRAPHS, DependencyGraph, BRACKETS + "|a"),
    Row("bracketing graph, all planes", lambda: BracketingGraph(24), NO_LOOPS, GRAPHS, DependencyGraph, BRACKETS + "|a"),
    Row("4 bits per subset, 1 subset", lambda: FourBitGraph(1), dependency_graphs(0), GRAPHS, DependencyGraph, "01|"),
    Row("4 bits per subset, all subsets", lambda: FourBitGraph(24), NO_LOOPS, GRAPHS, DependencyGraph, "01|"),
    Row("6 bits per subset, 1 subset", lambda: SixBitGraph(1), dependency_graphs(0), GRAPHS, DependencyGraph, "01|"),
    Row("6 bits per subset, all subsets", lambda: SixBitGraph(24), NO_LOOPS, GRAPHS, DependencyGraph, "01|"),
]
FLAT = [
    Row("token tags", lambda: TokenTags(("pos", "morph")), TAGS, TAGS, list, "ab"),
    Row("span tags, bio", lambda: SpanTags("bio"), spans(), spans(), Spans, "BIO-x"),
    Row("span tags, bilou", SpanTags, spans(), spans(), Spans, "BILUO-x"),
    Row("segment tags, bmes", SegmentTags, segments(gaps=False), segments(), Segments, "BMES?"),
    Row("segment tags, bmesx", lambda: SegmentTags("bmesx"), segments(), segments(), Segments, "BMESX?"),
]
ROWS = DEPENDENCY + CONSTITUENCY + GRAPH + FLAT
