"""`gadfly show`: the probes of a run as a table. Loads no model and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.cli.output import plain, print_json, progress, say, table
from gadfly.cli.parameters import AsJson, RunPhase
from gadfly.cli.reading import folder_and_phase
from gadfly.errors import ConfigError
from gadfly.plain_data import as_plain
from gadfly.store.phases import known_phase, phases_of

if TYPE_CHECKING:
    from gadfly.records import Probe, Verdict
    from gadfly.store.sqlite import SqliteStore


def show(
    run: RunPhase,
    verdict: Annotated[str | None, typer.Option(help="RIGHT, WRONG, INVALID or UNDECIDED.")] = None,
    skill: Annotated[str | None, typer.Option(help="Only probes that need this skill.")] = None,
    image: Annotated[str | None, typer.Option(help="Only this image: its path, its id, or the start of it.")] = None,
    contains: Annotated[str | None, typer.Option(help="Only questions that contain this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many: the newest, in their order.")] = 30,
    superseded: Annotated[bool, typer.Option("--superseded", help="Those too that a resume superseded.")] = False,
    as_json: AsJson = False,
) -> None:
    """The probes of a run, or of one phase of it, as a table."""
    from gadfly.cli.usage import print_usage
    from gadfly.records import Verdict
    from gadfly.sittings import usage_of
    from gadfly.store.sqlite import SqliteStore

    folder, phase = folder_and_phase(run)
    if verdict is not None and verdict.upper() not in Verdict.__members__:
        raise ConfigError(f"--verdict must be one of {', '.join(Verdict)}, not {verdict!r}")
    judged = None if verdict is None else Verdict(verdict.upper())
    wanted = _Wanted(phase, judged, skill, image, contains, superseded)
    with SqliteStore.open(folder, read_only=True) as store, progress("reading probes", passing=True) as bar:
        if phase is not None:
            known_phase(phase, phases_of(store), folder)
        counts = store.counts(phase, include_superseded=superseded)
        newest, matched = _newest(store, wanted, counts, limit, bar.update)
        usage = usage_of(store, phase)
        first_superseded = {a.attempt: a.step_limit(include_superseded=False) for a in store.attempts(phase)}
    rows = [(probe, probe.key.step >= first_superseded[probe.key.attempt]) for probe in newest]
    if as_json:
        print_json([{**as_plain(probe), "superseded": outside} for probe, outside in rows])
        return
    if rows:
        columns = ("probe", "image", "question", "answer", "expected", "verdict", "reason", "superseded")
        shown = len(columns) if superseded else len(columns) - 1
        cells = [(*_row(probe), "yes" if outside else "")[:shown] for probe, outside in rows]
        table(run, columns[:shown], cells, numeric=("verdict",))
    said = ", ".join(f"{count} {name.value}" for name, count in counts.items())
    of_phase = f" in {phase}" if phase else ""
    say(f"{len(rows)} of {matched} matching probes shown; the run has {sum(counts.values())} probes{of_phase}: {said}")
    if usage:
        say()
        print_usage({run: usage})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which probes; None is any."""

    phase: str | None
    verdict: Verdict | None
    skill: str | None
    image: str | None
    contains: str | None
    superseded: bool

    def among(self, store: SqliteStore) -> Iterator[Probe | None]:
        """The newest first; None for each that was looked at in vain."""
        for probe in store.probes(
            self.phase,
            verdict=self.verdict,
            skill=self.skill,
            include_superseded=self.superseded,
            newest_first=True,
        ):
            asked = self.contains is None or self.contains.casefold() in probe.question.casefold()
            yield probe if asked and self._is_about(probe) else None

    def _is_about(self, probe: Probe) -> bool:
        return self.image is None or any(self.image == i.path or i.id.startswith(self.image) for i in probe.images)

    def counted(self, counts: dict[Verdict, int]) -> int | None:
        """How many there are, where the store has counted them; None where they must be looked at."""
        if (self.skill, self.image, self.contains) != (None, None, None):
            return None
        return sum(counts.values()) if self.verdict is None else counts[self.verdict]


def _newest(
    store: SqliteStore,
    wanted: _Wanted,
    counts: dict[Verdict, int],
    limit: int,
    on_progress: Callable[[int, int], None],
) -> tuple[list[Probe], int]:
    """(the last `limit` of the probes that are wanted, in their order; how many are wanted). No more is read than that
    takes."""
    kept: list[Probe] = []
    total, matched = sum(counts.values()), 0
    known = wanted.counted(counts)
    for seen, probe in enumerate(wanted.among(store), start=1):
        if probe is not None:
            matched += 1
            if matched <= limit:
                kept.append(probe)
        if known is not None and matched == min(limit, known):
            break
        if seen % 1000 == 0:
            on_progress(seen, total)
    return kept[::-1], matched if known is None else known


def _row(probe: Probe) -> tuple[str, ...]:
    return (
        f"{probe.key.phase} {probe.key.step}.{probe.key.index}",
        plain(", ".join(image.path for image in probe.images), 40),
        plain(probe.question, 120),
        plain(probe.answer, 40) if probe.answer is not None else "–",
        plain(probe.judgement.expected or "–", 40),
        probe.verdict.value,
        plain(probe.judgement.reason or "", 60),
    )
