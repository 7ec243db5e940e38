"""The verifier's school: lessons are what a verifier is asked, replies are what is read, labels are the oracle's."""

from __future__ import annotations

import itertools
import json
import pickle
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from cli_calls import Cli
from gadfly.analysis.rates import Rate
from gadfly.bench.building import judge_prompts
from gadfly.bench.verifier_trial import counted
from gadfly.errors import TestbedError
from gadfly.models.local import LocalModel
from gadfly.records import Chat, Completion, Judgement, Message, Question, Sampling, Verdict
from gadfly.roles import verifier_model, verifier_replies
from gadfly.roles.matching import agree
from gadfly.roles.prompts import fill, load_prompt, quote
from gadfly.roles.verifier_model import ModelVerifier
from gadfly.roles.verifier_replies import parse_agreement, parse_answer, parse_validity
from gadfly.testbed import judging, school, verifier_build, vocabulary
from gadfly.testbed.album import SceneSource
from gadfly.testbed.build import save
from gadfly.testbed.execution import SceneIndex, bits
from gadfly.testbed.faults import fault_of, question, slipped
from gadfly.testbed.judging import FAILS, JudgePrompts, JudgeTeacher, Shares, two_answers
from gadfly.testbed.lessons import IGNORED, N_CELLS, PREFIX, Exercise, Lesson, lessons
from gadfly.testbed.oracle import OracleVerifier
from gadfly.testbed.programs import INVALID_REASONS, NOT_GRAMMATICAL
from gadfly.testbed.scenes import Scene, Thing, generate
from gadfly.testbed.school import Course, together
from gadfly.testbed.vlm import Dimensions, build_model, build_processor

PROMPTS = judge_prompts()
ADDED = PROMPTS.added
WORDS = vocabulary.words(ADDED)
SCENES = list(itertools.islice(generate("verifier", 5), 40))
TINY = Dimensions(
    vision_width=16, vision_layers=1, vision_hidden=16, text_width=32, text_layers=4, text_hidden=32, heads=2
)
FAULTS = (None, *INVALID_REASONS)


def silent(stage: str, step: int, figures: dict[str, float]) -> None:
    """A report that nobody reads."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verifier")
    save(build_model(TINY, 0, ADDED), folder, ADDED)
    return folder


def taught(kind: str, n: int = 40, **shares: float) -> list[tuple[Scene, Exercise]]:
    """Exercises of one kind, one a scene."""
    none = dict.fromkeys(("validity", "answer", "agreement", "plain"), 0.0)
    teacher = JudgeTeacher(PROMPTS, Shares(**{**none, kind: 1.0, **shares}))
    rng = random.Random(0)
    drawn = [(scene, teacher(SceneIndex(scene), 0.0, rng)) for scene in SCENES[:n]]
    return [(scene, exercise) for scene, exercise in drawn if exercise is not None]


def quoted(exercise: Exercise) -> list[str]:
    """The texts that stand in a prompt's slots."""
    asked = [word for word in exercise.prompt if word not in _REMINDERS]
    words = [word if word not in _PASSAGES else "\n" for word in asked]
    return [" ".join(text.split()) for text in " ".join(words).split("\n")[1:-1]]


_REMINDERS = set(PROMPTS.reminders.values())
_PASSAGES = {piece for piece in ADDED if "\n" in piece or "<<<" in piece or ">>>" in piece} - set(judging.REPLIES)


def reply(exercise: Exercise) -> str:
    """A completion as LocalModel gives it back."""
    ids = [vocabulary.ids(ADDED)[word] for word in exercise.completion]
    return str(build_processor(ADDED).tokenizer.decode(ids, skip_special_tokens=True)).strip()


def test_common_words_keep_their_ids() -> None:
    plain = vocabulary.words()
    assert WORDS[: len(plain)] == plain
    assert len(set(WORDS)) == len(WORDS)
    assert vocabulary.ids(ADDED) == {word: i for i, word in enumerate(WORDS)}


