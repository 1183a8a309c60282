"""Loops in C++ that the kernels call on a CPU, where they were compiled when the package was installed; plain torch does the rest.

Each is a pass over flat tensors, in which sequences lie end to end, forward or backward. They know nothing of torch but where
the numbers lie, so that one build fits every version. Set SPACY_EMERGING_NATIVE=0 to do without them.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch
from torch import Tensor

from .fingerprint import fingerprint

FOLDER = Path(__file__).parent
REMEDY = "Install the package again: `make`, or `pip install -e .`."
SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}
VARIANTS = {"AVX512": ("_avx512", "_avx2"), "AVX2": ("_avx2",)}
"""Builds that fit what torch says of the processor, the best first; elsewhere there is one for all."""


def _load() -> ctypes.CDLL | None:
    if os.environ.get("SPACY_EMERGING_NATIVE") == "0":
        return None
    _share_threads()
    for variant in VARIANTS.get(torch.backends.cpu.get_cpu_capability(), ("_base",)):
        for suffix in EXTENSION_SUFFIXES:
            path = FOLDER / (variant + suffix)
            if path.exists():
                try:
                    library = ctypes.CDLL(str(path))
                except OSError:
                    continue
                if _belongs(library):
                    return library
                warnings.warn(f"{path} was compiled from other sources: spacy-emerging runs without it. {REMEDY}", stacklevel=2)
    return None


def _belongs(library: ctypes.CDLL) -> bool:
    """Whether the loops were compiled from the sources beside them. What a loop is told may have changed since."""
    try:
        made_of = library.fingerprint
    except AttributeError:
        return False
    made_of.restype = ctypes.c_char_p
    here = fingerprint(FOLDER)
    return not here or made_of() == here.encode()


def _share_threads() -> None:
    """Lets the loops run in the threads that torch has already: a second set of them would wait for work on the same processors."""
    for folder in (Path(torch.__file__).parent / "lib", Path(torch.__file__).parent.parent / "torch.libs"):
        for path in folder.glob("libgomp*"):
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


_library = _load()
_switched_off = False


def available() -> bool:
    """Whether the loops were compiled for this processor."""
    return _library is not None


def usable(first: Tensor, *others: Tensor | None) -> bool:
    """Whether the loops can run on these tensors, and on those among them that there are: on the CPU, all in float32 or all in float64."""
    if _library is None or _switched_off or first.dtype not in SUFFIXES:
        return False
    return all(t is None or (t.device.type == "cpu" and t.dtype == first.dtype) for t in (first, *others))


@contextmanager
def switched_off() -> Iterator[None]:
    """Plain torch inside: for comparisons."""
    global _switched_off
    before, _switched_off = _switched_off, True
    try:
        yield
    finally:
        _switched_off = before


def workspace(name: str, like: Tensor, *shape: int) -> Tensor:
    """An array that is kept from call to call, for numbers that nothing reads after the call: each thread has its own under each name.

    Fresh memory costs more than the loops that fill it. Arrays beyond LARGEST bytes are not kept.
    """
    count = math.prod(shape)
    if count * like.element_size() > LARGEST:
        return like.new_empty(shape)
    kept = _own.__dict__
    key = f"{name} {like.dtype}"
    if key not in kept or kept[key].numel() < count:
        with torch.inference_mode(False):  # what is made in that mode may not be written outside of it
            kept[key] = torch.empty(count, dtype=like.dtype, device="cpu")
    return kept[key][:count].view(shape)


def in_lines(name: str | None, like: Tensor, rows: int, width: int) -> Tensor:
    """(rows, width), each row at the beginning of a line of the cache: vectors then lie in one line each. name: of a workspace, if any."""
    row = row_of_lines(like, width)
    whole = like.new_empty(rows, row) if name is None else workspace(name, like, rows, row)
    return whole[:, :width]


def row_of_lines(like: Tensor, width: int) -> int:
    """Numbers from row to row of such an array."""
    numbers = LINE // like.element_size()
    return -(-width // numbers) * numbers


def spread_row(like: Tensor, width: int) -> int:
    """The same, an odd number of lines: as `spread` in simd.h."""
    numbers = LINE // like.element_size()
    return (-(-width // numbers) | 1) * numbers


def summed(parts: Tensor) -> Tensor:
    """(threads, ...) to (...): what each thread has found, together."""
    return parts[0] if len(parts) == 1 else parts.sum(0)


LINE = 64
"""Bytes of a line of the cache, and where torch's arrays begin."""

LARGEST = 1 << 26
"""64 MB: the arrays of some 30,000 tokens at width 256."""

_own = threading.local()


def run(name: str, *arguments: Tensor | int | float | None) -> None:
    """Calls a loop. Tensors go as the address of their first number, and the loop is told by whole numbers how they lie.

    The first argument is a tensor, by whose type the loop for float32 or for float64 is taken. The last argument of every
    loop, the number of threads, is added here.
    """
    first = arguments[0]
    assert _library is not None and isinstance(first, Tensor)
    loop = getattr(_library, f"{name}_{SUFFIXES[first.dtype]}")
    if loop.argtypes is None:  # told once, so that calls pass plain numbers: tiny texts would wait longer for ctypes than for the loops
        loop.restype, loop.argtypes = None, [*map(_kind, arguments), ctypes.c_long]
    loop(*(each.data_ptr() if isinstance(each, Tensor) else each for each in arguments), torch.get_num_threads())


def _kind(argument: Tensor | int | float | None) -> type[ctypes._SimpleCData]:
    """What an argument is in C. Tensors may be missing, numbers may not."""
    if argument is None or isinstance(argument, Tensor):
        return ctypes.c_void_p
    return ctypes.c_double if isinstance(argument, float) else ctypes.c_long
