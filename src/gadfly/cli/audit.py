"""`gadfly audit` and `gadfly rejudge`: how far a run's verifier can be believed, and what another says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.cli.commands import (
    AsJson,
    MaxCalls,
    MaxCost,
    MaxTime,
    Settings,
    VerifierName,
    VerifierUrl,
    served_and_limited,
    warn_of_one_model_for_two,
)
from gadfly.cli.output import Bar, as_plain, print_json, progress, say
from gadfly.cli.reading import folder_and_phase, one_phase, phases_of
from gadfly.errors import BudgetSpent, ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gadfly.config import Config
    from gadfly.counts import Counts
    from gadfly.records import Probe, ProbeKey, Verdict
    from gadfly.store.labelling import LabelWriter
    from gadfly.store.labels import Label
    from gadfly.store.sqlite import SqliteStore

ORACLE = "oracle"  # the labeller that needs no asking

RunPhase = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or RUN:PHASE where it has several.")]
Images = Annotated[str | None, typer.Option(help="Folder of images, where it has moved.")]


def audit(
    run: RunPhase,
    labeller: Annotated[str, typer.Option(help="Who labels; oracle labels testbed images by itself.")] = "me",
    n: Annotated[int, typer.Option("--n", min=1, help="How many probes to label, drawn at random.")] = 120,
    seed: Annotated[int, typer.Option(help="Of the draw: every labeller of a run should use the same.")] = 0,
    null: Annotated[
        bool, typer.Option("--null", help="Put the verifier in the target's place: its own false WRONGs.")
    ] = False,
    images: Images = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    as_json: AsJson = False,
) -> None:
    """Label a sample of a run's probes, and say how far its verifier can be believed: sensitivity, specificity,
    agreement, and every rate corrected for its errors. Without a terminal, or with --json, nobody is asked: what was
    labelled before counts. Only --null asks a model, so the limits are for it."""
    from gadfly.store.labelling import LabelWriter, bring_up_to_date

    folder, wanted = folder_and_phase(run)
    if null:
        limits = served_and_limited(None, None, None, max_calls, max_cost, max_time)
        _null(folder, wanted, images, limits, as_json)
        return
    by_hand = labeller != ORACLE and not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    if labeller == ORACLE or by_hand:
        bring_up_to_date(folder)
    with _opened(folder, read_only=True) as store:  # so that a run may be writing to it
        config = _config(store, images)
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
        again = {replay.phase for replay in store.replays()}
        others = {one: list(store.probes(one)) for one in phases_of(store) if one not in {phase, *again}}
    _report(f"{folder}:{phase}", labeller, probes, said, {} if phase in again else others, labels, as_json)


def rejudge(
    run: RunPhase,
    verifier: VerifierName = None,
    name: Annotated[str | None, typer.Option("--as", help="Name of the new phase; PHASE.rejudged if left out.")] = None,
    images: Images = None,
    verifier_url: VerifierUrl = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Judge a run's stored answers again, with another verifier and without asking the target. What was judged before
    stays: the new judgements are a phase of their own, which `gadfly compare` shows beside it."""
    from gadfly import followups

    if verifier is None and verifier_url is None and not settings:
        raise ConfigError(
            "name another verifier: --verifier oracle, reference:PAIRS.jsonl or a model, or --set verifier.…"
        )
    folder, wanted = folder_and_phase(run)
    more = served_and_limited(None, None, verifier_url, max_calls, max_cost, max_time)
    with _opened(folder, read_only=False) as store, progress("judging") as bar:
        config = _config(store, images, verifier, settings, more)
        source = one_phase(store, wanted, folder)
        phase = name or f"{source}.rejudged"
        before, after, limit = _replayed(followups.rejudge, config, store, source, phase, bar)
    _report_rejudged(folder, source, phase, before, after, limit, as_json)


def _null(folder: Path, wanted: str | None, images: str | None, limits: Mapping[str, object], as_json: bool) -> None:
    from gadfly import followups
    from gadfly.cli.audit_tables import judged_rates
    from gadfly.cli.findings import print_rates

    with _opened(folder, read_only=False) as store, progress("asking the verifier") as bar:
        config = _config(store, images, more=limits)
        source = one_phase(store, wanted, folder)
        phase = f"{source}.null"
        before, after, limit = _replayed(followups.null, config, store, source, phase, bar)
    found = {source: judged_rates(before), phase: judged_rates(after)}
    if as_json:
        said = {"run": str(folder), "phase": source, "null": phase, "rates": as_plain(found), "ended_by_limit": limit}
        print_json(said)
        return
    print_rates("the target's answers beside the verifier's own (95% interval)", found)
    say()
    floor = found[phase].failure
    say(f"The verifier calls {floor.successes} of {floor.n} of its own answers WRONG.")
    say(f"So much of the failure rate of {source} may be the verifier's own doing.")
    _say_limit(limit)