def test_the_criteria_are_those_that_are_read() -> None:
    assert judging.CRITERIA == verifier_replies.CRITERIA
    assert set(FAILS) == set(INVALID_REASONS)
    for name in judging.CRITERIA:
        assert f"\n{name.upper()}: " in PROMPTS.validity


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_questions_have_the_fault_that_the_oracle_finds(fault: str | None) -> None:
    """Asked for each fault in turn, the maker of questions gives it for nearly every scene, in many wordings."""
    source = SceneSource(SCENES)
    oracle, rng = OracleVerifier(source.scenes), random.Random(1)
    indices = [SceneIndex(scene) for scene in SCENES]
    found = [question(index, indices, fault, rng) for index in indices]
    asked = [(image, one) for image, one in zip(source, found, strict=True) if one is not None]
    assert len(asked) >= 36
    assert len({" ".join(one.words) for _, one in asked}) >= 30
    for image, one in asked:
        text = " ".join(one.words)
        (judged,) = oracle.judge([Question((image,), text, 0)], [Completion("red")])
        reason = (judged.reason or "").partition(":")[0] if judged.verdict is Verdict.INVALID else None
        assert one.fault == fault == reason == fault_of(text, SceneIndex(source.scenes[image.id]))


def test_no_faulty_question_is_told_by_its_length_alone() -> None:
    """Questions about what is not there, and ambiguous ones, are as long as valid ones to within two words."""
    rng = random.Random(2)
    indices = [SceneIndex(scene) for scene in SCENES]

    def mean_length(fault: str | None) -> float:
        asked = [question(index, indices, fault, rng) for index in indices for _ in range(4)]
        return float(np.mean([len(one.words) for one in asked if one is not None]))

    valid = mean_length(None)
    for fault in ("no_such_object", "ambiguous_reference", "answer_contained"):
        assert abs(mean_length(fault) - valid) < 3


def test_validity_replies_say_what_the_oracle_says() -> None:
    verdicts: Counter[bool] = Counter()
    for scene, exercise in taught("validity", reminded=0.0):
        (text,) = quoted(exercise)
        fault = fault_of(text, SceneIndex(scene))
        said = parse_validity(reply(exercise))
        assert said is not None
        if fault is None:
            assert said == ""
        else:
            first, *others = FAILS[fault]
            assert said == f"not_{first}" + (f": {', '.join(others)}" if others else "")
        verdicts[fault is None] += 1
    assert 15 <= verdicts[True] <= 33 and verdicts[False] >= 7  # 60 : 40 of 40


def test_answers_are_the_oracles() -> None:
    source = SceneSource(SCENES)
    images = {source.scenes[image.id]: image for image in source}
    oracle = OracleVerifier(source.scenes)
    exercises = taught("answer")
    assert len(exercises) > 20  # not every scene has every question
    for scene, exercise in exercises:
        (text,) = quoted(exercise)
        answer = parse_answer(reply(exercise))
        (judged,) = oracle.judge([Question((images[scene],), text, 0)], [Completion(answer)])
        wanted = Verdict.INVALID if answer == "UNANSWERABLE" else Verdict.RIGHT
        assert judged.verdict is wanted


def test_what_has_no_answer_is_unanswerable() -> None:
    exercises = taught("answer", unanswerable=1.0)
    assert len(exercises) > 30
    for scene, exercise in exercises:
        (text,) = quoted(exercise)
        assert parse_answer(reply(exercise)) == "UNANSWERABLE"
        assert fault_of(text, SceneIndex(scene)) == "no_such_object"


def test_a_reminder_is_answered_with_one_line() -> None:
    """Whatever is asked for again, the reply is the form that the reminder names, and no more."""
    assert set(PROMPTS.reminders) == {"validity", "answer", "agreement"}
    for kind, reminder in PROMPTS.reminders.items():
        exercises = [exercise for _, exercise in taught(kind, reminded=1.0)]
        assert len(exercises) > 20
        for exercise in exercises:
            assert exercise.prompt[-1] == reminder
            begins, _, word = reply(exercise).partition(": ")
            assert f"{begins}: " in reminder and len(word.split()) == 1 and "\n" not in word
        assert not _REMINDERS & {word for _, e in taught(kind, reminded=0.0) for word in e.prompt}


