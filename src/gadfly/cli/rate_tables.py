"""Rates, failing skills and runs side by side, as tables. Computes nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.analysis.comparison import Compared, Distinct
from gadfly.analysis.figures import rate_text
from gadfly.analysis.rates import Rate, Rates
from gadfly.analysis.skills import combination_table
from gadfly.analysis.statistics import Estimate
from gadfly.analysis.summary import Summary
from gadfly.cli.output import console, plain, say, table
from gadfly.cli.usage import print_usage
from gadfly.cli.wording import NOTHING, example_text, number_text, reasoned
from gadfly.records import Probe, Usage

_NAME_CHARS, _RATE_CHARS = 24, 24  # widths of the columns of print_rates


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
            (f.skill, rate_text(f.failure), str(f.failure.n), f"{f.explained:.0f}", example_text(f.example))
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
    rows = [(plain(p.images[0].path, 40), example_text(p)) for p in probes]
    table("answered wrongly", ("image", "question and answer"), rows)


def print_compared(found: Compared, usages: Mapping[str, Mapping[str, Usage]]) -> None:
    """Rates, distinct skills and combinations, contrasts of FDR with the first run, and what each took."""
    rows = found.runs
    print_rates("rates of distinct probes (95% interval)", {row.name: row.rates for row in rows})
    say()
    n_valid, n_wrong = rows[0].valid_skills.n, rows[0].wrong_skills.n
    if n_valid == 0:
        say("Skills and combinations cannot be counted: a run has no valid probes whose skills are known.")
    else:
        cells = [(row.name, *map(_distinct, (row.valid_skills, row.valid_combinations))) for row in rows]
        columns = ("", "skills", "combinations")
        table(f"distinct among {n_valid} valid probes of each (95% interval)", columns, cells, numeric=columns[1:])
        say()
        cells = [(row.name, *map(_distinct, (row.wrong_skills, row.wrong_combinations))) for row in rows]
        table(f"distinct among {n_wrong} WRONG probes of each (95% interval)", columns, cells, numeric=columns[1:])
    for name, c in found.fdr.items():
        say()
        say(f"FDR of {name}")
        say(f"  ratio {_contrast(c.ratio)}; difference {_contrast(c.difference)}; {c.shared_images} images in both")
    if any(usages.values()):
        say()
        print_usage(usages)


def print_combinations(probes: Sequence[Probe], limit: int = 8) -> None:
    """The combinations with most WRONG probes."""
    rows = combination_table(probes, bootstrap_rng())
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
    return reasoned(distinct.at_n, number_text(distinct.at_n, digits=1)) if distinct.n else NOTHING


def _contrast(estimate: Estimate) -> str:
    return reasoned(estimate, number_text(estimate))
