"""Every encoder at its limits: extreme inputs, mixed precision, worker processes, very long Docs."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy
import pytest
import torch

from spacy_emerging.bridge import precision
from spacy_emerging.errors import SettingError

from .encoders import PRESENT, WIDTH, assert_close, assert_same, each_direction, each_encoder, ready, sequences, torch_module

# Extreme inputs


@each_direction
@pytest.mark.parametrize("kind", ["large", "huge", "tiny", "zero", "equal", "long"])
def test_extreme_inputs_give_finite_numbers(name: str, direction: str, kind: str) -> None:
    inputs = {
        "large": sequences(30, 4, scale=1e3),
        "huge": sequences(30, 4, scale=1e6),
        "tiny": sequences(30, 4, scale=1e-20),
        "zero": [numpy.zeros((30, WIDTH), dtype="float32")],
        "equal": [numpy.full((200, WIDTH), 3.0, dtype="float32")],
        "long": sequences(2048),
    }[kind]
    model = ready(name, direction, depth=2)
    outputs, backprop = model.begin_update(inputs)
    gradients = backprop(outputs)
    assert all(numpy.isfinite(Y).all() for Y in [*outputs, *gradients])
    assert all(torch.isfinite(parameter.grad).all() for parameter in torch_module(model).parameters())


# Mixed precision


@each_encoder
@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_unsupported_precision_warns_once_and_runs_in_float32(name: str, amp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 5: mixed_precision = true raises in training on the CPU."""
    monkeypatch.setattr(precision, "supported", lambda amp, device: False)
    plain = ready(name)
    model = ready(name, amp=amp).from_bytes(plain.to_bytes())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # once is of our own doing
        outputs, backprop = model.begin_update(sequences(5, 2))
        backprop(outputs)
        predicted = model.predict(sequences(5, 2))
    assert [amp in str(warning.message) for warning in caught] == [True]
    assert_same(predicted, plain.predict(sequences(5, 2)))
    # and another encoder of the same kind is told, too
    with pytest.warns(UserWarning, match=f"^{name}: amp = '{amp}' has no native support"):
        ready(name, amp=amp).predict(sequences(2))


# Missing kernels


WITHOUT_KERNELS = (
    "GatedLinearEncoder",
    "LSTMEncoder",
    "MinGRUEncoder",
    "MinLSTMEncoder",
    "StateSpaceEncoder",
    "TransformerEncoder",
)
"""Encoders of which no vendor has kernels of his own."""

by_kernels = pytest.mark.parametrize(
    "name", [pytest.param(name, id=name.split(".")[1]) for name in PRESENT if name.split(".")[1] not in WITHOUT_KERNELS]
)


@by_kernels
def test_kernels_that_are_missing_are_told_to_each_layer_once(name: str) -> None:
    """Given two pipelines that were trained with the vendors' kernels, on a machine without: each warns once and predicts all the same."""
    plain = ready(name, backend="torch", depth=2)
    for _ in range(2):
        model = ready(name, backend="cuda", depth=2).from_bytes(plain.to_bytes())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            predicted = [model.predict(sequences(5, 2)) for _ in range(2)]
        assert [str(warning.message).startswith(f"{name}: setting 'backend' is 'cuda'") for warning in caught] == [True]
        assert_same(predicted[1], plain.predict(sequences(5, 2)))


@by_kernels
def test_training_without_the_kernels_is_refused_by_name(name: str) -> None:
    with pytest.raises(SettingError, match=f"^{name}: .*spacy-emerging\\[cuda\\]"):
        ready(name, backend="cuda").begin_update(sequences(3))


@pytest.mark.parametrize("short", WITHOUT_KERNELS)
def test_where_no_kernels_exist_the_setting_has_no_effect_and_says_so(short: str) -> None:
    name = f"spacy-emerging.{short}.v1"
    with pytest.warns(UserWarning, match=f"^{name}: setting 'backend' is 'cuda', which has no effect") as caught:
        model = ready(name, backend="cuda")
        model.begin_update(sequences(3))
    assert len(caught) == 1


