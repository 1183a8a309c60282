"""One sequence beyond a segment's size: every encoder that can walks over it in segments, with the same results."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.bridge.segments import can_stream, in_segments
from spacy_emerging.kernels import native

from .encoders import PRESENT, WIDTH, assert_close, assert_same, directions, ready, sequences, torch_module

WHOLE = ("TransformerEncoder",)
"""Encoders that take a sequence as a whole: every token of this one looks at every other."""

STREAMING = [name for name in PRESENT if name.split(".")[1] not in WHOLE]

each_streaming = pytest.mark.parametrize(
    ("name", "direction"),
    [pytest.param(name, direction, id=f"{name.split('.')[1]}-{direction}") for name in STREAMING for direction in directions(name)],
)


@pytest.mark.parametrize("name", PRESENT)
def test_which_encoders_stream(name: str) -> None:
    """The list that the documentation gives; a new encoder streams, or is named here and there."""
    module = torch_module(ready(name))
    with torch.no_grad():
        assert can_stream(module) == (name in STREAMING)
    assert not can_stream(module)  # with gradients


@each_streaming
@pytest.mark.parametrize(("tokens", "size"), [(301, 1), (301, 7), (301, 64), (301, 150), (301, 300), (256, 64)])
def test_segments_change_nothing(name: str, direction: str, tokens: int, size: int) -> None:
    """Whatever the place of borders: segments shorter than a convolution or a chunk, a last one of one token, none left over.

    In float64, where what differs is more than rounding (some decay rates are float32 all the same).
    """
    module = torch_module(ready(name, direction, depth=3)).eval().double()
    x = torch.from_numpy(sequences(tokens)[0]).double()
    before = x.clone()
    with torch.no_grad():
        whole = module(x, Layout([tokens]))
        torch.testing.assert_close(in_segments(module, x, size), whole, rtol=0, atol=1e-7)
    # and what went in is left as it was
    assert torch.equal(x, before)


@each_streaming
def test_nothing_is_carried_from_one_sequence_to_the_next(name: str, direction: str) -> None:
    model = ready(name, direction, depth=2, max_batch_tokens=16)
    long, other = sequences(50, 70)
    alone = model.predict([long])
    model.predict([other])
    assert_same(model.predict([long]), alone)


@each_streaming
def test_a_doc_beyond_max_batch_tokens_is_predicted_in_segments(name: str, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a model that tells how many tokens its module gets at once
    model = ready(name, direction, max_batch_tokens=64)
    module = torch_module(model)
    seen: list[int] = []
    stages = module.stages

    def noted() -> list[object]:
        seen.append(0)
        return stages()

    monkeypatch.setattr(module, "stages", noted)
    inputs = sequences(2, 200, 3, 65, 64)
    with native.switched_off():  # plain torch rounds alike in segments and on the whole; in float64, the test above has both
        wanted = [model.predict([X])[0] for X in sequences(2, 200, 3, 65, 64)]
        # when a batch has two Docs that are longer than 64 tokens
        seen.clear()
        found = model.predict(inputs)
        # then these two, and only they, go in segments, and training takes every Doc as a whole
        assert len(seen) == 2
        assert_close(found, wanted)
        outputs, _ = model.begin_update(inputs)
        assert len(seen) == 2
        assert_close(outputs, wanted)
    assert outputs[1].shape == (200, WIDTH)


# Memory

BESIDE = {"HydraEncoder": 2, "StateSpaceEncoder": 1}
"""What is kept beside the vectors until both directions have met, in widths."""

LONG_DOC = """
import sys, numpy, torch
from spacy.util import registry
torch.set_num_threads(1)
name, tokens, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
model = registry.architectures.get(name)(width=width, depth=2, max_batch_tokens=2048).initialize()
draw = numpy.random.default_rng(0)
model.predict([draw.standard_normal((5000, width), dtype="float32")])
X = [draw.standard_normal((tokens, width), dtype="float32")]
before = peak_kilobytes()
(Y,) = model.predict(X)
assert numpy.isfinite(Y).all() and Y.shape == X[0].shape
print(peak_kilobytes() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMING)
def test_memory_of_prediction_is_that_of_inputs_and_outputs(name: str, peak_source: str) -> None:
    """Given twice the tokens, then what is added is a copy of their vectors, those before a layer and those after it."""
    width = 32

    def peak(tokens: int) -> int:
        command = [sys.executable, "-c", peak_source + LONG_DOC, name, str(tokens), str(width)]
        runs = [subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout for _ in range(3)]
        return 1024 * min(map(int, runs))  # the least: what the allocator has not given back yet is there in some runs and not in others

    vectors = 4 * width * 100_000
    assert peak(200_000) - peak(100_000) < (4 + BESIDE.get(name.split(".")[1], 0)) * vectors
