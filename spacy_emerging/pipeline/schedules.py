"""Learning rates over the steps of a training."""

from __future__ import annotations

from collections.abc import Iterable

from thinc.schedules import constant, warmup_linear

from ..errors import SettingError, check_whole

OWNER = "spacy-emerging.WarmupLinear.v1"


def WarmupLinear(initial_rate: float, warmup_steps: int, total_steps: int | str) -> Iterable[float]:
    """A rate that rises to `initial_rate` in `warmup_steps` and falls to zero at `total_steps`, like `warmup_linear.v1`.

    total_steps: a number, or in a config a variable such as `${training.max_steps}`. `spacy train` puts its value in; where spaCy makes an
    optimizer of a pipeline's own config (`nlp.resume_training`, `nlp.initialize`, `spacy debug data`), it leaves variables as they
    stand, and nobody knows how many steps there will be: the rate then is `initial_rate` throughout, also for programs that never call
    `optimizer.step_schedules`.
    Raises SettingError for another text or number.
    """
    check_whole(OWNER, "warmup_steps", warmup_steps, at_least=0)
    if not isinstance(total_steps, str):
        check_whole(OWNER, "total_steps", total_steps, at_least=0)
        return warmup_linear(initial_rate, warmup_steps, total_steps)
    if not (total_steps.startswith("${") and total_steps.endswith("}")):
        raise SettingError(f"{OWNER}: setting 'total_steps' is {total_steps!r}, but must be a whole number or a variable.")
    return constant(initial_rate)
