"""Mixed precision that never raises: resolved per device at run time, a no-op with one warning where it cannot help."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ..errors import check_choice
from ..notices import Notices

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_amp(owner: str, amp: str | None) -> None:
    """Raises SettingError unless `amp` is null, "bf16" or "fp16"."""
    if amp is not None:
        check_choice(owner, "amp", amp, DTYPES)


def supported(amp: str, device: torch.device) -> bool:
    """Whether the device multiplies matrices natively in this precision."""
    if device.type == "cuda":
        return amp == "fp16" or torch.cuda.is_bf16_supported()
    if device.type == "cpu" and amp == "bf16":
        probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(probe and probe())
    return False


def autocast(amp: str | None, device: torch.device, notices: Notices) -> AbstractContextManager[object]:
    """The autocast context for a pass on `device`; does nothing for null and, with one warning to `notices`, where there is no support."""
    if amp is None:
        return nullcontext()
    if not supported(amp, device):
        notices.once("amp", f"amp = {amp!r} has no native support on device {device.type!r}: running in float32.")
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[amp])
