"""Weights go from our Mamba encoders into the authors' own modules (mamba-ssm) and back, and both compute the same.

The authors' kernels need a GPU; on a CPU their modules run on their reference functions. `make test-slow` installs them beside the
virtual environment's own packages, so that nothing else finds them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

VENDORS = Path(sys.prefix) / "vendors"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (VENDORS / "mamba_ssm").is_dir(), reason="mamba-ssm is not installed (make test-slow installs it)"),
]

GIVEN = """
import sys
from types import ModuleType
from unittest.mock import MagicMock

# The package without its own first file, which imports all of it.
package = ModuleType("mamba_ssm")
package.__path__ = [sys.argv[1] + "/mamba_ssm"]
sys.modules["mamba_ssm"] = package

# What their modules import but their reference functions do not call.
for name in ("selective_scan_cuda", "causal_conv1d_cuda", "triton", "triton.language"):
    sys.modules[name] = MagicMock(__version__="3.0")
config = MagicMock(num_warps=1, kwargs={"BLOCK_SIZE_N": 64})
sys.modules["triton"].Config.return_value = config
sys.modules["triton"].autotune.return_value.return_value.configs = [config]

import torch
from spacy_emerging import registry
from spacy_emerging.bridge.layout import Layout

WIDTH, LENGTH = 32, 24

def ours(encoder, **settings):
    return encoder(width=WIDTH, depth=1, direction="forward", **settings).initialize().shims[0].module

def around(module, theirs, tokens):
    '''Our stack with their mixer in the place of ours.'''
    layer = module.layers[0]
    return module.norm(tokens + theirs(layer.norm(tokens)[None])[0])

def compare(module, theirs):
    mixer = module.layers[0].forward_mixer
    tokens = torch.randn(LENGTH, WIDTH)
    theirs.load_state_dict(mixer.state_dict())  # strict: the same names and shapes
    torch.testing.assert_close(module(tokens, Layout([LENGTH])), around(module, theirs, tokens), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        for value in theirs.parameters():
            value.add_(0.05 * torch.randn_like(value))
    mixer.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(module(tokens, Layout([LENGTH])), around(module, theirs, tokens), rtol=1e-4, atol=1e-4)
    print("the same")

torch.manual_seed(0)
"""

MAMBA = """
import mamba_ssm.modules.mamba_simple as simple
from mamba_ssm.ops.selective_scan_interface import selective_scan_ref

simple.selective_scan_fn = selective_scan_ref
simple.causal_conv1d_fn = None  # then they take nn.Conv1d
theirs = simple.Mamba(WIDTH, use_fast_path=False, layer_idx=0)
compare(ours(registry.MambaEncoder), theirs)
"""

MAMBA2 = """
import mamba_ssm.modules.mamba2 as mamba2
from mamba_ssm.modules.ssd_minimal import ssd_minimal_discrete
from mamba_ssm.ops.triton.layernorm_gated import rms_norm_ref

def scan(x, dt, A, B, C, chunk_size, D=None, z=None, dt_bias=None, dt_softplus=False, **rest):
    dt = torch.nn.functional.softplus(dt + dt_bias) if dt_softplus else dt
    heads = x.shape[2]
    y, _ = ssd_minimal_discrete(
        x * dt[..., None], A * dt, B.repeat_interleave(heads // B.shape[2], 2), C.repeat_interleave(heads // C.shape[2], 2), block_len=8
    )
    return y + D[:, None] * x

mamba2.mamba_chunk_scan_combined = scan
mamba2.causal_conv1d_fn = None
theirs = mamba2.Mamba2(WIDTH, d_state=16, headdim=16, use_mem_eff_path=False, layer_idx=0)
norm = theirs.norm
norm.forward = lambda x, z=None: rms_norm_ref(
    x, norm.weight, None, z=z, eps=norm.eps, group_size=None, norm_before_gate=norm.norm_before_gate
)
compare(ours(registry.Mamba2Encoder, state_width=16, head_width=16), theirs)
"""


@pytest.mark.parametrize("theirs", [pytest.param(MAMBA, id="Mamba"), pytest.param(MAMBA2, id="Mamba2")])
@pytest.mark.parametrize("native", ["1", "0"], ids=["loops", "torch"])
def test_state_dicts_are_exchanged_both_ways_and_outputs_agree(theirs: str, native: str) -> None:
    environment = {**os.environ, "SPACY_EMERGING_NATIVE": native}
    done = subprocess.run([sys.executable, "-c", GIVEN + theirs, str(VENDORS)], env=environment, capture_output=True, text=True)
    assert done.stdout.split("\n")[-2:] == ["the same", ""], done.stderr[-2000:]
