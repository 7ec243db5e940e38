"""Keeps trl from things that it does unasked. Knows nothing of training."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants as hub


@contextmanager
def quiet_trl() -> Iterator[None]:
    """Within it trl's trainers do not report their use to the Hub (a run on private images should call nobody), and
    do not print a whole row, picture and prompt, for each step that has an UNDECIDED probe."""
    log, reported = logging.getLogger("trl.trainer.grpo_trainer"), hub.HF_HUB_DISABLE_TELEMETRY
    hub.HF_HUB_DISABLE_TELEMETRY = True
    log.addFilter(_worth_printing)
    try:
        with warnings.catch_warnings():
            # trl and peft still ask by the old name, at every step.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            yield
    finally:
        log.removeFilter(_worth_printing)
        hub.HF_HUB_DISABLE_TELEMETRY = reported


def _worth_printing(record: logging.LogRecord) -> bool:
    return "All reward functions returned None" not in record.getMessage()
