"""Phases that go back to the questions of another one: judged anew, put to other targets, asked again on fresh images.

Each is a phase of its own in the same store, says of what and by whom it is, and is gone on with if it was broken off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gadfly.analysis.confirmation import MIN_IMAGES
from gadfly.analysis.modes import Mode
from gadfly.confirming import Confirming, OnConfirming, made_for
from gadfly.counts import Counts
from gadfly.errors import ImageError, StoreError
from gadfly.phase_findings import Phase
from gadfly.probing import Probing
from gadfly.protocols import Target
from gadfly.records import Probe
from gadfly.replay import RecordedTarget, replay
from gadfly.run_folder import as_stored
from gadfly.runs import OnSweep
from gadfly.sittings import UsageKept, counts_of, first_step_of, sitting
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

MAX_FRESH: Final = 1000
"""So many fresh images are made use of: each mode needs 20, and all that are used are measured."""


def rejudge(
    wiring: Wiring, store: SqliteStore, *, source: str, phase: str, on_progress: OnSweep | None = None
) -> Counts:
    """Judge the stored answers of the phase `source` with the configured verifier, without asking the target.

    Raises StoreError where there is nothing to judge, or where `phase` is there already and is anything else.
    """
    return _replay(wiring, store, "rejudged", source, phase, on_progress, RecordedTarget)


def null(wiring: Wiring, store: SqliteStore, *, source: str, phase: str, on_progress: OnSweep | None = None) -> Counts:
    """Put the questions of the phase `source` to the verifier in the target's place, and have it judge its own answers:
    the noise floor of WRONG. Kept and resumed as by `rejudge`."""
    own = wiring.null_target
    return _replay(wiring, store, "null", source, phase, on_progress, lambda _: own)


def transfer(
    wiring: Wiring, store: SqliteStore, *, source: str, phase: str, on_progress: OnSweep | None = None
) -> Counts:
    """Put the questions of the phase `source` to the configured target, which is another one than the run's
    (`Wiring.with_target`). Kept and resumed as by `rejudge`."""
    other = wiring.target
    settings = as_stored(wiring.config)["target"]
    return _replay(
        wiring, store, "transfer", source, phase, on_progress, lambda _: other, settings, wiring.target_is_served
    )


def _replay(
    wiring: Wiring,
    store: SqliteStore,
    kind: str,
    source: str,
    phase: str,
    on_progress: OnSweep | None,
    target_of: Callable[[Sequence[Probe]], Target],
    target: Mapping[str, Any] | None = None,
    served: bool = False,
) -> Counts:
    probes = list(store.probes(source))
    if not probes:
        raise StoreError(f"the phase {source!r} has no probes to judge; name another phase, as RUN:PHASE")
    kept = UsageKept(store, wiring.ledger)
    probing = Probing(target_of(()), wiring.verifier, wiring.reward(may_ask=False), kept, str, served)
    store.begin_replay(phase, kind, source, as_stored(wiring.config)["verifier"], target)
    first_step = first_step_of(store, phase)
    if first_step > max(probe.key.step for probe in probes):
        return counts_of(store, phase)
    with sitting(store, phase, first_step, wiring.ledger) as attempt:
        done = counts_of(store, phase)
        probing.reward.remember(store.valid_questions(phase, wiring.config.reward.remembered))
        return done + replay(
            probes,
            probing,
            target_of,
            phase=phase,
            attempt=attempt,
            first_step=first_step,
            on_progress=None if on_progress is None else lambda n, total, c: on_progress(n, total, done + c),
        )


def to_confirm(
    phase: Phase, modes: Sequence[Mode], wiring: Wiring, *, per_mode: int, per_mode_valid: int
) -> Confirming:
    """How modes of a phase are asked about afresh, about the images in the folder of `wiring` that it never asked
    about. Raises ImageError where these are too few."""
    asked = {image.id for probe in phase.probes for image in probe.images}
    fresh = sorted((image for image in wiring.source if image.id not in asked), key=lambda image: image.id)
    if len(fresh) < MIN_IMAGES:
        raise ImageError(
            f"{wiring.config.images.path} has {len(fresh)} images that {phase.title} did not ask about, and "
            f"{MIN_IMAGES} are needed; give --images FOLDER with others"
        )
    fresh = fresh[:MAX_FRESH]
    by_picture = any(item.startswith("image:") for mode in modes for item in mode.items)
    return Confirming(
        source=phase.probes,
        images=fresh,
        items_of=phase.items_of(fresh if by_picture else (), wiring),
        verifier=wiring.foreseeing_verifier,
        paraphraser=wiring.paraphraser,
        per_mode=per_mode,
        per_mode_valid=per_mode_valid,
        batch=wiring.config.sweep.batch_size,
        seed=wiring.config.seed,
    )


def confirm(
    wiring: Wiring,
    store: SqliteStore,
    modes: Sequence[Mode],
    how: Confirming,
    *,
    source: str,
    phase: str,
    on_progress: OnConfirming | None = None,
) -> Counts:
    """Ask afresh about the modes of the phase `source`; the counts are of the whole confirming phase.

    Raises StoreError where `phase` is there already and is anything else, or was judged by another verifier.
    """
    kept = UsageKept(store, wiring.ledger)
    probing = Probing(wiring.target, wiring.verifier, wiring.reward(may_ask=False), kept, str, wiring.target_is_served)
    store.begin_replay(phase, "confirm", source, as_stored(wiring.config)["verifier"])
    first_step = first_step_of(store, phase)
    with sitting(store, phase, first_step, wiring.ledger) as attempt:
        done = counts_of(store, phase)
        probing.reward.remember(store.valid_questions(phase, wiring.config.reward.remembered))
        return done + how.confirm(
            modes,
            probing,
            made_for(store, phase),
            phase=phase,
            attempt=attempt,
            first_step=first_step,
            on_progress=on_progress,
        )
