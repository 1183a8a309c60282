"""Quantisation of whole pipelines: every layer of this package in every component."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.language import Language
from thinc.api import Model

from ..bridge.shim import TorchShim
from ..errors import QuantizationError


def quantize_pipeline(nlp: Language) -> int:
    """Rounds the weights of the larger linear layers to 8 bits, in place, and gives the number of these layers.

    Raises QuantizationError where there is nothing that can be quantised, or where that was done before; all is then as it was.
    """
    shims = list(_trained(nlp))
    if not shims:
        names = ", ".join(nlp.component_names) or "none"
        raise QuantizationError(f"The pipeline has no trained component of spacy-emerging to quantise (its components: {names}).")
    for shim in shims:
        if shim.is_quantized:
            raise QuantizationError(f"{shim.owner}: the weights are quantised already; quantise the original pipeline instead.")
    layers = sum(len(shim.quantize()) for shim in shims)
    if not layers:
        raise QuantizationError("The pipeline has no linear layer that is wide enough for quantisation to gain anything; use it as it is.")
    return layers


def _trained(nlp: Language) -> Iterator[TorchShim]:
    """Every shim with weights, once, disabled components included."""
    seen = set()
    for _, component in nlp.components:
        model = getattr(component, "model", None)
        for layer in model.walk() if isinstance(model, Model) else ():
            for shim in layer.shims:
                if isinstance(shim, TorchShim) and shim.has_weights and id(shim) not in seen:
                    seen.add(id(shim))
                    yield shim
