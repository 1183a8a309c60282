"""The config fragments: one folder per axis, one file per choice. Adding a choice is adding a file."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import accumulate
from pathlib import Path

from thinc.api import Config

from ..errors import check_choice

AXES = ("encoder", "decoder", "embed", "task")
"""What a config is composed of, beside base.cfg: the folders of fragments."""

PACKAGE = "spacy_emerging"
EXTENSION = ".cfg"


def folder() -> Traversable:
    """Where the fragments are: inside an installed package, or at the top of a checkout that is installed in place."""
    installed = files(PACKAGE) / "configs"
    return installed if installed.is_dir() else Path(str(files(PACKAGE))).parent / "configs"


def choices(axis: str) -> list[str]:
    """The names that an axis offers, sorted."""
    names = (entry.name for entry in (folder() / axis).iterdir())
    return sorted(name.removesuffix(EXTENSION) for name in names if name.endswith(EXTENSION))


def fragment(axis: str, name: str) -> Config:
    """One fragment, its variables left in place. Raises SettingError, which lists what there is, for an unknown name."""
    check_choice("config", axis, name, choices(axis))
    return read(f"{axis}/{name}")


def read(path: str) -> Config:
    """A fragment by its path below the folder, without the extension."""
    text = folder().joinpath(*f"{path}{EXTENSION}".split("/")).read_text(encoding="utf-8")
    return Config().from_str(_with_parents(text), interpolate=False)


def _with_parents(text: str) -> str:
    """The text with the empty sections `[a]` and `[a.b]` above `[a.b.c]`, which the config format wants spelled out."""
    sections = re.findall(r"^\[(.+)\]", text, flags=re.MULTILINE)
    parents = {parent for section in sections for parent in accumulate(section.split("."), "{}.{}".format)}
    return "".join(f"[{parent}]\n" for parent in sorted(parents - set(sections))) + text
