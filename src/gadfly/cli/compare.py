"""`gadfly compare`: runs and their phases side by side. Loads no model and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gadfly.cli.output import print_json, progress
from gadfly.cli.parameters import AsJson, RunPhases
from gadfly.cli.reading import folder_and_phase
from gadfly.errors import StoreError
from gadfly.plain_data import as_plain
from gadfly.store.phases import known_phase, phases_of

if TYPE_CHECKING:
    from gadfly.records import Probe, Usage


def compare(
    runs: RunPhases,
    as_json: AsJson = False,
) -> None:
    """Put runs side by side: rates, skills, combinations. Distinct skills and combinations are at equal numbers of
    probes. A run with several phases has a row for each."""
    from gadfly.sittings import usage_of
    from gadfly.store.sqlite import SqliteStore

    probes: dict[str, list[Probe]] = {}
    usages: dict[str, dict[str, Usage]] = {}
    with progress("reading runs", passing=True) as bar:
        for i, spec in enumerate(runs):
            folder, phase = folder_and_phase(spec)
            with SqliteStore.open(folder, read_only=True) as store:
                phases = phases_of(store)
                wanted = [known_phase(phase, phases, folder)] if phase is not None else phases
                for one in wanted:
                    name = str(folder) if phase is None and len(wanted) == 1 else f"{folder}:{one}"
                    if found := list(store.probes(one)):
                        probes[name], usages[name] = found, usage_of(store, one)
            bar.update(i + 1, len(runs))
    if not probes:
        raise StoreError(f"there are no probes in {', '.join(runs)} yet; wait for a first step")
    from gadfly.analysis.bootstrap import bootstrap_rng
    from gadfly.analysis.comparison import compared
    from gadfly.cli.rate_tables import print_compared

    beside = compared(probes, bootstrap_rng())
    if as_json:
        print_json({**as_plain(beside), "usage": as_plain(usages)})
        return
    print_compared(beside, usages)