def test_agreement_is_put_without_the_image_and_read() -> None:
    exercises = [exercise for _, exercise in taught("agreement")]
    assert len(exercises) > 20
    assert all(exercise.blind and not exercise.referents for exercise in exercises)
    assert {parse_agreement(reply(exercise)) for exercise in exercises} == {True, False}
    for exercise in exercises:
        assert vocabulary.IMAGE not in exercise.prompt
        assert len(quoted(exercise)) == 3


def test_agreement_never_contradicts_what_can_be_told_without_a_judge() -> None:
    rng = random.Random(3)
    told = 0
    for answer in (*("yes no 0 3 9 first fourth red brown circle digit small large up left".split()),) * 60:
        first, second, same = two_answers(answer, rng)
        assert answer in (first, second)
        if (known := agree(first, second)) is not None:
            assert known == same, (first, second)
            told += 1
    assert 90 < told < 700  # of 900: most are for the judge


def test_all_that_is_taught_is_known_to_the_tokenizer() -> None:
    """Save for the one word that stands for all that no bundled model knows."""
    for kind in ("validity", "answer", "agreement", "plain"):
        for _, exercise in taught(kind):
            assert {*exercise.prompt, *exercise.completion} <= set(WORDS)
            if kind != "validity":
                assert exercise.prompt.count(vocabulary.UNKNOWN) <= (kind == "agreement")


def chat_of(kind: str, scene: Scene, exercise: Exercise, source: SceneSource) -> Chat:
    """What the verifier's role puts to its model where this is taught."""
    image = next(image for image in source if source.scenes[image.id] == scene)
    if kind == "plain":
        return (Message("user", (image, " ".join(exercise.prompt))),)
    texts = dict(zip(("question", "expected", "answer"), map(quote, quoted(exercise)), strict=False))
    filled = fill(load_prompt(f"verifier_{kind}"), **texts)
    chat = (Message("user", (filled,) if exercise.blind else (image, filled)),)
    return verifier_model._reminded(chat, PROMPTS.reminders[kind]) if exercise.prompt[-1] in _REMINDERS else chat


@pytest.mark.parametrize("kind", ["validity", "answer", "agreement", "plain"])
def test_a_lesson_holds_the_tokens_that_the_role_sends(kind: str, checkpoint: Path) -> None:
    """Loaded by path, rendered by the checkpoint's template, read by its processor: token for token what a lesson has
    before the reply, at the same positions."""
    source = SceneSource(SCENES)
    model = LocalModel(checkpoint, source.open)
    exercises = taught(kind, n=12, reminded=0.0) + taught(kind, n=12, reminded=1.0)
    for scene, exercise in exercises:
        alone = _lesson(exercise)
        places = np.flatnonzero(alone.blocks_B_L[0] == (-2 if exercise.blind else 1))
        n_reply = len(exercise.completion)
        own = alone.input_ids_B_L[0, places].tolist()[: len(places) - n_reply]
        image = [] if exercise.blind else alone.input_ids_B_L[0, :PREFIX].tolist()
        positions = alone.positions_B_L[0, places].tolist()
        start = 0 if exercise.blind else PREFIX
        assert positions == list(range(start, start + len(places)))
        chat = chat_of(kind, scene, exercise, source)
        pictures = [source.open(part) for part in chat[0].parts if not isinstance(part, str)]
        inputs = model._processor(text=[model._render(chat)], images=pictures or None, return_tensors="pt")
        sent = inputs["input_ids"][0].tolist()
        if vocabulary.ids()[vocabulary.UNKNOWN] not in own:  # what it was before it was unknown is not kept
            assert sent == image + own
        assert len(sent) < 100


