"""`gadfly modes`: the failure modes to read first, each with an example. Asks no model anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.analysis.figures import rate_text
from gadfly.cli.output import plain, print_json, say, table
from gadfly.cli.parameters import AsJson, MovedImages, RunPhase
from gadfly.cli.phases import Stages, read_phase
from gadfly.cli.wording import NOTHING, answer_text, no_mode_text, place_text
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gadfly.analysis.modes import ModeSearch
    from gadfly.analysis.reading_order import Reading
    from gadfly.phase_findings import Phase
    from gadfly.records import Probe, ProbeKey


def modes(
    run: RunPhase,
    top: Annotated[int, typer.Option(min=1, help="How many modes, at most.")] = 10,
    images: MovedImages = None,
    as_json: AsJson = False,
) -> None:
    """Say which failure modes to read first, with examples. Each next one is the one that explains most WRONG answers
    which none before it did. Modes that were not borne out by other images are left out. Analyses first where that was
    not done yet, or there are new probes."""
    with Stages() as stages:
        phase = read_phase(run, images, stages)
        search = phase.search()
        order = phase.reading(search)
    _print(phase, search, order, {probe.key: probe for probe in phase.wrong}, top, as_json)


def _print(
    phase: Phase,
    search: ModeSearch,
    order: Sequence[Reading],
    wrong: Mapping[ProbeKey, Probe],
    top: int,
    as_json: bool,
) -> None:
    shown = order[:top]
    if as_json:
        data = [
            {**as_plain(one), "example": as_plain(wrong[one.example]), "share": one.explained / one.n} for one in shown
        ]
        where = {"run": str(phase.run), "phase": phase.name}
        print_json({**where, "n_wrong": len(wrong), "reason": search.reason, "modes": data})
        return
    if not shown:
        say(f"No failure mode: {no_mode_text(search)}.")
        return
    columns = ("", "failure mode", "failure rate", "n", "new failures", "so far", "known or new", "asked afresh")
    rows = [(f"{i}", *_row(one)) for i, one in enumerate(shown, start=1)]
    table("failure modes to read first (95% interval)", columns, rows, numeric=columns[2:6])
    say()
    examples = [(f"{i}", *_example(wrong[one.example])) for i, one in enumerate(shown, start=1)]
    table("for example", ("", "probe", "question", "answer", "expected"), examples, numeric=("probe",))
    last = shown[-1]
    say(f"They explain {last.explained:,} of {last.n:,} WRONG answers, {last.explained / last.n:.0%}.")
    if len(order) > len(shown):
        say(
            f"{len(order) - len(shown)} more explain {order[-1].explained - last.explained:,} others; --top shows them."
        )
    if nothing_new := sum(mode.held_up is True for mode in search.modes) - len(order):
        say(f"{nothing_new} further modes explain nothing that these do not.")
    if fallen := sum(mode.held_up is not True for mode in search.modes):
        say(f"{fallen} more were found, but are not borne out by other images; `gadfly analyze` names them.")


def _row(one: Reading) -> tuple[str, ...]:
    mode = one.mode
    afresh = mode.confirmation.value
    if mode.confirmed_failure is not None and mode.confirmed_failure.value is not None:
        afresh += f", {mode.confirmed_failure.value:.0%} of {mode.confirmed_failure.n}"
    novelty = "–" if mode.novelty is None else mode.novelty.value
    figures = (str(mode.failure.n), f"{one.new:,}", f"{one.explained / one.n:.0%}")
    return mode.name, rate_text(mode.failure), *figures, novelty, afresh


def _example(probe: Probe) -> tuple[str, ...]:
    expected = NOTHING if probe.judgement.expected is None else plain(probe.judgement.expected, 40)
    return place_text(probe), plain(probe.question, 120), answer_text(probe), expected
