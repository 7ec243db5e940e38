"""Probes to put in stores: a few by hand, and a Hypothesis strategy for any."""

from __future__ import annotations

from hypothesis import strategies as st

from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Verdict

any_text = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates and NUL included
integers = st.integers(0, 2**40)
numbers = st.none() | st.floats(allow_nan=False)

# The path follows from the id: one image, one path.
images = st.integers(0, 5).map(lambda number: Image(f"{number:064x}", f"bad\udcff/{number}.png", number + 1, 7))
completions = any_text.map(Completion) | any_text.map(lambda error: Completion(error=error))


@st.composite
def judgements(draw: st.DrawFn) -> Judgement:
    verdict = draw(st.sampled_from(Verdict))
    return Judgement(
        verdict,
        reason=draw(any_text if not verdict.valid else st.none() | any_text),
        expected=draw(st.none() | any_text),
        skills=draw(st.none() | st.lists(any_text, max_size=3).map(tuple)),
        depth=draw(st.none() | st.integers(-5, 50)),
        program=draw(st.none() | any_text),
    )


def probes(phase: str, attempt: int) -> st.SearchStrategy[Probe]:
    return st.builds(
        Probe,
        key=st.builds(ProbeKey, st.just(phase), st.just(attempt), st.integers(0, 3), integers),
        group=integers,
        images=st.lists(images, min_size=1, max_size=3).map(tuple),
        turns=st.lists(st.builds(Turn, any_text, completions), min_size=1, max_size=3).map(tuple),
        judgement=judgements(),
        terms=st.dictionaries(st.sampled_from(["failure", "semantic", "lexical", "invalid"]), numbers),
        reward=numbers,
    )


def sample(
    step: int = 0,
    index: int = 0,
    *,
    verdict: Verdict = Verdict.WRONG,
    attempt: int = 1,
    phase: str = "train",
    question: str | None = None,
    skills: tuple[str, ...] | None = ("colour", "counting"),
    image: int = 0,
) -> Probe:
    """One plain probe; what is not given follows from its key."""
    text = f"question {step}.{index}" if question is None else question
    return Probe(
        key=ProbeKey(phase, attempt, step, index),
        group=index // 8,
        images=(Image(f"{image:064x}", f"{image}.png", 64, 48),),
        turns=(Turn(text, Completion("two")),),
        judgement=Judgement(
            verdict, reason=None if verdict.valid else "vague", expected="three", skills=skills, depth=2
        ),
        terms={"failure": 1.0, "semantic": 0.25, "lexical": 0.5, "invalid": None},
        reward=1.175,
    )


SCHEMA_1_PROBES = [
    sample(0, 0),
    sample(0, 1, verdict=Verdict.INVALID, skills=None, image=1),
    sample(1, 0, question="half a pair \ud800 and NUL \0 here", image=2),
]
"""What data/store-schema-1.sqlite holds: its run is "old", its only attempt 1 of phase "train". The file was written
by the first version of the store and is never written anew."""
