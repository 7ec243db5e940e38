"""`gadfly testbed …`: images with exact ground truth, the bundled checkpoints, and organisms with their answer keys."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.cli.output import print_json, progress, remark, say
from gadfly.cli.parameters import AsJson, Settings
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from gadfly.testbed.school import Report

app = typer.Typer(help="Images with exact ground truth, and small bundled models.", no_args_is_help=True)

Depths = Annotated[
    list[int] | None,
    typer.Option("--depth", min=1, max=4, help="Depths of the questions. Repeatable.", show_default="1 and 2"),
]
Seed = Annotated[int, typer.Option(help="Seed of scenes and questions.")]
Inside = Annotated[int, typer.Option(min=1, help="Questions aimed at each spot of the key.")]
Card = Annotated[Path | None, typer.Option(help="Write a model card (Markdown) here.")]

_DEPTHS = (1, 2)


@app.command()
def render(
    out: Annotated[Path, typer.Option(help="A new or an empty folder.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many images.")] = 1000,
    split: Annotated[str, typer.Option(help="target, questioner, verifier, probe, heldout or fresh.")] = "probe",
    seed: Annotated[int, typer.Option(help="Seed of the scenes.")] = 0,
    level: Annotated[
        Literal["plain", "busy"] | None, typer.Option(help="What the scenes look like.", show_default="half and half")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write images and their annotations to a folder. They are PNG files, and any run can ask about them."""
    from gadfly.testbed.album import render as render_album

    with progress("rendering") as bar:
        render_album(out, n=n, split=split, seed=seed, level=level, on_progress=lambda done: bar.update(done, n))
    if as_json:
        print_json({"images": str(out), "n": n, "split": split, "seed": seed})
        return
    say(f"{n} images and scenes.jsonl in {out}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A bundled checkpoint's name, or a folder.")],
    n: Annotated[int, typer.Option("--n", min=1, help="Questions for each depth.")] = 2000,
    depth: Depths = None,
    seed: Seed = 0,
    key: Annotated[
        Path | None,
        typer.Option(help="An organism's answer key (TOML).", show_default="the one that belongs to it, if any"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another model, a name or a folder, which is asked the same: an organism's clean twin."),
    ] = None,
    inside: Inside = 400,
    card: Card = None,
    as_json: AsJson = False,
) -> None:
    """Measure a target by skill and depth. Accuracy is at valid questions drawn uniformly,
    with n and a 95% interval; of an organism also the failure rate inside each of its blind spots and outside all."""
    from gadfly.bench.cards import target_card
    from gadfly.bench.examining import examine
    from gadfly.bench.keys import key_of, read_key
    from gadfly.cli.testbed_tables import print_examined
    from gadfly.testbed.checkpoints import path_of

    key_file = key or key_of(model)
    with progress("answering") as bar:
        found = examine(
            path_of(model),
            n=n,
            depths=depth or _DEPTHS,
            seed=seed,
            rng=bootstrap_rng(),
            key=None if key_file is None else read_key(key_file),
            twin=None if against is None else path_of(against),
            inside=inside,
            on_progress=lambda done, total, who: bar.update(done, total, title=who),
        )
    if card is not None:
        more = "".join(f" --depth {one}" for one in depth or ()) + (f" --against {against}" if against else "")
        command = f"gadfly testbed evaluate {model} --n {n} --seed {seed}{more}"
        text = target_card(model, path_of(model), command=command, found=found, against=against)
        card.write_text(text, encoding="utf-8")
    if as_json:
        about = {"model": model, "seed": seed, "key": None if key_file is None else str(key_file), "against": against}
        beside = as_plain(found.beside)
        print_json({**about, "rows": as_plain(found.rows), "planted": as_plain(found.figures), "beside": beside})
        return
    print_examined(model, found, against)


