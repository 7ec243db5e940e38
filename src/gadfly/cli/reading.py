"""`gadfly show` and `gadfly compare`: what is in a run's store, as tables. Loads no model and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.cli.commands import AsJson
from gadfly.cli.output import as_plain, plain, print_json, progress, say, table
from gadfly.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from gadfly.records import Probe, Usage
    from gadfly.store.sqlite import SqliteStore


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Run folders, or RUN:PHASE for one phase of it.")],
    as_json: AsJson = False,
) -> None:
    """Rates, distinct skills and combinations of several runs side by side, at equal numbers of probes. A run with
    several phases has a row for each."""
    from gadfly.cli.usage import usage_of
    from gadfly.store.sqlite import SqliteStore

    probes: dict[str, list[Probe]] = {}
    usages: dict[str, dict[str, Usage]] = {}
    with progress("reading runs", passing=True) as bar:
        for i, spec in enumerate(runs):
            folder, phase = folder_and_phase(spec)
            with SqliteStore.open(folder, read_only=True) as store:
                phases = phases_of(store)
                wanted = [known_phase(phase, phases, folder)] if phase is not None else phases
                for one in wanted:
                    name = str(folder) if phase is None and len(wanted) == 1 else f"{folder}:{one}"
                    if found := list(store.probes(one)):
                        probes[name], usages[name] = found, usage_of(store, one)
            bar.update(i + 1, len(runs))
    if not probes:
        raise StoreError(f"there are no probes in {', '.join(runs)} yet")
    from gadfly.cli.findings import print_comparison

    print_comparison(probes, as_json, usages)


def show(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    phase: Annotated[str | None, typer.Option(help="train, sweep, …; all phases if left out.")] = None,
    verdict: Annotated[str | None, typer.Option(help="RIGHT, WRONG, INVALID or UNDECIDED.")] = None,
    skill: Annotated[str | None, typer.Option(help="Only probes that need this skill.")] = None,
    image: Annotated[str | None, typer.Option(help="Only this image: its path, its id, or the start of it.")] = None,
    contains: Annotated[str | None, typer.Option(help="Only questions that contain this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many: the newest, in their order.")] = 30,
    superseded: Annotated[bool, typer.Option("--superseded", help="Those too that a resume superseded.")] = False,
    as_json: AsJson = False,
) -> None:
    """The probes of a run as a table."""
    from gadfly.cli.usage import print_usage, usage_of
    from gadfly.records import Verdict
    from gadfly.store.sqlite import SqliteStore

    if verdict is not None and verdict.upper() not in Verdict.__members__:
        raise ConfigError(f"--verdict must be one of {', '.join(Verdict)}, not {verdict!r}")
    wanted = Verdict(verdict.upper()) if verdict is not None else None
    with SqliteStore.open(run_folder, read_only=True) as store, progress("reading probes", passing=True) as bar:
        if phase is not None:
            known_phase(phase, phases_of(store), run_folder)
        counts = store.counts(phase, include_superseded=superseded)
        total, seen, matched = sum(counts.values()), 0, 0

        def matching(found: Iterable[Probe]) -> Iterator[Probe]:
            nonlocal seen, matched
            for seen, probe in enumerate(found, start=1):
                if _about(probe, image) and (contains is None or contains.casefold() in probe.question.casefold()):
                    matched += 1
                    yield probe
                if seen % 1000 == 0:
                    bar.update(seen, total)

        usage = usage_of(store, phase)
        found = matching(
            store.probes(phase, verdict=wanted, skill=skill, include_superseded=superseded, newest_first=True)
        )
        newest = list(islice(found, limit))
        if skill is None and image is None and contains is None:  # counted already, by verdict
            matched = total if wanted is None else counts[wanted]
        else:
            for _ in found:
                pass
        first_superseded = {a.attempt: a.step_limit(include_superseded=False) for a in store.attempts(phase)}
    probes = newest[::-1]
    outside = [probe.key.step >= first_superseded[probe.key.attempt] for probe in probes]
    if as_json:
        print_json([{**as_plain(p), "superseded": is_outside} for p, is_outside in zip(probes, outside, strict=True)])
        return
    if probes:
        columns = ["probe", "image", "question", "answer", "expected", "verdict", "reason"]
        rows = [_row(p) for p in probes]
        if superseded:
            columns.append("superseded")
            rows = [(*row, "yes" if is_outside else "") for row, is_outside in zip(rows, outside, strict=True)]
        table(str(run_folder), columns, rows, numeric=("verdict",))
    said = ", ".join(f"{count} {name.value}" for name, count in counts.items())
    of_phase = f" in {phase}" if phase else ""
    say(f"{len(probes)} of {matched} matching probes shown; the run has {total} probes{of_phase}: {said}")
    if usage:
        say()
        print_usage({str(run_folder): usage})


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


def _about(probe: Probe, image: str | None) -> bool:
    return image is None or any(image == i.path or i.id.startswith(image) for i in probe.images)


def folder_and_phase(spec: str) -> tuple[Path, str | None]:
    """RUN or RUN:PHASE; a folder may have a colon in its name."""
    folder, colon, phase = spec.rpartition(":")
    return (Path(spec), None) if Path(spec).is_dir() or not colon else (Path(folder), phase)


def phases_of(store: SqliteStore) -> list[str]:
    """The phases of a run in the order in which they were begun."""
    return list(dict.fromkeys(a.phase for a in sorted(store.attempts(), key=lambda a: a.attempt)))


def known_phase(phase: str, phases: list[str], folder: Path) -> str:
    if phase not in phases:
        raise StoreError(f"{folder} has no phase {phase!r}; it has {', '.join(phases) or 'none yet'}")
    return phase


def one_phase(store: SqliteStore, wanted: str | None, folder: Path) -> str:
    """The phase that is meant: the one named, or the only one that judges no other one's questions again. Raises
    StoreError where there is none such, or several."""
    phases = phases_of(store)
    if wanted is not None:
        return known_phase(wanted, phases, folder)
    again = {replay.phase for replay in store.replays()}
    own = [phase for phase in phases if phase not in again]
    if len(own) == 1:
        return own[0]
    said = f"say which: {', '.join(f'{folder}:{phase}' for phase in own)}" if own else "it has no probes yet"
    raise StoreError(f"{folder} has {len(own)} phases; {said}")
