"""Puts the questions of a stored phase through the probing loop again, step by step. Knows nothing of who asked them.

With the stored answers and another verifier this judges anew without asking the target; with another target in its
place it asks the same questions of that one. Steps, groups and indices stay those of the source, so that probes pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from gadfly.counts import Counts
from gadfly.probing import UNPARSABLE, Probing, Written
from gadfly.protocols import Target
from gadfly.records import Completion, Probe, Question, Verdict

_UNWRITTEN: Final = "questioner: "  # how probing says that the questioner wrote nothing


class RecordedTarget:
    """A Target that answers what some probes say was answered. Only for the questions of those probes."""

    def __init__(self, probes: Iterable[Probe]) -> None:
        self._answers = {(_ids(probe), probe.question): probe.turns[-1].answer for probe in probes}

    def answer(self, questions: Sequence[Question]) -> list[Completion]:
        return [self._answers[tuple(image.id for image in q.images), q.text] for q in questions]


def replay(
    probes: Iterable[Probe],
    probing: Probing,
    target_of: Callable[[Sequence[Probe]], Target],
    *,
    phase: str,
    attempt: int,
    first_step: int = 0,
    on_progress: Callable[[int, int, Counts], None] | None = None,
) -> Counts:
    """Go through the steps of `probes` from `first_step` on, each with the target that `target_of` gives for its
    probes; the counts returned are of those made here. `on_progress` gets (done, in all, counts so far) after each.

    What had no question in it stays INVALID, what the questioner never wrote stays UNDECIDED.
    """
    by_step: dict[int, list[Probe]] = defaultdict(list)
    for probe in probes:
        by_step[probe.key.step].append(probe)
    total = sum(map(len, by_step.values()))
    done = sum(len(some) for step, some in by_step.items() if step < first_step)
    counts = Counts()
    for step in sorted(step for step in by_step if step >= first_step):
        source = sorted(by_step[step], key=lambda probe: probe.key.index)
        unparsable = {probe.question for probe in source if is_unparsable(probe)}
        again = replace(
            probing,
            target=target_of(source),
            parse=lambda text, unparsable=unparsable: None if text in unparsable else text,  # type: ignore[misc]
        )
        made = again.step([_written(probe) for probe in source], phase=phase, attempt=attempt, step=step)
        done += len(source)
        counts += Counts.of(probe.verdict for probe in made.probes)
        if on_progress is not None:
            on_progress(done, total, counts)
    return counts


def is_unparsable(probe: Probe) -> bool:
    """Whether there was no question in what the questioner wrote, so that no verifier judged it."""
    return probe.verdict is Verdict.INVALID and probe.judgement.reason == UNPARSABLE


def _written(probe: Probe) -> Written:
    reason = probe.judgement.reason or ""
    unwritten = probe.verdict is Verdict.UNDECIDED and reason.startswith(_UNWRITTEN) and not probe.question
    completion = Completion(error=reason.removeprefix(_UNWRITTEN)) if unwritten else Completion(probe.question)
    return Written(probe.images, completion, probe.group)


def _ids(probe: Probe) -> tuple[str, ...]:
    return tuple(image.id for image in probe.images)
