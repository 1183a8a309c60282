"""Which of spaCy's tests run on which part of this package, and how."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy

from spacy_emerging.registry import ARCHITECTURES

HERE = Path(__file__).parent
EXPECTED = HERE / "expected_failures.json"
TAGGER = "emerging_tagger"

MODULES = [
    "pipeline.test_tagger",
    "pipeline.test_morphologizer",
    "pipeline.test_senter",
    "pipeline.test_models",
    "pipeline.test_annotates_on_update",
    "pipeline.test_initialize",
    "pipeline.test_spancat",
    "pipeline.test_span_finder",
    "pipeline.test_edit_tree_lemmatizer",
    "pipeline.test_textcat",
    "parser.test_ner",
    "parser.test_parse",
    "parser.test_add_label",
    "parser.test_preset_sbd",
    "serialize.test_serialize_pipeline",
    "serialize.test_serialize_language",
    "training.test_rehearse",
    "test_language",
    "pipeline.test_tok2vec",
    "pipeline.test_pipe_methods",
    "training.test_pretraining",
    "training.test_training",
    "serialize.test_serialize_config",
    "test_models",
    "parser.test_parse_navigate",
    "parser.test_nonproj",
    "parser.test_neural_parser",
    "parser.test_arc_eager_oracle",
]
"""Every module of spacy.tests whose tests build a default model."""

TAGGER_MODULES = ["pipeline.test_tagger"]
"""What `emerging_tagger` is put through under the name `tagger`."""

TELLING = [
    # results that depend on batch-mates
    "pipeline.test_models::test_components_batching_list",
    # empty Docs
    "pipeline.test_tagger::test_issue4348",
    "serialize.test_serialize_pipeline::test_issue3456",
    "pipeline.test_tok2vec::test_empty_doc",
    "parser.test_ner::test_train_empty",
    "training.test_training::test_issue7029",
    # shapes
    "pipeline.test_tok2vec::test_init_tok2vec",
    "training.test_pretraining::test_pretraining_tok2vec_characters",
    # serialization
    "serialize.test_serialize_pipeline::test_serialize_tagger_roundtrip_bytes",
    "serialize.test_serialize_pipeline::test_serialize_tagger_roundtrip_disk",
    "serialize.test_serialize_pipeline::test_serialize_pipe_exclude",
    "serialize.test_serialize_config::test_config_nlp_roundtrip",
    # learning
    "pipeline.test_tagger::test_overfitting_IO",
    "pipeline.test_tagger::test_incomplete_data",
    "pipeline.test_morphologizer::test_overfitting_IO",
    "pipeline.test_senter::test_overfitting_IO",
    "pipeline.test_span_finder::test_overfitting_IO",
    "parser.test_ner::test_overfitting_IO",
    "parser.test_parse::test_overfitting_IO[parser]",
    # listeners and freezing
    "pipeline.test_tok2vec::test_tok2vec_listener",
    "pipeline.test_tok2vec::test_tok2vec_listener_callback",
    "pipeline.test_tok2vec::test_tok2vec_listener_overfitting",
    "pipeline.test_tok2vec::test_tok2vec_frozen_not_annotating",
    "pipeline.test_tok2vec::test_tok2vec_frozen_overfitting",
    "pipeline.test_tok2vec::test_replace_listeners",
    "pipeline.test_tok2vec::test_tok2vec_listener_source_replace_listeners",
    "pipeline.test_annotates_on_update",
    # rehearsal
    "training.test_rehearse",
]
"""The tests that found most, by kind of defect: few enough for every test run."""


def encoders() -> list[str]:
    """Short names of all registered encoders."""
    return sorted(name.split(".")[1] for name in ARCHITECTURES if name.endswith("Encoder.v1"))


def run(subject: str, tests: Sequence[str]) -> dict[str, Any]:
    """Runs tests of spacy.tests in a process of their own. Gives the number by outcome, the failed ones' `names`, and the `log`."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
            "EMERGING_PEER": subject,
            "EMERGING_PEER_REPORT": str(report),
        }
        environment["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        root = str(Path(spacy.__file__).parents[1])
        command = [sys.executable, "-m", "pytest", "-p", "plugin", "-p", "no:cacheprovider", "-q", "-c", os.devnull, "--rootdir", root]
        names = [f"spacy.tests.{test}" for test in tests]
        done = subprocess.run([*command, "--pyargs", *names], env=environment, cwd=directory, capture_output=True, text=True, check=False)
        log = done.stdout + done.stderr
        if not report.exists():
            raise RuntimeError(f"{subject}: pytest did not get to the end:\n{log}")
        return {**json.loads(report.read_text(encoding="utf8")), "log": log}
