"""What is measured: our encoders and their peers, each under a key from which any process can build it.

encoder/<Name>/<direction>   a registered encoder of this package
products/<Name>/<direction>  the products of the linear layers of such an encoder alone
lstm/<units>                 torch's bidirectional nn.LSTM with so many units per direction
xlstm                        NX-AI's xLSTMBlockStack with the blocks of XLSTMEncoder, direction "forward"
transformers/<chunk>         the Mamba-2 blocks of transformers with those of Mamba2Encoder, direction "forward"
transformers-mamba/<scan>    the Mamba blocks of transformers with those of MambaEncoder, direction "forward"; scan: "loop", or "mambapy",
                             which is the parallel scan of the package of that name in training passes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spacy_emerging import registry
from spacy_emerging.bridge.layout import Layout
from spacy_emerging.kernels.linear import linear

ENCODERS = sorted(name.split(".")[1] for name in registry.ARCHITECTURES if name.endswith("Encoder.v1"))
XLSTM, MAMBA2, MAMBA = "encoder/XLSTMEncoder/forward", "encoder/Mamba2Encoder/forward", "encoder/MambaEncoder/forward"
SEED = 0
WORDS = 1600
"""Words of a batch; one sequence where that is longer."""


class Subject:
    """A module and how it is called on (B, L, D)."""

    def __init__(self, module: nn.Module, call: Callable[[Tensor], Tensor]) -> None:
        self.module = module
        self.call = call

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())

    def forward(self, x: Tensor) -> Tensor:
        """A pass as in prediction: evaluation mode, no gradients."""
        self.module.eval()
        with torch.no_grad():
            return self.call(x)

    def backward(self, x: Tensor, gradient: Tensor) -> None:
        """Both passes as in training; gradients of the input and of all weights."""
        self.module.train()
        self.call(x).backward(gradient)

    def forget(self, x: Tensor) -> None:
        """Drops the gradients, so that the next pass does not add to them."""
        self.module.zero_grad(set_to_none=True)
        x.grad = None


class Products(Subject):
    """The products of all linear layers of a module alone, three for each: the result, and the gradients of input and weight.

    Each layer has an input and a gradient of its own, drawn once; those of a pass are not looked at.
    """

    def __init__(self, module: nn.Module, words: int) -> None:
        self.layers = [each for each in module.modules() if isinstance(each, nn.Linear)]
        self.inputs = [torch.randn(words, layer.in_features, requires_grad=True) for layer in self.layers]
        self.gradients = [torch.randn(words, layer.out_features) for layer in self.layers]
        super().__init__(nn.ModuleList(self.layers), self._first_products)

    def _first_products(self, x: Tensor) -> Tensor:
        for own, layer in zip(self.inputs, self.layers, strict=True):
            linear(own, layer.weight)
        return x

    def backward(self, x: Tensor, gradient: Tensor) -> None:
        """All three products of a layer, then those of the next."""
        for own, layer, drawn in zip(self.inputs, self.layers, self.gradients, strict=True):
            linear(own, layer.weight).backward(drawn)

    def forget(self, x: Tensor) -> None:
        """Drops the gradients of weights and inputs."""
        super().forget(x)
        for own in self.inputs:
            own.grad = None


def batch(length: int) -> int:
    """Sequences of a batch."""
    return max(1, WORDS // length)


def build(key: str, width: int, depth: int, length: int) -> Subject:
    """The subject under a key, weights drawn under one seed. Raises ImportError where a peer is not installed."""
    torch.manual_seed(SEED)
    kind, _, rest = key.partition("/")
    if kind in ("encoder", "products"):
        encoder = _encoder(*rest.split("/"), width=width, depth=depth)
        return encoder if kind == "encoder" else Products(encoder.module, batch(length) * length)
    if kind == "lstm":
        lstm = nn.LSTM(width, int(rest), depth, batch_first=True, bidirectional=True)
        return Subject(lstm, lambda x: lstm(x)[0])
    ours = build({"xlstm": XLSTM, "transformers": MAMBA2, "transformers-mamba": MAMBA}[kind], width, depth, length).module
    if kind == "xlstm":
        peer = _xlstm(ours, width, depth, length)
    elif kind == "transformers":
        peer = _transformers(ours, width, depth, int(rest))
    else:
        peer = _transformers_mamba(ours, width, depth, rest)
    return Subject(peer, peer)


def _encoder(name: str, direction: str, width: int, depth: int) -> Subject:
    model = getattr(registry, name)(width=width, depth=depth, direction=direction)
    module: Any = model.initialize().shims[0].module
    return Subject(module, lambda x: module(x.flatten(0, 1), Layout([x.shape[1]] * x.shape[0])).view_as(x))


def _xlstm(ours: Any, width: int, depth: int, length: int) -> nn.Module:
    """Blocks, heads and inner widths are the defaults of both sides; the weights are ours."""
    import xlstm

    config = xlstm.xLSTMBlockStackConfig(
        mlstm_block=xlstm.mLSTMBlockConfig(mlstm=xlstm.mLSTMLayerConfig(num_heads=4)),
        slstm_block=xlstm.sLSTMBlockConfig(
            slstm=xlstm.sLSTMLayerConfig(backend="vanilla", num_heads=4),
            feedforward=xlstm.FeedForwardConfig(proj_factor=1.3, act_fn="gelu"),
        ),
        context_length=length,
        num_blocks=2 * depth,
        embedding_dim=width,
        slstm_at=list(range(1, 2 * depth, 2)),
    )
    peer = xlstm.xLSTMBlockStack(config)
    peer.load_state_dict(ours.stack.state_dict())
    return peer


def _transformers(ours: Any, width: int, depth: int, chunk: int) -> nn.Module:
    """Sizes and weights are ours."""
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Block, Mamba2RMSNorm
    from transformers.utils import logging

    logging.set_verbosity_error()  # it warns at every build that there are no GPU kernels
    shape = ours.layers[0].scan.shape
    config = Mamba2Config(
        hidden_size=width,
        num_heads=shape.heads,
        head_dim=shape.head_width,
        state_size=shape.state_width,
        expand=shape.inner // width,
        conv_kernel=shape.conv_width,
        n_groups=1,
        chunk_size=chunk,
        num_hidden_layers=depth,
    )
    return _with_weights(ours, [Mamba2Block(config, layer_idx=layer) for layer in range(depth)], Mamba2RMSNorm(width))


def _transformers_mamba(ours: Any, width: int, depth: int, scan: str) -> nn.Module:
    """Sizes and weights are ours."""
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaBlock, MambaRMSNorm
    from transformers.utils import logging

    logging.set_verbosity_error()
    shape = ours.layers[0].scan.shape
    config = MambaConfig(
        hidden_size=width,
        state_size=shape.state_width,
        expand=shape.inner // width,
        conv_kernel=shape.conv_width,
        time_step_rank=shape.step_rank,
        num_hidden_layers=depth,
        use_mambapy=scan == "mambapy",
    )
    return _with_weights(ours, [MambaBlock(config, layer_idx=layer) for layer in range(depth)], MambaRMSNorm(width))


def _with_weights(ours: Any, blocks: list[Any], norm: nn.Module) -> nn.Module:
    for block, layer in zip(blocks, ours.layers, strict=True):
        block.norm.load_state_dict(layer.norm.state_dict())
        block.mixer.load_state_dict(layer.forward_mixer.state_dict())
    norm.load_state_dict(ours.norm.state_dict())
    return nn.Sequential(*blocks, norm)


def lstm_units(parameters: int, width: int, depth: int) -> int:
    """Units per direction with which a bidirectional nn.LSTM comes closest to so many parameters."""

    def count(units: int) -> int:
        inputs = [width] + [2 * units] * (depth - 1)
        return sum(2 * 4 * units * (size + units + 2) for size in inputs)

    units = 1
    while count(units + 1) <= parameters:
        units += 1
    return min((units, units + 1), key=lambda found: abs(count(found) - parameters))
