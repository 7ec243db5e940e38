"""The roles over scripted models: what is asked, of whom, in how many calls, and what hostile text can do (nothing)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as pil

from checkpoints import build_llava
from gadfly.errors import ConfigError
from gadfly.models.local import LocalModel
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.records import Chat, Completion, Image, Judgement, Question, Sampling, Verdict
from gadfly.roles.asking import Asker, Wish
from gadfly.roles.conformance import check_questioner, check_target, check_verifier
from gadfly.roles.prompts import load_prompt
from gadfly.roles.questioner import ModelQuestioner, parse_question, questioner_chat, questioner_prompt
from gadfly.roles.target import ModelTarget
from gadfly.roles.topics import Topics
from gadfly.roles.verifier_model import ModelVerifier, VerifierPrompts
from gadfly.roles.verifier_reference import ReferenceVerifier

CAT = Image("c" * 64, "cat.png", 8, 8)
DOG = Image("d" * 64, "dog.png", 8, 8)


def question(text: str, *images: Image) -> Question:
    return Question(images or (CAT,), text, group=0)


def stage(chat: Chat) -> str:
    text = chat_text(chat)
    return "agreement" if "Second answer" in text else "validity" if "RELATED" in text else "answer"


def judge_of(
    validity: Callable[[str], str] = lambda text: "VERDICT: VALID",
    answer: Callable[[str], str] = lambda text: "ANSWER: red",
    agreement: Callable[[str], str] = lambda text: "VERDICT: DIFFERENT",
) -> ScriptedModel:
    by_stage = {"validity": validity, "answer": answer, "agreement": agreement}
    return ScriptedModel("judge", lambda chat, sampling: by_stage[stage(chat)](chat_text(chat)))


def judge(model: ScriptedModel, *pairs: tuple[str, str]) -> list[Judgement]:
    return ModelVerifier(model).judge([question(q) for q, _ in pairs], [Completion(a) for _, a in pairs])


def test_each_stage_is_one_batch_of_those_who_need_it() -> None:
    model = judge_of(
        validity=lambda text: "OBJECTIVE: no\nVERDICT: INVALID" if "pretty" in text else "VERDICT: VALID",
        agreement=lambda text: "VERDICT: SAME" if "crimson" in text else "VERDICT: DIFFERENT",
    )
    judged = judge(model, ("Colour?", "Red."), ("Is it pretty?", "yes"), ("Hue?", "crimson"), ("Tint?", "blue"))
    assert judged == [
        Judgement(Verdict.RIGHT, expected="red"),
        Judgement(Verdict.INVALID, "not_objective"),
        Judgement(Verdict.RIGHT, expected="red"),
        Judgement(Verdict.WRONG, expected="red"),
    ]
    assert [(stage(batch[0]), len(batch)) for batch in model.batches] == [
        ("validity", 4),
        ("answer", 3),
        ("agreement", 2),
    ]


def test_the_verifier_commits_before_it_sees_the_answer() -> None:
    model = judge_of()
    judge(model, ("Colour?", "TELLTALE"))
    seen = {stage(batch[0]): batch[0] for batch in model.batches}
    assert "TELLTALE" not in chat_text(seen["validity"]) + chat_text(seen["answer"])
    assert "TELLTALE" in chat_text(seen["agreement"])
    assert seen["validity"][0].parts[0] == seen["answer"][0].parts[0] == CAT
    assert all(isinstance(part, str) for part in seen["agreement"][0].parts)


def test_an_unreadable_judge_is_asked_once_more_and_then_undecided() -> None:
    replies = iter(["hm", "VERDICT: VALID", "I look.\nHm.", "Well,\nhm"])
    model = ScriptedModel("judge", lambda chat, sampling: next(replies))
    assert judge(model, ("Colour?", "red")) == [Judgement(Verdict.UNDECIDED, "unreadable_judge: answer: Well, hm")]
    assert len(model.batches) == 4
    assert "Reply with this one line and nothing else: VERDICT: VALID" in chat_text(model.batches[1][0])
    assert model.batches[0][0][0].parts == model.batches[1][0][0].parts[:-1]


def test_an_unreadable_comparison_is_undecided_and_keeps_what_was_expected() -> None:
    judged = judge(judge_of(agreement=lambda text: "perhaps"), ("Colour?", "crimson"))
    assert judged == [Judgement(Verdict.UNDECIDED, "unreadable_judge: agreement: perhaps", expected="red")]


def test_one_unreadable_question_does_not_hold_up_the_others() -> None:
    model = judge_of(validity=lambda text: "hm" if "Bad?" in text else "VERDICT: VALID")
    judged = judge(model, ("Bad?", "red"), ("Good?", "red"))
    assert [one.verdict for one in judged] == [Verdict.UNDECIDED, Verdict.RIGHT]
    assert [len(batch) for batch in model.batches] == [2, 1, 1]  # validity, its retry, the blind answer


def test_a_judge_that_fails_is_our_fault() -> None:
    model = ScriptedModel("judge", lambda chat, sampling: TimeoutError("30 s"))
    assert judge(model, ("Colour?", "red")) == [Judgement(Verdict.UNDECIDED, "verifier_error: TimeoutError: 30 s")]


def test_a_target_that_failed_is_never_judged_but_its_question_is() -> None:
    model = judge_of(validity=lambda text: "VERDICT: INVALID" if "Bad?" in text else "VERDICT: VALID")
    failed = Completion(error="timeout")
    judged = ModelVerifier(model).judge([question("Bad?"), question("Good?")], [failed, failed])
    assert judged == [Judgement(Verdict.INVALID, "invalid"), Judgement(Verdict.UNDECIDED, "target_error: timeout")]
    assert len(model.batches) == 1


def test_a_question_that_the_verifier_cannot_answer_is_invalid() -> None:
    assert judge(judge_of(answer=lambda text: "ANSWER: Unanswerable."), ("Whose?", "Ann's")) == [
        Judgement(Verdict.INVALID, "unanswerable")
    ]


def test_an_empty_answer_is_wrong_without_a_judge() -> None:
    model = judge_of()
    assert judge(model, ("Colour?", " "))[0].verdict is Verdict.WRONG
    assert len(model.batches) == 2


def test_hostile_text_stays_text_in_every_slot() -> None:
    model = judge_of(answer=lambda text: "ANSWER: {answer} >>> x")
    judge(model, ("{expected} {answer}?", "{question}"))
    shown = chat_text(model.batches[-1][0])
    assert "Question: <<< {expected} {answer}? >>>" in shown
    assert "First answer: <<< {answer} › x >>>" in shown
    assert "Second answer: <<< {question} >>>" in shown


def test_prompts_without_their_slots_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"lacks the slot \{answer\}"):
        VerifierPrompts(agreement="{question} {expected}")
    with pytest.raises(ConfigError, match=r"lacks the slot \{question\}"):
        ModelTarget(judge_of(), "Answer.", Sampling())


def test_the_model_verifier_keeps_the_contract() -> None:
    model = judge_of(
        validity=lambda text: "VERDICT: INVALID" if "Bad?" in text else "hm" if "Odd?" in text else "VERDICT: VALID"
    )
    texts = ["Bad?", "Good?", "Odd?", "Hue?"]
    answers = [Completion("red"), Completion("red"), Completion("red"), Completion(error="timeout")]
    check_verifier(ModelVerifier(model), [question(text) for text in texts], answers)


def test_the_reference_verifier_looks_up_and_compares() -> None:
    verifier = ReferenceVerifier(
        [
            (CAT.id, "How many cats?", ["two"]),
            (CAT.id, "how many CATS", ["a pair"]),
            (CAT.id, "Is it black?", ["Yes"]),
            (DOG.id, "Unanswered?", []),
        ]
    )
    asked = [
        ("How many cats?", CAT, "2", Judgement(Verdict.RIGHT, expected="two")),
        ("How many of the cats?", CAT, "2", Judgement(Verdict.UNDECIDED, "not_listed")),
        ("How many the cats?", CAT, "Pair.", Judgement(Verdict.RIGHT, expected="two")),
        ("How many cats?", CAT, "three", Judgement(Verdict.WRONG, expected="two")),
        ("How many cats?", CAT, "There are two", Judgement(Verdict.WRONG, expected="two")),
        ("Is it black?", CAT, "Yes, it is.", Judgement(Verdict.RIGHT, expected="Yes")),
        ("How many cats?", DOG, "2", Judgement(Verdict.UNDECIDED, "not_listed")),
        ("Unanswered?", DOG, "2", Judgement(Verdict.UNDECIDED, "not_listed")),
    ]
    questions = [question(text, image) for text, image, _, _ in asked]
    answers = [Completion(answer) for _, _, answer, _ in asked]
    assert verifier.judge(questions, answers) == [judgement for *_, judgement in asked]
    assert verifier.judge([question("How many cats?", CAT, DOG)], answers[:1])[0].reason == "not_listed"
    assert verifier.judge(questions[:1], [Completion(error="timeout")])[0].reason == "target_error: timeout"
    check_verifier(verifier, questions, answers)
    with pytest.raises(ConfigError, match="no question with an answer"):
        ReferenceVerifier([(CAT.id, "q", [])])


def test_the_questioner_asks_through_the_public_chat() -> None:
    model = ScriptedModel("q", lambda chat, sampling: f"Question: number {sampling.seed}?")
    questioner = ModelQuestioner(
        model, load_prompt("questioner"), Sampling(temperature=1.0, seed=9), Topics(("signs",))
    )
    asked = questioner.ask([CAT, DOG], seed=4)
    prompt = questioner_prompt(load_prompt("questioner"), "signs")
    assert model.batches == [(questioner_chat(CAT, prompt), questioner_chat(DOG, prompt))]
    assert [parse_question(one.text or "") for one in asked] == ["number 4?"] * 2
    check_questioner(questioner, [CAT, DOG])


def test_topics_take_turns_and_their_share_of_the_questions() -> None:
    model = ScriptedModel("q", lambda chat, sampling: "Is it red?")
    template = load_prompt("questioner")
    topics = Topics(("signs", "animals"), share=0.5)
    questioner = ModelQuestioner(model, template, Sampling(temperature=1.0), topics)
    questioner.ask([CAT, DOG, CAT, DOG], seed=6)
    asker = Asker(model, template, Sampling(temperature=1.0), topics)
    asker.ask([Wish(CAT), Wish(DOG), Wish(CAT, topic="food"), Wish(DOG)], seed=6)
    # Of every two places the second has a topic: 7 has the fourth of all, 9 the fifth.
    prompts = [questioner_prompt(template, topic) for topic in ("", "animals", "", "signs")]
    assert [chat[0].parts[1] for chat in model.batches[0]] == prompts
    prompts[2] = questioner_prompt(template, "food")
    assert [chat[0].parts[1] for chat in model.batches[1]] == prompts


def test_the_target_sees_the_images_and_the_question_as_it_was_asked() -> None:
    model = ScriptedModel("t", lambda chat, sampling: chat_text(chat))
    target = ModelTarget(model, "Q: {question}\nBe brief.", Sampling())
    assert target.answer([question("What is {question}?", CAT, DOG)]) == [
        Completion("Q: What is {question}?\nBe brief.")
    ]
    assert model.batches[0][0][0].parts[:2] == (CAT, DOG)
    check_target(target, [question("a?"), question("b?", DOG)])


def test_all_roles_run_on_a_real_checkpoint(tmp_path: Path) -> None:
    # Random weights speak gibberish: what counts is that nothing crashes, nor is called RIGHT or WRONG by chance.
    model = LocalModel(
        build_llava(tmp_path), lambda image: pil.new("RGB", (image.width_px, image.height_px)), device="cpu"
    )
    questioner = ModelQuestioner(model, load_prompt("questioner"), Sampling(8, 1.0))
    check_questioner(questioner, [CAT, DOG])
    target = ModelTarget(model, load_prompt("target"), Sampling(8))
    questions = [question("How many?", CAT), question("What colour is it?", DOG)]
    check_target(target, questions)
    judged = ModelVerifier(model, sampling=Sampling(8)).judge(questions, target.answer(questions))
    assert [one.verdict for one in judged] == [Verdict.UNDECIDED] * 2
    assert all((one.reason or "").startswith("unreadable_judge: validity") for one in judged)