def _lesson(exercise: Exercise) -> Lesson:
    once = iter([replace(exercise, referents=())])  # which are about another scene
    (lesson,) = lessons(
        lambda scene, progress, rng: next(once, None),
        split="verifier", seed=0, n_images=1, length=160, steps=1, added=ADDED,
    )  # fmt: skip
    return lesson


def test_a_blind_question_sees_itself_alone() -> None:
    """The loss of an exercise without the image is the same whatever the image is; that of one with it is not."""
    model = build_model(TINY, 0, ADDED)
    model.model.language_model.set_attn_implementation("eager")
    pointer = torch.nn.Linear(32, N_CELLS)

    def loss(exercise: Exercise, noise: float) -> float:
        lesson = _lesson(exercise)
        embeds = school._ideal_embeds(model, lesson).detach()
        embeds[:, 1:PREFIX] += noise
        with torch.no_grad():
            return float(school._losses(model.model.language_model, model.lm_head, pointer, lesson, embeds)[0])

    (_, blind), (_, seeing) = taught("agreement")[0], taught("validity")[0]
    assert loss(blind, 0.0) == loss(blind, 5.0)
    assert loss(seeing, 0.0) != loss(seeing, 5.0)


def test_pointing_moves_with_the_prompt() -> None:
    """A description's place is still its last word's behind the passage that comes first."""
    shapes = 0
    for scene, exercise in [*taught("answer"), *taught("validity")]:
        for place, steps, mask in exercise.referents:
            singular = exercise.prompt[place].removesuffix("s") if exercise.prompt[place] != "crosses" else "cross"
            if steps == 0 and singular in {thing.shape for thing in scene.things}:
                shapes += 1
                assert all(scene.things[i].shape == singular for i in bits(mask))
    assert shapes > 20


def test_what_a_questioner_asked_is_judged_too() -> None:
    asked: dict[tuple[Thing, ...], list[str]] = {scene.things: ["what colour is the?", "count the"] for scene in SCENES}
    teacher = JudgeTeacher(PROMPTS, Shares(1.0, 0.0, 0.0, 0.0, asked=1.0), asked)
    rng = random.Random(0)
    for scene in SCENES[:5]:
        index = SceneIndex(scene)
        exercises = [teacher(index, 0.0, rng) for _ in range(2)]
        assert [quoted(e) for e in exercises if e is not None] == [["count the"], ["what colour is the ?"]]
        third = teacher(index, 0.0, rng)
        assert third is None or quoted(third)[0] not in ("count the", "what colour is the ?")


def test_what_a_questioner_asked_is_answered_too() -> None:
    """With the oracle's answer where there is one, else with the word for that there is none."""
    asked = {scene.things: ["how many things are there?", "count the things that?"] for scene in SCENES}
    teacher = JudgeTeacher(PROMPTS, Shares(0.0, 1.0, 0.0, 0.0, asked_answers=1.0, kept_faulty=1.0, reminded=0.0), asked)
    rng = random.Random(0)
    for scene in SCENES[:5]:
        none, some = (teacher(SceneIndex(scene), 0.0, rng) for _ in range(2))
        assert none is not None and (quoted(none), reply(none)) == (["count the things that ?"], "ANSWER: UNANSWERABLE")
        assert some is not None and quoted(some) == ["how many things are there ?"]
        assert reply(some) == f"ANSWER: {len(scene.things)}"


@given(words=st.lists(st.sampled_from(["count", "the", "red", "things"]), max_size=9), seed=st.integers(0, 2**16))
def test_a_slip_leaves_the_end_where_it_is(words: list[str], seed: int) -> None:
    said = slipped([*words, "?"], random.Random(seed))
    assert said[-1] == "?" and len(said) <= 2 * len(words) + 2


