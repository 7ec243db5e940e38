"""Remarks that several commands make on standard error before they begin. Stops nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gadfly.cli.output import remark

if TYPE_CHECKING:
    from gadfly.config import Config
    from gadfly.images.folder import FolderSource

MAX_SKIPPED_SHOWN = 10


def say_skipped(source: FolderSource) -> None:
    """Name the files that were left out: the first ten, and how many more."""
    for skipped in source.skipped[:MAX_SKIPPED_SHOWN]:
        remark(f"left out {skipped.path}: {skipped.reason}")
    if len(source.skipped) > MAX_SKIPPED_SHOWN:
        remark(f"and {len(source.skipped) - MAX_SKIPPED_SHOWN} more; --dry-run lists them all")


def warn_of_one_model_for_two(config: Config) -> None:
    """Say it where verifier and target are one model."""
    from gadfly.config_checks import ONE_MODEL_FOR_TWO, judges_itself

    if judges_itself(config):
        remark(ONE_MODEL_FOR_TWO)
