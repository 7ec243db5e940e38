"""`gadfly analyze`: from a run's probes to findings, written beside its store and printed. Asks no model, but for an
annotator that is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gadfly.cli.output import print_json
from gadfly.cli.parameters import AsJson, MovedImages, RunPhase, Settings
from gadfly.cli.phases import Stages, read_phase
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from gadfly.annotating import Named

AnnotatorName = Annotated[
    str | None,
    typer.Option("--annotator", help="Who names skills and concepts: testbed, none, or a language model."),
]
AnnotatorUrl = Annotated[str | None, typer.Option(help="Server of the annotator; --annotator is its name there.")]
Vocabulary = Annotated[
    str | None, typer.Option(help="The skills it is to choose from: a text file, one a line, or testbed.")
]


def analyze(
    run: RunPhase,
    images: MovedImages = None,
    annotator: AnnotatorName = None,
    annotator_url: AnnotatorUrl = None,
    vocabulary: Vocabulary = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Find the target's failure modes in a run's probes. A mode is what they have in common where it fails, with how
    often it fails there and elsewhere. Also the tree of skills, the course of a training, and how much of what a frozen
    questioner can show has been seen. Written to RUN/findings/PHASE and printed."""
    from gadfly.cli.options import with_annotator

    with Stages() as stages:
        phase = read_phase(
            run, images, stages, lambda own: with_annotator(own, annotator, annotator_url, vocabulary, settings)
        )
        found = phase.analyse()
    from gadfly.report.courses import draw_courses

    files = phase.write(found) + draw_courses(found, phase.folder.path)
    if as_json:
        where = {"run": str(phase.run), "phase": phase.name, "files": [str(path) for path in files]}
        print_json({**where, **as_plain(found), **_said(phase.named)})
        return
    from gadfly.cli.analyze_tables import print_findings, print_named

    print_findings(phase.title, phase.probes, found, files)
    print_named(phase.named)


def _said(named: Named) -> dict[str, Any]:
    """Nothing where no model was asked."""
    if named.unknown is None:
        return {}
    return {"annotator": as_plain(named.unknown), "names": as_plain(named.names), "usage": as_plain(named.usage())}