def test_questions_with_a_slip_are_mostly_faulty_and_look_like_questions() -> None:
    """So the lack of its end does not give away that a question is not one."""
    rng, index = random.Random(0), SceneIndex(SCENES[0])
    said = [slipped(vocabulary.split("how many red things are there?"), rng) for _ in range(400)]
    faulty = [words for words in said if fault_of(" ".join(words), index) == NOT_GRAMMATICAL]
    assert 200 < len(faulty) < 400 and len({tuple(words) for words in faulty}) > 50


def test_lessons_are_the_same_each_time() -> None:
    def some() -> list[Lesson]:
        how = {"split": "verifier", "seed": 4, "n_images": 2, "length": 128, "steps": 3}
        teacher = pickle.loads(pickle.dumps(JudgeTeacher(PROMPTS)))  # as it goes to the process that makes lessons
        return list(lessons(teacher, added=ADDED, **how))  # type: ignore[arg-type]

    for one, two in zip(some(), some(), strict=True):
        assert np.array_equal(one.input_ids_B_L, two.input_ids_B_L)
        assert np.array_equal(one.labels_B_L, two.labels_B_L)
    assert (some()[0].labels_B_L != IGNORED).any()


class OneKind:
    """Teaches one exercise over and over, whatever the scene."""

    def __init__(self, exercises: list[Exercise]) -> None:
        self._exercises = exercises

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise:
        return rng.choice(self._exercises)


@pytest.mark.slow
def test_what_is_learned_by_heart_is_said_in_the_role(tmp_path: Path) -> None:
    """A tiny model that was taught one reply of each kind, saved and loaded by path, is a verifier: what it says in all
    three stages is read."""
    valid = next(e for _, e in taught("validity", valid=1.0))
    asked = valid.prompt[1:-1]  # the same question everywhere: only the passages say what is wanted
    answer = judging.prompt_words(PROMPTS.answer, question=asked)
    compared = judging.prompt_words(PROMPTS.agreement, question=asked, expected=["red"], answer=["blue"])
    exercises = [
        Exercise(valid.prompt, valid.completion),
        Exercise(answer, ["ANSWER:", "red"]),
        Exercise(compared, ["VERDICT: DIFFERENT"], blind=True),
    ]
    model = build_model(TINY, 0, ADDED)
    together(
        model, OneKind(exercises), Course(150, 1e-2, n_images=2, length=160, warmup=5), "verifier", 0, silent, ADDED
    )
    save(model, tmp_path, ADDED)
    source = SceneSource(SCENES[:3])
    verifier = ModelVerifier(LocalModel(tmp_path, source.open), sampling=Sampling(max_new_tokens=20))
    questions = [Question((image,), " ".join(asked), 0) for image in source]
    judged = verifier.judge(questions, [Completion("blue"), Completion("red"), Completion("blue")])
    assert [one.verdict for one in judged] == [Verdict.WRONG, Verdict.RIGHT, Verdict.WRONG], judged
    assert {one.expected for one in judged} == {"red"}


