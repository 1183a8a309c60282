"""Which implementation of a kernel runs: plain torch, or the vendors' CUDA kernels."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Literal

from torch import Tensor

from ..errors import SettingError, check_choice
from ..notices import Notices, current

BACKENDS: tuple[str, ...] = ("auto", "torch", "cuda")


@cache
def importable(module: str) -> bool:
    """Whether `module` can be imported here. It is really imported, since a vendor's package may be there but built for another torch."""
    try:
        import_module(module)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def choose(backend: str, module: str, tensor: Tensor, training: bool) -> Literal["torch", "cuda"]:
    """The implementation to run for `tensor`.

    backend: "torch" is always plain torch; "cuda" is the vendors' kernels; "auto" is those where they can run, else torch.
    module: the vendors' Python module that holds the kernels. It is not imported unless `tensor` is on a GPU.
    training: a pipeline that was trained with "cuda" still predicts without a GPU (each layer warns once), but does not train on unnoticed.
    Raises SettingError for an unknown backend, and for "cuda" in training where the kernels cannot run.
    """
    owner = current(otherwise=BARE)
    check_choice(owner.owner, "backend", backend, BACKENDS)
    if backend == "torch":
        return "torch"
    if tensor.is_cuda and importable(module):
        return "cuda"
    if backend == "cuda":
        _without_kernels(owner, module, tensor.is_cuda, training)
    return "torch"


BARE = Notices("encoder")
"""Stands for the layer where a module runs outside of one."""


def _without_kernels(owner: Notices, module: str, on_gpu: bool, training: bool) -> None:
    reason = f"the module '{module}' cannot be imported" if on_gpu else "the tensors are not on a GPU"
    remedy = (
        f"setting 'backend' is 'cuda', which needs the module '{module}' and a GPU, but {reason}: "
        'install it with `pip install spacy-emerging[cuda]` and train with `--gpu-id 0`, or set backend = "auto"'
    )
    if training:
        raise SettingError(f"{owner.owner}: {remedy}.")
    owner.once(module, f"{remedy}. Predicting with plain torch, which gives the same results more slowly.")
