"""`spacy-emerging config` from the outside, and the fragments it is composed of."""

import io
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.training.pretrain import pretrain
from spacy.util import load_config_from_str, load_model_from_config
from thinc.api import Config
from typer.testing import CliRunner

from spacy_emerging.cli import fragments
from spacy_emerging.cli.app import app
from spacy_emerging.cli.compose import Choices, compose
from spacy_emerging.corpus.annotations import CONSTITUENTS_KEY, set_graph_arcs
from spacy_emerging.corpus.convert import convert, vocabulary
from spacy_emerging.registry import ARCHITECTURES, FACTORIES

ROOT = Path(__file__).parents[2]
READY = sorted((ROOT / "configs" / "ready").glob("*.cfg"))
TASKS = fragments.choices("task")
TOGETHER = [task for task in TASKS if "nlp" not in fragments.fragment("task", task)]
"""Tasks that can share an encoder: those that do not ask for a tokenizer of their own."""


def run(*arguments: object):
    return CliRunner().invoke(app, ["config", *map(str, arguments)])


def printed(*arguments: object) -> Config:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return load_config_from_str(result.stdout)


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Four Docs that are annotated for every task."""
    nlp = spacy.blank("en")
    docs = DocBin(store_user_data=True)
    for name in ("Ann", "Bob", "Cleo", "Dee"):
        doc = Doc(
            nlp.vocab,
            words=[name, "sees", "Rome", "."],
            spaces=[True, True, False, False],
            tags=["NNP", "VBZ", "NNP", "."],
            pos=["PROPN", "VERB", "PROPN", "PUNCT"],
            morphs=["Number=Sing", "Tense=Pres", "Number=Sing", "PunctType=Peri"],
            heads=[1, 1, 1, 1],
            deps=["nsubj", "ROOT", "obj", "punct"],
            ents=["B-PERSON", "O", "B-GPE", "O"],
        )
        doc.spans["sc"] = list(doc.ents)
        doc.spans[CONSTITUENTS_KEY] = [Span(doc, 0, 4, "S"), Span(doc, 0, 1, "NP"), Span(doc, 1, 3, "VP"), Span(doc, 2, 3, "NP")]
        set_graph_arcs(doc, [(2, 1, "nsubj"), (0, 2, "root"), (2, 3, "obj")])
        docs.add(doc)
    path = tmp_path / "corpus.spacy"
    docs.to_disk(path)
    return path


def train_briefly(config: Config, corpus: Path, output: Path, steps: int = 2):
    config["paths"].update({"train": str(corpus), "dev": str(corpus)})
    config["training"].update({"max_steps": steps, "eval_frequency": steps})
    nlp = init_nlp(config)
    output.mkdir()
    train(nlp, output, stdout=io.StringIO(), stderr=io.StringIO())
    return spacy.load(output / "model-last")


# What is printed


@pytest.mark.parametrize("task", TASKS)
def test_the_printed_config_leaves_nothing_to_fill(task):
    # given the output of the command, nothing else
    config = printed("--encoder", "lstm", "--task", task, "--lang", "lt")
    # when spaCy builds the pipeline without filling in anything
    nlp = load_model_from_config(config, auto_fill=False)
    # then it is the pipeline that was asked for
    assert nlp.lang == "lt"
    assert nlp.pipe_names == ["tok2vec", task]
    assert {key: nlp.config[key] for key in ("components", "training")} == {key: config[key] for key in ("components", "training")}


def test_variables_stay_variables_so_that_one_override_changes_all_that_depends_on_it():
    config = printed("--encoder", "lstm", "--task", "parser")
    assert config["corpora"]["train"]["path"] == "${paths.train}"
    assert config["components"]["parser"]["model"]["tok2vec"]["width"] == "${components.tok2vec.model.encode.width}"


def test_several_tasks_share_one_encoder_and_weigh_the_same():
    config = printed("--encoder", "lstm", "--task", "tagger,morph, parser,ner")
    assert config["nlp"]["pipeline"] == ["tok2vec", "tagger", "morph", "parser", "ner"]
    for task in ("tagger", "morph", "parser", "ner"):
        assert config["components"][task]["model"]["tok2vec"]["@architectures"] == "spacy.Tok2VecListener.v1"
    weights = {key: value for key, value in config["training"]["score_weights"].items() if value}
    assert weights == {"tag_acc": 0.25, "pos_acc": 0.12, "morph_acc": 0.12, "dep_uas": 0.12, "dep_las": 0.12, "ents_f": 0.25}


def test_the_encoders_size_and_direction_can_be_chosen():
    config = printed("--encoder", "lstm", "--task", "ner", "--width", 24, "--depth", 3, "--direction", "forward")
    encoder = config["components"]["tok2vec"]["model"]["encode"]
    assert (encoder["width"], encoder["depth"], encoder["direction"]) == (24, 3, "forward")
    assert config.interpolate()["components"]["tok2vec"]["model"]["embed"]["width"] == 24


def test_constituents_are_learned_from_gold_sentences_unless_the_parser_finds_them():
    cut = {}
    for tasks in ("constituency", "tagger,constituency", "parser,constituency", "constituency,parser"):
        corpora = printed("--encoder", "lstm", "--task", tasks)["corpora"]
        cut[tasks] = [corpora[name]["gold_preproc"] for name in ("train", "dev")]
    assert cut == {
        "constituency": [True, True],
        "tagger,constituency": [True, True],
        "parser,constituency": [False, False],
        "constituency,parser": [True, True],
    }


@pytest.mark.parametrize("name", ["RelativeDependency", "spacy-emerging.RelativeDependency.v1"])
def test_a_linearization_goes_to_the_tasks_it_fits(name):
    config = printed("--encoder", "lstm", "--task", "parser,ner", "--linearization", name)
    assert config["components"]["parser"]["linearization"]["@linearizations"] == "spacy-emerging.RelativeDependency.v1"
    assert "planes" not in config["components"]["parser"]["linearization"]
    assert config["components"]["ner"]["linearization"]["@linearizations"] == "spacy-emerging.SpanTags.v1"


def test_words_can_be_embedded_by_their_characters():
    config = printed("--encoder", "lstm", "--task", "tagger", "--embed", "character")
    assert config["components"]["tok2vec"]["model"]["embed"]["@architectures"] == "spacy.CharacterEmbed.v2"


def test_characters_are_embedded_as_their_task_says_unless_the_user_does():
    config = printed("--encoder", "lstm", "--task", "segmenter", "--lang", "zh")
    assert config["nlp"]["tokenizer"] == {"@tokenizers": "spacy-emerging.CharacterTokenizer.v1"}
    assert "SPACY" in config["components"]["tok2vec"]["model"]["embed"]["attrs"]
    config = printed("--encoder", "lstm", "--task", "segmenter", "--lang", "zh", "--embed", "words")
    assert config["components"]["tok2vec"]["model"]["embed"]["@architectures"] == "spacy-emerging.WordEmbed.v1"


def test_gpu_chooses_the_memory_pool():
    assert printed("--encoder", "lstm", "--task", "tagger", "--gpu")["system"]["gpu_allocator"] == "pytorch"
    assert printed("--encoder", "lstm", "--task", "tagger")["system"]["gpu_allocator"] is None


def test_output_writes_what_would_be_printed(tmp_path):
    result = run("--encoder", "lstm", "--task", "tagger", "--output", tmp_path / "new" / "c.cfg")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "new" / "c.cfg").read_text() == run("--encoder", "lstm", "--task", "tagger").stdout


# What cannot be


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--encoder", "gru", "--task", "parser"], ["encoder", "'gru'", "'lstm'", "'mamba2'", "'transformer'", "'xlstm'"]),
        (["--encoder", "lstm", "--task", "tagger,chunker"], ["task", "'chunker'", *map(repr, TASKS)]),
        (["--encoder", "lstm", "--task", ""], ["task", "''", *map(repr, TASKS)]),
        (["--encoder", "lstm", "--task", "parser", "--decoder", "beam"], ["decoder", "'beam'", "'softmax'"]),
        (["--encoder", "lstm", "--task", "parser", "--embed", "glove"], ["embed", "'glove'", "'character'", "'multihash'", "'words'"]),
        (["--encoder", "lstm", "--task", "parser", "--lang", "klingon"], ["lang", "'klingon'", "'lt'", "'xx'"]),
        (["--encoder", "lstm", "--task", "parser", "--linearization", "SpanTags"], ["linearization", "'SpanTags'", "'RelativeDependency'"]),
        (["--encoder", "lstm", "--task", "parser", "--linearization", "NoDependency"], ["'NoDependency'", "'BracketingDependency'"]),
        (["--encoder", "lstm", "--task", "tagger", "--linearization", "SpanTags"], ["tagger", "--linearization"]),
        (["--encoder", "lstm", "--task", "tagger,segmenter"], ["'segmenter'", "cannot share an encoder"]),
        (["--encoder", "lstm", "--task", "parser", "--width", 7], ["width", "7", "even"]),
        (["--encoder", "lstm", "--task", "parser", "--direction", "up"], ["direction", "'up'", "'forward'"]),
        (["--encoder", "lstm", "--task", "parser", "--vectors", "no_such_package"], ["vectors", "'no_such_package'", "spacy init vectors"]),
    ],
)
def test_a_wrong_choice_is_one_sentence_that_lists_what_there_is(arguments, named):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    for name in named:
        assert name in result.stderr


def test_a_pipeline_without_word_vectors_is_no_source_of_them(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "empty")
    result = run("--encoder", "lstm", "--task", "tagger", "--vectors", tmp_path / "empty")
    assert result.exit_code == 1
    assert "holds no word vectors" in result.stderr


# What can be done with it


def test_every_encoder_has_a_fragment_of_its_own():
    encoders = {name for name in ARCHITECTURES if name.endswith("Encoder.v1")}
    assert {_architecture("encoder", name, "tok2vec", "encode") for name in fragments.choices("encoder")} == encoders


def test_every_decoder_has_a_fragment_of_its_own():
    decoders = {name for name in ARCHITECTURES if name.endswith("Decoder.v1")}
    assert {_architecture("decoder", name, "*", "decoder") for name in fragments.choices("decoder")} == decoders


def test_every_component_has_a_task():
    used = {fragments.fragment("task", name)["components"][name]["factory"] for name in TASKS}
    shared = fragments.read("base")["components"]["tok2vec"]["factory"]
    assert used | {shared} == set(FACTORIES)


def _architecture(axis: str, name: str, component: str, block: str) -> str:
    return fragments.fragment(axis, name)["components"][component]["model"][block]["@architectures"]


@pytest.mark.parametrize("encoder", fragments.choices("encoder"))
def test_every_encoder_trains_from_its_config(encoder, corpus, tmp_path):
    config = compose(Choices(encoder=encoder, tasks=TOGETHER, width=16, depth=1))
    nlp = train_briefly(config, corpus, tmp_path / "out")
    doc = nlp("Ann sees Bob.")
    assert doc.has_annotation("DEP") and doc.has_annotation("TAG") and doc.has_annotation("MORPH")


def test_a_trained_pipeline_can_be_trained_on_in_a_program(corpus, tmp_path):
    # given a pipeline whose saved config takes its learning rate from a variable
    nlp = train_briefly(compose(Choices(encoder="lstm", tasks=["tagger"], width=16, depth=1)), corpus, tmp_path / "out")
    before = nlp.get_pipe("tok2vec").model.to_bytes()
    # when it goes on without `spacy train`
    optimizer = nlp.resume_training()
    doc = nlp.make_doc("Ann sees Bob.")
    example = Example(doc, Doc(nlp.vocab, words=[token.text for token in doc], tags=[nlp.get_pipe("tagger").labels[0]] * len(doc)))
    nlp.update([example], sgd=optimizer)
    # then its weights move
    assert nlp.get_pipe("tok2vec").model.to_bytes() != before


def test_a_segmenter_trains_from_its_config(tmp_path):
    # given segmented text, and a config with the tokenizer of another language replaced
    (tmp_path / "train.seg").write_text("我 喜欢 北京 。\n你 喜欢 我 。\n" * 10, encoding="utf-8")
    convert(tmp_path / "train.seg", tmp_path / "corpus.spacy", vocabulary("zh"))
    config = compose(Choices(encoder="lstm", tasks=["segmenter"], lang="zh", width=16, depth=1))
    config["training"]["optimizer"]["learn_rate"] = 0.03
    # when it is trained and loaded
    nlp = train_briefly(config, tmp_path / "corpus.spacy", tmp_path / "out", steps=30)
    # then it finds the words, and the scores tell it
    assert [token.text for token in nlp("我喜欢北京。")] == ["我", "喜欢", "北京", "。"]
    assert nlp.meta["performance"]["segments_f"] == nlp.meta["performance"]["token_f"] == 1.0


def test_a_new_fragment_is_a_new_choice(monkeypatch, tmp_path):
    # given a copy of the fragments with one more file
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    text = (ROOT / "configs" / "encoder" / "lstm.cfg").read_text().replace("depth = 2", "depth = 5")
    (tmp_path / "configs" / "encoder" / "deep.cfg").write_text(text)
    monkeypatch.setattr(fragments, "folder", lambda: tmp_path / "configs")
    # when it is chosen
    config = printed("--encoder", "deep", "--task", "tagger")
    # then its settings are there
    assert config["components"]["tok2vec"]["model"]["encode"]["depth"] == 5


def test_word_vectors_reach_the_pipeline(corpus, tmp_path):
    # given a folder such as `spacy init vectors` writes
    source = spacy.blank("en")
    for number, word in enumerate(["Ann", "sees", "Rome"]):
        source.vocab.set_vector(word, numpy.full(5, number, dtype="float32"))
    source.to_disk(tmp_path / "vectors")
    # when a config names it
    config = printed("--encoder", "lstm", "--task", "tagger", "--width", 16, "--vectors", tmp_path / "vectors")
    # then the trained pipeline has and uses them
    assert config["components"]["tok2vec"]["model"]["embed"]["include_static_vectors"] is True
    assert list(train_briefly(config, corpus, tmp_path / "out").vocab.get_vector("Rome")) == [2.0] * 5


def test_pretraining_gives_weights_that_training_starts_from(corpus, tmp_path):
    # given raw text and a config for pretraining
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": f"Here {name} sees Rome again today ."}) + "\n" for name in ("Ann", "Bob") * 4))
    weights = tmp_path / "weights" / "model-last.bin"
    config = printed("--encoder", "mamba2", "--task", "tagger", "--width", 16, "--init-tok2vec", weights)
    assert printed("--encoder", "lstm", "--task", "tagger", "--pretraining")["pretraining"] == config["pretraining"]
    config["paths"].update({"raw_text": str(texts), "train": str(corpus), "dev": str(corpus), "init_tok2vec": None})
    config["pretraining"]["max_epochs"] = 2
    # when spaCy pretrains, then initializes from what it wrote
    weights.parent.mkdir()
    pretrain(config.interpolate(), weights.parent, silent=True)
    plain = init_nlp(config).get_pipe("tok2vec").model.to_bytes()
    config["paths"]["init_tok2vec"] = str(weights)
    pretrained = init_nlp(config)
    # then the weights are those of the file, and can be trained
    assert pretrained.get_pipe("tok2vec").model.to_bytes() == weights.read_bytes() != plain
    train_briefly(config, corpus, tmp_path / "out")


# Configs that are ready to use


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_the_ready_configs_are_what_the_command_prints(path):
    arguments = runpy.run_path(str(ROOT / "scripts" / "ready_configs.py"))["arguments"](path)
    assert path.read_text(encoding="utf-8") == CliRunner().invoke(app, arguments).stdout, "run: make configs"


@pytest.mark.slow
def test_standard_output_is_a_config_that_spacy_train_takes(corpus, tmp_path):
    python = [sys.executable, "-m"]
    command = [*python, "spacy_emerging", "config", "--encoder", "mamba2", "--task", "parser", "--lang", "lt", "--width", "16"]
    config = tmp_path / "c.cfg"
    config.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    paths = ["--paths.train", str(corpus), "--paths.dev", str(corpus)]
    steps = ["--training.max_steps", "2", "--training.eval_frequency", "1"]
    subprocess.run([*python, "spacy", "train", str(config), *paths, *steps, "-o", str(tmp_path / "out")], check=True)
    assert spacy.load(tmp_path / "out" / "model-best").pipe_names == ["tok2vec", "parser"]