@app.command()
def make_organism(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The answer key (TOML): which blind spots to plant.")],
    out: Annotated[Path, typer.Option(help="A new folder for the checkpoint; the key is written beside it.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of fine-tuning.", show_default="the key's")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Questions for each depth when it is measured.")] = 1000,
    inside: Inside = 400,
    as_json: AsJson = False,
) -> None:
    """Plant blind spots in a target, and measure them. The target that the key names is fine-tuned, and
    compared with what it was, its clean twin."""
    from gadfly.bench.examining import examine
    from gadfly.bench.keys import read_key
    from gadfly.bench.making import checkpoint_folder, make_organism, planting
    from gadfly.cli.testbed_tables import print_key

    planted = read_key(key)
    course = planting(planted)
    make_organism(planted, out, _reporter(), course=course if steps is None else replace(course, steps=steps))
    with progress("answering") as bar:
        found = examine(
            out,
            n=n,
            depths=_DEPTHS,
            seed=0,
            rng=bootstrap_rng(),
            key=planted,
            twin=checkpoint_folder(planted.clean),
            inside=inside,
            on_progress=lambda done, total, who: bar.update(done, total, title=who),
        )
    assert found.figures is not None, "it has a key"
    if as_json:
        print_json({"organism": str(out), "planted": as_plain(found.figures)})
        return
    print_key(found.figures)
    say(f"the organism is in {out}")


@app.command()
def evaluate_verifier(
    verifier: Annotated[str, typer.Argument(metavar="VERIFIER", help="A bundled checkpoint's name, or a folder.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose answers are judged: bundled names, or folders. Repeatable.", show_default="clean, a, b and c"
        ),
    ] = None,
    questioner: Annotated[
        list[str] | None,
        typer.Option(
            help="Who asks: uniform, bundled names, or folders. Repeatable.", show_default="questioner and uniform"
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Questions of each questioner, each about another image.")] = 500,
    seed: Seed = 0,
    card: Card = None,
    as_json: AsJson = False,
) -> None:
    """Measure a verifier beside the oracle. Both judge testbed questions and a target's answers, and the oracle
    knows."""
    from gadfly.bench.cards import verifier_card
    from gadfly.bench.verifier_trial import try_verifier
    from gadfly.cli.testbed_tables import print_verifier_trial
    from gadfly.testbed.checkpoints import path_of

    asking = {who: None if who == "uniform" else path_of(who) for who in questioner or ("questioner", "uniform")}
    found = {}
    for name in target or ("clean", "a", "b", "c"):
        with progress(f"judging answers of {name}") as bar:
            found[name] = try_verifier(path_of(verifier), path_of(name), asking, n, seed, bar.update)
    if card is not None:
        command = f"gadfly testbed evaluate-verifier {verifier} --n {n} --seed {seed}"
        card.write_text(verifier_card(verifier, path_of(verifier), command=command, found=found), encoding="utf-8")
    if as_json:
        print_json({"verifier": verifier, "seed": seed, "targets": as_plain(found)})
        return
    for name, by_questioner in found.items():
        for who, one in by_questioner.items():
            print_verifier_trial(verifier, name, who, one)


@app.command()
def evaluate_annotator(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A language model: a folder, a hub id, or its name on a server.")
    ],
    annotator_url: Annotated[str | None, typer.Option(help="The server, such as http://127.0.0.1:8000/v1.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many distinct questions.")] = 200,
    depth: Depths = None,
    seed: Seed = 0,
    free: Annotated[bool, typer.Option("--free", help="Let it name skills freely, and merge the names.")] = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Measure an annotator beside the grammar. It is a language model that names the skills and concepts of testbed
    questions, which the grammar knows. It chooses from the testbed's skills and ten that no question needs, or names
    them --free."""
    from gadfly.bench.annotator_trial import annotator_config, try_annotator
    from gadfly.cli.options import settings_given
    from gadfly.cli.testbed_tables import print_annotator_trial

    config = annotator_config(model, annotator_url, free, settings_given(settings))
    with progress("naming skills") as bar:
        depths = tuple(sorted(set(depth or _DEPTHS)))
        found = try_annotator(config, n, seed, depths, bootstrap_rng(), bar.update)
    if as_json:
        about = {"annotator": model, "seed": seed, "vocabulary": config.annotator.vocabulary}
        print_json({**about, **as_plain(found)})
        return
    print_annotator_trial(model, found)


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="A folder for the checkpoints. What is in it already is not made again.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Which ones.", show_default="all of them")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train bundled checkpoints from scratch. What they need is trained as well. It takes an hour or more for each on
    one core; docs/testbed.md says how long which course is."""
    from gadfly.bench.building import build as build_one
    from gadfly.errors import ConfigError
    from gadfly.testbed.checkpoints import NAMES

    for name in names or ():
        if name not in NAMES:
            raise ConfigError(f"there is no bundled checkpoint {name!r}; there are {', '.join(NAMES)}")
    report = _reporter()
    built = {name: str(build_one(name, out, report)) for name in names or NAMES}
    if as_json:
        print_json({"checkpoints": built})
        return
    for name, folder in built.items():
        say(f"{name} is in {folder}")


def _reporter() -> Report:
    """A line on standard error for each word about a course, with the seconds so far."""
    began = time.monotonic()

    def report(stage: str, step: int, figures: dict[str, float]) -> None:
        said = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        remark(f"{time.monotonic() - began:7.0f} s  {stage:9s} {step:6d}  {said}")

    return report
