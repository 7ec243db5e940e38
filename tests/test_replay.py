"""Replays: the same questions in the same places, other answers or another judge; what was never judged stays so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gadfly import followups
from gadfly.config import Config, from_dict
from gadfly.errors import StoreError
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.probing import Probing, Written
from gadfly.protocols import ChatModel
from gadfly.records import Chat, Completion, Judgement, Probe, Question, Sampling, Verdict
from gadfly.replay import RecordedTarget, is_unparsable, replay
from gadfly.roles.target import ExpectedTarget
from gadfly.roles.verifier_model import ModelVerifier
from gadfly.roles.verifier_panel import PanelVerifier
from gadfly.store.sqlite import SqliteStore
from gadfly.train.sft_pairs import wrong_questions
from gadfly.wiring import Wiring
from probing_doubles import EchoTarget, ListStore, PlainReward, WordVerifier, image
from store_samples import sample

RIGHT, WRONG, INVALID, UNDECIDED = Verdict.RIGHT, Verdict.WRONG, Verdict.INVALID, Verdict.UNDECIDED


def parse(text: str) -> str | None:
    return None if "no question" in text else text


def swept(target: EchoTarget, store: ListStore) -> list[Probe]:
    """Two steps: a hard, an easy, an unparsable, an unwritten and a repeated question; then the first about another
    image, and one that the target does not answer."""
    probing = Probing(target, WordVerifier(), PlainReward(), store, parse)
    cat, dog = (image("cat"),), (image("dog"),)
    one = [
        Completion("hard a"),
        Completion("easy"),
        Completion("no question"),
        Completion(error="gone"),
        Completion("easy"),
    ]
    probing.step([Written(cat, text, 0) for text in one], phase="sweep", attempt=1, step=0)
    two = [Written(dog, Completion("hard a"), 0), Written(cat, Completion("silent b"), 1)]
    probing.step(two, phase="sweep", attempt=1, step=1)
    return list(store.probes)


class EqualVerifier:
    """RIGHT iff the answer is the question; needs an answer."""

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        return [
            Judgement(UNDECIDED, "target: none") if a.text is None else Judgement(RIGHT if a.text == q.text else WRONG)
            for q, a in zip(questions, answers, strict=True)
        ]


def test_another_judge_of_the_same_answers() -> None:
    target, store = EchoTarget(), ListStore()
    before = swept(target, store)
    assert [p.verdict for p in before] == [WRONG, RIGHT, INVALID, UNDECIDED, RIGHT, WRONG, UNDECIDED]
    n_asked = len(target.asked)
    other = ListStore()
    probing = Probing(RecordedTarget(()), EqualVerifier(), PlainReward(), other, str)
    told: list[tuple[int, int, int]] = []
    counts = replay(
        reversed(before),
        probing,
        RecordedTarget,
        phase="again",
        attempt=2,
        on_progress=lambda done, total, so_far: told.append((done, total, so_far.total)),
    )
    assert [p.verdict for p in other.probes] == [RIGHT, RIGHT, INVALID, UNDECIDED, RIGHT, RIGHT, UNDECIDED]
    assert [replace(p.key, phase="sweep", attempt=1) for p in other.probes] == [p.key for p in before]
    assert [(p.images, p.group, p.turns) for p in other.probes] == [(p.images, p.group, p.turns) for p in before]
    assert [is_unparsable(p) for p in other.probes] == [is_unparsable(p) for p in before]
    assert other.probes[3].judgement == before[3].judgement  # what the questioner never wrote
    assert len(target.asked) == n_asked
    assert told == [(5, 7, 5), (7, 7, 7)] and (counts.right, counts.total) == (4, 7)


def test_a_question_that_was_answered_twice_keeps_either_answer() -> None:
    """A target that samples answers one question differently in two steps."""
    store = ListStore()
    first = swept(EchoTarget(), store)[1]
    second = replace(
        first, key=replace(first.key, step=1, index=0), turns=(replace(first.turns[0], answer=Completion("else")),)
    )
    other = ListStore()
    probing = Probing(RecordedTarget(()), EqualVerifier(), PlainReward(), other, str)
    first = replace(first, key=replace(first.key, index=0))
    replay([first, second], probing, RecordedTarget, phase="again", attempt=2)
    assert [p.verdict for p in other.probes] == [RIGHT, WRONG]
    replay([first, second], probing, RecordedTarget, phase="again", attempt=3, first_step=1)
    assert [p.key.step for p in other.probes] == [0, 1, 1]


def test_a_verifier_that_knows_the_answer_gives_it() -> None:
    class Knows:
        def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
            return [Judgement(WRONG, expected="two" if "many" in q.text else None) for q in questions]

    asked = [Question((image("cat"),), text, 0) for text in ("how many?", "who?")]
    assert ExpectedTarget(Knows()).answer(asked) == [Completion("two"), Completion(error="no_expected_answer")]


def judging(monkeypatch: pytest.MonkeyPatch, **verifier: object) -> tuple[Wiring, dict[str, ScriptedModel]]:
    """A wiring whose models are scripted: each answers with its name."""
    models: dict[str, ScriptedModel] = {}

    def model(self: Wiring, role: str, config: object, checkpoint: object = None) -> ChatModel:
        name: str = config.model  # type: ignore[attr-defined]
        return models.setdefault(name, ScriptedModel(name, lambda chat, sampling: f"{name}/{sampling.seed}"))

    monkeypatch.setattr(Wiring, "_model", model)
    settings = {"target": {"model": "t", "max_new_tokens": 4}, "verifier": verifier}
    return Wiring(from_dict(settings)), models


def test_the_null_asks_the_verifier_as_the_target_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    wiring, models = judging(monkeypatch, model="v")
    question = Question((image("cat"),), "how many?", 0)
    assert wiring.null_target.answer([question]) == [Completion("v/0")]
    assert wiring.target.answer([question]) == [Completion("t/0")]
    assert models["v"].batches == models["t"].batches
    assert "how many?" in chat_text(models["v"].batches[0][0])


def test_votes_and_panels_are_wired(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, _ = judging(monkeypatch, model="v")
    assert isinstance(alone.verifier, ModelVerifier)
    wiring, models = judging(monkeypatch, model="v", votes=3, temperature=0.5, panel=[{"model": "w"}])
    drawn: list[int] = []
    complete = ScriptedModel.complete

    def noted(self: ScriptedModel, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        drawn.append(sampling.seed)
        return complete(self, chats, sampling)

    monkeypatch.setattr(ScriptedModel, "complete", noted)
    assert isinstance(wiring.verifier, PanelVerifier)
    judged = wiring.verifier.judge([Question((image("cat"),), "how many?", 0)], [Completion("2")])
    # None can be read: each of the 3 votes of v and the one of w asked for validity, and once more.
    assert judged[0].reason == "unreadable_judge: validity: v/0"
    assert (len(models["v"].batches), len(models["w"].batches)) == (6, 2)
    assert drawn == [0, 0, 1, 1, 2, 2, 0, 0]  # a vote with the seed of another would be the same vote


def test_fine_tuning_does_not_learn_from_replays(tmp_path: Path) -> None:
    """What another judge, or the null, calls WRONG is no failure of the target's."""
    with SqliteStore.create(tmp_path, "r", {}, {}, seed=0) as store:
        store.begin_attempt("train")
        store.add([sample(0, 0, question="own?")])
        store.begin_replay("train.null", "null", "train", {})
        attempt = store.begin_attempt("train.null")
        store.add([sample(0, 0, phase="train.null", attempt=attempt, question="null?")])
    found = wrong_questions(tmp_path, {one.id: one for one in sample().images}, most_per_combination=0, seed=0)
    assert [question for _, question in found] == ["own?"]


@pytest.mark.parametrize("name", ["train", "sweep"])
def test_a_replay_does_not_take_the_name_of_what_the_run_asks_itself(name: str, tmp_path: Path) -> None:
    """A training that is begun later would go on with it."""
    with SqliteStore.create(tmp_path, "r", {}, {}, seed=0) as store:
        store.begin_attempt("before")
        store.add([sample(0, 0, phase="before")])
        with pytest.raises(StoreError, match=f"'{name}' is what a run calls its own questions"):
            store.begin_replay(name, "rejudged", "before", {})
        assert store.replays() == []


def test_there_must_be_something_to_judge(tmp_path: Path) -> None:
    with (
        SqliteStore.create(tmp_path, "r", {}, {}, seed=0) as store,
        pytest.raises(StoreError, match="the phase 'sweep' has no probes to judge"),
    ):
        followups.rejudge(Wiring(Config()), store, source="sweep", phase="x")
    with SqliteStore.open(tmp_path) as store:
        assert store.replays() == []
