"""What a run found, printed: rates, failing skills, comparisons; and its three pictures. Computes nothing itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gadfly.analysis.comparison import compare, contrast
from gadfly.analysis.rates import FDR, Rates, rates
from gadfly.analysis.skills import combination_table, skill_table
from gadfly.analysis.summary import Summary, gallery, summarise
from gadfly.analysis.training import curves, window_size
from gadfly.cli.output import console, plain, print_json, rate_text, table
from gadfly.config import Config
from gadfly.counts import Counts, Metric
from gadfly.records import Probe
from gadfly.report.pictures import draw_gallery, draw_skills, draw_training
from gadfly.runs import folder_of
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import open_images

ANALYSIS_SEED = 0  # of the bootstrap: the same store gives the same intervals


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


def finish(config: Config, store: SqliteStore, phase: str, as_json: bool) -> None:
    """End a command: the table of what the target gets wrong, and the pictures beside the store."""
    probes = list(store.probes(phase))
    summary = summarise_over(probes)
    pictures = draw_pictures(config, probes, store) if probes else []
    if as_json:
        print_json({"run": str(folder_of(config)), **as_plain(summary), "pictures": [str(p) for p in pictures]})
        return
    print_summary(summary)
    console().print(f"\nEverything is in {folder_of(config)}; gadfly show {folder_of(config)} lists the probes.")
    for path in pictures:
        console().print(f"  {path}", markup=False)


def draw_pictures(config: Config, probes: Sequence[Probe], store: SqliteStore) -> list[Path]:
    """Training curves (where there was training), failure rate by skill, and a gallery of wrong answers."""
    folder = folder_of(config) / "pictures"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(ANALYSIS_SEED)
    drawn = []
    trained = list(store.probes("train"))
    if trained:
        last = max(p.key.step for p in trained)
        drawn.append(draw_training(curves(trained, window_size(last), rng), folder / "training.png"))
    drawn.append(draw_skills(skill_table(probes, rng), folder / "skills.png"))
    shown = gallery(probes)
    drawn.append(draw_gallery(shown, open_images(config.images).open, folder / "gallery.png"))
    return drawn


def print_rates(title: str, rows: Mapping[str, Rates]) -> None:
    columns = ("", "FDR", "valid rate", "failure rate", "undecided", "probes", "images")
    cells = [
        (
            name,
            rate_text(r.fdr),
            rate_text(r.valid),
            rate_text(r.failure),
            rate_text(r.undecided),
            str(r.n_probes),
            str(r.n_images),
        )
        for name, r in rows.items()
    ]
    table(title, columns, cells, numeric=("probes", "images"))


def print_summary(summary: Summary) -> None:
    """Rates first, then the skills on which the target fails more often than elsewhere, each with an example."""
    print_rates("rates (95% interval)", {"this run": summary.rates})
    rows = [
        (
            f.skill,
            rate_text(f.failure),
            str(f.failure.n),
            f"{f.explained:.0%}",
            plain(f.example.question, 90),
            plain(f.example.answer or "–", 24),
            plain(f.example.judgement.expected or "–", 24),
        )
        for f in summary.failing
    ]
    if rows:
        columns = ("skill", "failure rate", "n", "of all failures", "for example", "answer", "right is")
        table("\nwhat the target gets wrong", columns, rows, numeric=("n", "of all failures"))
    else:
        console().print("\nNo skill fails reliably more often than the rest; more probes may tell.")


def print_comparison(runs: Mapping[str, Sequence[Probe]], as_json: bool) -> None:
    rng = np.random.default_rng(ANALYSIS_SEED)
    compared = compare(runs, rng)
    first, *others = runs
    contrasts = {f"{other} / {first}": contrast(runs[other], runs[first], FDR, rng) for other in others}
    if as_json:
        print_json({"runs": [as_plain(r) for r in compared], "fdr": {k: as_plain(c) for k, c in contrasts.items()}})
        return
    print_rates("rates (95% interval)", {row.name: row.rates for row in compared})
    columns = ("", "skills", "combinations", "WRONG skills", "WRONG combinations", "at N valid", "at N WRONG")
    cells = [
        (
            row.name,
            _distinct(row.valid_skills.at_n.value),
            _distinct(row.valid_combinations.at_n.value),
            _distinct(row.wrong_skills.at_n.value),
            _distinct(row.wrong_combinations.at_n.value),
            str(row.valid_combinations.n),
            str(row.wrong_combinations.n),
        )
        for row in compared
    ]
    table("\ndistinct, at equal N", columns, cells, numeric=columns[1:])
    for name, c in contrasts.items():
        console().print(
            f"FDR {name}: {_estimate(c.ratio)} times; difference {_estimate(c.difference)}; "
            f"{c.shared_images} shared images",
            markup=False,
        )


def print_combinations(probes: Sequence[Probe], limit: int = 8) -> None:
    """The combinations with most WRONG probes."""
    rows = combination_table(probes, np.random.default_rng(ANALYSIS_SEED))
    worst = sorted(rows, key=lambda r: (-r.failure.successes, r.skills))[:limit]
    table(
        "\ncombinations of skills with most failures",
        ("combination", "failure rate", "n", "images", "for example"),
        [
            (" + ".join(r.skills), rate_text(r.failure), str(r.failure.n), str(r.images), plain(r.example.question, 80))
            for r in worst
        ],
        numeric=("n", "images"),
    )


def as_plain(record: Any) -> Any:
    """A record of analysis as JSON can hold it."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: as_plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(k): as_plain(v) for k, v in record.items()}
    if isinstance(record, (list, tuple, set, frozenset)):
        return [as_plain(v) for v in record]
    if isinstance(record, np.generic):
        return record.item()
    return record


def _distinct(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _estimate(estimate: Any) -> str:
    if estimate.value is None:
        return f"– ({estimate.reason})"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