@each_direction
def test_bf16_gives_close_values_in_float32_arrays(name: str, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # given torch's CPU autocast, which works without native support, only slowly; not so oneDNN's LSTM
    if name == "spacy-emerging.LSTMEncoder.v1" and torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("oneDNN has no LSTM in bfloat16 for this processor; amp runs in float32 there")
    monkeypatch.setattr(precision, "supported", lambda amp, device: True)
    plain = ready(name, direction)
    model = ready(name, direction, amp="bf16").from_bytes(plain.to_bytes())
    inputs, gradients = sequences(5, 9), sequences(5, 9, seed=2)
    outputs, backprop = model.begin_update(inputs)
    wanted, wanted_backprop = plain.begin_update(inputs)
    assert {Y.dtype.name for Y in outputs} == {"float32"}
    assert_close(outputs, wanted, 0.15)
    # bfloat16 keeps 8 bits: gradients agree in direction, not in digits
    found = numpy.concatenate(backprop(gradients)).ravel()
    exact = numpy.concatenate(wanted_backprop(gradients)).ravel()
    assert found @ exact > 0.95 * numpy.linalg.norm(found) * numpy.linalg.norm(exact)


# Worker processes

PIPE = """
import sys, multiprocessing, spacy, torch
def main():
    method, *names = sys.argv[1:]
    torch.set_num_threads(2)
    multiprocessing.set_start_method(method)
    nlp = spacy.blank("en")
    embed = {"@architectures": "spacy.MultiHashEmbed.v2", "width": 12, "attrs": ["NORM"], "rows": [50], "include_static_vectors": False}
    for name in names:
        encode = {"@architectures": name, "width": 12, "depth": 1}
        tok2vec = {"@architectures": "spacy.Tok2Vec.v2", "embed": embed, "encode": encode}
        tagger = nlp.add_pipe("tagger", name.split(".")[1], config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}})
        tagger.add_label("X")
    nlp.initialize()
    texts = ["one two three " * 20] * 6
    torch.ones(400, 400) @ torch.ones(400, 400)
    wanted = [nlp(text).to_json() for text in texts]
    assert [doc.to_json() for doc in nlp.pipe(texts, n_process=2, batch_size=2)] == wanted
    print("done")
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_worker_processes_end(method: str, tmp_path: Path) -> None:
    """Trap 7: nlp.pipe(n_process=2) hangs after any use of torch, since its threads do not survive a fork."""
    # given one pipeline with a tagger on each encoder, and a parent process with two torch threads
    script = tmp_path / "pipe.py"
    script.write_text(PIPE, encoding="utf-8")
    run = subprocess.run([sys.executable, script, method, *PRESENT], capture_output=True, text=True, timeout=900)
    assert run.stdout.strip() == "done", run.stderr


# Very long Docs

LONG_DOC = """
import sys, numpy, torch
from spacy.util import registry
torch.set_num_threads(1)
name, direction, tokens, training = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "training"
model = registry.architectures.get(name)(width=32, depth=1, direction=direction).initialize()
def run(tokens):
    X = [numpy.random.default_rng(0).standard_normal((tokens, 32)).astype("float32")]
    if training:
        Y, backprop = model.begin_update(X)
        backprop(Y)
    else:
        Y = model.predict(X)
    assert numpy.isfinite(Y[0]).all()
run(100)
before = peak_kilobytes()
run(tokens)
print(peak_kilobytes() - before)
"""


def peak_memory(peak_source: str, name: str, direction: str, tokens: int, purpose: str) -> int:
    """How much a Doc of `tokens` raises the peak of a process's memory, in kilobytes."""
    run = subprocess.run(
        [sys.executable, "-c", peak_source + LONG_DOC, name, direction, str(tokens), purpose],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return int(run.stdout)


@pytest.mark.slow
@each_direction
@pytest.mark.parametrize("purpose", ["prediction", "training"])
def test_memory_is_linear_in_the_length_of_a_doc(name: str, direction: str, purpose: str, peak_source: str) -> None:
    half, whole = (peak_memory(peak_source, name, direction, tokens, purpose) for tokens in (10_000, 20_000))
    # twice the tokens, twice the memory; a quadratic layer would take four times as much
    assert whole < 2.6 * half + 20_000
