"""`emerging_graph`: labelled dependency graphs in `doc._.graph`, as one label tuple per word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model

from ..corpus.annotations import Arc, arcs_within, graph_arcs, sentence_units, set_graph_arcs
from ..errors import SettingError
from ..linearizations.base import Linearization
from ..linearizations.graph.relations import GraphLabels, split
from ..scoring.alignment import counterparts
from ..scoring.graph import score_graphs
from ..structures import DependencyGraph
from ..types import LabelTuple
from .alignment import reference_units
from .defaults import MODEL
from .extensions import LABEL_SCORE
from .labeler import Labeler
from .model import Cut, Unit
from .task import Decision, Gold, Task, given_sentences

Labels = LabelTuple | tuple[None, ...]


class GraphTask(Task):
    """Graphs, sentence by sentence. linearization: any that encodes a DependencyGraph."""

    name = "graph"
    score_prefix = "graph"
    lost_by_as_doc = "doc._.graph"

    def __init__(self, linearization: Linearization[DependencyGraph]) -> None:
        self.linearization = linearization
        self.nothing: Labels = (None,) * len(linearization.fields)

    def gold(self, example: Example) -> Gold:
        units = reference_units(example)
        arcs = graph_arcs(example.reference)
        if arcs is None:
            labels = [self.nothing] * len(example.predicted)
        elif "code" in self.linearization.local:
            labels = self._numbered(example, arcs, units)
        else:
            labels = self._transferred(example, arcs)
        return Gold(units, [labels[unit.start : unit.end] for unit in units])

    def _transferred(self, example: Example, arcs: list[Arc]) -> list[Labels]:
        """Labels made on the reference's tokens. Brackets and bits name no positions, so they hold wherever a word stands."""
        made: list[Labels] = self._encoded(arcs, [Unit(*unit) for unit in sentence_units(example.reference)])
        return [self.nothing if source is None else made[source] for source in counterparts(example)]

    def _numbered(self, example: Example, arcs: list[Arc], units: list[Unit]) -> list[Labels]:
        """Labels that name positions, made on the predicted tokens. A word with a head that is no token there teaches nothing."""
        sources = counterparts(example)
        words = {source + 1: i + 1 for i, source in enumerate(sources) if source is not None} | {0: 0}
        lost = {dependent for head, dependent, _ in arcs if head not in words}
        known = [(words[head], words[dependent], label) for head, dependent, label in arcs if head in words and dependent in words]
        made: list[Labels] = self._encoded(known, units)
        return [self.nothing if source is None or source + 1 in lost else made[i] for i, source in enumerate(sources)]

    def _encoded(self, arcs: Iterable[Arc], units: Sequence[Unit]) -> list[Any]:
        """Labels of all words; arcs from one unit to another are left out."""
        inside = zip(units, arcs_within(arcs, units), strict=True)
        graphs = [DependencyGraph(end - start, frozenset(found)) for (start, end), found in inside]
        return [labels for graph in graphs for labels in self.linearization.encode(graph)]

    def state(self, reference: Doc) -> bytes:
        return repr(graph_arcs(reference)).encode() + reference.to_array("SENT_START").tobytes()

    def labels(self, vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
        relations = {relation for joined in vocabulary.get("relations", ()) for relation in split(joined)}
        return sorted(relation for relation in relations if relation)

    def cut(self, doc: Doc) -> Cut:
        return given_sentences(doc, self)

    def annotate(self, doc: Doc, decisions: Sequence[Decision]) -> None:
        arcs: list[Arc] = []
        for unit, graph, confidence in decisions:
            at = unit.start
            arcs += [(at + head if head else 0, at + dependent, label) for head, dependent, label in graph.arcs]
            if confidence is not None:
                for i, score in enumerate(numpy.exp(confidence.sum(axis=1)).tolist()):
                    doc[at + i]._.set(LABEL_SCORE, score)
        set_graph_arcs(doc, arcs)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        return score_graphs(examples, **kwargs)


@Language.factory(
    "emerging_graph",
    assigns=["doc._.graph"],
    default_config={
        "model": MODEL,
        "linearization": {"@linearizations": "spacy-emerging.SixBitGraph.v1", "subsets": 4},
        "store_scores": False,
        "scorer": None,
    },
    default_score_weights={
        "graph_f": 1.0,
        "graph_p": 0.0,
        "graph_r": 0.0,
        "graph_unlabeled_f": None,
        "graph_exact_match": None,
        "graph_per_type": None,
        "graph_well_formed": None,
    },
)
def make_graph(
    nlp: Language,
    name: str,
    model: Model,
    linearization: Linearization,
    store_scores: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Labeler:
    """A parser of dependency graphs: words may have several heads or none, and arcs may form cycles.

    model (Model): `spacy-emerging.Labeler.v1`. linearization (Linearization): Any graph encoding, e.g.
    `spacy-emerging.SixBitGraph.v1`. store_scores (bool): Keep each token's probability in `token._.label_score`.
    scorer (Optional[Callable]): Replaces graph_p, graph_r, graph_f, graph_unlabeled_p, graph_unlabeled_r, graph_unlabeled_f,
    graph_exact_match, graph_per_type, graph_well_formed. Raises SettingError for a linearization of other structures.
    """
    if not isinstance(linearization, GraphLabels):
        raise SettingError(f"{name}: setting 'linearization' must be a graph encoding, not {type(linearization).__name__}.")
    return Labeler(nlp.vocab, model, name, GraphTask(linearization), store_scores=store_scores, scorer=scorer)
