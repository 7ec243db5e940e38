"""What each questioner, target, verifier and the like must hold to, as checks to run on it. Knows no one of them."""

from __future__ import annotations

from collections.abc import Sequence

from gadfly.protocols import Annotator, Describer, Paraphraser, Questioner, Target, Verifier
from gadfly.records import Completion, Image, Question, Verdict


def check_questioner(questioner: Questioner, images: Sequence[Image]) -> None:
    """Raise AssertionError where the questioner breaks its contract on these images."""
    assert questioner.ask([], 0) == [], "no images, no questions"
    asked = questioner.ask(images, 3)
    assert len(asked) == len(images), f"{len(images)} images in, {len(asked)} questions out"
    assert questioner.ask(images, 3) == asked, "one seed gives two questions"


def check_target(target: Target, questions: Sequence[Question]) -> None:
    """Raise AssertionError where the target breaks its contract on these questions."""
    assert target.answer([]) == [], "no questions, no answers"
    answers = target.answer(questions)
    assert len(answers) == len(questions), f"{len(questions)} questions in, {len(answers)} answers out"
    assert target.answer(list(reversed(questions)))[::-1] == answers, "answers do not follow the order of the questions"


def check_verifier(verifier: Verifier, questions: Sequence[Question], answers: Sequence[Completion]) -> None:
    """Raise AssertionError where the verifier breaks its contract on these questions and answers."""
    assert verifier.judge([], []) == [], "no questions, no judgements"
    judged = verifier.judge(questions, answers)
    assert len(judged) == len(questions), f"{len(questions)} questions in, {len(judged)} judgements out"
    backwards = verifier.judge(list(reversed(questions)), list(reversed(answers)))
    assert backwards[::-1] == judged, "judgements depend on the order of the batch"
    failed = [Completion(error="timeout") for _ in questions]
    for before, after in zip(judged, verifier.judge(questions, failed), strict=True):
        assert not after.verdict.valid, "an answer that never came was called right or wrong"
        if before.verdict is Verdict.INVALID:
            assert after.verdict is Verdict.INVALID, "a bad question was excused since the target failed to answer"


def check_annotator(annotator: Annotator, questions: Sequence[str]) -> None:
    """Raise AssertionError where the annotator breaks its contract on these questions."""
    for said_of in (annotator.skills, annotator.concepts):
        assert said_of([]) == [], "no questions, no names"
        said = said_of(questions)
        assert len(said) == len(questions), f"{len(questions)} questions in, {len(said)} answers out"
        assert said_of(list(reversed(questions)))[::-1] == said, "names depend on the order of the questions"
        for names in said:
            assert names is None or list(names) == sorted(set(names)), "names are sorted, each there once"
    for skills in annotator.skills(questions):
        assert all(all(skill.partition(".")[::2]) for skill in skills or ()), "a skill is family.skill"


def check_describer(describer: Describer, commons: Sequence[str]) -> None:
    """Raise AssertionError where the describer breaks its contract on these things in common."""
    assert describer.describe([]) == [], "nothing in common, no words"
    said = describer.describe(commons)
    assert len(said) == len(commons), f"{len(commons)} in, {len(said)} out"
    assert describer.describe(list(reversed(commons)))[::-1] == said, "words depend on the order"
    for words in said:
        assert words is None or (words.name.strip() and words.sentence.strip()), "words that say nothing are None"


def check_paraphraser(paraphraser: Paraphraser, questions: Sequence[str]) -> None:
    """Raise AssertionError where the paraphraser breaks its contract on these questions."""
    assert paraphraser.paraphrase([], 0) == [], "no questions, no wordings"
    wordings = paraphraser.paraphrase(questions, 3)
    assert len(wordings) == len(questions), f"{len(questions)} questions in, {len(wordings)} wordings out"
    assert paraphraser.paraphrase(questions, 3) == wordings, "one seed gives two wordings"
    for question, wording in zip(questions, wordings, strict=True):
        assert wording is None or (wording and wording != question), f"{question!r} is given back as its own paraphrase"
