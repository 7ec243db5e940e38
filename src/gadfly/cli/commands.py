"""`gadfly run`, `sweep`, `compare`, `show`: options to a configuration, a call, and what comes of it printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gadfly.cli.options import configure
from gadfly.cli.output import console, plain, print_json, progress, remark, table
from gadfly.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from gadfly.config import Config
    from gadfly.images.folder import FolderSource
    from gadfly.records import Probe

ConfigFile = Annotated[Path | None, typer.Argument(help="A TOML file; the options below override it.")]
Images = Annotated[str | None, typer.Option(help="Folder of images.")]
TargetModel = Annotated[str | None, typer.Option("--target", help="Model under test: a folder or a hub id.")]
QuestionerModel = Annotated[str | None, typer.Option("--questioner", help="Model that asks: a folder or a hub id.")]
VerifierName = Annotated[
    str | None, typer.Option("--verifier", help="Who judges: oracle, reference:PAIRS.jsonl, or a model.")
]
Name = Annotated[str | None, typer.Option(help="Name of the run; its folder is OUT/NAME.")]
Out = Annotated[str | None, typer.Option(help="Folder of the runs.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random in the run.")]
Focus = Annotated[str | None, typer.Option(help="A topic for the questioner to ask about.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Any setting: --set train.steps=100. Repeatable.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was broken off.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Phase = Annotated[str | None, typer.Option(help="train, sweep, …; all phases if left out.")]


def run(
    config_file: ConfigFile = None,
    images: Images = None,
    target: TargetModel = None,
    questioner: QuestionerModel = None,
    verifier: VerifierName = None,
    name: Name = None,
    out: Out = None,
    seed: Seed = None,
    focus: Focus = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    settings: Settings = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a questioner to find what the target gets wrong, and say what it found."""
    config = configure(
        config_file, images, target, questioner, verifier, name, out, seed, focus, settings, {"train.steps": steps}
    )
    if dry_run:
        n = config.train.steps * config.train.images_per_step * config.train.group_size
        _say_plan(config, n if config.train.method != "sft" else 0, as_json)
        return
    from gadfly import runs
    from gadfly.cli.findings import finish, training_line
    from gadfly.wiring import Wiring

    wiring = Wiring(config)
    say_skipped(wiring.source)
    with runs.opened(config, resume=resume) as store:
        with progress("training", quiet=as_json) as bar:
            runs.train(
                wiring,
                store,
                resume=resume,
                on_sft_step=lambda done, total, m: bar.update(done, total, "fine-tuning"),
                on_step=lambda done, total, m: bar.update(done, total, training_line(m)),
            )
        finish(config, store, "train", as_json)


