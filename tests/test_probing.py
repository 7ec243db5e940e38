"""The main loop and the sweep, with doubles whose verdicts can be read off the question."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.counts import Counts, step_metrics
from gadfly.errors import ConfigError, ImageError
from gadfly.probing import Probing, Step, Written
from gadfly.records import Completion, Image, Judgement, PastQuestion, Question, Verdict
from gadfly.sweep import sweep
from probing_doubles import EchoTarget, ListStore, PlainReward, ScriptedQuestioner, WordVerifier, image


def parse(text: str) -> str | None:
    """Questions end with a question mark; what follows the last one is dropped."""
    head, mark, _ = text.rpartition("?")
    return head.strip() if mark else None


class Loop:
    def __init__(self) -> None:
        self.target, self.verifier = EchoTarget(), WordVerifier()
        self.reward, self.store = PlainReward(), ListStore()
        self.probing = Probing(self.target, self.verifier, self.reward, self.store, parse)

    def step(self, *texts: str | None, images: str = "a", groups: list[int] | None = None) -> Step:
        names = images * len(texts) if len(images) == 1 else images
        written = [
            Written((image(name),), Completion(error="down") if text is None else Completion(text=text), group)
            for name, text, group in zip(names, texts, groups or [0] * len(texts), strict=True)
        ]
        return self.probing.step(written, phase="train", attempt=2, step=7)


def test_each_outcome_gets_its_verdict_and_reward() -> None:
    loop = Loop()
    step = loop.step("hard one?", "easy one?", "vague one?", "silent one?", "no mark", None)
    assert [p.verdict.value for p in step.probes] == ["WRONG", "RIGHT", "INVALID", "UNDECIDED", "INVALID", "UNDECIDED"]
    assert [p.reward for p in step.probes] == [1.0, 0.0, -1.0, None, -1.0, None]
    assert [p.key.index for p in step.probes] == [0, 1, 2, 3, 4, 5]
    assert {(p.key.phase, p.key.attempt, p.key.step) for p in step.probes} == {("train", 2, 7)}
    assert tuple(loop.store.probes) == step.probes


def test_what_is_no_question_is_stored_but_reaches_neither_target_nor_verifier() -> None:
    loop = Loop()
    step = loop.step("no mark here", None)
    assert loop.target.asked == loop.verifier.judged == []
    unparsable, unwritten = step.probes
    assert (unparsable.question, unparsable.judgement.reason, unparsable.answer) == ("no mark here", "unparsable", None)
    assert unwritten.judgement.reason == "questioner: down"


def test_equal_questions_about_equal_images_are_asked_and_judged_once() -> None:
    loop = Loop()
    step = loop.step("hard one?", "hard one?", "hard one? yes", "hard one?", images="aaab", groups=[0, 0, 0, 1])
    # The third is the same question after parsing; the fourth is about another image.
    assert [(q.images[0].id, q.text) for q in loop.target.asked] == [("a", "hard one"), ("b", "hard one")]
    assert len(loop.verifier.judged) == 2
    assert [p.verdict for p in step.probes] == [Verdict.WRONG] * 4
    assert [p.group for p in step.probes] == [0, 0, 0, 1]


def test_only_valid_questions_are_remembered_in_order() -> None:
    loop = Loop()
    loop.step("b easy?", "vague?", "a hard?", "nothing", "silent?", "b easy?")
    assert loop.reward.history == [
        PastQuestion("b easy", ("b", "easy")),
        PastQuestion("a hard", ("a", "hard"), failed=True),
        PastQuestion("b easy", ("b", "easy")),
    ]


def test_a_failing_part_leaves_nothing_half_stored() -> None:
    loop = Loop()

    def down(questions: object, answers: object) -> list[object]:
        raise OSError("judge is gone")

    loop.verifier.judge = down  # type: ignore[assignment,method-assign]
    with pytest.raises(OSError, match="judge is gone"):
        loop.step("hard one?")
    assert loop.store.probes == [] and loop.reward.history == []


def test_metrics_of_a_step_by_hand() -> None:
    loop = Loop()
    metrics = loop.step("x hard?", "y?", "vague?", "silent?", "x hard?", "z hard?", groups=[0, 0, 0, 0, 1, 1]).metrics
    # WRONG: 3, RIGHT: 1, INVALID: 1, UNDECIDED: 1.
    expected = {"n": 6, "n_decided": 5, "n_valid": 4, "fdr": 3 / 5, "valid_rate": 4 / 5, "failure_rate": 3 / 4}
    assert {name: metrics[name] for name in expected} == expected
    assert metrics["undecided_rate"] == 1 / 6
    # Combinations: {x, hard} twice, {y}, {z, hard}.
    assert (metrics["combinations"], metrics["combinations_n"]) == (3, 4)
    # Term `failure`: group 0 has 1, 0 (deviation 0.5), group 1 has 1, 1 (0): the mean spread is 0.25.
    assert (metrics["term/failure/mean"], metrics["term/failure/n"]) == (3 / 4, 4)
    assert (metrics["term/failure/spread"], metrics["term/failure/spread_n"]) == (0.25, 2)
    assert loop.store.steps == [("train", 2, 7, metrics)]


def test_no_data_is_none_not_zero() -> None:
    metrics = step_metrics([])
    assert metrics["fdr"] is metrics["undecided_rate"] is metrics["reward/mean"] is metrics["combinations"] is None
    undecided = Counts.of([Verdict.UNDECIDED])
    assert (undecided.fdr, undecided.failure_rate, undecided.undecided_rate) == (None, None, 1.0)


@given(st.lists(st.sampled_from(list(Verdict))), st.lists(st.sampled_from(list(Verdict))))
def test_rates_add_up(a: list[Verdict], b: list[Verdict]) -> None:
    assert Counts.of(a) + Counts.of(b) == Counts.of(a + b)
    assert Counts.of(a).total == len(a)


def test_a_sweep_goes_through_all_images_before_it_comes_back() -> None:
    loop, questioner = Loop(), ScriptedQuestioner()
    probing = Probing(loop.target, loop.verifier, loop.reward, loop.store, parse=lambda text: text)
    seen: list[tuple[int, int]] = []
    images = [image(name) for name in "abcd"]
    rates = sweep(
        images,
        questioner,
        probing,
        n=10,
        batch=3,
        seed=5,
        on_progress=lambda done, total, _: seen.append((done, total)),
    )
    order = [name for names, _ in questioner.calls for name in names]
    assert sorted(order[:4]) == sorted(order[4:8]) == list("abcd") and len(order) == 10
    assert max(Counter(order).values()) == 3
    assert seen == [(3, 10), (6, 10), (9, 10), (10, 10)]
    assert rates == Counts(wrong=10) and len(loop.store.probes) == 10
    assert len({seed for _, seed in questioner.calls}) == 4


def test_a_broken_off_sweep_goes_on_as_if_it_had_not_been() -> None:
    def calls(first_step: int) -> list[tuple[list[str], int]]:
        loop, questioner = Loop(), ScriptedQuestioner()
        sweep([image(c) for c in "abcde"], questioner, loop.probing, n=20, batch=4, seed=1, first_step=first_step)
        return questioner.calls

    assert calls(0)[3:] == calls(3) and calls(3)


class WaitingTarget(EchoTarget):
    """Answers once it is told that its questions were looked at meanwhile, which nobody can do who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()

    def answer(self, questions: Sequence[Question]) -> list[Completion]:
        assert self.may_answer.wait(20)
        return super().answer(questions)


