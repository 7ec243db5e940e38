"""What a run found, printed: rates, failing skills, comparisons; and its three pictures. Computes nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gadfly.analysis.comparison import Distinct, compare, contrast
from gadfly.analysis.figures import rate_text
from gadfly.analysis.rates import FDR, Rate, Rates, rates
from gadfly.analysis.skills import combination_table, skill_table
from gadfly.analysis.statistics import Estimate
from gadfly.analysis.summary import Summary, gallery, summarise
from gadfly.analysis.training import curves, window_size
from gadfly.cli.output import as_plain, console, plain, print_json, say, table
from gadfly.cli.usage import limit_reached, print_usage, usage_of
from gadfly.counts import Counts, Metric
from gadfly.records import Probe, Usage
from gadfly.report.pictures import draw_gallery, draw_skills, draw_training
from gadfly.runs import TRAINED, folder_of
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

ANALYSIS_SEED = 0  # of the bootstrap: the same store gives the same intervals
MAX_EXAMPLES = 5
_NAME_CHARS, _RATE_CHARS = 24, 24  # widths of the columns of print_rates


def training_line(metrics: Mapping[str, Metric]) -> str:
    """What stands beside the bar of a training."""
    return "  ".join(
        f"{name} {value:.0%}"
        for name, key in (("FDR", "fdr"), ("valid", "valid_rate"))
        if (value := metrics.get(key)) is not None
    )


def sweep_line(counts: Counts) -> str:
    said = []
    if counts.decided:
        said = [f"FDR {counts.wrong / counts.decided:.0%}", f"valid {counts.valid / counts.decided:.0%}"]
    return "  ".join(said)


def summarise_over(probes: Sequence[Probe], frozen: Sequence[Probe] = ()) -> Summary:
    """The summary of a training's probes. What counts as failing more than usual is measured against `frozen`, what a
    questioner that was not being trained found; a trained one's own rate is high everywhere."""
    rng = np.random.default_rng(ANALYSIS_SEED)
    base = rates(frozen, rng).failure.value if frozen else None
    return summarise(probes, rng, base=base)


def finish(wiring: Wiring, phase: str, as_json: bool) -> None:
    """End a command: the table of what the target gets wrong, and the pictures beside the store."""
    folder = folder_of(wiring.config)
    with SqliteStore.open(folder, read_only=True) as store:
        probes = list(store.probes(phase))
        summary = summarise_over(probes)
        usage, limit = usage_of(store, phase), limit_reached(store, phase)
        pictures = draw_pictures(wiring, probes, store) if probes else []
    trained = folder / TRAINED
    questioner = str(trained) if phase == "train" and trained.exists() else None
    if as_json:
        said = {"run": str(folder), "questioner": questioner, "pictures": [str(p) for p in pictures]}
        print_json({**said, "usage": as_plain(usage), "ended_by_limit": limit, **as_plain(summary)})
        return
    if probes:
        print_summary(summary)
        examples = [p for p in gallery(probes) if p.judgement.skills is None]
        if examples and not summary.failing:
            print_examples(examples[:MAX_EXAMPLES])
    elif limit is None:
        say("No probes were made: fine-tuning alone asks the target nothing. `gadfly sweep` shows what it has learned.")
    say()
    if usage:
        print_usage({str(folder): usage})
        say()
    if limit is not None:
        say(f"A limit ended the run before it was done: {limit}. --resume with a higher one goes on.")
    if questioner is not None:
        say(f"The trained questioner is in {questioner}.")
    say(f"Everything is in {folder}; `gadfly show {folder}` lists the probes.")
    for path in pictures:
        say(f"  {path}")


def draw_pictures(wiring: Wiring, probes: Sequence[Probe], store: SqliteStore) -> list[Path]:
    """Training curves (where there was training), failure rate by skill, and a gallery of wrong answers."""
    folder = folder_of(wiring.config) / "pictures"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(ANALYSIS_SEED)
    drawn = []
    trained = list(store.probes("train"))
    if trained:
        last = max(p.key.step for p in trained)
        drawn.append(draw_training(curves(trained, window_size(last), rng), folder / "training.png"))
    drawn.append(draw_skills(skill_table(probes, rng), folder / "skills.png"))
    shown = gallery(probes)
    drawn.append(draw_gallery(shown, wiring.source.open, folder / "gallery.png"))
    return drawn


