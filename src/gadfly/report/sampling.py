"""Which probes a report shows of a run that may have a hundred thousand. By rule, without chance; counts nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gadfly.analysis.modes import Mode
from gadfly.analysis.rates import distinct
from gadfly.records import Probe, ProbeKey, Verdict

MAX_SHOWN = 400
OF_VERDICT = {Verdict.WRONG: 80, Verdict.RIGHT: 60, Verdict.INVALID: 50, Verdict.UNDECIDED: 50}
OF_SKILL = {Verdict.WRONG: 5, Verdict.RIGHT: 2}
OF_MODE = 4
OF_PAIR = 10


def sample(
    probes: Iterable[Probe],
    skills: Mapping[ProbeKey, tuple[str, ...]],
    modes: Sequence[Mode],
    limit: int = MAX_SHOWN,
    labels: Iterable[Mapping[ProbeKey, Verdict]] = (),
) -> list[Probe]:
    """Up to `limit` distinct probes in the order of their keys: some of each mode's evidence, of each pair of a verdict
    and a label (`labels` has a mapping for each labeller), of each skill, and of each verdict, spread evenly over the
    run. The larger groups give way first where there are too many."""
    kept = sorted(distinct(probes), key=_order)
    by_key = {probe.key: probe for probe in kept}
    by_verdict: defaultdict[Verdict, list[Probe]] = defaultdict(list)
    by_skill: defaultdict[tuple[str, Verdict], list[Probe]] = defaultdict(list)
    for probe in kept:
        by_verdict[probe.verdict].append(probe)
        if probe.verdict in OF_SKILL:
            for skill in skills.get(probe.key, ()):
                by_skill[skill, probe.verdict].append(probe)
    wanted = [by_key[key] for mode in modes for key in mode.evidence[:OF_MODE] if key in by_key]
    for said in labels:
        by_pair: defaultdict[tuple[Verdict, Verdict], list[Probe]] = defaultdict(list)
        for probe in kept:
            if probe.key in said:
                by_pair[probe.verdict, said[probe.key]].append(probe)
        for pair in sorted(by_pair, key=lambda pair: pair[0] is pair[1]):  # where they differ first
            wanted += spread(by_pair[pair], OF_PAIR)
    for (_, verdict), some in sorted(by_skill.items()):
        wanted += spread(some, OF_SKILL[verdict])
    for verdict, n in OF_VERDICT.items():
        wanted += spread(by_verdict[verdict], n)
    chosen = list({probe.key: probe for probe in wanted}.values())[:limit]
    return sorted(chosen, key=_order)


def spread(probes: Sequence[Probe], n: int) -> list[Probe]:
    """n of the probes at even distances, all where there are fewer."""
    if len(probes) <= n:
        return list(probes)
    return [probes[(2 * i + 1) * len(probes) // (2 * n)] for i in range(n)]


def _order(probe: Probe) -> tuple[str, int, int, int]:
    key = probe.key
    return key.phase, key.attempt, key.step, key.index
