"""`gadfly testbed …`: images with exact ground truth, the bundled checkpoints, and organisms with their answer keys."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gadfly.analysis.figures import counted_text, points_text, rate_text
from gadfly.cli.bootstrap import bootstrap_rng
from gadfly.cli.output import Bar, as_plain, print_json, progress, say, table
from gadfly.cli.parameters import AsJson, Settings

if TYPE_CHECKING:
    from gadfly.bench.cards import SkillRow
    from gadfly.bench.keys import AnswerKey
    from gadfly.bench.organisms import KeyFigures, Measured
    from gadfly.testbed.evaluation import Exam

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
    key: Annotated[
        Path | None, typer.Option(help="An organism's answer key (TOML). If left out, the one that belongs to it.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Its clean twin, a name or a folder, which is asked the same.")
    ] = None,
    inside: Annotated[int, typer.Option(min=1, help="With a key: questions aimed at each spot.")] = 400,
    card: Annotated[Path | None, typer.Option(help="Write a model card (Markdown) here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Accuracy at valid questions drawn uniformly, by skill and depth, with n and a 95% interval. Of an organism also
    the failure rate inside each of its blind spots and outside all."""
    from gadfly.bench.keys import key_of, read_key
    from gadfly.errors import ConfigError
    from gadfly.models.local import LocalModel
    from gadfly.testbed.checkpoints import path_of
    from gadfly.testbed.evaluation import sit, uniform_exam

    depths = tuple(sorted(set(depth or (1, 2))))
    path = path_of(model)
    key_file = key or key_of(model)
    if key_file is None and against is not None:
        raise ConfigError("--against compares on an answer key's spots, and this model has no key; give one with --key")
    planted = None if key_file is None else read_key(key_file)
    with progress("answering") as bar:
        exam = uniform_exam(split=_EXAM_SPLIT, seed=seed, n=n * len(depths), depths=depths)
        figures = None
        if planted is None:
            right = sit(LocalModel(path, exam.source.open, max_batch=64), exam, bar.update)
        else:
            twin = None if against is None else path_of(against)
            right, figures = _sit_with_key(path, twin, planted, exam, inside, depths, seed, bar)
    rows = _skill_rows(exam, right)
    if card is not None:
        _write_card(card, model, path, rows, depths, figures, n=n, seed=seed, against=against)
    if as_json:
        said: dict[str, Any] = {"model": str(model), "seed": seed, "rows": as_plain(rows)}
        if figures is not None:
            said |= {"key": str(key_file), "against": against, "planted": as_plain(figures)}
        print_json(said)
        return
    _print_skills(model, rows, depths)
    if figures is not None:
        _print_key(figures)


def _write_card(
    card: Path, model: str, folder: Path, rows: list[SkillRow], depths: tuple[int, ...],
    figures: KeyFigures | None, *, n: int, seed: int, against: str | None,
) -> None:  # fmt: skip
    from gadfly.bench.cards import target_card

    command = f"gadfly testbed evaluate {model} --n {n} --seed {seed}" + (f" --against {against}" if against else "")
    parameters = _n_parameters(folder)
    text = target_card(model, parameters=parameters, command=command, rows=rows, depths=depths, figures=figures)
    card.write_text(text, encoding="utf-8")


def _n_parameters(folder: Path) -> int:
    from safetensors import safe_open

    n = 0
    for weights in folder.glob("*.safetensors"):
        with safe_open(weights, framework="np") as file:
            n += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping
    return n


_EXAM_SPLIT = "heldout"


def _sit_with_key(
    path: Path, twin: Path | None, key: AnswerKey, uniform: Exam, inside: int, depths: tuple[int, ...], seed: int,
    bar: Bar,
) -> tuple[list[bool], KeyFigures]:  # fmt: skip
    """Which questions of the uniform exam are answered rightly, and what is measured against the key."""
    from gadfly.bench.organisms import key_exam, measure, sit_key_exam
    from gadfly.models.local import LocalModel

    exam = key_exam(key, uniform, split=_EXAM_SPLIT, seed=seed, inside=inside, depths=depths)
    results = []
    for name, folder in (("answering", path), ("the clean twin", twin)):
        told = partial(bar.update, title=name)
        results.append(
            None if folder is None else sit_key_exam(LocalModel(folder, exam.open, max_batch=64), exam, told)
        )
    organism, clean = results
    assert organism is not None
    figures = measure(key, exam, organism, clean, bootstrap_rng())
    return [not wrong for wrong in organism.uniform_N.tolist()], figures


def _skill_rows(exam: Exam, right: list[bool]) -> list[SkillRow]:
    from gadfly.analysis.statistics import wilson_interval
    from gadfly.bench.cards import SkillRow
    from gadfly.testbed.evaluation import DESCRIBED, by_skill_and_depth

    rows = []
    for skill, by_depth in by_skill_and_depth(exam, right).items():
        for d, score in by_depth.items():
            low, high = wilson_interval(score.right, score.n)
            accuracy, chance = score.right / score.n, score.commonest / score.n
            rows.append(SkillRow(skill, skill in DESCRIBED, d, accuracy, low, high, score.n, chance))
    return rows


def _print_skills(model: str, rows: list[SkillRow], depths: tuple[int, ...]) -> None:
    from gadfly.bench.cards import by_skill, macro_text

    cells = [(title, *map(counted_text, at_depths)) for title, at_depths in by_skill(rows, depths)]
    table(f"accuracy of {model} (95% interval)", ("skill", *(f"depth {d}" for d in depths)), cells)
    say(macro_text(rows, depths))


