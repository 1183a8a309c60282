"""Norm, in-projection, mixer and out-projection in one step of the graph, against the same one after the other."""

import pytest
import torch

from spacy_emerging import registry
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders import hydra, mamba_layers, minimal
from spacy_emerging.kernels import linear_loops, looped_mixer, native
from spacy_emerging.kernels.dropout import Dropout
from spacy_emerging.kernels.quantized import QuantizedLinear

pytestmark = [pytest.mark.skipif(not native.available(), reason="no compiled loops here"), pytest.mark.usefixtures("loops_of_any_size")]

LENGTHS = [1, 7, 40, 2, 70, 1]
ENCODERS = [
    ("MambaEncoder", "forward"),
    ("MambaEncoder", "concat"),
    ("Mamba2Encoder", "forward"),
    ("Mamba2Encoder", "concat"),
    ("HydraEncoder", "concat"),
    ("MinGRUEncoder", "concat"),
    ("MinLSTMEncoder", "forward"),
    ("MinLSTMEncoder", "concat"),
    ("MinLSTMEncoder", "alternate"),
]


@pytest.fixture
def blocks(monkeypatch):
    """How often a block was taken as a whole."""
    taken = []

    def noted(*given):
        found = looped_mixer.looped_block(*given)
        taken.append(found is not None)
        return found

    for place in (hydra, mamba_layers, minimal):
        monkeypatch.setattr(place, "looped_block", noted)
    return taken


def encoder(name, direction, dtype=torch.float64):
    torch.manual_seed(0)
    model = getattr(registry, name)(width=8, depth=2, direction=direction, dropout=0.0)
    return model.initialize().shims[0].module.to(dtype).train()


def tokens(dtype=torch.float64, lengths=LENGTHS):
    return torch.randn(sum(lengths), 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype).requires_grad_()


def passes(module, x, lengths=LENGTHS):
    """Its output, and the gradients of the input and of all parameters."""
    y = module(x, Layout(lengths))
    weighting = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(y)
    return y, *torch.autograd.grad((y * weighting).sum(), (x, *module.parameters()))


def assert_same(found, wanted, tolerance=1e-9):
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * max(1.0, float(other.detach().abs().max())))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name,direction", ENCODERS)
def test_a_block_is_the_same_as_its_parts(name, direction, threads, blocks, monkeypatch, two_threads):
    torch.set_num_threads(threads)
    module, x = encoder(name, direction), tokens()
    whole = passes(module, x)
    assert blocks and all(blocks)
    monkeypatch.setattr(linear_loops, "FASTEST", False)
    blocks.clear()
    in_parts = passes(module, x)
    assert blocks and not any(blocks)
    assert_same(whole, in_parts)


@pytest.mark.parametrize("name,direction", ENCODERS)
def test_a_block_is_the_same_as_plain_torch(name, direction):
    module, x = encoder(name, direction), tokens()
    whole = passes(module, x)
    with native.switched_off():
        assert_same(whole, passes(module, x), 1e-7)


IN_ONE_LOOP = [
    ("Mamba2Encoder", "forward", "ssd_block"),
    ("Mamba2Encoder", "concat", "ssd_block"),
    ("HydraEncoder", "concat", "quasiseparable_block"),
    ("MinLSTMEncoder", "concat", "minimal_block"),
    ("MinGRUEncoder", "alternate", "minimal_block"),
]
"""Encoders whose block is one loop, and its name."""

GROUPS = [[300, 130, 5], [60, 60, 60, 60, 60], [128, 1, 128], [127, 2, 1, 1, 200], [512, 2], [513, 2], [400]]
"""Sequences that end with a group of 128 tokens or span several, of several chunks, and longer than a block that is taken as a whole."""


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("lengths", GROUPS, ids=str)
@pytest.mark.parametrize("name,direction,loop", IN_ONE_LOOP)
def test_groups_of_sequences_in_one_loop_are_the_same_as_plain_torch(name, direction, loop, lengths, threads, loop_calls, two_threads):
    torch.set_num_threads(threads)
    module, x = encoder(name, direction), tokens(lengths=lengths)
    whole = passes(module, x, lengths)
    in_one = {called for called, _ in loop_calls if "_block_" in called}
    assert in_one == ({f"{loop}_forward", f"{loop}_backward"} if len(lengths) >= threads and max(lengths) <= 512 else set())
    with torch.no_grad():
        assert torch.equal(module(x, Layout(lengths)), whole[0])
    with native.switched_off():
        assert_same(whole, passes(module, x, lengths), 1e-7)


@pytest.mark.parametrize("lengths", [[250, 260], [260, 250], [10, 10, 10, 500], [500, 10, 10, 10], [100, 400], [1, 2]], ids=str)
@pytest.mark.parametrize("name,direction,loop", IN_ONE_LOOP)
def test_every_thread_has_sequences_to_read(name, direction, loop, lengths, loop_calls, two_threads):
    passes(encoder(name, direction), tokens(lengths=lengths), lengths)
    last = [given for called, given in loop_calls if called == f"{loop}_backward"][-1]
    of_norm = next(each for each in last if isinstance(each, torch.Tensor) and each.shape == (2, last[0].shape[1]))
    assert (of_norm.abs().sum(1) > 0).all()


