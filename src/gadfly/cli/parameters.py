"""The parameters that several commands share, each with one wording of its help. Turns them into nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def unset(default: object) -> str:
    """What the help says of an option that stands for a setting: where it is left out the file decides, then this. It
    is written out here, since a help that loads the configuration is slow; a test holds it to that."""
    return f"the file's, else {default}"


ConfigFile = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="A TOML file; the options below override it.")
]
RunPhase = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or RUN:PHASE where it has several phases.")]
RunPhases = Annotated[list[str], typer.Argument(metavar="RUN", help="Run folders, or RUN:PHASE for one phase of it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Any setting: --set train.steps=100. Repeatable.")]

# What a run is made of
Images = Annotated[str | None, typer.Option(help="Folder of images.")]
TargetModel = Annotated[str | None, typer.Option("--target", help="Model under test: a folder or a hub id.")]
QuestionerModel = Annotated[str | None, typer.Option("--questioner", help="Model that asks: a folder or a hub id.")]
AnyQuestioner = Annotated[
    str | None, typer.Option("--questioner", help="Who asks: a folder, a hub id, or uniform (testbed images only).")
]
VerifierName = Annotated[
    str | None, typer.Option("--verifier", help="Who judges: oracle, reference:PAIRS.jsonl, or a model.")
]
TargetUrl = Annotated[
    str | None,
    typer.Option(help="Server of the target, such as http://127.0.0.1:8000/v1; --target is the model's name there."),
]
QuestionerUrl = Annotated[str | None, typer.Option(help="Server of the questioner, likewise.")]
VerifierUrl = Annotated[str | None, typer.Option(help="Server of the verifier, likewise.")]
Name = Annotated[str | None, typer.Option(help="Name of the run; its folder is OUT/NAME.", show_default=unset("run"))]
Out = Annotated[str | None, typer.Option(help="Folder of the runs.", show_default=unset("runs"))]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random in the run.", show_default=unset(0))]
Focus = Annotated[
    list[str] | None,
    typer.Option(help="A topic for the questioner to ask about; several take turns.", show_default=unset("none")),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was broken off.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]

# What it may use
MaxCalls = Annotated[int | None, typer.Option(help="End after so many calls of models, cached ones not counted.")]
MaxCost = Annotated[float | None, typer.Option(help="End at this cost, in the currency of the prices in the settings.")]
MaxTime = Annotated[float | None, typer.Option(help="End after so many seconds.")]

# What is done with it later
MovedImages = Annotated[str | None, typer.Option("--images", help="Folder of images, where it has moved.")]