class BlindVerifier(WordVerifier):
    def __init__(self, target: WaitingTarget) -> None:
        super().__init__()
        self._target = target

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        self._target.may_answer.set()
        return super().judge(questions, answers)


def test_while_a_served_target_answers_its_questions_are_prepared_and_judged() -> None:
    loop, target, prepared = Loop(), WaitingTarget(), list[Question]()
    loop.reward.prepare = prepared.extend  # type: ignore[method-assign,assignment]
    texts = ("hard one?", "easy one?", "vague one?", "silent one?", "no mark", None, "hard one?")
    alone = loop.step(*texts)
    assert prepared == []
    loop.probing = replace(loop.probing, target=target, verifier=BlindVerifier(target), served=True)
    beside = loop.step(*texts)
    assert beside.probes == alone.probes
    assert [q.text for q in prepared] == ["hard one", "easy one", "vague one", "silent one"]
    seconds = {name: s for name, s in beside.metrics.items() if name.startswith("seconds_") and s is not None}
    assert set(seconds) == {f"seconds_{part}" for part in ("answer", "verify", "reward", "store")}
    assert min(seconds.values()) >= 0


def test_what_goes_wrong_with_a_served_target_is_heard_and_nothing_is_stored() -> None:
    loop = Loop()

    def gone(questions: Sequence[Question]) -> list[Completion]:
        raise OSError("target is gone")

    loop.target.answer = gone  # type: ignore[method-assign]
    loop.probing = replace(loop.probing, served=True)
    with pytest.raises(OSError, match="target is gone"):
        loop.step("hard one?")
    assert loop.store.probes == [] and loop.reward.history == []


@pytest.mark.parametrize("served", [False, True])
def test_a_sweep_that_asks_ahead_makes_the_same_probes(served: bool) -> None:
    def made(ahead: bool) -> tuple[list[object], list[tuple[list[str], int]]]:
        loop, questioner = Loop(), ScriptedQuestioner()
        probing = replace(loop.probing, parse=lambda text: text, served=served and ahead)
        images = [image(c) for c in "abcde"]
        sweep(images, questioner, probing, n=23, batch=4, seed=1, first_step=1, steps=4, ahead=ahead)
        return [*loop.store.probes, *loop.reward.history], questioner.calls

    assert made(ahead=True) == made(ahead=False)


def test_a_fault_of_the_next_questions_waits_until_these_are_stored() -> None:
    loop, questioner = Loop(), ScriptedQuestioner()
    ask = questioner.ask

    def breaks_at_the_third(images: Sequence[Image], seed: int) -> list[Completion]:
        if len(questioner.calls) == 2:
            raise OSError("questioner is gone")
        return ask(images, seed)

    questioner.ask = breaks_at_the_third  # type: ignore[method-assign]
    probing = replace(loop.probing, parse=lambda text: text)
    with pytest.raises(OSError, match="questioner is gone"):
        sweep([image("a")], questioner, probing, n=40, batch=4, seed=1, ahead=True)
    assert [step for _, _, step, _ in loop.store.steps] == [0, 1] and len(loop.store.probes) == 8


def test_a_sweep_refuses_nothing_to_do() -> None:
    loop = Loop()
    with pytest.raises(ImageError):
        sweep([], ScriptedQuestioner(), loop.probing, n=1, batch=1, seed=0)
    with pytest.raises(ConfigError):
        sweep([image("a")], ScriptedQuestioner(), loop.probing, n=1, batch=0, seed=0)