@pytest.mark.parametrize("taps,state,head", [(1, 3, 2), (2, 5, 1), (7, 16, 8), (8, 1, 4)])
@pytest.mark.parametrize("name", ["Mamba2Encoder", "HydraEncoder"])
def test_sizes_of_a_block_in_one_loop_need_fit_no_vector(name, taps, state, head, two_threads):
    torch.manual_seed(0)
    taps -= int(name == "HydraEncoder" and taps % 2 == 0)  # its convolution is centred
    sizes = {"width": 22, "depth": 1, "conv_width": taps, "state_width": state, "head_width": head, "chunk": 9}
    module = getattr(registry, name)(direction="concat", **sizes).initialize().shims[0].module.double()
    x = torch.randn(44, 22, dtype=torch.float64, requires_grad=True)
    whole = passes(module, x, [3, 40, 1])
    with native.switched_off():
        assert_same(whole, passes(module, x, [3, 40, 1]), 1e-7)


@pytest.mark.parametrize("sizes", [{"conv_width": 1, "expand": 0.1}, {"conv_width": 8, "expand": 1.7}], ids=str)
@pytest.mark.parametrize("name", ["MinGRUEncoder", "MinLSTMEncoder"])
def test_sizes_of_a_minimal_block_in_one_loop_need_fit_no_vector(name, sizes, loop_calls, two_threads):
    torch.manual_seed(0)
    module = getattr(registry, name)(width=22, depth=1, direction="concat", feed_forward=1.3, **sizes).initialize().shims[0].module.double()
    x = torch.randn(44, 22, dtype=torch.float64, requires_grad=True)
    whole = passes(module, x, [3, 40, 1])
    assert "minimal_block_backward" in {called for called, _ in loop_calls}
    with native.switched_off():
        assert_same(whole, passes(module, x, [3, 40, 1]), 1e-7)


@pytest.mark.parametrize("name", ["Mamba2Encoder", "HydraEncoder", "MinLSTMEncoder"])
def test_in_float32_a_block_in_one_loop_is_as_exact_as_plain_torch(name):
    lengths = [300, 130, 5, 90]
    exact = passes(encoder(name, "concat"), tokens(lengths=lengths), lengths)
    module, x = encoder(name, "concat", torch.float32), tokens(torch.float32, lengths)
    found = passes(module, x, lengths)
    with native.switched_off():
        plain = passes(module, x, lengths)
    for one, other, wanted in zip(*(map(torch.detach, each) for each in (found, plain, exact)), strict=True):
        assert (one - wanted).abs().max() <= 2 * (other - wanted).abs().max() + 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("name,direction", ENCODERS)
def test_what_is_dropped_leaves_the_residual_stream_alone(name, direction, blocks):
    """Without dropout the residual is added within the loops; with it, after them: all that a block adds is dropped here."""
    module, x = encoder(name, direction), tokens()
    for each in module.modules():
        if isinstance(each, Dropout):
            each.p = 1.0
    y = module(x, Layout(LENGTHS))
    assert blocks and all(blocks)
    expected = x
    for layer in module.layers:
        mapped = getattr(layer, "down", getattr(layer, "enter", None))
        expected = mapped(expected) if mapped else expected
    torch.testing.assert_close(y, module.norm(expected))
    torch.testing.assert_close(*(torch.autograd.grad(each.sum(), x)[0] for each in (y, module.norm(expected))))


@pytest.mark.parametrize("name,direction", ENCODERS)
def test_without_gradients_it_gives_the_same(name, direction, blocks):
    module, x = encoder(name, direction), tokens()
    wanted = module(x, Layout(LENGTHS))
    blocks.clear()
    with torch.no_grad():
        assert torch.equal(module(x, Layout(LENGTHS)), wanted)
    with torch.inference_mode():
        assert torch.equal(module(x, Layout(LENGTHS)), wanted)
    assert blocks and all(blocks)


@pytest.mark.parametrize("name,direction", ENCODERS)
def test_batches_that_wait_for_their_backward_pass_do_not_mix(name, direction):
    """Arrays are kept from call to call: nothing that a later pass needs may lie in them."""
    module, x = encoder(name, direction), tokens()
    wanted = passes(module, x)
    waiting = module(x, Layout(LENGTHS))
    with torch.no_grad():
        module(2 * x, Layout(LENGTHS))
    passes(module, (3 * x).detach().requires_grad_())
    weighting = torch.randn(waiting.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = waiting.clone(), *torch.autograd.grad((waiting * weighting).sum(), (x, *module.parameters()))
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name,direction", ENCODERS)
def test_quantised_weights_are_multiplied_as_such(name, direction, blocks):
    module = encoder(name, direction, torch.float32)
    for layer in list(module.modules()):
        for out in ("out_proj", "out"):
            if hasattr(layer, out):
                setattr(layer, out, QuantizedLinear(getattr(layer, out)))
    with torch.no_grad():
        module(tokens(torch.float32), Layout(LENGTHS))
    assert not blocks


@pytest.mark.parametrize("name,direction", ENCODERS)
def test_under_autocast_the_parts_are_taken(name, direction, blocks):
    module = encoder(name, direction, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(tokens(torch.float32), Layout(LENGTHS))
    assert blocks and not any(blocks)
