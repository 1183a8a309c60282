"""A console logger that also shows what decoders report beside their loss, which spaCy's own logger drops."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, Any

import tqdm
from spacy.language import Language
from wasabi import row

from ..errors import check_choice

Step = Callable[[dict[str, Any] | None], None]


def ConsoleLogger(progress_bar: str | None = None) -> Callable[..., tuple[Step, Callable[[], None]]]:
    """Prints one row per evaluation: epoch, step, loss per component, scores, and the components' further values.

    progress_bar (Optional[str]): null, "train" (over all steps) or "eval" (up to the next evaluation).
    Raises SettingError for another progress bar.
    """
    if progress_bar is not None:
        check_choice("spacy-emerging.ConsoleLogger.v1", "progress_bar", progress_bar, ("train", "eval"))

    def setup(nlp: Language, stdout: IO[str] = sys.stdout, stderr: IO[str] = sys.stderr) -> tuple[Step, Callable[[], None]]:
        table = _Table(nlp, stdout, stderr, progress_bar)
        return table.step, table.close

    return setup


class _Table:
    """The rows of one training run."""

    def __init__(self, nlp: Language, stdout: IO[str], stderr: IO[str], progress_bar: str | None) -> None:
        self.stdout, self.stderr, self.progress_bar = stdout, stderr, progress_bar
        self.training = nlp.config["training"]
        self.pipes = [name for name, pipe in nlp.pipeline if getattr(pipe, "is_trainable", False)]
        self.scores = [name for name, weight in self.training["score_weights"].items() if weight is not None]
        self.header = ["E", "#", *(f"Loss {pipe}" for pipe in self.pipes), *(name.upper() for name in self.scores), "SCORE", "DETAILS"]
        self.widths = [max(len(title), 6) for title in self.header]
        self.bar: Any = None
        self._write(self.header)
        self._write(["-" * width for width in self.widths])

    def _write(self, cells: list[str]) -> None:
        aligns: Any = ["r"] * (len(cells) - 1) + ["l"]
        print(row(cells, widths=self.widths, aligns=aligns, spacing=2), file=self.stdout, flush=True)

    def step(self, info: dict[str, Any] | None) -> None:
        """A row where there was an evaluation, else one tick of the progress bar."""
        if info is None:
            if self.bar is not None:
                self.bar.update(1)
            return
        self.close()
        losses = info["losses"]
        details = sorted(key for key in losses if key.partition(".")[0] in self.pipes and "." in key)
        self._write(
            [
                str(info["epoch"]),
                str(info["step"]),
                *(f"{losses.get(pipe, 0.0):.2f}" for pipe in self.pipes),
                *(f"{_percent(name, info['other_scores'].get(name)):.2f}" for name in self.scores),
                f"{info['score']:.2f}",
                "  ".join(f"{key}={losses[key]:.2f}" for key in details),
            ]
        )
        if self.progress_bar is not None:
            whole = self.progress_bar == "train"
            total = self.training["max_steps"] if whole else self.training["eval_frequency"]
            self.bar = tqdm.tqdm(total=total, initial=info["step"] if whole else 0, disable=None, leave=False, file=self.stderr)
            self.bar.set_description(f"Epoch {info['epoch'] + 1}")

    def close(self) -> None:
        """Removes the progress bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _percent(name: str, score: float | None) -> float:
    return (score or 0.0) * (1.0 if name == "speed" else 100.0)