def _print_key(figures: KeyFigures) -> None:
    """Failure rates inside and outside the spots, the clean twin's beside them where there is one."""
    rows = [(spot.name, spot.kind, *_figures(spot.inside), rate_text(spot.share)) for spot in figures.spots]
    rows.append(("outside all", "", *_figures(figures.outside), ""))
    columns = ("spot", "kind", "failure rate", "n", "clean twin", "difference", "share of uniform questions")
    say()
    table(f"failure rate of {figures.title} (95% interval)", columns, rows, numeric=columns[2:])


def _figures(measured: Measured) -> tuple[str, str, str, str]:
    failure, twin = rate_text(measured.failure), rate_text(measured.twin)
    return failure, str(measured.failure.n), twin, points_text(measured.difference)


@app.command()
def make_organism(
    key: Annotated[Path, typer.Argument(help="The answer key (TOML): which blind spots to plant.")],
    out: Annotated[Path, typer.Option(help="A new folder for the checkpoint; the key is written beside it.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of fine-tuning; the key's if left out.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Questions for each depth when it is measured.")] = 1000,
    inside: Annotated[int, typer.Option(min=1, help="Questions aimed at each spot when it is measured.")] = 400,
) -> None:
    """Fine-tune a bundled target into an organism with planted blind spots, and measure it against its clean twin."""
    from gadfly.bench.keys import read_key
    from gadfly.bench.making import checkpoint_folder, make_organism, planting
    from gadfly.testbed.evaluation import uniform_exam
    from gadfly.testbed.school import printer

    planted = read_key(key)
    course = planting(planted)
    make_organism(planted, out, printer(), course=course if steps is None else replace(course, steps=steps))
    depths = (1, 2)
    with progress("answering") as bar:
        exam = uniform_exam(split=_EXAM_SPLIT, seed=0, n=n * len(depths), depths=depths)
        _, figures = _sit_with_key(out, checkpoint_folder(planted.clean), planted, exam, inside, depths, 0, bar)
    _print_key(figures)
    say(f"the organism is in {out}")


@app.command()
def evaluate_verifier(
    verifier: Annotated[str, typer.Argument(help="A bundled checkpoint's name, or a folder.")],
    target: Annotated[
        list[str] | None,
        typer.Option(help="Whose answers are judged: bundled names, or folders; clean, a, b and c if not said."),
    ] = None,
    questioner: Annotated[
        list[str] | None,
        typer.Option(help="Who asks: uniform, a bundled name, a folder; the bundled one and uniform if not said."),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Questions of each questioner, each about another image.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of scenes and questions.")] = 0,
    card: Annotated[Path | None, typer.Option(help="Write a model card (Markdown) here.")] = None,
    as_json: AsJson = False,
) -> None:
    """How a model judges testbed questions and a target's answers, beside the oracle that knows."""
    from gadfly.cli.verifier_trial import print_trial, trial
    from gadfly.testbed.checkpoints import path_of

    asking = {who: None if who == "uniform" else path_of(who) for who in questioner or ("questioner", "uniform")}
    found = {}
    for name in target or ("clean", "a", "b", "c"):
        with progress(f"judging answers of {name}") as bar:
            found[name] = trial(path_of(verifier), path_of(name), asking, n, seed, bar.update)
    if card is not None:
        from gadfly.bench.verifier_cards import verifier_card

        command = f"gadfly testbed evaluate-verifier {verifier} --n {n} --seed {seed}"
        parameters = _n_parameters(path_of(verifier))
        card.write_text(verifier_card(verifier, parameters=parameters, command=command, found=found), encoding="utf-8")
    if as_json:
        print_json({"verifier": verifier, "seed": seed, "targets": found})
        return
    for name, by_questioner in found.items():
        print_trial(verifier, name, by_questioner)


@app.command()
def evaluate_annotator(
    model: Annotated[str, typer.Argument(help="A language model: a folder, a hub id, or its name on a server.")],
    annotator_url: Annotated[str | None, typer.Option(help="The server, such as http://127.0.0.1:8000/v1.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many distinct questions.")] = 200,
    depth: Annotated[list[int] | None, typer.Option(min=1, max=4, help="Depths; 1 and 2 if left out.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of scenes and questions.")] = 0,
    free: Annotated[bool, typer.Option("--free", help="Let it name skills freely, and merge the names.")] = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """How well a language model names the skills and concepts of testbed questions, beside the grammar that knows. It
    chooses from the testbed's skills and ten that no question needs, or names them --free."""
    from gadfly.cli.annotator_trial import annotator_config, print_trial, trial, trial_json
    from gadfly.cli.options import settings_given

    config = annotator_config(model, annotator_url, free, settings_given(settings))
    with progress("naming skills") as bar:
        found = trial(config, n, seed, tuple(sorted(set(depth or (1, 2)))), bar.update)
    if as_json:
        print_json({"annotator": model, "seed": seed, "vocabulary": config.annotator.vocabulary, **trial_json(found)})
    else:
        print_trial(model, found)


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="A folder for the checkpoints. What is in it already is not made again.")],
    names: Annotated[list[str] | None, typer.Argument(help="Which ones; all of them if left out.")] = None,
) -> None:
    """Train bundled checkpoints from scratch, and what they need. About two hours for all of them on one core."""
    from gadfly.bench.building import build as build_one
    from gadfly.errors import ConfigError
    from gadfly.testbed.checkpoints import NAMES
    from gadfly.testbed.school import printer

    for name in names or ():
        if name not in NAMES:
            raise ConfigError(f"there is no bundled checkpoint {name!r}; there are {', '.join(NAMES)}")
    report = printer()
    for name in names or NAMES:
        say(f"{name} is in {build_one(name, out, report)}")
