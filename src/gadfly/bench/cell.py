"""One cell of a benchmark: what a search found, measured. Asks nothing anew of the target but fresh probes.

A cell is plain data, fit for JSON; `standings.py` makes a table of many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gadfly.analysis.conditions import conditions, measure_all
from gadfly.analysis.items import items_by_probe, tabulate
from gadfly.analysis.modes import covers, find_modes
from gadfly.analysis.rates import Rate, distinct, rates
from gadfly.bench.discovery import discovery, excess_fdr
from gadfly.bench.diversity import diversity
from gadfly.bench.found import Stretch, area_under, found
from gadfly.bench.yardstick import Yardstick
from gadfly.config import Config
from gadfly.protocols import Embedder
from gadfly.records import Probe, Question, Verdict
from gadfly.testbed.annotator import TestbedAnnotator
from gadfly.wiring import Wiring


def measured(stretches: Sequence[Stretch], config: Config, yardstick: Yardstick, budget: int) -> dict[str, Any]:
    """All that is said of a search. `config` is one of its runs', for its images; `budget` are the calls that it might
    have made."""
    rng = np.random.default_rng(0)
    probes = distinct(probe for stretch in stretches for probe in stretch.probes)
    wiring = Wiring(config)
    made, verdicts = found(stretches), rates(probes, rng)
    failing = yardstick.fresh.failing(made.at_call)
    wrong = [probe.question for probe in probes if probe.verdict is Verdict.WRONG]
    valid = [probe.question for probe in probes if probe.verdict.valid]
    return {
        "calls": made.calls,
        "probes": sum(len(stretch.probes) for stretch in stretches),
        "distinct_probes": len(probes),
        "fdr": _interval(verdicts.fdr),
        "valid_rate": _interval(verdicts.valid),
        "failure_rate": _interval(verdicts.failure),
        "excess_fdr": None if yardstick.twin is None else _interval(excess_of(probes, config, yardstick.twin, rng)),
        "wrong": made.n_wrong,
        "failing": sorted("+".join(skills) for skills in failing),
        "found_at_call": {"+".join(skills): at for skills, at in sorted(made.at_call.items())},
        "area": area_under(made.at_call, failing, budget),
        "valid_skills": dict(sorted(made.valid_skills.items())),
        "wrong_skills": dict(sorted(made.wrong_skills.items())),
        "valid_combinations": {"+".join(skills): n for skills, n in sorted(made.valid_combinations.items())},
        "wrong_combinations": {"+".join(skills): n for skills, n in sorted(made.wrong_combinations.items())},
        "diversity": {
            name: _diversity(texts, yardstick.embedder) for name, texts in (("wrong", wrong), ("valid", valid))
        },
        **_planted(probes, wiring, yardstick, rng),
    }


def _diversity(texts: Sequence[str], embedder: Embedder) -> dict[str, float | None]:
    made = diversity(texts, embedder, np.random.default_rng(0))
    return {
        "n": made.n,
        "self_bleu": made.self_bleu,
        "mean_cosine": made.mean_cosine,
        "nearest_cosine": made.nearest_cosine,
        "vendi": made.vendi,
    }


def excess_of(probes: Sequence[Probe], config: Config, twin: Path, rng: np.random.Generator) -> Rate:
    """The share of excess failures among decided probes: their valid questions are put to the clean twin in the
    target's place, and judged by the verifier of `config`."""
    other = Wiring(replace(config, target=replace(config.target, model=str(twin))))
    asked = [probe for probe in probes if probe.verdict.decided]
    valid = [probe for probe in asked if probe.verdict.valid]
    questions = [Question(probe.images, probe.question, n) for n, probe in enumerate(valid)]
    judged = iter(other.verifier.judge(questions, other.target.answer(questions)) if questions else [])
    # An INVALID question is INVALID whoever answers it.
    theirs = [next(judged).verdict if probe.verdict.valid else Verdict.INVALID for probe in asked]
    ours = [probe.verdict for probe in asked]
    return excess_fdr(ours, theirs, [probe.images[0].id for probe in asked], rng)


def _planted(
    probes: Sequence[Probe], wiring: Wiring, yardstick: Yardstick, rng: np.random.Generator
) -> Mapping[str, Any]:
    """The modes that the analysis makes of the probes, and which planted spots they recall on fresh ones."""
    asked = {image.id: image for probe in probes for image in probe.images}
    pictures = measure_all(wiring.source, asked.values(), {}, wiring.object_sizes)
    annotator = TestbedAnnotator()
    search = find_modes(tabulate(probes, annotator, conditions(pictures)))
    modes = [mode for mode in search.modes if mode.held_up]
    said: dict[str, Any] = {"modes": len(modes), "modes_not_held_up": len(search.modes) - len(modes)}
    if yardstick.key is None:
        return said
    fresh = yardstick.fresh_valid
    items = items_by_probe(fresh, annotator, conditions(yardstick.fresh_measures, pictures))
    in_mode = np.array([[covers(mode, some) for some in items] for mode in modes], dtype=bool).reshape(-1, len(fresh))
    outcome = discovery(
        np.array([probe.verdict is Verdict.WRONG for probe in fresh]),
        in_mode,
        yardstick.fresh_in_spots,
        [probe.images[0].id for probe in fresh],
        rng,
    )
    spots = zip(yardstick.key.spots, outcome.spots, strict=True)
    return {
        **said,
        "planted_recall": _interval(outcome.recall),
        "mode_precision": _interval(outcome.precision),
        "recalled": {spot.name: planted.recalled for spot, planted in spots},
    }


def _interval(rate: Rate) -> list[float | None]:
    return [rate.value, rate.low, rate.high]
