"""One probe as a card in a page: picture, question, answer, what was expected, the verdict. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gadfly.records import Probe, ProbeKey, Verdict
from gadfly.report.thumbnails import Thumbnail, Thumbnails
from gadfly.report.wording import one_line, shown

SIGNS = {Verdict.RIGHT: "✓", Verdict.WRONG: "✕", Verdict.INVALID: "?", Verdict.UNDECIDED: "…"}
"""So that a verdict is never told by its colour alone."""

SAID = {
    Verdict.RIGHT: "answered rightly",
    Verdict.WRONG: "answered wrongly",
    Verdict.INVALID: "not a fair question",
    Verdict.UNDECIDED: "could not be judged",
}


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """What another target answered to the same question; `answer` is None where there is none."""

    target: str
    verdict: Verdict
    answer: str | None

    @property
    def sign(self) -> str:
        return SIGNS[self.verdict]


@dataclass(frozen=True, slots=True)
class Card:
    """A probe as it is shown. Texts are untrusted, fit to be shown, not escaped. `answer` is None where there is none,
    and `fault` then says why. `labels` are what somebody said of it, as `label_mark` writes it."""

    key: ProbeKey
    id: str
    place: str
    verdict: Verdict
    thumbnails: tuple[Thumbnail | None, ...]
    paths: tuple[str, ...]
    image_ids: tuple[str, ...]
    earlier: tuple[tuple[str, str], ...]
    question: str
    answer: str | None
    fault: str | None
    expected: str | None
    reason: str | None
    skills: tuple[str, ...]
    record: dict[str, Any]
    labels: tuple[str, ...] = ()
    others: tuple[OtherAnswer, ...] = ()

    @property
    def sign(self) -> str:
        return SIGNS[self.verdict]

    @property
    def alt(self) -> str:
        """What the picture is, to those who do not see it: Gadfly knows no more than its name and the question."""
        return f"Picture {one_line(', '.join(self.paths), 80)}, asked: {one_line(self.question, 120)}"


def label_mark(labeller: str, verdict: Verdict) -> str:
    """A label as it is shown and found by: `labelled WRONG by ann`."""
    said = "cannot tell" if verdict is Verdict.UNDECIDED else verdict.value
    return f"labelled {said} by {one_line(labeller, 60)}"


def other_answer(target: str, probe: Probe) -> OtherAnswer:
    return OtherAnswer(one_line(target, 60), probe.verdict, None if probe.answer is None else shown(probe.answer, 200))


def card(
    probe: Probe,
    skills: Mapping[ProbeKey, tuple[str, ...]],
    thumbnails: Thumbnails,
    labels: tuple[str, ...] = (),
    others: tuple[OtherAnswer, ...] = (),
) -> Card:
    key, last = probe.key, probe.turns[-1].answer
    return Card(
        key=key,
        id=f"p{key.attempt}-{key.step}-{key.index}",
        place=f"step {key.step}, question {key.index}",
        verdict=probe.verdict,
        thumbnails=tuple(thumbnails.of(image) for image in probe.images),
        paths=tuple(shown(image.path, 200) for image in probe.images),
        image_ids=tuple(image.id for image in probe.images),
        earlier=tuple(
            (shown(turn.question), shown(turn.answer.text if turn.answer.text is not None else "no answer"))
            for turn in probe.turns[:-1]
        ),
        question=shown(probe.question),
        answer=None if last.text is None else shown(last.text),
        fault=None if last.error is None else shown(last.error, 300),
        expected=None if probe.judgement.expected is None else shown(probe.judgement.expected),
        reason=None if probe.judgement.reason is None else shown(probe.judgement.reason, 1000),
        skills=tuple(shown(skill, 80) for skill in skills.get(key, ())),
        record=record(probe, skills),
        labels=labels,
        others=others,
    )


MAX_EXPORTED = 20_000
"""Characters of one text in an exported line: a model may write a megabyte, and a folder is to be mailed."""


def record(probe: Probe, skills: Mapping[ProbeKey, tuple[str, ...]]) -> dict[str, Any]:
    """A probe as a line of JSON: as it was stored, but for texts beyond MAX_EXPORTED characters."""
    judgement, key = probe.judgement, probe.key

    def whole(text: str | None) -> str | None:
        return None if text is None else text[:MAX_EXPORTED]

    line: dict[str, Any] = {
        "phase": key.phase,
        "attempt": key.attempt,
        "step": key.step,
        "index": key.index,
        "images": [{"sha256": image.id, "path": image.path} for image in probe.images],
        "question": whole(probe.question),
        "answer": whole(probe.answer),
        "expected": whole(judgement.expected),
        "verdict": probe.verdict.value,
        "reason": whole(judgement.reason),
        "skills": list(skills[key]) if key in skills else None,
        "depth": judgement.depth,
    }
    if probe.turns[-1].answer.error is not None:
        line["error"] = whole(probe.turns[-1].answer.error)
    if len(probe.turns) > 1:
        line["earlier"] = [[whole(turn.question), whole(turn.answer.text)] for turn in probe.turns[:-1]]
    return line
