"""`gadfly transfer`: puts a run's questions to other targets, and says which failure modes are universal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.analysis.figures import rate_text
from gadfly.cli.options import limits, with_given
from gadfly.cli.output import print_json, progress, say, table
from gadfly.cli.parameters import AsJson, MaxCalls, MaxCost, MaxTime, MovedImages, RunPhase
from gadfly.cli.phases import Stages, read_phase
from gadfly.cli.remarks import warn_of_one_model_for_two
from gadfly.cli.targets import other_targets
from gadfly.cli.wording import no_mode_text
from gadfly.errors import BudgetSpent, ConfigError
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gadfly.analysis.transfer import ModeTransfer
    from gadfly.model_config import TargetConfig
    from gadfly.phase_findings import Phase
    from gadfly.records import Probe
    from gadfly.wiring import Wiring

Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--targets",
        help="Other targets: bundled names, folders, hub ids, NAME@URL of a served one, or TOML files with the "
        "settings of a target. Several may follow.",
    ),
]
MoreTargets = Annotated[
    list[str] | None, typer.Argument(metavar="TARGET", help="More of them, with or without --targets.")
]


def transfer(
    run: RunPhase,
    more: MoreTargets = None,
    targets: Targets = None,
    images: MovedImages = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    as_json: AsJson = False,
) -> None:
    """Put a run's questions to other targets. It tells universal failure modes from those of the run's own target. Each
    target's answers are a phase of their own, PHASE.transfer.NAME; given again, what was asked is not asked anew."""
    from gadfly.analysis.transfer import transfers
    from gadfly.wiring import Wiring

    wanted = [*(targets or ()), *(more or ())]
    if not wanted:
        raise ConfigError("name other targets: --targets followed by folders, hub ids, NAME@URL or TOML files")
    with Stages() as stages:
        phase = read_phase(run, images, stages)
        others = other_targets(wanted, phase.wiring.config.target)
        wiring = Wiring(with_given(phase.wiring.config, limits(max_calls, max_cost, max_time)))
        answered, limit = _ask(phase, wiring, others)
        search = phase.search()
        held = [mode for mode in search.modes if mode.held_up]
        result = transfers(held, phase.probes, phase.items_of(), answered)
    written = {"of": phase.stamp, "targets": list(answered), "modes": as_plain(result)}
    path = phase.folder.write_part("transfer", written)
    if as_json:
        where = {"run": str(phase.run), "phase": phase.name, "reason": search.reason}
        print_json({**where, **written, "ended_by_limit": limit, "file": str(path)})
        return
    if not held:
        say(f"No failure mode to compare: {no_mode_text(search)}.")
    else:
        _print(phase, result, answered)
    if limit is not None:
        say(f"A limit ended it before it was done: {limit}. The same command with a higher one goes on.")
    for name in answered:
        say(f"The answers of {name} are the phase {phase.name}.transfer.{name}.")
    say(f"  {path}")


def _ask(
    phase: Phase, wiring: Wiring, others: Mapping[str, TargetConfig]
) -> tuple[dict[str, Sequence[Probe]], str | None]:
    """(the probes of each target, in order; which limit ended it, None where none did)."""
    from gadfly import followups
    from gadfly.cli.summary import sweep_line
    from gadfly.store.sqlite import SqliteStore

    answered: dict[str, Sequence[Probe]] = {}
    limit = None
    with SqliteStore.open(phase.run) as store, progress("asking") as bar:
        for name, target in others.items():
            again = f"{phase.name}.transfer.{name}"
            one = wiring.with_target(target)
            warn_of_one_model_for_two(one.config)
            try:
                followups.transfer(
                    one,
                    store,
                    source=phase.name,
                    phase=again,
                    on_progress=lambda done, total, counts, name=name: bar.update(  # type: ignore[misc]
                        done, total, sweep_line(counts), f"asking {name}"
                    ),
                )
            except BudgetSpent as spent:
                limit = str(spent)
            except KeyboardInterrupt:
                raise KeyboardInterrupt("; what was answered is kept, and the same command goes on") from None
            answered[name] = list(store.probes(again))
            if limit is not None:
                break
    return answered, limit


def _print(phase: Phase, found: Sequence[ModeTransfer], answered: Mapping[str, Sequence[Probe]]) -> None:
    from gadfly.analysis.transfer import Reach, least_telling_z

    columns = ("", "failure mode", "n", "own target", *answered, "z", "p", "")
    rows = [
        (
            f"{i}",
            one.name,
            str(one.own.failure.n),
            rate_text(one.own.failure),
            *(rate_text(other.failure) for other in one.others.values()),
            "–" if one.standing.z is None else f"{one.standing.z:+.1f}",
            "–" if one.standing.p is None else f"{one.standing.p:.2g}",
            one.reach.value,
        )
        for i, one in enumerate(found, start=1)
    ]
    table("failure rates on the modes (95% interval)", columns, rows, numeric=columns[2:-1])
    say()
    elsewhere = [
        (f"{i}", _percent(one.own.elsewhere.value), *(_percent(o.elsewhere.value) for o in one.others.values()))
        for i, one in enumerate(found, start=1)
    ]
    table("and elsewhere", ("", "own target", *answered), elsewhere, numeric=("own target", *answered))
    said = [f"{sum(one.reach is reach for one in found)} {reach.value}" for reach in Reach]
    say(f"Of {len(found)} modes of {phase.title}: {', '.join(said)}.")
    least = least_telling_z(len(answered))
    if least is None:
        say("z, the deviation of the own target's excess from the others', needs two other targets at least.")
    else:
        say(f"With {len(answered)} other targets, z tells something (p below 0.05) from {least:.1f} on, up or down.")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
