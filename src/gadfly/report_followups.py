"""What was done with a phase after it was asked, for its report: labels, the null, other targets.

Reads the store and calls analysis; computes nothing and prints nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from gadfly.analysis.audit import audit, corrected_elsewhere
from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.analysis.confirmation import ItemsOf
from gadfly.analysis.modes import ModeSearch
from gadfly.analysis.rates import distinct, rates
from gadfly.analysis.transfer import least_telling_z, on_same_questions, transfers
from gadfly.records import Probe, ProbeKey, Verdict
from gadfly.replay import is_unparsable
from gadfly.report.material import Labelled, NoiseFloor, OtherTarget, Transferred
from gadfly.store.phases import own_phases, phases_of
from gadfly.store.sqlite import SqliteStore


def labelled(store: SqliteStore, phase: str, probes: Sequence[Probe]) -> tuple[Labelled, ...]:
    """What each labeller says of the verifier, who labelled most first. Of one who labelled probes of other phases only
    those count, unless the phase or the other one judges anew: that was another verifier."""
    drawn: dict[tuple[str, str], dict[ProbeKey, Verdict]] = {}
    for one in store.labels():
        if one.drawn:
            drawn.setdefault((one.labeller, one.key.phase), {})[one.key] = one.verdict
    own = set(own_phases(store))
    here = {labeller for labeller, where in drawn if where == phase}
    found = []
    for (labeller, where), said in drawn.items():
        if where == phase:
            of = audit(probes, said, bootstrap_rng(), is_unparsable)
            found.append(Labelled(labeller, where, of, of.corrected, said))
        elif labeller not in here and {phase, where} <= own:
            theirs = list(store.probes(where))
            of = audit(theirs, said, bootstrap_rng(), is_unparsable)
            corrected = corrected_elsewhere(theirs, said, probes, bootstrap_rng(), is_unparsable)
            found.append(Labelled(labeller, where, of, corrected, said))
    places = {name: i for i, name in enumerate([phase, *phases_of(store)])}
    return tuple(sorted(found, key=lambda one: (places[one.phase], -len(one.said), one.labeller)))


def noise_floor(store: SqliteStore, phase: str) -> NoiseFloor | None:
    """What the verifier makes of its own answers (`gadfly audit --null`); None where it was not asked."""
    for replay in store.replays():
        if (replay.kind, replay.source) == ("null", phase) and (probes := list(store.probes(replay.phase))):
            wrong = [probe for probe in distinct(probes) if probe.verdict is Verdict.WRONG]
            return NoiseFloor(replay.phase, rates(probes, bootstrap_rng()).failure, wrong)
    return None


def transferred(
    store: SqliteStore, phase: str, search: ModeSearch, probes: Sequence[Probe], items_of: ItemsOf
) -> Transferred | None:
    """The targets that were asked the same (`gadfly transfer`), in that order, and what that says of each mode; None
    where there are none."""
    answered = {
        replay.phase: some
        for replay in store.replays()
        if (replay.kind, replay.source) == ("transfer", phase) and (some := list(store.probes(replay.phase)))
    }
    if not answered:
        return None
    names = {again: again.removeprefix(f"{phase}.transfer.") for again in answered}
    held = [mode for mode in search.modes if mode.held_up]
    found = transfers(held, probes, items_of, {names[again]: some for again, some in answered.items()})
    return Transferred(
        tuple(
            OtherTarget(names[again], again, on_same_questions(probes, some, bootstrap_rng()), some)
            for again, some in answered.items()
        ),
        {one.id: one for one in found},
        least_telling_z(len(answered)),
    )
