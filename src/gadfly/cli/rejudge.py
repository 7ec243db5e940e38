"""`gadfly rejudge`, and what `gadfly audit --null` is: a phase's questions judged once more, as a phase of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.cli.options import limits, servers
from gadfly.cli.output import Bar, print_json, progress, say
from gadfly.cli.parameters import (
    AsJson,
    MaxCalls,
    MaxCost,
    MaxTime,
    MovedImages,
    RunPhase,
    Settings,
    VerifierName,
    VerifierUrl,
)
from gadfly.cli.reading import folder_and_phase, one_phase
from gadfly.cli.remarks import warn_of_one_model_for_two
from gadfly.errors import BudgetSpent, ConfigError
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gadfly.config import Config
    from gadfly.counts import Counts
    from gadfly.records import Probe, Verdict
    from gadfly.store.sqlite import SqliteStore


def rejudge(
    run: RunPhase,
    verifier: VerifierName = None,
    name: Annotated[str | None, typer.Option("--as", help="Name of the new phase; PHASE.rejudged if left out.")] = None,
    images: MovedImages = None,
    verifier_url: VerifierUrl = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Judge a run's stored answers with another verifier. The target is not asked. What was judged before
    stays: the new judgements are a phase of their own, which `gadfly compare` shows beside it."""
    from gadfly import followups
    from gadfly.store.sqlite import SqliteStore

    if verifier is None and verifier_url is None and not settings:
        raise ConfigError(
            "name another verifier: --verifier oracle, reference:PAIRS.jsonl or a model, or --set verifier.…"
        )
    folder, wanted = folder_and_phase(run)
    more = {**servers(verifier=verifier_url), **limits(max_calls, max_cost, max_time)}
    with SqliteStore.open(folder) as store, progress("judging") as bar:
        config = config_of(store, images, more, verifier, settings)
        source = one_phase(store, wanted, folder)
        phase = name or f"{source}.rejudged"
        before, after, limit = _replayed(followups.rejudge, config, store, source, phase, bar)
    _report_rejudged(folder, source, phase, before, after, limit, as_json)


def null_of(folder: Path, wanted: str | None, images: str | None, more: Mapping[str, object], as_json: bool) -> None:
    """`gadfly audit --null`: the verifier in the target's place."""
    from gadfly import followups
    from gadfly.cli.audit_tables import judged_rates
    from gadfly.cli.rate_tables import print_rates
    from gadfly.store.sqlite import SqliteStore

    with SqliteStore.open(folder) as store, progress("asking the verifier") as bar:
        config = config_of(store, images, more)
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
    from gadfly.cli.summary import sweep_line
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


def config_of(
    store: SqliteStore,
    images: str | None,
    more: Mapping[str, object],
    verifier: str | None = None,
    settings: list[str] | None = None,
) -> Config:
    """The run's configuration with what is given in the place of its own; a judge that is the target is remarked on."""
    from gadfly.cli.options import with_verifier
    from gadfly.config import from_dict

    config = with_verifier(from_dict(store.run.config), verifier, images, settings, more)
    warn_of_one_model_for_two(config)
    return config


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
    from gadfly.cli.rate_tables import print_rates

    def verdicts(probes: list[Probe]) -> dict[tuple[int, int], Verdict]:
        return {(probe.key.step, probe.key.index): probe.verdict for probe in probes}

    pairs = agreement(verdicts(before), verdicts(after))
    found = {source: judged_rates(before), phase: judged_rates(after)}
    if as_json:
        said = {"run": str(folder), "phase": source, "rejudged": phase}
        print_json({**said, "rates": as_plain(found), "agreement": as_plain(pairs), "ended_by_limit": limit})
        return
    print_rates("rates of distinct probes (95% interval)", found)
    say()
    print_pairs(source, phase, pairs)
    say()
    say(f"The new judgements are the phase {phase}; `gadfly compare {folder}` shows all phases side by side.")
    _say_limit(limit)
