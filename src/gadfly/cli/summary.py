"""How `gadfly run` and `gadfly sweep` end: a phase summed up and printed, and its three pictures. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.analysis.rates import rates
from gadfly.analysis.skills import skill_table
from gadfly.analysis.summary import Summary, gallery, summarise
from gadfly.analysis.training import curves, window_size
from gadfly.cli.output import print_json, say
from gadfly.cli.rate_tables import print_examples, print_summary
from gadfly.cli.usage import print_usage
from gadfly.counts import Counts, Metric
from gadfly.plain_data import as_plain
from gadfly.records import Probe
from gadfly.report.pictures import draw_gallery, draw_skills, draw_training
from gadfly.run_folder import TRAINED, folder_of
from gadfly.sittings import limit_reached, usage_of
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

MAX_EXAMPLES = 5


def training_line(metrics: Mapping[str, Metric]) -> str:
    """What stands beside the bar of a training: the rates of its last step, and in how many wordings it asked. One that
    has collapsed into a single question has good rates, and shows there only."""
    said = [
        f"{name} {value:.0%}"
        for name, key in (("FDR", "fdr"), ("valid", "valid_rate"))
        if (value := metrics.get(key)) is not None
    ]
    if metrics.get("wordings") is not None:
        said.append(f"wordings {metrics['wordings']}/{metrics['n']}")
    return "  ".join(said)


def sweep_line(counts: Counts) -> str:
    said = []
    if counts.decided:
        said = [f"FDR {counts.wrong / counts.decided:.0%}", f"valid {counts.valid / counts.decided:.0%}"]
    return "  ".join(said)


def summarise_over(probes: Sequence[Probe], frozen: Sequence[Probe] = ()) -> Summary:
    """The summary of a training's probes. What counts as failing more than usual is measured against `frozen`, what a
    questioner that was not being trained found; a trained one's own rate is high everywhere."""
    rng = bootstrap_rng()
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
    rng = bootstrap_rng()
    drawn = []
    trained = list(store.probes("train"))
    if trained:
        last = max(p.key.step for p in trained)
        drawn.append(draw_training(curves(trained, window_size(last), rng), folder / "training.png"))
    drawn.append(draw_skills(skill_table(probes, rng), folder / "skills.png"))
    shown = gallery(probes)
    drawn.append(draw_gallery(shown, wiring.source.open, folder / "gallery.png"))
    return drawn
