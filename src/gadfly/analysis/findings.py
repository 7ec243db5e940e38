"""All that a phase of a run has found, in one call: modes, taxonomy, curriculum, coverage. Reads no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gadfly.analysis.clustered import rate_by_image
from gadfly.analysis.confirmation import with_confirmations
from gadfly.analysis.coverage import Coverage, coverage
from gadfly.analysis.curriculum import Curriculum, curriculum
from gadfly.analysis.describing import in_words
from gadfly.analysis.items import items_by_probe, tabulate
from gadfly.analysis.mining import MiningSettings
from gadfly.analysis.modes import ModeSearch, find_modes
from gadfly.analysis.novelty import known_failures
from gadfly.analysis.rates import Rate
from gadfly.analysis.taxonomy import Node, taxonomy
from gadfly.counts import Counts
from gadfly.protocols import Annotator, Describer, Grounder
from gadfly.records import Probe

FROZEN_ONLY = "a questioner that learns asks something else tomorrow; sweep with a frozen one to measure coverage"
TRAINING_ONLY = "only a training has a course"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found. `counts` are of all probes, equal ones included; `failure` is over the distinct valid ones.
    `curriculum` and `coverage` are None where they do not apply, and their reasons say why."""

    counts: Counts
    failure: Rate
    search: ModeSearch
    taxonomy: tuple[Node, ...]
    curriculum: Curriculum | None
    curriculum_reason: str | None
    coverage: Coverage | None
    coverage_reason: str | None
    known_failures_version: int


def analyse(
    probes: Sequence[Probe],
    *,
    training: bool,
    frozen: bool | None = None,
    made_for: Mapping[str, Sequence[Probe]] | None = None,
    annotator: Annotator | None = None,
    conditions: Mapping[str, Sequence[str]] | None = None,
    settings: MiningSettings | None = None,
    grounder: Grounder | None = None,
    describer: Describer | None = None,
) -> Findings:
    """The findings of the probes of one phase, the superseded ones left out. `training` says whether the questioner was
    trained meanwhile, `frozen` whether it asked the same way throughout: by default where it was not trained.
    `made_for` are the probes of its confirming phase by the id of the mode that they were made for.
    `conditions` are the items of each image by its id (`conditions.conditions`). The `describer` names the modes in the
    template's place."""
    settings = MiningSettings() if settings is None else settings
    table = tabulate(probes, annotator, conditions, grounder=grounder)
    known = known_failures()
    failure = rate_by_image(table.wrong_N, table.image_N, table.wrong_N | True)
    search = find_modes(table, settings, known)
    search = with_confirmations(
        search if describer is None else in_words(search, describer),
        probes,
        {} if made_for is None else made_for,
        lambda some: items_by_probe(some, annotator, conditions, grounder),
        failure,
    )
    course = curriculum(probes, annotator, grounder) if training else TRAINING_ONLY
    constant = not training if frozen is None else frozen
    seen = coverage(probes, annotator) if constant else FROZEN_ONLY
    return Findings(
        counts=Counts.of(probe.verdict for probe in probes),
        failure=failure,
        search=search,
        taxonomy=taxonomy(table, search.modes),
        curriculum=course if isinstance(course, Curriculum) else None,
        curriculum_reason=course if isinstance(course, str) else None,
        coverage=seen if isinstance(seen, Coverage) else None,
        coverage_reason=seen if isinstance(seen, str) else None,
        known_failures_version=known.version,
    )
