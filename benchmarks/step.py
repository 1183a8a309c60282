"""Where the time of one training step goes: the profile in docs/performance.md.

    python benchmarks/step.py --encoder mamba2 --task tagger
    python benchmarks/step.py --write docs/performance.md

A step is one `nlp.update` of 64 Docs of 25 words (Zipf-distributed made-up words, 17 tags), dropout 0.1, with the default
optimizer of spaCy. Processor time on one thread; medians over steps. The parts of a step are timed by wrapping the calls between
them, the operations inside the encoder by torch's profiler, in steps of their own, since it slows them down.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy
import spacy
import torch
import typer
from pages import circumstances, put
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from torch.profiler import ProfilerActivity, profile

from spacy_emerging.cli.compose import Choices, compose

DOCS, LENGTH, TAGS, VOCABULARY = 64, 25, 17, 20_000
BEGIN, END = "<!-- step: begin -->", "<!-- step: end -->"
OPERATIONS = 12
"""Rows of the table of operations."""


class Clock:
    """Processor time by part; what a part calls is not counted as its own."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts what happens inside for `name`."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted for `name`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return call


def pipeline(encoder: str, task: str) -> tuple[Language, list[list[Example]]]:
    """An initialized pipeline and batches for it."""
    config = compose(Choices(encoder=encoder, tasks=[task], lang="en"))
    nlp = spacy.util.load_model_from_config(config.interpolate(), auto_fill=True)
    draw = numpy.random.default_rng(0)
    batches = [[_example(nlp, draw) for _ in range(DOCS)] for _ in range(8)]
    nlp.initialize(lambda: [example for batch in batches for example in batch])
    return nlp, batches


def _example(nlp: Language, draw: numpy.random.Generator) -> Example:
    words = [f"w{number}" for number in numpy.minimum(draw.zipf(1.3, LENGTH), VOCABULARY)]
    tags = [f"T{number}" for number in draw.integers(TAGS, size=LENGTH)]
    heads = [max(i - 1, 0) for i in range(LENGTH)]
    gold = Doc(nlp.vocab, words=words, tags=tags, heads=heads, deps=["ROOT"] + ["dep"] * (LENGTH - 1))
    return Example(Doc(nlp.vocab, words=words), gold)


def wrap(nlp: Language, clock: Clock) -> None:
    """Makes the parts of a step count for the clock."""
    for _, pipe in nlp.pipeline:
        for node in pipe.model.walk():
            if not node.shims or node.shims[0]._model is None:
                continue
            shim: Any = node.shims[0]
            name = {"spacy-emerging.WordEmbed.v1": "embedding"}.get(node.name, "encoder" if node.name.endswith("Encoder.v1") else "decoder")
            _wrap_passes(node, name, clock)
            shim.finish_update = clock.timed("optimizer", shim.finish_update)
            if name == "encoder":
                shim._model.forward = clock.timed("encoder: forward pass", shim._model.forward)
                shim.backward = _wrap_backward(shim.backward, clock)


def _wrap_backward(backward: Callable[..., Any], clock: Clock) -> Callable[..., Any]:
    plain = torch.autograd.backward

    def call(*args: Any, **kwargs: Any) -> Any:
        torch.autograd.backward = clock.timed("encoder: backward pass", plain)
        try:
            return backward(*args, **kwargs)
        finally:
            torch.autograd.backward = plain

    return call


def _wrap_passes(node: Any, name: str, clock: Clock) -> None:
    forward, label = node._func, "encoder: bridge" if name == "encoder" else name

    def call(model: Any, inputs: Any, is_train: bool) -> Any:
        with clock.part(label):
            outputs, backprop = forward(model, inputs, is_train)
        return outputs, clock.timed(label, backprop)

    node._func = call


def measure(encoder: str, task: str, repeats: int) -> tuple[dict[str, float], list[tuple[str, float, int]]]:
    """Milliseconds by part, and operations of the encoder with their share and calls per step."""
    nlp, batches = pipeline(encoder, task)
    optimizer = nlp.create_optimizer()
    clock, steps = Clock(), []
    wrap(nlp, clock)
    for turn in range(repeats + 3):
        clock.seconds.clear()
        with clock.part("spaCy, labels and the rest"):
            nlp.update(batches[turn % len(batches)], sgd=optimizer, drop=0.1)
        if turn >= 3:  # the first ones fill caches
            steps.append(dict(clock.seconds))
    parts = {name: 1e3 * statistics.median(step[name] for step in steps) for name in steps[0]}
    return dict(sorted(parts.items(), key=lambda item: -item[1])), _operations(nlp)


def _operations(nlp: Language) -> list[tuple[str, float, int]]:
    """What torch's operations take of the encoder's forward and backward passes."""
    encoders = [node for _, pipe in nlp.pipeline for node in pipe.model.walk() if node.name.endswith("Encoder.v1") and node.shims]
    vectors = [numpy.random.default_rng(i).standard_normal((LENGTH, encoders[0].get_dim("nI"))).astype("float32") for i in range(DOCS)]

    def both() -> None:
        outputs, backprop = encoders[0].begin_update(vectors)
        backprop(outputs)

    both()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(5):
            both()
    events = [event for event in profiler.key_averages() if event.self_cpu_time_total > 0]
    total = sum(event.self_cpu_time_total for event in events)
    largest = sorted(events, key=lambda event: -event.self_cpu_time_total)[:OPERATIONS]
    return [(event.key, event.self_cpu_time_total / total, event.count // 5) for event in largest]


def table(encoder: str, task: str, repeats: int, measured: tuple[dict[str, float], list[tuple[str, float, int]]]) -> str:
    """Markdown: parts of the step, operations of the encoder."""
    parts, operations = measured
    total = sum(parts.values())
    lines = [
        f"One `nlp.update` of {DOCS} × {LENGTH} words with `{encoder}` and `{task}` in the default sizes: "
        f"{total:.0f} ms of processor time, {DOCS * LENGTH / total * 1e3:,.0f} words per second (medians of {repeats} steps).",
        "",
        "| part | ms | share |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {spent:.1f} | {100 * spent / total:.0f} % |" for name, spent in parts.items()),
        "",
        "Inside the encoder, shares of both passes by torch's profiler:",
        "",
        "| operation | share | calls per step |",
        "| --- | ---: | ---: |",
        *(f"| `{name}` | {100 * share:.0f} % | {calls} |" for name, share, calls in operations),
    ]
    return "\n".join(lines) + "\n"


def main(
    encoder: Annotated[str, typer.Option(help="Comma list of encoder fragments.")] = "mamba2,xlstm,lstm",
    task: Annotated[str, typer.Option(help="tagger or parser.")] = "tagger",
    repeats: Annotated[int, typer.Option(help="Steps that are measured.")] = 20,
    write: Annotated[Path | None, typer.Option(help="A page that gets the tables between its markers.")] = None,
) -> None:
    """Profiles a step with each encoder."""
    torch.set_num_threads(1)
    tables = [table(name, task, repeats, measure(name, task, repeats)) for name in encoder.split(",")]
    text = "\n".join([f"{circumstances()}\n", *tables])
    if write is None:
        print(text)
        return
    put(write, text, BEGIN, END)


if __name__ == "__main__":
    typer.run(main)
