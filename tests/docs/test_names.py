"""What can be set is documented: every encoder, component, setting, command option and fragment has its place on a page."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from spacy.language import Language
from spacy.util import registry
from typer.main import get_command

from spacy_emerging import registry as names
from spacy_emerging.cli.app import app
from spacy_emerging.cli.fragments import AXES, choices
from spacy_emerging.registry import ARCHITECTURES, FACTORIES

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")] + sorted((ROOT / "docs").glob("*.md"))
DECODERS = sorted(name for name in ARCHITECTURES if name.endswith("Decoder.v1"))
ENCODERS = sorted(name for name in ARCHITECTURES if name.endswith(("Encoder.v1", "Embed.v1")))


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ENCODERS)
def test_every_setting_of_an_encoder_is_documented(name: str) -> None:
    text = page("encoders.md")
    assert name in text
    for setting in inspect.signature(registry.architectures.get(name)).parameters:
        assert f"`{setting}`" in text, setting


@pytest.mark.parametrize("name", DECODERS)
def test_every_setting_of_a_decoder_is_documented(name: str) -> None:
    _, _, section = page("decoders.md").partition(f"## `{name}`")
    section = section.partition("\n## ")[0]
    for setting in inspect.signature(registry.architectures.get(name)).parameters:
        assert f"`{setting}`" in section, setting


@pytest.mark.parametrize("name", sorted(FACTORIES))
def test_every_setting_of_a_component_is_documented(name: str) -> None:
    getattr(names, FACTORIES[name].partition(":")[2])  # importing the factory tells spaCy its settings
    text = page("components.md")
    assert f"**`{name}`**" in text
    for setting in Language.get_factory_meta(name).default_config:
        assert f"`{setting}`" in text, setting


@pytest.mark.parametrize(
    ("command", "described_in"),
    [
        ("config", "config.md"),
        ("convert", "config.md"),
        ("coverage", "coverage.md"),
        ("quantize", "performance.md"),
        ("render", "pictures.md"),
    ],
)
def test_every_option_of_a_command_is_documented(command: str, described_in: str) -> None:
    text = page(described_in)
    parameters = get_command(app).commands[command].params  # type: ignore[attr-defined]
    for option in [name for parameter in parameters for name in parameter.opts if name.startswith("--") and name != "--help"]:
        assert f"`{option}" in text, option


@pytest.mark.parametrize("axis", AXES)
def test_every_fragment_is_documented(axis: str) -> None:
    for name in choices(axis):
        assert f"`{name}`" in page("config.md"), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
