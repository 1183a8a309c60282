"""What is installed: entry points, packages, config fragments; and, slowly, the built wheel in an environment of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_emerging.registry import TABLES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FRAGMENTS = "spacy_emerging.configs"


def test_entry_points_are_the_registry():
    listed = PROJECT["project"]["entry-points"]
    expected = {
        group: {name: f"spacy_emerging.registry:{target.partition(':')[2]}" for name, target in table.items()}
        for group, table in TABLES.items()
    }
    assert listed == expected


def test_every_package_is_installed():
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "spacy_emerging").rglob("__init__.py")}
    assert set(SETUPTOOLS["packages"]) == folders | {FRAGMENTS}


def test_every_config_is_installed():
    configs = ROOT / SETUPTOOLS["package-dir"][FRAGMENTS]
    installed = {path for pattern in SETUPTOOLS["package-data"][FRAGMENTS] for path in configs.glob(pattern)}
    assert installed == {path for path in configs.rglob("*") if path.is_file()}


def test_the_script_also_runs_as_a_module():
    result = subprocess.run([sys.executable, "-m", "spacy_emerging", "--help"], check=True, capture_output=True, text=True)
    assert "config" in result.stdout and "convert" in result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy, so that nothing is left behind in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("spacy_emerging", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(source / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """The Python of a fresh environment with the wheel; what it depends on, and pip, is borrowed from the present one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([str(python), "-c", find], check=True, capture_output=True, text=True).stdout.strip())
    # Only the folder is added, not what its .pth files add, so an installation in place stays invisible.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install(python, wheel)
    return python


def install(python: Path, wheel: Path) -> None:
    """Puts a wheel into the environment and leaves what is borrowed alone."""
    run(python, wheel.parent, "-m", "pip", "install", "--no-deps", "--no-index", "--ignore-installed", str(wheel))


def run(python: Path, folder: Path, *arguments: str) -> str:
    """Runs the environment's Python away from the checkout and without a package index; gives its standard output."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run([str(python), *arguments], cwd=folder, env={**clean, "PIP_NO_INDEX": "1"}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_every_config(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "spacy_emerging").rglob("*.py")}
    configs = {f"spacy_emerging/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.cfg")}
    assert modules | configs <= names


@pytest.mark.slow
def test_the_installed_wheel_prints_configs(environment, tmp_path):
    where = run(environment, tmp_path, "-c", "import spacy_emerging; print(spacy_emerging.__file__)")
    assert Path(where.strip()).is_relative_to(environment.parents[1])
    assert "[components.tagger.model]" in run(
        environment, tmp_path, "-m", "spacy_emerging", "config", "--encoder", "lstm", "--task", "tagger"
    )


@pytest.mark.slow
def test_a_stock_tagger_with_our_encoder_is_trained_packaged_installed_and_loaded(environment, tmp_path):
    # given a corpus, and spaCy's own tagger over one of our encoders
    write_corpus(tmp_path / "corpus.spacy")
    write_stock_config(tmp_path / "stock.cfg")
    # when it is trained and packaged without --code, and the package is installed
    paths = ["--paths.train", "corpus.spacy", "--paths.dev", "corpus.spacy"]
    run(environment, tmp_path, "-m", "spacy", "train", "stock.cfg", *paths, "-o", "out")
    (tmp_path / "packages").mkdir()
    run(environment, tmp_path, "-m", "spacy", "package", "out/model-last", "packages", "--name", "stock", "--build", "wheel")
    (built,) = (tmp_path / "packages").rglob("*.whl")
    install(environment, built)
    # then it asks for this package, and loads by its name
    script = (
        "import spacy; nlp = spacy.load('en_stock'); print(nlp.meta['requirements'], nlp('Ann sees')[0].tag_ in nlp.pipe_labels['tagger'])"
    )
    shown = run(environment, tmp_path, "-c", script)
    assert "spacy-emerging" in shown or "spacy_emerging" in shown
    assert shown.strip().endswith("True")


def write_corpus(path: Path) -> None:
    nlp = spacy.blank("en")
    docs = [Doc(nlp.vocab, words=[name, "sees", "Rome"], tags=["NNP", "VBZ", "NNP"]) for name in ("Ann", "Bob", "Cleo")]
    DocBin(docs=docs).to_disk(path)


def write_stock_config(path: Path) -> None:
    embed = {"@architectures": "spacy.MultiHashEmbed.v2", "width": 16, "attrs": ["NORM"], "rows": [100], "include_static_vectors": False}
    encode = {"@architectures": "spacy-emerging.LSTMEncoder.v1", "width": 16, "depth": 1}
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger", config={"model": {"tok2vec": {"@architectures": "spacy.Tok2Vec.v2", "embed": embed, "encode": encode}}})
    config = nlp.config
    config["training"].update({"max_steps": 4, "eval_frequency": 2})
    config.to_disk(path)
