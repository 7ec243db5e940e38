"""The phase that RUN or RUN:PHASE means, read to be analysed, with a bar for each stage of that. Analyses nothing."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, final

from gadfly.cli.output import progress, remark
from gadfly.cli.reading import folder_and_phase, one_phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from gadfly.cli.output import Bar
    from gadfly.config import Config
    from gadfly.phase_findings import Phase


@final
class Stages:
    """A context in which phases are read and analysed. A stage has its bar from the first word about it until it is
    done, another one begins, or there is something to remark; whatever ends the context, no bar outlasts it."""

    def __init__(self) -> None:
        self._showing = ExitStack()
        self._shown: tuple[str, Bar] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def update(self, done: int, total: int, stage: str) -> None:
        if self._shown is None or self._shown[0] != stage:
            self._end()
            from gadfly.phase_findings import MEASURING

            self._shown = stage, self._showing.enter_context(progress(stage, passing=stage != MEASURING))
        self._shown[1].update(done, total)
        if done >= total:
            self._end()

    def remark(self, message: str) -> None:
        self._end()
        remark(message)

    def _end(self) -> None:
        self._showing.close()
        self._shown = None


def read_phase(run: str, images: str | None, stages: Stages, change: Callable[[Config], Config] | None = None) -> Phase:
    """As `phase_findings.read_phase`. Raises StoreError, ConfigError."""
    from gadfly import phase_findings
    from gadfly.store.sqlite import SqliteStore

    folder, wanted = folder_and_phase(run)
    with SqliteStore.open(folder, read_only=True) as store:
        return phase_findings.read_phase(
            store,
            folder,
            one_phase(store, wanted, folder),
            images=images,
            change=change,
            on_progress=stages.update,
            on_remark=stages.remark,
        )
