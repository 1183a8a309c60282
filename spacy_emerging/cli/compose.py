"""Complete configs from fragments: an encoder, a decoder, and the tasks that share them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from spacy.language import DEFAULT_CONFIG_PRETRAIN_PATH, Language
from spacy.training.initialize import load_vectors_into_model
from spacy.util import CONFIG_SECTION_ORDER, find_matching_language, get_lang_class, load_config, load_model_from_config, registry
from thinc.api import Config

from ..errors import SettingError, check_choice
from ..registry import LINEARIZATIONS
from .fragments import fragment, read

ALL = "*"
"""In a fragment, `[components.*]` stands for the component of every task."""

EMBED = "words"
"""What words look like where neither the user nor a task says it."""

SHARED = "tok2vec"
"""The component whose token vectors all tasks share."""

SENTENCES = "parser"
"""The task that finds sentences: the corpora need not be cut into gold sentences for tasks after it that want them."""

FAMILIES = ("Dependency", "Constituency", "Graph")
"""Last words of the names of linearizations that may stand for one another, since they cast the same structure."""


@dataclass(frozen=True)
class Choices:
    """What a config is made of; names are those of the fragments.

    tasks: at least one, in the order of the pipeline. lang: a code that spaCy knows. embed: None for what the task brings along, or
    else words. width, depth, direction: of the encoder,
    None for its fragment's. linearization: for the tasks that it fits, a short or full registered name. vectors: an installed
    package or a folder with word vectors. init_tok2vec: weights that `spacy pretrain` wrote or will write.
    pretraining: add what `spacy pretrain` needs; init_tok2vec implies it. gpu: settings for a GPU.
    """

    encoder: str
    tasks: Sequence[str]
    lang: str = "en"
    decoder: str = "softmax"
    embed: str | None = None
    width: int | None = None
    depth: int | None = None
    direction: str | None = None
    linearization: str | None = None
    vectors: str | None = None
    init_tok2vec: str | None = None
    pretraining: bool = False
    gpu: bool = False


def compose(chosen: Choices) -> Config:
    """A complete config that `spacy train` takes as it is. Raises SettingError for choices that do not exist or do not go together."""
    tasks = list(dict.fromkeys(chosen.tasks))
    check_language(chosen.lang)
    of_tasks = [fragment("task", task) for task in tasks]
    if SENTENCES in tasks:
        for part in of_tasks[tasks.index(SENTENCES) :]:
            part.pop("corpora", None)
    _check_together(tasks, of_tasks)
    parts = [fragment("encoder", chosen.encoder), fragment("embed", chosen.embed or EMBED), *of_tasks]
    if chosen.embed is not None:
        parts.append(fragment("embed", chosen.embed))
    parts += [_for_tasks(fragment("decoder", chosen.decoder), tasks)]
    if chosen.gpu:
        parts.append(read("gpu"))
    config = read("base").merge({"nlp": {"lang": chosen.lang, "pipeline": [SHARED, *tasks]}})
    for part in parts:
        config = config.merge(part)
    config["training"]["score_weights"] = _score_weights(parts)
    _set_encoder(config, chosen)
    if chosen.linearization is not None:
        _set_linearization(config, tasks, chosen.linearization)
    if chosen.vectors is not None:
        check_vectors(chosen.vectors, chosen.lang)
        config["paths"]["vectors"] = chosen.vectors
        config["components"][SHARED]["model"]["embed"]["include_static_vectors"] = True
    if chosen.init_tok2vec is not None:
        config["paths"]["init_tok2vec"] = chosen.init_tok2vec
    return _filled(config, chosen)


def _check_together(tasks: Sequence[str], parts: Sequence[Config]) -> None:
    """Raises SettingError where a task that has tokens of its own would have to share an encoder with others."""
    alone = [task for task, part in zip(tasks, parts, strict=True) if "tokenizer" in part.get("nlp", {})]
    if alone and len(tasks) > 1:
        raise SettingError(
            f"config: the task {alone[0]!r} reads other tokens than the other tasks and cannot share an encoder with them; make a config "
            f"for it alone, and let the pipeline of the others source it."
        )


def _for_tasks(part: Config, tasks: Sequence[str]) -> Config:
    """The fragment with the settings under `components.*` once for every task."""
    part = part.copy()
    shared = part.get("components", {}).pop(ALL, {})
    return part.merge({"components": {task: deepcopy(shared) for task in tasks}})


def _score_weights(parts: Sequence[Config]) -> dict[str, float | None]:
    """Every task counts the same (spaCy divides by the sum); what one of them weighs, no other may hide."""
    weights: dict[str, float | None] = {}
    for part in parts:
        for key, value in part.get("training", {}).get("score_weights", {}).items():
            if value is not None or key not in weights:
                weights[key] = value
    return weights


def _set_encoder(config: Config, chosen: Choices) -> None:
    block = config["components"][SHARED]["model"]["encode"]
    known = inspect.signature(registry.architectures.get(block["@architectures"])).parameters
    for setting in ("width", "depth", "direction"):
        value = getattr(chosen, setting)
        if value is not None and setting not in known:
            raise SettingError(f"config: the encoder {chosen.encoder!r} has no setting '{setting}'; leave out --{setting}.")
        if value is not None:
            block[setting] = value


def _set_linearization(config: Config, tasks: Sequence[str], name: str) -> None:
    """Puts the linearization in place of each task's own that casts the same structure."""
    own = {task: config["components"][task]["linearization"] for task in tasks if "linearization" in config["components"][task]}
    families = {task: _family(block["@linearizations"]) for task, block in own.items()}
    fitting = sorted({_short(known) for known in LINEARIZATIONS if _family(known) in families.values()})
    if not fitting:
        raise SettingError(f"config: the tasks {', '.join(tasks)} have one fixed encoding; leave out --linearization.")
    wanted = [task for task, family in families.items() if family == _family(name)]
    full = name if "." in name else f"spacy-emerging.{name}.v1"
    if not wanted or full not in vars(registry)["linearizations"]:
        check_choice("config", "linearization", name, fitting)
    for task in wanted:
        config["components"][task]["linearization"] = {"@linearizations": full}