@pytest.mark.slow
def test_the_build_keeps_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage for two steps, with a questioner of random words. Broken off while it learns to judge, it reads no
    second time, and comes out as if it had not been; what was taught for other prompts it does not go on with."""
    few = Course(2, 1e-3, n_images=2, length=64, warmup=1)
    for name in ("READING", "JUDGING", "SEEING", "TOGETHER"):
        monkeypatch.setattr(verifier_build, name, few)
    monkeypatch.setattr(verifier_build, "Dimensions", lambda: TINY)
    monkeypatch.setattr(school, "in_background", lambda make, *arguments: make(*arguments))  # a process takes long
    questioner, whole, broken = tmp_path / "questioner", tmp_path / "whole", tmp_path / "broken"
    save(build_model(TINY, 1), questioner)
    assert verifier_build.verifier(whole, PROMPTS, questioner, silent) == whole / "stages" / verifier_build.TAUGHT
    stages = {verifier_build.READ, verifier_build.JUDGED, verifier_build.SEEN, verifier_build.TAUGHT}
    assert {one.name for one in (whole / "stages").iterdir()} == stages

    with monkeypatch.context() as broken_off:
        broken_off.setattr(verifier_build, "JudgeTeacher", BrokenOff)
        with pytest.raises(KeyboardInterrupt):
            verifier_build.verifier(broken, PROMPTS, questioner, silent)
    read = broken / "stages" / verifier_build.READ / "model.safetensors"
    before = read.stat().st_mtime_ns
    again = verifier_build.verifier(broken, PROMPTS, questioner, silent)
    assert read.stat().st_mtime_ns == before
    one, two = (load_file(folder / "model.safetensors") for folder in (whole / "stages" / verifier_build.TAUGHT, again))
    assert all(torch.equal(one[name], two[name]) for name in one)

    shutil.rmtree(again)
    other = replace(PROMPTS, validity=f"{PROMPTS.validity}\nBe {{question}} kind.")
    with pytest.raises(TestbedError, match="they have changed since"):
        verifier_build.verifier(broken, other, questioner, silent)


class BrokenOff:
    """Somebody presses Ctrl-C when judging is to be taught."""

    def __init__(self, prompts: JudgePrompts) -> None:
        raise KeyboardInterrupt


def test_a_checkpoint_is_tried_beside_the_oracle(cli: Cli, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    save(build_model(TINY, 1), target)
    trial = ["testbed", "evaluate-verifier", checkpoint, "--target", target, "--questioner", "uniform"]
    said = cli(*trial, "--n", 6, "--card", tmp_path / "card.md", "--json")
    assert said.status == 0, said.err
    one = json.loads(said.out)["targets"][str(target)]["uniform"]
    assert one["n"] == sum(map(sum, one["counts_4_4"])) == 6
    truly = dict(zip(one["verdicts"], map(sum, zip(*one["counts_4_4"], strict=True)), strict=True))
    assert truly["INVALID"] == truly["UNDECIDED"] == 0  # all of the sampler's questions are valid
    table = cli(*trial, "--n", 6).out
    assert "truly WRONG" in table and "judged INVALID" in table
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    right = one["counts_4_4"][one["verdicts"].index("RIGHT")]
    assert f"| judged RIGHT | {right[0]} | {right[1]} | {right[2]} |" in card and "--n 6 --seed 0" in card


def test_a_trial_counts_pairs_of_verdicts() -> None:
    """Of 4 truly WRONG the verifier says WRONG of 2, RIGHT of 1, nothing of 1: it recognises 2 of the 3 it decided."""
    right, wrong, silence = (
        Judgement(Verdict.RIGHT),
        Judgement(Verdict.WRONG),
        Judgement(Verdict.UNDECIDED, "unreadable_judge: answer: x"),
    )
    invalid = Judgement(Verdict.INVALID, "invalid")
    found = counted([(wrong, wrong), (wrong, wrong), (right, wrong), (silence, wrong), (invalid, right)])
    order = found.verdicts
    assert found.n == 5
    assert found.counts_4_4[order.index(Verdict.RIGHT)][order.index(Verdict.WRONG)] == 1
    assert found.counts_4_4[order.index(Verdict.INVALID)][order.index(Verdict.RIGHT)] == 1
    assert found.recognised[Verdict.WRONG].n == 3
    assert found.recognised[Verdict.WRONG].value == pytest.approx(2 / 3)
    assert found.recognised[Verdict.RIGHT].value == 0.0
    assert found.recognised[Verdict.INVALID] == Rate(None, None, None, 0, 0)


def test_a_prompt_without_its_passages_is_still_read(checkpoint: Path) -> None:
    """A prompt of one's own costs more words, unknown ones among them, and is no error."""
    tokenizer = build_processor(ADDED).tokenizer
    own = tokenizer("is this a good question: <<< what colour is the ring? >>>", add_special_tokens=False)["input_ids"]
    assert vocabulary.ids()["ring"] in own and vocabulary.ids()[vocabulary.UNKNOWN] in own
