"""The gates of minGRU and minLSTM against their definition, and against the paper's log space."""

import pytest
import torch
from torch.nn.functional import softplus

from spacy_emerging.kernels.linear_scan import linear_scan
from spacy_emerging.kernels.minimal_gates import minimal_gates


def candidate(x):
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


def reference(x, units):
    """The formulas of the paper, sections 3.1 and 3.2: decays and updates of one stream."""
    if x.shape[1] == 2 * units:
        z, hidden = x.chunk(2, 1)
        return 1 - z.sigmoid(), z.sigmoid() * candidate(hidden)
    forget, enter, hidden = x.chunk(3, 1)
    total = forget.sigmoid() + enter.sigmoid()
    return forget.sigmoid() / total, enter.sigmoid() / total * candidate(hidden)


def in_log_space(x, units):
    """All states as the paper computes them (appendix B): logarithms of gates and of the candidate, log-sum-exp over the past."""
    hidden = x[:, -units:]
    log_candidate = torch.where(hidden >= 0, (hidden.relu() + 0.5).log(), -softplus(-hidden))
    if x.shape[1] == 2 * units:
        log_keep, log_share = -softplus(x[:, :units]), -softplus(-x[:, :units])
    else:
        difference = softplus(-x[:, :units]) - softplus(-x[:, units : 2 * units])
        log_keep, log_share = -softplus(difference), -softplus(-difference)
    decayed = log_keep.cumsum(0)
    return (decayed + torch.logcumsumexp(log_share + log_candidate - decayed, 0)).exp()


both = pytest.mark.parametrize("gates", [2, 3], ids=["minGRU", "minLSTM"])


@both
def test_two_streams_give_what_the_paper_defines(gates):
    streams = [3 * torch.randn(7, gates * 4, dtype=torch.float64) for _ in range(2)]
    expected = [torch.cat(parts) for parts in zip(*(reference(x, 4) for x in streams), strict=True)]
    for mine, wanted in zip(minimal_gates(streams, 4), expected, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-12, atol=1e-12)


@both
def test_gradients_equal_finite_differences(gates):
    streams = [torch.randn(3, gates * 2, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda *given: minimal_gates(given, 2), streams)


@both
def test_gradients_equal_those_of_the_definition_at_any_size(gates):
    weighting = torch.randn(2, 50, 4, dtype=torch.float64)
    gradients = []
    for function in (lambda x: minimal_gates([x], 4), lambda x: reference(x, 4)):
        x = (20 * torch.randn(50, gates * 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).requires_grad_()
        decay, update = function(x)
        gradients.append(torch.autograd.grad((decay * weighting[0] + update * weighting[1]).sum(), x)[0])
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@both
@pytest.mark.parametrize("preactivation", [-50.0, 0.0, 50.0])
def test_states_equal_those_of_the_papers_log_space(gates, preactivation):
    """Given gates that are all shut, open or in between, and candidates of all sizes: float32 states beside float64 log space."""
    x = torch.randn(200, gates * 4, dtype=torch.float64)
    x[:, : (gates - 1) * 4] += preactivation
    x[:, -4:] *= 20
    decay, update = minimal_gates([x.float()], 4)
    states = linear_scan(decay[None], update[None])[0]
    torch.testing.assert_close(states.double(), in_log_space(x, 4), rtol=2e-5, atol=1e-6)


@both
@pytest.mark.parametrize("preactivation", [-1e4, -200.0, -90.0, -50.0, 50.0, 90.0, 1e4])
def test_extreme_preactivations_stay_finite_and_average(gates, preactivation):
    x = torch.full((5, gates * 2), preactivation, requires_grad=True)
    decay, update = minimal_gates([x], 2)
    (gradient,) = torch.autograd.grad((decay + update).sum(), x)
    assert decay.isfinite().all() and update.isfinite().all() and gradient.isfinite().all()
    assert ((decay >= 0) & (decay <= 1)).all()
    if gates == 3:
        torch.testing.assert_close(decay, torch.full_like(decay, 0.5))


@both
def test_half_precision_is_computed_in_float32(gates):
    x = torch.randn(5, gates * 2)
    decay, update = minimal_gates([x.bfloat16()], 2)
    assert decay.dtype == update.dtype == torch.float32
    torch.testing.assert_close(decay, reference(x.bfloat16().float(), 2)[0])
