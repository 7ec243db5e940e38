"""`gadfly testbed …`: images with exact ground truth, and the bundled checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gadfly.cli.output import print_json, progress, say, table

app = typer.Typer(help="Images with exact ground truth, and small bundled models.", no_args_is_help=True)


@app.command()
def render(
    out: Annotated[Path, typer.Option(help="A new or an empty folder.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many images.")] = 1000,
    split: Annotated[str, typer.Option(help="target, questioner, verifier, probe, heldout or fresh.")] = "probe",
    seed: Annotated[int, typer.Option(help="Seed of the scenes.")] = 0,
    level: Annotated[
        Literal["plain", "busy"] | None, typer.Option(help="plain or busy; half and half if left out.")
    ] = None,
) -> None:
    """Write PNG files and their annotations: an ordinary folder of images."""
    from gadfly.testbed.album import render as render_album

    with progress("rendering") as bar:
        render_album(out, n=n, split=split, seed=seed, level=level, on_progress=lambda done: bar.update(done, n))
    say(f"{n} images and scenes.jsonl in {out}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A bundled checkpoint's name, or a folder.")],
    n: Annotated[int, typer.Option("--n", min=1, help="Questions for each depth.")] = 2000,
    depth: Annotated[list[int] | None, typer.Option(min=1, max=4, help="Depths; 1 and 2 if left out.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of scenes and questions.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Accuracy at valid questions drawn uniformly, by skill and depth, with n and a 95% interval."""
    from gadfly.analysis.statistics import wilson_interval
    from gadfly.models.local import LocalModel
    from gadfly.testbed.checkpoints import NAMES, bundled
    from gadfly.testbed.evaluation import by_skill_and_depth, sit, uniform_exam

    depths = tuple(sorted(set(depth or (1, 2))))
    path = bundled(model) if model in NAMES else Path(model)
    with progress("answering") as bar:
        exam = uniform_exam(split="heldout", seed=seed, n=n * len(depths), depths=depths)
        right = sit(LocalModel(path, exam.source.open, max_batch=64), exam, bar.update)
    scores = by_skill_and_depth(exam, right)
    rows: list[dict[str, Any]] = []
    for skill, by_depth in scores.items():
        for d, (hits, total) in by_depth.items():
            low, high = wilson_interval(hits, total)
            rows.append({"skill": skill, "depth": d, "accuracy": hits / total, "low": low, "high": high, "n": total})
    if as_json:
        print_json({"model": str(model), "seed": seed, "rows": rows})
        return
    said = {
        (r["skill"], r["depth"]): f"{r['accuracy']:.1%} ({r['low']:.0%} to {r['high']:.0%}), n {r['n']}" for r in rows
    }
    cells = [(skill, *(said.get((skill, d), "–") for d in depths)) for skill in scores]
    table(f"accuracy of {model} (95% interval)", ("skill", *(f"depth {d}" for d in depths)), cells)
    for d in depths:
        if at := [r["accuracy"] for r in rows if r["depth"] == d]:
            say(f"depth {d}: macro accuracy {sum(at) / len(at):.1%} over {len(at)} skills")


@app.command()
def build(out: Annotated[Path, typer.Option(help="A new folder for the checkpoints.")]) -> None:
    """Train the bundled checkpoints from scratch. Takes about two hours on one core."""
    from gadfly import runs
    from gadfly.config import from_dict
    from gadfly.testbed.album import render as render_album
    from gadfly.testbed.build import POLISH_IMAGES, POLISH_SEED, POLISH_STEPS, PRACTISED, build_pair
    from gadfly.testbed.recipe import polish_settings
    from gadfly.testbed.school import printer
    from gadfly.wiring import Wiring

    report = printer()
    build_pair(out, report)
    images = out / "images"
    render_album(images, n=POLISH_IMAGES, split="questioner", seed=POLISH_SEED)
    config = from_dict(
        polish_settings(
            images, out, questioner=out / PRACTISED, target=out / "target", steps=POLISH_STEPS, seed=POLISH_SEED
        )
    )
    with runs.opened(config, resume=False) as store:
        trained = runs.train(
            Wiring(config),
            store,
            resume=False,
            on_step=lambda done, total, metrics: report("polish", done, {"valid": float(metrics["valid_rate"] or 0)}),
        )
    trained.rename(out / "questioner")
    say(f"target and questioner in {out}")
