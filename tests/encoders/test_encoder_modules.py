"""What the nn.Modules of the encoders guarantee, before Thinc comes in."""

import pytest
import torch

from spacy_emerging.bridge.layout import Layout
from spacy_emerging.encoders.gated_linear import GatedLinear
from spacy_emerging.encoders.mamba2 import Mamba2
from spacy_emerging.encoders.mingru import MinGRU
from spacy_emerging.encoders.minlstm import MinLSTM
from spacy_emerging.encoders.state_space import StateSpace
from spacy_emerging.encoders.transformer import Transformer

MODULES = {
    "mamba2 concat": (Mamba2, {"direction": "concat", "chunk": 4}),
    "mamba2 add": (Mamba2, {"direction": "add", "chunk": 4}),
    "mamba2 forward": (Mamba2, {"direction": "forward", "chunk": 4}),
    "mingru concat": (MinGRU, {"direction": "concat"}),
    "mingru forward": (MinGRU, {"direction": "forward", "conv_width": 0}),
    "minlstm concat": (MinLSTM, {"direction": "concat"}),
    "minlstm alternate": (MinLSTM, {"direction": "alternate"}),
    "minlstm forward": (MinLSTM, {"direction": "forward"}),
    "gated linear concat": (GatedLinear, {"direction": "concat", "chunk": 4}),
    "gated linear alternate": (GatedLinear, {"direction": "alternate", "chunk": 4}),
    "gated linear forward": (GatedLinear, {"direction": "forward", "chunk": 4}),
    "state space concat": (StateSpace, {"direction": "concat", "chunk": 4, "state_width": 8}),
    "state space add": (StateSpace, {"direction": "add", "chunk": 4, "state_width": 8}),
    "state space forward": (StateSpace, {"direction": "forward", "chunk": 4, "state_width": 8}),
    "transformer rotary": (Transformer, {"direction": "concat", "positions": "rotary"}),
    "transformer sinusoidal": (Transformer, {"direction": "concat", "positions": "sinusoidal"}),
    "transformer forward": (Transformer, {"direction": "forward"}),
}
BIDIRECTIONAL = [name for name, (_, settings) in MODULES.items() if settings["direction"] != "forward"]
LENGTHS = [7, 1, 40, 3]


def build(name, width=16, depth=2, **more):
    """A seeded module of the table above."""
    torch.manual_seed(0)
    kind, settings = MODULES[name]
    return kind(width, depth, **{**settings, **more})


def tokens_of(lengths, width=16, seed=1):
    return torch.randn(sum(lengths), width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("width", [2, 6, 12, 64])
def test_any_even_width_and_any_length_gives_the_same_shape(name, width):
    for lengths in ([1], [1, 1], [5, 2, 9]):
        assert build(name, width)(tokens_of(lengths, width), Layout(lengths)).shape == (sum(lengths), width)


@pytest.mark.parametrize("name", MODULES)
def test_a_sequence_in_a_batch_comes_out_as_it_does_alone(name):
    module, tokens = build(name), tokens_of(LENGTHS)
    together = module(tokens, Layout(LENGTHS)).split(LENGTHS)
    for output, alone in zip(together, tokens.split(LENGTHS), strict=True):
        torch.testing.assert_close(output, module(alone, Layout([len(alone)])), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODULES)
def test_batch_mates_influence_neither_output_nor_gradient(name):
    module = build(name)
    gradients = []
    for seed in (1, 2):
        tokens = torch.cat([tokens_of([7]), tokens_of([40], seed=seed), tokens_of([3])]).requires_grad_()
        output = module(tokens, Layout([7, 40, 3]))[:7]
        gradients.append(torch.autograd.grad(output.square().sum(), tokens)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)
    assert gradients[0][:7].abs().sum() > 0 and gradients[0][7:].abs().sum() == 0


@pytest.mark.parametrize("name", BIDIRECTIONAL)
def test_the_first_token_depends_on_the_last(name):
    module, tokens = build(name), tokens_of([9])
    changed = tokens.clone()
    changed[-1] *= -1.0  # not a shift of all units by one number, which LayerNorm removes
    difference = module(tokens, Layout([9])) - module(changed, Layout([9]))
    assert difference[0].abs().max() > 1e-6


@pytest.mark.parametrize("name", [name for name in MODULES if name.endswith("forward")])
def test_forward_encoders_see_no_later_token(name):
    module, tokens = build(name), tokens_of([9, 12])
    changed = tokens.clone()
    changed[8] *= -1.0
    difference = (module(tokens, Layout([9, 12])) - module(changed, Layout([9, 12]))).abs().sum(1)
    assert difference[:8].max() == 0 and difference[8] > 0


@pytest.mark.parametrize("name", MODULES)
def test_gradients_equal_finite_differences(name):
    module = build(name, width=4, depth=1).double()
    lengths = [3, 1, 6]
    tokens = tokens_of(lengths, 4).double().requires_grad_()
    names = [key for key, _ in module.named_parameters()]
    values = [value.detach().requires_grad_() for value in module.parameters()]

    def run(tokens, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (tokens, Layout(lengths)))

    assert torch.autograd.gradcheck(run, (tokens, *values), fast_mode=True)


@pytest.mark.parametrize("name", MODULES)
def test_every_parameter_gets_a_gradient(name):
    module = build(name)
    weighting = tokens_of(LENGTHS, seed=2)
    (module(tokens_of(LENGTHS), Layout(LENGTHS)) * weighting).sum().backward()
    idle = [key for key, value in module.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert idle == []


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e3, 1e6])
def test_extreme_inputs_stay_finite(name, scale):
    module = build(name)
    tokens = (tokens_of([2048, 3]) * scale).requires_grad_()
    output = module(tokens, Layout([2048, 3]))
    output.sum().backward()
    assert output.isfinite().all() and tokens.grad.isfinite().all()
    assert all(value.grad.isfinite().all() for value in module.parameters())


@pytest.mark.parametrize("name", MODULES)
def test_equal_tokens_stay_finite(name):
    tokens = torch.ones(300, 16, requires_grad=True)
    output = build(name)(tokens, Layout([300]))
    output.square().sum().backward()
    assert output.isfinite().all() and tokens.grad.isfinite().all()


@pytest.mark.parametrize("name", MODULES)
def test_dropout_acts_in_training_only_and_only_through_dropout_modules(name):
    module, tokens = build(name, dropout=0.5), tokens_of([9])
    assert not torch.equal(module(tokens, Layout([9])), module(tokens, Layout([9])))
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    in_training = module(tokens, Layout([9]))
    torch.testing.assert_close(module.eval()(tokens, Layout([9])), in_training)


@pytest.mark.parametrize("name", MODULES)
def test_one_seed_gives_one_set_of_weights(name):
    first, second = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", MODULES)
def test_lower_precision_stays_close_and_keeps_gradients(name):
    module, tokens = build(name), tokens_of(LENGTHS)
    exact = module(tokens, Layout(LENGTHS))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(tokens, Layout(LENGTHS))
    output.float().sum().backward()
    assert (output.float() - exact).abs().max() < 0.2
    assert all(value.grad.isfinite().all() for value in module.parameters())


@pytest.mark.parametrize("name", MODULES)
def test_fits_a_small_batch(name):
    module, tokens, target = build(name), tokens_of(LENGTHS), tokens_of(LENGTHS, seed=2)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    losses = []
    for _ in range(80):
        loss = (module(tokens, Layout(LENGTHS)) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
