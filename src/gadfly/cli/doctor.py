"""`gadfly doctor`: looks at a configuration before hours are spent on it. Prints what the examination finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.cli.options import configure, roles, servers
from gadfly.cli.output import print_json, progress, say
from gadfly.cli.parameters import (
    AsJson,
    Images,
    QuestionerModel,
    QuestionerUrl,
    Settings,
    TargetModel,
    TargetUrl,
    VerifierName,
    VerifierUrl,
)
from gadfly.errors import ConfigError
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from gadfly.doctor.finding import Finding

FAILED = 1

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; the options below override it.")],
    images: Images = None,
    target: TargetModel = None,
    questioner: QuestionerModel = None,
    verifier: VerifierName = None,
    target_url: TargetUrl = None,
    questioner_url: QuestionerUrl = None,
    verifier_url: VerifierUrl = None,
    settings: Settings = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only compute: load no weights, call no server.")
    ] = False,
    device_gb: Annotated[
        float | None, typer.Option(help="Memory of a device, in 10^9 bytes; by default that of this machine.", min=0)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a configuration before a run. It looks at versions, images, models and servers, puts one probe through the
    loop, and says what memory and cost to expect. Status 1 if anything fails."""
    from gadfly.doctor.finding import Outcome, failed

    given = {**roles(images, target, questioner, verifier), **servers(target_url, questioner_url, verifier_url)}
    found: list[Finding] = []
    try:
        config = configure(config_file, settings, given)
    except ConfigError as fault:
        found.append(failed("configuration", str(fault)))
        _say(found[0], as_json)
    else:
        from gadfly.doctor.examination import examine

        with progress("reading images", passing=True) as bar:
            device_bytes = None if device_gb is None else round(device_gb * 1e9)
            for finding in examine(config, estimate_only=estimate, device_bytes=device_bytes, on_image=bar.update):
                found.append(finding)
                _say(finding, as_json)
    fails = sum(one.outcome is Outcome.FAIL for one in found)
    warnings = sum(one.outcome is Outcome.WARN for one in found)
    if as_json:
        print_json({"passed": fails == 0, "findings": as_plain(found)})
    else:
        say(f"{len(found) - fails - warnings} passed, {warnings} to look at, {fails} failed")
    if fails:
        raise typer.Exit(FAILED)


def _say(finding: Finding, as_json: bool) -> None:
    if not as_json:
        say(f"{finding.outcome:4}  {finding.check}: {finding.said}", style=_STYLES[finding.outcome])
