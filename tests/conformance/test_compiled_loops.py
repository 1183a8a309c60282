"""Encoders give the same through compiled loops and through plain torch, whatever the lengths and the number of threads."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import pytest
import torch
from torch import Tensor, nn

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.bridge.segments import can_stream, in_segments
from spacy_emerging.kernels import native, quasiseparable_mixer

from .encoders import each_direction, ready

pytestmark = pytest.mark.usefixtures("loops_of_any_size")
needs_loops = pytest.mark.skipif(not native.available(), reason="the loops were not compiled here")
LENGTHS = (5, 1, 23, 140, 12)  # one token; several chunks of the default size


def passes(name: str, direction: str, dtype: torch.dtype, lengths: tuple[int, ...] = LENGTHS) -> list[Tensor]:
    """Output, gradient of the input and gradients of all weights of a freshly drawn encoder."""
    torch.manual_seed(0)
    module = ready(name, direction, width=16).shims[0].module.to(dtype).train()
    tokens = torch.randn(sum(lengths), 16, dtype=dtype, requires_grad=True)
    output = module(tokens, Layout(lengths))
    (output * torch.randn(output.shape, dtype=dtype)).sum().backward()
    return [output.detach(), tokens.grad, *(each.grad for each in module.parameters() if each.grad is not None)]


def test_loops_are_there_where_a_compiler_was() -> None:
    if sys.platform != "linux" or not shutil.which("c++") or os.environ.get("SPACY_EMERGING_NATIVE") == "0":
        pytest.skip("nothing to compile with, or the loops are switched off")
    assert native.available()


@needs_loops
@each_direction
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-6), (torch.float32, 2e-4)])
def test_loops_and_plain_torch_agree(name: str, direction: str, dtype: torch.dtype, tolerance: float) -> None:
    # float64 is not held to more, since plain torch keeps a few gates in float32
    by_loops = passes(name, direction, dtype)
    with native.switched_off():
        by_torch = passes(name, direction, dtype)
    assert len(by_loops) == len(by_torch)
    for found, wanted in zip(by_loops, by_torch, strict=True):
        assert (found - wanted).abs().max() <= tolerance * max(1.0, float(wanted.abs().max()))


@needs_loops
@each_direction
@pytest.mark.parametrize("lengths", [LENGTHS, (140,)], ids=["sequences for every thread", "one sequence for all threads"])
def test_threads_change_nothing(name: str, direction: str, lengths: tuple[int, ...], two_threads: None) -> None:
    with_two = passes(name, direction, torch.float32, lengths)
    torch.set_num_threads(1)
    for found, wanted in zip(with_two, passes(name, direction, torch.float32, lengths), strict=True):
        assert (found - wanted).abs().max() <= 2e-4 * max(1.0, float(wanted.abs().max()))


RECURRENCES = {
    "MambaEncoder": {"selective_scan_forward"},
    "Mamba2Encoder": {"ssd_forward"},
    "HydraEncoder": {"ssd_forward"},
    "MinGRUEncoder": {"minimal_layer_forward"},
    "MinLSTMEncoder": {"minimal_layer_forward"},
    "XLSTMEncoder": {"mlstm_forward", "slstm_forward"},
}
"""The loops that segments of long Docs go through, by encoder."""


@needs_loops
@each_direction
def test_segments_take_the_loops_too(name: str, direction: str, loop_calls: list[tuple[str, tuple[object, ...]]]) -> None:
    # given an encoder that has loops, and somebody who notes which are called
    wanted = RECURRENCES.get(name.split(".")[1], set())
    module = ready(name, direction, width=16).shims[0].module.eval()
    tokens = torch.randn(100, 16)
    with torch.no_grad():
        if not can_stream(module):
            pytest.skip("takes every sequence as a whole")
        # when a sequence goes in segments
        by_loops = in_segments(module, tokens, 30)
        # then it goes through them, and comes out as by plain torch
        assert wanted <= {loop for loop, _ in loop_calls}
        with native.switched_off():
            by_torch = in_segments(module, tokens, 30)
    assert (by_loops - by_torch).abs().max() <= 2e-4 * max(1.0, float(by_torch.abs().max()))


@needs_loops
def test_loops_of_other_sources_are_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    # given sources that changed after the loops were compiled
    monkeypatch.setattr(native, "fingerprint", lambda folder: "another")
    # then the package says so, and does without
    with pytest.warns(UserWarning, match="was compiled from other sources.*Install the package again"):
        assert native._load() is None


@needs_loops
def test_loops_can_be_switched_off() -> None:
    numbers = torch.ones(2, 2)
    assert native.usable(numbers)
    with native.switched_off():
        assert not native.usable(numbers)
    assert native.usable(numbers)


@needs_loops
@pytest.mark.parametrize("other", [torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.float64), torch.ones(2, device="meta")])
def test_loops_take_numbers_of_one_type_on_the_processor(other: Tensor) -> None:
    assert not native.usable(torch.ones(2), other)


def test_a_workspace_is_kept_and_grows() -> None:
    like = torch.ones(1)
    first = native.workspace("a test", like, 2, 3)
    assert first.shape == (2, 3) and native.workspace("a test", like, 6).data_ptr() == first.data_ptr()
    assert native.workspace("another", like, 6).data_ptr() != first.data_ptr()
    assert native.workspace("a test", like, 70).shape == (70,)
    assert native.workspace("a test", like.double(), 6).dtype == torch.float64


def test_threads_of_a_program_have_workspaces_of_their_own() -> None:
    found: list[int] = []
    mine = native.workspace("a test", torch.ones(1), 6)
    thread = Thread(target=lambda: found.append(native.workspace("a test", torch.ones(1), 6).data_ptr()))
    thread.start()
    thread.join()
    assert found != [mine.data_ptr()]


def test_a_workspace_made_in_inference_mode_serves_outside_of_it() -> None:
    with torch.inference_mode():
        native.workspace("a third", torch.ones(1), 6)
    assert native.workspace("a third", torch.ones(1), 6).zero_().sum() == 0


@needs_loops
@each_direction
def test_prediction_at_the_same_time_from_two_threads(name: str, direction: str) -> None:
    torch.manual_seed(0)
    module = ready(name, direction, width=32).shims[0].module.eval()
    inputs = [torch.randn(sum(LENGTHS), 32) for _ in range(4)]

    def predict(tokens: Tensor) -> Tensor:
        with torch.no_grad():
            return module(tokens, Layout(LENGTHS))

    wanted = list(map(predict, inputs))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(predict, inputs * 5))
    assert all(torch.equal(one, other) for one, other in zip(found, wanted * 5, strict=True))


@needs_loops
@each_direction
def test_training_at_the_same_time_from_two_threads(name: str, direction: str) -> None:
    torch.manual_seed(0)
    modules = [ready(name, direction, width=32, dropout=0.0).shims[0].module.train() for _ in range(2)]
    inputs = [torch.randn(sum(LENGTHS), 32) for _ in modules]

    def train(module: nn.Module, tokens: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(module(tokens, Layout(LENGTHS)).square().sum(), list(module.parameters())))

    wanted = list(map(train, modules, inputs))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(train, modules * 5, inputs * 5))
    assert all(torch.equal(*pair) for one, other in zip(found, wanted * 5, strict=True) for pair in zip(one, other, strict=True))


@needs_loops
@each_direction
def test_default_device_of_torch_does_not_matter(name: str, direction: str) -> None:
    # given a program that makes its tensors elsewhere, beside a model on the processor
    module, tokens = ready(name, direction, width=16).shims[0].module.eval(), torch.randn(sum(LENGTHS), 16)
    with torch.no_grad():
        wanted = module(tokens, Layout(LENGTHS))
        native._own.__dict__.clear()
        with torch.device("meta"):
            found = module(tokens, Layout(LENGTHS, torch.device("cpu")))
    assert torch.equal(found, wanted)


@needs_loops
@each_direction
def test_under_autocast_threads_change_nothing(name: str, direction: str, two_threads: None) -> None:
    if name.split(".")[1] not in RECURRENCES:
        pytest.skip("has no loops of its own, and what torch does is torch's")
    module, tokens = ready(name, direction, width=16, dropout=0.0).shims[0].module.train(), torch.randn(140, 16)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = module(tokens, Layout([140]))
        found.append([output, *torch.autograd.grad(output.float().square().sum(), list(module.parameters()), allow_unused=True)])
    for one, two in zip(*found, strict=True):
        if one is not None:
            assert (one - two).abs().max() <= 1e-4 * max(1.0, float(one.detach().abs().max()))


@needs_loops
def test_autocast_of_one_thread_is_not_that_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    # given two threads, of which one computes in mixed precision, that are inside of Hydra's mixer at the same time
    module, tokens = ready("spacy-emerging.HydraEncoder.v1", width=16).shims[0].module.eval(), torch.randn(140, 16)
    together, scan, met = Barrier(2, timeout=60), quasiseparable_mixer.ssd_forward, []
    monkeypatch.setattr(quasiseparable_mixer, "ssd_forward", lambda *given, **how: met.append(together.wait()) or scan(*given, **how))

    def predict(mixed: bool) -> bool:
        torch.set_num_threads(2)  # each thread has a number of its own; with one, the sequence would not go in stages
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            module(tokens, Layout([140]))
            return torch.is_autocast_enabled("cpu")

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(predict, [True, False])) == [True, False]
    assert met
