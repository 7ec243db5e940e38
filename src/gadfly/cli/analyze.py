"""`gadfly analyze`: from a run's probes to findings, written beside its store and printed. Asks no model anything."""

from __future__ import annotations

from gadfly.cli.audit import Images, RunPhase
from gadfly.cli.commands import AsJson
from gadfly.cli.output import as_plain, print_json
from gadfly.cli.phase_findings import read_phase


def analyze(run: RunPhase, images: Images = None, as_json: AsJson = False) -> None:
    """Find the target's failure modes in a run's probes: what they have in common where it fails, how often it fails
    there and elsewhere. Also the tree of skills, the course of a training, and how much of what a frozen questioner can
    show has been seen. Written to RUN/findings/PHASE and printed."""
    phase = read_phase(run, images)
    found = phase.analyse(phase.conditions())
    files = phase.write(found) + phase.draw(found)
    if as_json:
        where = {"run": str(phase.run), "phase": phase.name, "files": [str(path) for path in files]}
        print_json({**where, **as_plain(found)})
        return
    from gadfly.cli.analyze_tables import print_findings

    print_findings(phase.title, phase.probes, found, files)
