"""`gadfly confirm`: asks afresh about each failure mode, on images that were never asked about, and says what holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.analysis.figures import rate_text
from gadfly.cli.options import limits, with_given
from gadfly.cli.output import plain, print_json, progress, say, table
from gadfly.cli.parameters import AsJson, MaxCalls, MaxCost, MaxTime, RunPhase
from gadfly.cli.phases import Stages, read_phase
from gadfly.cli.remarks import warn_of_one_model_for_two
from gadfly.cli.wording import no_mode_text
from gadfly.errors import BudgetSpent
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gadfly.analysis.findings import Findings
    from gadfly.analysis.modes import Mode
    from gadfly.confirming import Confirming
    from gadfly.phase_findings import Phase
    from gadfly.wiring import Wiring

FreshImages = Annotated[
    str | None, typer.Option("--images", help="Folder of fresh images; the run's own, as far as unused, if left out.")
]


def confirm(
    run: RunPhase,
    images: FreshImages = None,
    per_mode: Annotated[int, typer.Option(min=1, help="Questions asked for each mode, at most.")] = 60,
    valid: Annotated[int, typer.Option(min=30, help="Valid ones wanted for each: more give a narrower interval.")] = 30,
    max_modes: Annotated[int, typer.Option(min=1, help="How many modes, at most; those that held up first.")] = 20,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    as_json: AsJson = False,
) -> None:
    """Ask afresh about each failure mode, on fresh images. What is asked are its own questions and paraphrases of them.
    A mode is confirmed by 30 valid probes about 20 images with a failure rate reliably above the phase's own; what does
    not hold is kept and marked. Given again, it goes on where it ended."""
    from gadfly.followups import to_confirm

    with Stages() as stages:
        phase = read_phase(run, None, stages)
        found = phase.analyse()
        files = [str(path) for path in phase.write(found)]
        modes = sorted(found.search.modes, key=lambda mode: mode.held_up is not True)[:max_modes]
        if not modes:
            _print(phase, found, modes, None, files, as_json)
            return
        wiring = _wiring(phase, images, max_calls, max_cost, max_time)
        how = to_confirm(phase, modes, wiring, per_mode=per_mode, per_mode_valid=valid)
        limit = _ask(phase, modes, wiring, how)
        phase = read_phase(phase.title, None, stages)
        found = phase.with_confirmations(found, wiring)
    files = [str(path) for path in phase.write(found)]
    wanted = {mode.id for mode in modes}
    _print(phase, found, [mode for mode in found.search.modes if mode.id in wanted], limit, files, as_json)
    if how.paraphraser is None and not as_json:
        say("Nobody can reword questions here: neither the testbed's grammar nor a questioner that takes texts alone.")


def _wiring(
    phase: Phase, images: str | None, max_calls: int | None, max_cost: float | None, max_time: float | None
) -> Wiring:
    from gadfly.wiring import Wiring

    given = {"images.path": images, **limits(max_calls, max_cost, max_time)}
    config = with_given(phase.wiring.config, given)
    warn_of_one_model_for_two(config)
    return Wiring(config)


def _ask(phase: Phase, modes: Sequence[Mode], wiring: Wiring, how: Confirming) -> str | None:
    """Which limit ended it, None where none did."""
    from gadfly import followups
    from gadfly.store.sqlite import SqliteStore

    try:
        with SqliteStore.open(phase.run) as store, progress("asking afresh") as bar:
            followups.confirm(
                wiring, store, modes, how, source=phase.name, phase=f"{phase.name}.confirm", on_progress=bar.update
            )
    except BudgetSpent as spent:
        return str(spent)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("; what was asked is kept, and the same command goes on from there") from None
    return None


def _print(
    phase: Phase, found: Findings, modes: Sequence[Mode], limit: str | None, files: Sequence[str], as_json: bool
) -> None:
    from gadfly.analysis.modes import Confirmation

    counts = {one.value: sum(mode.confirmation is one for mode in modes) for one in Confirmation}
    if as_json:
        print_json(
            {
                "run": str(phase.run),
                "phase": phase.name,
                "confirming_phase": f"{phase.name}.confirm",
                "n_asked": len(phase.confirming),
                "base": as_plain(found.failure),
                "reason": found.search.reason,
                "counts": counts,
                "modes": as_plain(modes),
                "ended_by_limit": limit,
                "files": list(files),
            }
        )
        return
    if not modes:
        say(f"{phase.title} has no failure modes to confirm: {no_mode_text(found.search)}.")
        return
    columns = ("", "failure mode", "as found", "afresh", "n", "images", "paraphrases", "")
    rows = [(f"{i}", *_row(mode)) for i, mode in enumerate(modes, start=1)]
    table("failure modes asked about afresh (95% interval)", columns, rows, numeric=columns[2:7])
    say(
        f"{counts['confirmed']} of {len(modes)} are confirmed. The base rate that a lower bound must be above is the "
        f"failure rate of {phase.title}: {rate_text(found.failure)}, n {found.failure.n}."
    )
    for mode in modes:
        reason = "no valid fresh probe" if mode.confirming is None else mode.confirming.reason
        if reason is not None:
            say(f"  {plain(mode.name)}: {reason}")
    if len(found.search.modes) > len(modes):
        say(
            f"{len(found.search.modes) - len(modes)} further modes were not asked about; --max-modes sets how many are."
        )
    if limit is not None:
        say(f"A limit ended it before it was done: {limit}. The same command with a higher one goes on.")
    say(f"The probes are the phase {phase.name}.confirm of {phase.run}.")


def _row(mode: Mode) -> tuple[str, ...]:
    new, rests_on = mode.confirmed_failure, mode.confirming
    if new is None or rests_on is None:
        return mode.name, rate_text(mode.failure), "–", "0", "0", "0", mode.confirmation.value
    figures = (str(new.n), str(rests_on.images), str(rests_on.paraphrased))
    return mode.name, rate_text(mode.failure), rate_text(new), *figures, mode.confirmation.value