def _replayed(
    replay: Callable[..., Counts], config: Config, store: SqliteStore, source: str, phase: str, bar: Bar
) -> tuple[list[Probe], list[Probe], str | None]:
    """Have one phase judged anew as another (`followups.rejudge` or `followups.null`): the probes of both, and which
    limit ended it, None where none did."""
    from gadfly.cli.findings import sweep_line
    from gadfly.wiring import Wiring

    limit = None
    try:
        replay(
            Wiring(config),
            store,
            source=source,
            phase=phase,
            on_progress=lambda done, total, counts: bar.update(done, total, sweep_line(counts)),
        )
    except BudgetSpent as spent:
        limit = str(spent)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("; what was judged is kept, and the same command goes on from there") from None
    return list(store.probes(source)), list(store.probes(phase)), limit


def _say_limit(limit: str | None) -> None:
    if limit is not None:
        say(f"A limit ended it before it was done: {limit}. The same command with a higher one goes on.")


def _opened(folder: Path, read_only: bool) -> SqliteStore:
    from gadfly.store.sqlite import SqliteStore

    return SqliteStore.open(folder, read_only=read_only)


def _config(
    store: SqliteStore,
    images: str | None,
    verifier: str | None = None,
    settings: list[str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Config:
    """The run's configuration with what is given in the place of its own; a judge that is the target is remarked on."""
    from gadfly.cli.options import with_verifier
    from gadfly.config import from_dict

    config = with_verifier(from_dict(store.run.config), verifier, images, settings, more)
    warn_of_one_model_for_two(config)
    return config


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
    name: str,
    labeller: str,
    probes: list[Probe],
    said: dict[ProbeKey, Verdict],
    others: dict[str, list[Probe]],
    labels: list[Label],
    as_json: bool,
) -> None:
    import numpy as np

    from gadfly.analysis.audit import audit as audit_of
    from gadfly.analysis.audit import corrected_elsewhere
    from gadfly.analysis.confusion import agreement
    from gadfly.cli.audit_tables import judged_rates, print_audit, print_corrected
    from gadfly.cli.findings import ANALYSIS_SEED
    from gadfly.replay import is_unparsable

    def rng() -> np.random.Generator:  # anew for each, so that a report has the same numbers
        return np.random.default_rng(ANALYSIS_SEED)

    found = audit_of(probes, said, rng(), is_unparsable)
    elsewhere = {
        phase: (judged_rates(some), corrected_elsewhere(probes, said, some, rng(), is_unparsable))
        for phase, some in others.items()
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
                "run": name,
                "labeller": labeller,
                "judged": as_plain(judged),
                **as_plain(found),
                "elsewhere": {
                    phase: {"judged": as_plain(rates), "corrected": as_plain(corrected)}
                    for phase, (rates, corrected) in elsewhere.items()
                },
                "labellers": as_plain(together),
            }
        )
        return
    print_audit(name, labeller, found)
    print_corrected(name, judged, found.corrected)
    for phase, (rates, corrected) in elsewhere.items():
        print_corrected(f"{phase}, if the verifier errs there as here", rates, corrected)
    for who, one in together.items():
        say()
        kappa = "–" if one.kappa is None else f"{one.kappa:.2f}"
        say(f"{labeller} and {who} both labelled {one.n}; Cohen's kappa {kappa}")


def _report_rejudged(
    folder: Path,
    source: str,
    phase: str,
    before: list[Probe],
    after: list[Probe],
    limit: str | None,
    as_json: bool,
) -> None:
    from gadfly.analysis.confusion import agreement
    from gadfly.cli.audit_tables import judged_rates, print_pairs
    from gadfly.cli.findings import print_rates

    def verdicts(probes: list[Probe]) -> dict[tuple[int, int], Verdict]:
        return {(probe.key.step, probe.key.index): probe.verdict for probe in probes}

    pairs = agreement(verdicts(before), verdicts(after))
    found = {source: judged_rates(before), phase: judged_rates(after)}
    if as_json:
        said = {"run": str(folder), "phase": phase, "rates": as_plain(found), "agreement": as_plain(pairs)}
        print_json({**said, "ended_by_limit": limit})
        return

    print_rates("rates of distinct probes (95% interval)", found)
    say()
    print_pairs(source, phase, pairs)
    say()
    say(f"The new judgements are the phase {phase}; `gadfly compare {folder}` shows all phases side by side.")
    _say_limit(limit)
