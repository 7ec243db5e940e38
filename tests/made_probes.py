"""Makes probes for the tests of analysis and report: nothing but records."""

from __future__ import annotations

from collections.abc import Mapping

from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Verdict

RIGHT, WRONG, INVALID, UNDECIDED = Verdict.RIGHT, Verdict.WRONG, Verdict.INVALID, Verdict.UNDECIDED


def make_probe(
    verdict: Verdict,
    image: str,
    index: int = 0,
    *,
    step: int = 0,
    attempt: int = 0,
    question: str | None = None,
    answer: str | None = "blue",
    expected: str | None = "red",
    skills: tuple[str, ...] | None = None,
    depth: int | None = None,
    terms: Mapping[str, float | None] | None = None,
    reward: float | None = None,
) -> Probe:
    """A probe with a question of its own unless one is given."""
    completion = Completion(error="timeout") if answer is None else Completion(answer)
    return Probe(
        key=ProbeKey("train", attempt, step, index),
        group=0,
        images=(Image(image, f"{image}.png", 8, 8),),
        turns=(Turn(question if question is not None else f"question {attempt}/{step}/{index}?", completion),),
        judgement=Judgement(verdict, None if verdict.valid else "some_reason", expected, skills, depth),
        terms=terms or {},
        reward=reward,
    )


def make_probes(verdicts: str, image: str, start: int = 0, **kwargs: object) -> list[Probe]:
    """One probe a letter: R, W, I or U."""
    by_letter = {"R": RIGHT, "W": WRONG, "I": INVALID, "U": UNDECIDED}
    return [make_probe(by_letter[c], image, start + i, **kwargs) for i, c in enumerate(verdicts)]  # type: ignore[arg-type]
