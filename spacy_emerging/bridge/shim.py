"""The one wrapper that makes an nn.Module part of a Thinc model.

Thinc's own PyTorchShim leaves gaps that this one closes: averages reach the weights, dropout rates reach the module, the
module may be built late and is rebuilt on load, and the optimizer step knows learning-rate
scales, parameters without weight decay and the global gradient norm.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from thinc.api import Model, Optimizer, get_torch_default_device
from thinc.shims import PyTorchGradScaler, Shim
from thinc.types import FloatsXd
from thinc.util import torch2xp, xp2torch
from torch import Tensor, nn

from ..errors import ModelDataError, QuantizationError, check_training
from ..kernels.quantized import quantizable, quantize_layers
from ..notices import Notices, on_behalf_of
from . import fork as fork
from .optimization import Weight, can_fuse, fused_adam
from .precision import autocast, check_amp
from .saved import load, pack, unpack

QUANTIZED = "int8"
"""Key in a shim's cfg of the names of its quantised layers."""


class TorchShim(Shim):
    """Holds an nn.Module inside a Thinc model.

    owner: name used in error messages.
    build: makes the module from `cfg`; a picklable function, called at initialize and again on load.
    lr_scale: factor on the optimizer's learning rate; 0 freezes the weights. Recommended 0.01 to 1.
    max_grad_norm: the gradient of all weights together is scaled down to this norm; 0 leaves it alone. Recommended 0.5 to 5.
    amp: null, "bf16" or "fp16".
    """

    def __init__(
        self,
        owner: str,
        build: Callable[[dict[str, Any]], nn.Module],
        *,
        lr_scale: float = 1.0,
        max_grad_norm: float = 0.0,
        amp: str | None = None,
    ) -> None:
        super().__init__(None)
        check_amp(owner, amp)
        check_training(owner, lr_scale, max_grad_norm)
        self.owner = owner
        self.notices = Notices(owner)
        self.build = build
        self.lr_scale = lr_scale
        self.max_grad_norm = max_grad_norm
        self.amp = amp
        self.scaler = PyTorchGradScaler(enabled=False)
        self._dropouts: list[nn.Dropout] = []
        self._undecayed: frozenset[str] = frozenset()

    # Building

    @property
    def module(self) -> nn.Module:
        """The module; raises ValueError before initialize or from_bytes."""
        if self._model is None:
            raise ValueError(f"{self.owner} has no weights yet: call nlp.initialize() or load a trained pipeline first.")
        return self._model

    @property
    def device(self) -> torch.device:
        return next((parameter.device for parameter in self.module.parameters()), get_torch_default_device())

    def create(self, cfg: dict[str, Any] | None = None) -> nn.Module:
        """Builds the module, its weights drawn from torch's global generator, which spaCy seeds."""
        self.cfg = dict(cfg or {})
        return self._adopt(self.build(self.cfg))

    @property
    def has_weights(self) -> bool:
        """Whether there is a module: after initialize or from_bytes."""
        return self._model is not None

    @property
    def is_quantized(self) -> bool:
        """Whether the module is one for inference alone."""
        return self._model is not None and QUANTIZED in self.cfg

    def quantize(self) -> list[str]:
        """Rounds the weights of the larger linear layers to 8 bits, and gives their names; after that nothing can be trained.

        Raises QuantizationError where that was done before.
        """
        if self.is_quantized:
            raise QuantizationError(f"{self.owner}: the weights are quantised already; quantise the original pipeline instead.")
        names = quantizable(self.module)
        if names:
            quantize_layers(self.module, names)
            self.cfg = {**self.cfg, QUANTIZED: names}
        return names

    def _adopt(self, module: nn.Module) -> nn.Module:
        self._model = module.to(get_torch_default_device())
        self._dropouts = [layer for layer in module.modules() if isinstance(layer, nn.Dropout)]
        self._undecayed = frozenset(undecayed(module))
        self.scaler = PyTorchGradScaler(enabled=self.amp == "fp16" and self.device.type == "cuda")
        self.scaler.to_(self.device)
        return self._model

    # Passes

    def set_dropout(self, rate: float) -> None:
        """Thinc's dropout rate becomes that of every nn.Dropout in the module."""
        for layer in self._dropouts:
            layer.p = rate

    @contextlib.contextmanager
    def running(self, is_train: bool) -> Iterator[Any]:
        """The module in training or evaluation mode, with or without gradients, in the precision asked for.

        Raises QuantizationError for training of a module that is quantised.
        """
        if is_train and self.is_quantized:
            advice = "train the original pipeline, and quantise the result"
            raise QuantizationError(f"{self.owner}: the weights are quantised and cannot be trained; {advice}.")
        module = self.module
        if module.training != is_train:  # which visits every part of it: noticeable on short texts
            module.train(is_train)
        with torch.set_grad_enabled(is_train), autocast(self.amp, self.device, self.notices), on_behalf_of(self.notices):
            yield module

    def backward(self, output: Tensor, gradient: Tensor | None, inputs: Tensor) -> Tensor:
        """One backward pass; gives the gradient of `inputs`, zeros where fp16 overflowed."""
        gradient = torch.ones_like(output) if gradient is None else gradient
        earlier = [(parameter, parameter.grad) for parameter in self.module.parameters() if parameter.grad is not None]
        for parameter, _ in earlier:
            parameter.grad = None  # what batches before this one have added up is unscaled already
        torch.autograd.backward([output], self.scaler.scale([gradient]))
        held = [p.grad for p in self.module.parameters() if p.grad is not None]
        input_gradient = inputs.grad if inputs.grad is not None else torch.zeros_like(inputs)
        if self.scaler.unscale([*held, input_gradient]):
            input_gradient.zero_()
        for parameter, sum_so_far in earlier:
            parameter.grad = sum_so_far if parameter.grad is None else parameter.grad.add_(sum_so_far)
        return input_gradient

    # Optimization

    def finish_update(self, optimizer: Optimizer) -> None:
        """One optimizer step over the weights that have a gradient, in place."""
        if self._model is None:
            return
        held = [(name, parameter) for name, parameter in self._model.named_parameters() if parameter.grad is not None]
        if held and self.lr_scale and not self.scaler.found_inf:
            if self.max_grad_norm:
                nn.utils.clip_grad_norm_([parameter for _, parameter in held], self.max_grad_norm)
            weights = [Weight(self.key(name), p.data, cast(Tensor, p.grad), name not in self._undecayed) for name, p in held]
            if can_fuse(optimizer, weights):
                fused_adam(optimizer, weights, self.lr_scale)
            else:
                self._step_one_by_one(optimizer, weights)
        for _, parameter in held:
            parameter.grad = None
        self.scaler.update()

    def _step_one_by_one(self, optimizer: Optimizer, weights: Sequence[Weight]) -> None:
        # Any function may stand for an optimizer, as the one by which `nlp.rehearse` collects gradients; it knows no scale.
        scale = {"lr_scale": self.lr_scale} if isinstance(optimizer, Optimizer) else {}
        decay = getattr(optimizer, "L2", 0.0)
        try:
            for key, values, gradient, decayed in weights:
                optimizer.L2 = decay if decayed else 0.0
                result, _ = optimizer(key, _floats(values), _floats(gradient), **scale)
                updated = xp2torch(result, device=values.device).view_as(values)
                if updated.data_ptr() != values.data_ptr():  # Thinc's optimizers work in place; others may not
                    values.copy_(updated)
        finally:
            optimizer.L2 = decay

    def key(self, name: str) -> tuple[int, str]:
        """A weight's key in the optimizer. Ids of Thinc models and shims overlap, hence the prefix."""
        return (self.id, f"torch:{name}")

    @contextlib.contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Puts averaged weights in place for a while."""
        found = self._model is not None and any(self.key(name) in params for name, _ in self._model.named_parameters())
        if not found:
            yield
            return
        weights = dict(self.module.named_parameters())
        backup = {name: weight.detach().clone() for name, weight in weights.items()}
        try:
            with torch.no_grad():
                for name, weight in weights.items():
                    if self.key(name) in params:
                        weight.copy_(xp2torch(params[self.key(name)], device=weight.device).view_as(weight))
            yield
        finally:
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(backup[name])

    def to_device(self, device_type: str, device_id: int) -> None:
        """Moves the module; Thinc calls it."""
        if self._model is not None:
            self._model.to("cpu" if device_type == "cpu" else f"cuda:{device_id}")
            self.scaler.to_(self.device)

    def copy(self) -> TorchShim:
        """A deep copy under an id of its own, so that an optimizer keeps separate state for it."""
        copied = copy.deepcopy(self)
        with Shim.global_id_lock:
            Shim.global_id += 1
            copied.id = Shim.global_id
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> TorchShim:
        copied = self.__class__.__new__(self.__class__)
        memo[id(self)] = copied
        # Gradients are per step and may hang on a graph, which cannot be copied.
        for name, value in self.__dict__.items():
            copied.__dict__[name] = value if name == "_model" else copy.deepcopy(value, memo)
        if self._model is not None:
            copied._adopt(copy.deepcopy(self._model))
        return copied

    # Serialization

    def to_bytes(self) -> bytes:
        """What the module was built from, and its weights."""
        return pack(self.cfg, self._model)

    def from_bytes(self, data: bytes) -> TorchShim:
        """Rebuilds the module and loads its weights; on an error everything stays as it was.

        Raises ModelDataError where the data are truncated, edited, or of a model with other settings.
        """
        saved = unpack(self.owner, data)
        if saved.weights is None:
            self.cfg, self._model = saved.cfg, None
            return self
        with torch.random.fork_rng(devices=[]):  # these draws are overwritten at once: they must not move the seed
            module = self._quantized(self.build(saved.cfg), saved.cfg.get(QUANTIZED, ()))
        load(self.owner, module, saved.weights)
        self.cfg = saved.cfg
        self._adopt(module)
        return self

    def _quantized(self, module: nn.Module, names: Sequence[str]) -> nn.Module:
        try:
            quantize_layers(module, names)
        except AttributeError as error:
            advice = "load it with the config that it was trained with"
            raise ModelDataError(f"{self.owner}: a quantised layer of the saved model is missing ({error}); {advice}.") from error
        return module


def _floats(tensor: Tensor) -> FloatsXd:
    """The same memory as an array for Thinc's optimizer, which takes no scalars."""
    return cast(FloatsXd, torch2xp(torch.atleast_1d(tensor)))


def shim_of(model: Model) -> TorchShim:
    """The shim of a model that this package made."""
    return cast(TorchShim, model.shims[0])


def undecayed(module: nn.Module) -> Iterator[str]:
    """Names of the weights that take no weight decay: vectors and scalars, and what a module lists in `no_weight_decay`."""
    listed = {id(p) for m in module.modules() for n, p in m.named_parameters(recurse=False) if n in getattr(m, "no_weight_decay", ())}
    for name, parameter in module.named_parameters():
        if parameter.ndim < 2 or id(parameter) in listed:
            yield name