def sweep(
    config_file: ConfigFile = None,
    images: Images = None,
    target: TargetModel = None,
    questioner: QuestionerModel = None,
    verifier: VerifierName = None,
    name: Name = None,
    out: Out = None,
    seed: Seed = None,
    focus: Focus = None,
    n: Annotated[int | None, typer.Option("--n", help="How many questions.")] = None,
    split: Annotated[str, typer.Option(help="Which images: train or heldout.")] = "train",
    settings: Settings = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Ask with a given questioner, without training it."""
    config = configure(
        config_file, images, target, questioner, verifier, name, out, seed, focus, settings, {"sweep.n": n}
    )
    if split not in ("train", "heldout"):
        raise ConfigError(f"--split must be train or heldout, not {split!r}")
    if dry_run:
        _say_plan(config, config.sweep.n, as_json)
        return
    from gadfly import runs
    from gadfly.cli.findings import finish, sweep_line
    from gadfly.wiring import Wiring

    wiring = Wiring(config)
    say_skipped(wiring.source)
    with runs.opened(config, resume=resume) as store:
        with progress("asking", quiet=as_json) as bar:
            runs.sweep(
                wiring,
                store,
                split=split,
                on_progress=lambda done, total, rates: bar.update(done, total, sweep_line(rates)),
            )
        finish(config, store, "sweep", as_json)


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Run folders, or RUN:PHASE.")],
    as_json: AsJson = False,
) -> None:
    """Rates, distinct skills and combinations of several runs side by side, at equal numbers of probes."""
    from gadfly.cli.findings import print_comparison

    probes: dict[str, list[Probe]] = {}
    for spec in runs:
        folder, _, phase = spec.partition(":")
        probes[spec] = _probes(Path(folder), phase or None)
    print_comparison(probes, as_json)


def show(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    phase: Phase = None,
    verdict: Annotated[str | None, typer.Option(help="RIGHT, WRONG, INVALID or UNDECIDED.")] = None,
    skill: Annotated[str | None, typer.Option(help="Only probes that need this skill.")] = None,
    image: Annotated[str | None, typer.Option(help="Only probes about this image (its id or the start of it).")] = None,
    contains: Annotated[str | None, typer.Option(help="Only questions that contain this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest last.")] = 30,
    superseded: Annotated[bool, typer.Option("--superseded", help="Those too that a resume superseded.")] = False,
    as_json: AsJson = False,
) -> None:
    """The probes of a run as a table."""
    from itertools import islice

    from gadfly.records import Verdict
    from gadfly.store.sqlite import SqliteStore

    if verdict is not None and verdict.upper() not in Verdict.__members__:
        raise ConfigError(f"--verdict must be one of {', '.join(Verdict)}, not {verdict!r}")
    wanted = Verdict(verdict.upper()) if verdict is not None else None
    with SqliteStore.open(run_folder, read_only=True) as store:
        found = store.probes(phase, verdict=wanted, skill=skill, include_superseded=superseded)
        if image is not None:
            found = (p for p in found if any(i.id.startswith(image) for i in p.images))
        if contains is not None:
            found = (p for p in found if contains.lower() in p.question.lower())
        probes = list(islice(found, limit))
        counts = store.counts(phase, include_superseded=superseded)
    if as_json:
        print_json([_probe_as_json(p) for p in probes])
        return
    rows = [
        (
            f"{p.key.phase} {p.key.step}.{p.key.index}",
            p.images[0].path,
            plain(p.question, 120),
            plain(p.answer, 40) if p.answer is not None else "–",
            plain(p.judgement.expected or "–", 40),
            p.verdict.value,
            plain(p.judgement.reason or "", 60),
        )
        for p in probes
    ]
    table(str(run_folder), ("probe", "image", "question", "answer", "expected", "verdict", "reason"), rows)
    total = sum(counts.values())
    said = ", ".join(f"{count} {name.value}" for name, count in counts.items())
    console().print(f"{len(probes)} shown; the run has {total} probes{f' in {phase}' if phase else ''}: {said}")


def say_skipped(source: FolderSource) -> None:
    """Name the files that were left out, on standard error: the first ten, and how many more."""
    for skipped in source.skipped[:10]:
        remark(f"left out {skipped.path}: {skipped.reason}")
    if len(source.skipped) > 10:
        remark(f"and {len(source.skipped) - 10} more files")


def _probes(folder: Path, phase: str | None) -> list[Probe]:
    from gadfly.store.sqlite import SqliteStore

    with SqliteStore.open(folder, read_only=True) as store:
        probes = list(store.probes(phase))
    if not probes:
        raise StoreError(f"{folder} has no probes{f' in phase {phase!r}' if phase else ''}")
    return probes


def _probe_as_json(probe: Probe) -> dict[str, Any]:
    import dataclasses

    row: dict[str, Any] = dataclasses.asdict(probe)
    row["terms"] = dict(probe.terms)
    return row


def _say_plan(config: Config, n_probes: int, as_json: bool) -> None:
    """What a run would load, how many calls it would make at most, and which hosts would receive images."""
    from gadfly.wiring import open_images

    source = open_images(config.images)
    roles: Mapping[str, str] = {
        "questioner": config.questioner.model if config.questioner.method == "model" else config.questioner.method,
        "target": config.target.model,
        "verifier": config.verifier.model if config.verifier.kind == "model" else config.verifier.kind,
    }
    for role, model in roles.items():
        if not model:
            raise ConfigError(f"no {role} is named; give --{role} or set {role}.model")
    verifier_calls = 3 * n_probes if config.verifier.kind == "model" else 0
    plan = {
        "images": len(source),
        "skipped": [{"path": s.path, "reason": s.reason} for s in source.skipped],
        "models": dict(roles),
        "calls": {"questioner": n_probes, "target": n_probes, "verifier": verifier_calls},
        "hosts_that_receive_images": [],
    }
    if as_json:
        print_json(plan)
        return
    out = console()
    out.print(f"{len(source)} images in {plain(config.images.path)}, {len(source.skipped)} files skipped", markup=False)
    for skipped in source.skipped:
        out.print(f"  {plain(skipped.path)}: {plain(skipped.reason)}", markup=False)
    rows = [
        (role, plain(model), str(calls))
        for (role, model), calls in zip(roles.items(), (n_probes, n_probes, verifier_calls), strict=True)
    ]
    table("would be loaded", ("role", "model", "calls at most"), rows, numeric=("calls at most",))
    out.print("All models run in this process: no image leaves this machine.")
