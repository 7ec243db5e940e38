"""`gadfly audit`: labels of a sample of a run's probes, and how far its verifier can be believed by them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.cli.options import limits
from gadfly.cli.output import print_json, say
from gadfly.cli.parameters import AsJson, MaxCalls, MaxCost, MaxTime, MovedImages, RunPhase
from gadfly.cli.reading import folder_and_phase, one_phase
from gadfly.cli.rejudge import config_of
from gadfly.errors import StoreError
from gadfly.plain_data import as_plain
from gadfly.store.phases import own_phases

if TYPE_CHECKING:
    from gadfly.config import Config
    from gadfly.records import Probe, ProbeKey, Verdict
    from gadfly.store.labelling import LabelWriter
    from gadfly.store.labels import Label

ORACLE = "oracle"  # the labeller that needs no asking


def audit(
    run: RunPhase,
    labeller: Annotated[str, typer.Option(help="Who labels; oracle labels testbed images by itself.")] = "me",
    n: Annotated[int, typer.Option("--n", min=1, help="How many probes to label, drawn at random.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of the draw; every labeller of a run should use the same.")] = 0,
    null: Annotated[
        bool, typer.Option("--null", help="Put the verifier in the target's place: its own false WRONGs.")
    ] = False,
    images: MovedImages = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    as_json: AsJson = False,
) -> None:
    """Label a sample of a run's probes, to judge its verifier. It says how far that can be believed: sensitivity,
    specificity, agreement, and every rate corrected for its errors. Without a terminal, or with --json, nobody is
    asked: what was labelled before counts. Only --null asks a model, so the limits are for it."""
    from gadfly.cli.rejudge import null_of
    from gadfly.store.labelling import LabelWriter, bring_up_to_date
    from gadfly.store.sqlite import SqliteStore

    folder, wanted = folder_and_phase(run)
    if null:
        null_of(folder, wanted, images, limits(max_calls, max_cost, max_time), as_json)
        return
    by_hand = labeller != ORACLE and not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    if labeller == ORACLE or by_hand:
        bring_up_to_date(folder)
    with SqliteStore.open(folder, read_only=True) as store:  # so that a run may be writing to it
        config = config_of(store, images, {})
        phase = one_phase(store, wanted, folder)
        probes = list(store.probes(phase))
        if labeller == ORACLE or by_hand:
            sample, labelled = _sample(probes, n, seed), [one.key for one in store.labels(labeller)]
            with LabelWriter(folder) as writer:
                if by_hand:
                    _label_by_hand(writer, sample, labelled, labeller, config)
                else:
                    _label_by_oracle(writer, sample, labelled, config)
        labels = store.labels()
        said = _drawn(labels, labeller)
        if not said:
            raise StoreError(f"{folder} has no labels by {labeller!r}; label some in a terminal: gadfly audit {run}")
        own = own_phases(store)
        others = {one: list(store.probes(one)) for one in own if one != phase} if phase in own else {}
    _report(folder, phase, labeller, probes, said, others, labels, as_json)


def _sample(probes: list[Probe], n: int, seed: int) -> list[Probe]:
    from gadfly.analysis.audit import draw
    from gadfly.replay import is_unparsable

    return draw(probes, n, seed, is_unparsable)


def _label_by_hand(
    to: LabelWriter, sample: list[Probe], labelled: list[ProbeKey], labeller: str, config: Config
) -> None:
    from gadfly.cli.labelling import label

    def keep(key: ProbeKey, verdict: Verdict) -> None:
        to.label(labeller, key, verdict, drawn=True)

    try:
        label(
            sample,
            labelled,
            keep,
            lambda key: to.unlabel(labeller, key),
            lambda probe: ", ".join(str(Path(config.images.path) / image.path) for image in probe.images),
            typer.getchar,
        )
    except (KeyboardInterrupt, EOFError):
        raise KeyboardInterrupt("; every label given is kept, and the same command goes on from there") from None
    say()


def _label_by_oracle(to: LabelWriter, sample: list[Probe], labelled: list[ProbeKey], config: Config) -> None:
    from gadfly.cli.options import with_verifier
    from gadfly.records import Question
    from gadfly.wiring import Wiring

    done = set(labelled)
    left = [probe for probe in sample if probe.key not in done]
    judge = Wiring(with_verifier(config, ORACLE, None, None)).verifier
    questions = [Question(probe.images, probe.question, probe.group) for probe in left]
    judged = judge.judge(questions, [probe.turns[-1].answer for probe in left])
    for probe, judgement in zip(left, judged, strict=True):
        to.label(ORACLE, probe.key, judgement.verdict, drawn=True)


def _drawn(labels: list[Label], labeller: str) -> dict[ProbeKey, Verdict]:
    return {one.key: one.verdict for one in labels if one.labeller == labeller and one.drawn}


def _report(
    folder: Path,
    phase: str,
    labeller: str,
    probes: list[Probe],
    said: dict[ProbeKey, Verdict],
    others: dict[str, list[Probe]],
    labels: list[Label],
    as_json: bool,
) -> None:
    from gadfly.analysis.audit import audit as audit_of
    from gadfly.analysis.audit import corrected_elsewhere
    from gadfly.analysis.confusion import agreement
    from gadfly.cli.audit_tables import judged_rates, print_audit, print_corrected
    from gadfly.replay import is_unparsable

    found = audit_of(probes, said, bootstrap_rng(), is_unparsable)
    elsewhere = {
        other: (judged_rates(some), corrected_elsewhere(probes, said, some, bootstrap_rng(), is_unparsable))
        for other, some in others.items()
    }
    here = {probe.key for probe in probes}
    mine = {key: verdict for key, verdict in said.items() if key in here}
    colleagues = sorted({one.labeller for one in labels} - {labeller})
    together = {who: agreement(mine, _drawn(labels, who)) for who in colleagues}
    together = {who: one for who, one in together.items() if one.n}
    judged = judged_rates(probes)
    if as_json:
        print_json(
            {
                "run": str(folder),
                "phase": phase,
                "labeller": labeller,
                "judged": as_plain(judged),
                **as_plain(found),
                "elsewhere": {
                    other: {"judged": as_plain(rates), "corrected": as_plain(corrected)}
                    for other, (rates, corrected) in elsewhere.items()
                },
                "labellers": as_plain(together),
            }
        )
        return
    name = f"{folder}:{phase}"
    print_audit(name, labeller, found)
    print_corrected(name, judged, found.corrected)
    for other, (rates, corrected) in elsewhere.items():
        print_corrected(f"{other}, if the verifier errs there as here", rates, corrected)
    for who, one in together.items():
        say()
        kappa = "–" if one.kappa is None else f"{one.kappa:.2f}"
        say(f"{labeller} and {who} both labelled {one.n}; Cohen's kappa {kappa}")