def _short(name: str) -> str:
    """`BracketingDependency` of `spacy-emerging.BracketingDependency.v1`."""
    return name.split(".")[1] if "." in name else name


def _family(name: str) -> str:
    return next((family for family in FAMILIES if _short(name).endswith(family)), _short(name))


def check_language(lang: str) -> None:
    """Raises SettingError, which lists all codes, unless spaCy knows the language."""
    if find_matching_language(lang) != lang:
        check_choice("config", "lang", lang, languages())


def languages() -> Iterator[str]:
    """The language codes that spaCy has."""
    spec = find_spec("spacy.lang")
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield from sorted(entry.name for entry in Path(location).iterdir() if (entry / "__init__.py").is_file())


def check_vectors(vectors: str, lang: str) -> None:
    """Raises SettingError unless there are word vectors to load."""
    nlp: Language = get_lang_class(lang)()
    try:
        load_vectors_into_model(nlp, vectors)
    except (OSError, ValueError) as error:
        raise SettingError(
            f"config: setting 'vectors' is {vectors!r}, which cannot be loaded ({_first_line(error)}); name an installed pipeline with "
            f"word vectors, or a folder that `spacy init vectors` wrote."
        ) from error
    if not nlp.vocab.vectors_length:
        raise SettingError(f"config: setting 'vectors' is {vectors!r}, which holds no word vectors; choose a pipeline that has some.")


def _filled(config: Config, chosen: Choices) -> Config:
    """Every default written out, variables kept, and the block for pretraining where it is wanted."""
    try:
        filled = load_model_from_config(config, auto_fill=True).config
    except ImportError as error:
        raise SettingError(f"config: the language {chosen.lang!r} needs a further package ({_first_line(error)}), or use xx.") from error
    if chosen.pretraining or chosen.init_tok2vec is not None:
        filled = load_config(DEFAULT_CONFIG_PRETRAIN_PATH).merge(filled)
    return Config({section: filled[section] for section in CONFIG_SECTION_ORDER if section in filled})


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