def print_rates(title: str, runs: Mapping[str, Rates]) -> None:
    """A row for each rate, a column for each run; as many runs beside each other as the line has room for."""
    names = list(runs)
    beside = max(1, (console().width - _NAME_CHARS) // _RATE_CHARS)
    for first in range(0, len(names), beside):
        some = names[first : first + beside]
        measures: tuple[tuple[str, str, Callable[[Rates], Rate]], ...] = (
            ("FDR", "decided", lambda r: r.fdr),
            ("valid rate", "decided", lambda r: r.valid),
            ("failure rate", "valid", lambda r: r.failure),
            ("UNDECIDED rate", "all", lambda r: r.undecided),
        )
        rows = [(f"{name}, of {of}", *(rate_text(get(runs[n])) for n in some)) for name, of, get in measures]
        rows.append(("n decided", *(str(runs[n].fdr.n) for n in some)))
        rows.append(("n valid", *(str(runs[n].failure.n) for n in some)))
        rows.append(("n all, on images", *(f"{runs[n].n_probes} on {runs[n].n_images}" for n in some)))
        table(title, ("", *some), rows)


def print_summary(summary: Summary) -> None:
    """Rates first, then the skills on which the target fails more often than elsewhere, each with an example."""
    print_rates("rates of distinct probes (95% interval)", {"this run": summary.rates})
    if summary.undecided:
        say(f"UNDECIDED: {', '.join(f'{n} {reason}' for reason, n in summary.undecided.items())}")
    say()
    if summary.failing:
        rows = [
            (f.skill, rate_text(f.failure), str(f.failure.n), f"{f.explained:.0f}", _example(f.example))
            for f in summary.failing
        ]
        columns = ("skill", "failure rate", "n", "beyond usual", "for example")
        table("what the target gets wrong", columns, rows, numeric=("failure rate", "n", "beyond usual"))
        if summary.base is not None:
            say(f"beyond usual: WRONG answers more than a failure rate of {summary.base:.1%} would give")
    elif summary.rates.fdr.n == 0:
        say("No probe was decided, so there is no rate; `gadfly show` gives the reasons.")
    elif summary.rates.failure.n == 0:
        say("Every question was INVALID, so the target was judged on none; `gadfly show` gives the reasons.")
    elif not summary.skills.rows:
        say("The verifier does not name the skills that these questions need, so none can be compared.")
    else:
        say("No skill fails reliably more often than the rest; more probes may tell.")


def print_examples(probes: Sequence[Probe]) -> None:
    """Wrong answers as they are, where there are no skills to order them by."""
    say()
    rows = [(plain(p.images[0].path, 40), _example(p)) for p in probes]
    table("answered wrongly", ("image", "question and answer"), rows)


def _example(probe: Probe) -> str:
    answer = "nothing" if probe.answer is None else plain(probe.answer, 40)
    expected = "" if probe.judgement.expected is None else f", not {plain(probe.judgement.expected, 40)}"
    return f"{plain(probe.question, 120)} → {answer}{expected}"


def print_comparison(
    runs: Mapping[str, Sequence[Probe]], as_json: bool, usages: Mapping[str, Mapping[str, Usage]] | None = None
) -> None:
    """Rates, distinct skills and combinations, contrasts of FDR with the first run, and what each took."""
    usages = {} if usages is None else usages
    rng = np.random.default_rng(ANALYSIS_SEED)
    compared = compare(runs, rng)
    first, *others = runs
    contrasts = {f"{other} against {first}": contrast(runs[other], runs[first], FDR, rng) for other in others}
    if as_json:
        fdr = {name: as_plain(one) for name, one in contrasts.items()}
        print_json({"runs": [as_plain(r) for r in compared], "fdr": fdr, "usage": as_plain(usages)})
        return
    print_rates("rates of distinct probes (95% interval)", {row.name: row.rates for row in compared})
    say()
    n_valid, n_wrong = compared[0].valid_skills.n, compared[0].wrong_skills.n
    if n_valid == 0:
        say("Skills and combinations cannot be counted: a run has no valid probes whose skills are known.")
    else:
        cells = [(row.name, *map(_distinct, (row.valid_skills, row.valid_combinations))) for row in compared]
        columns = ("", "skills", "combinations")
        table(f"distinct among {n_valid} valid probes of each (95% interval)", columns, cells, numeric=columns[1:])
        say()
        cells = [(row.name, *map(_distinct, (row.wrong_skills, row.wrong_combinations))) for row in compared]
        table(f"distinct among {n_wrong} WRONG probes of each (95% interval)", columns, cells, numeric=columns[1:])
    for name, c in contrasts.items():
        say()
        say(f"FDR of {name}")
        say(f"  ratio {_estimate(c.ratio)}; difference {_estimate(c.difference)}; {c.shared_images} images in both")
    if any(usages.values()):
        say()
        print_usage(usages)


def print_combinations(probes: Sequence[Probe], limit: int = 8) -> None:
    """The combinations with most WRONG probes."""
    rows = combination_table(probes, np.random.default_rng(ANALYSIS_SEED))
    worst = sorted(rows, key=lambda r: (-r.failure.successes, r.skills))[:limit]
    say()
    table(
        "combinations of skills with most failures",
        ("combination", "failure rate", "n", "images", "for example"),
        [
            (" + ".join(r.skills), rate_text(r.failure), str(r.failure.n), str(r.images), plain(r.example.question, 80))
            for r in worst
        ],
        numeric=("failure rate", "n", "images"),
    )


def _distinct(distinct: Distinct) -> str:
    return _estimate(distinct.at_n, digits=1) if distinct.n else "–"


def _estimate(estimate: Estimate, digits: int = 2) -> str:
    if estimate.value is None:
        return f"– ({estimate.reason})"
    if estimate.low is None or estimate.high is None:
        bound = f"at least {estimate.low:.{digits}f}" if estimate.low is not None else "no interval"
        return f"{estimate.value:.{digits}f} ({bound})"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"
