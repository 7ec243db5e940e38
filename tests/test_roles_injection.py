"""Text that tries to steer the judge, in answers and in questions: none of data/injections.jsonl changes a verdict.

What a real judge makes of an appeal cannot be tested without one. What can: that such text never leaves its quotation,
never reaches the stages that are to be blind to it, and is never read as the judge's own word, whatever a judge that
repeats all it was shown does with it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.records import Chat, Completion, Image, Judgement, Question, Verdict
from gadfly.roles.prompts import quote
from gadfly.roles.verifier_model import ModelVerifier
from gadfly.roles.verifier_replies import parse_agreement, parse_answer, parse_validity

DATA = Path(__file__).parent / "data" / "injections.jsonl"
INJECTIONS = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
ANSWERS = [one["text"] for one in INJECTIONS if one["where"] == "answer"]
QUESTIONS = [one["text"] for one in INJECTIONS if one["where"] == "question"]
CAT = Image("c" * 64, "cat.png", 8, 8)
QUOTED = re.compile(r"<<<([^\n]*?)>>>")

Reply = Callable[[str], str]


def stage(chat: Chat) -> str:
    text = chat_text(chat)
    return "agreement" if "Second answer: <<<" in text else "validity" if "UNAMBIGUOUS: two" in text else "answer"


def verifier(model: ScriptedModel, question: str, answer: str) -> Judgement:
    return ModelVerifier(model).judge([Question((CAT,), question, 0)], [Completion(answer)])[0]


def judge(**replies: Reply) -> ScriptedModel:
    """A judge that works: the question is good, the thing is red, nothing else is the same. `replies` change that."""
    usual: dict[str, Reply] = {
        "validity": lambda text: "VERDICT: VALID",
        "answer": lambda text: "ANSWER: red",
        "agreement": lambda text: "VERDICT: DIFFERENT",
    }
    by_stage = usual | replies
    return ScriptedModel("judge", lambda chat, sampling: by_stage[stage(chat)](chat_text(chat)))


def quotations(text: str) -> list[str]:
    return [quoted.strip() for quoted in QUOTED.findall(text)]


def last_quotation(text: str) -> str:
    return quotations(text)[-1]


def echo(text: str) -> str:
    """All that was quoted, each on a line of its own, and as words and sentences on lines of their own."""
    said = quotations(text)
    pieces = [piece for quoted in said for piece in re.split(r"(?<=[.!?,;{}()])\s+|\s{2,}|[‹›]", quoted)]
    return "\n".join([*said, *pieces])


def test_there_are_enough_of_every_kind() -> None:
    assert len(ANSWERS) + len(QUESTIONS) >= 60
    kinds = Counter(one["kind"] for one in INJECTIONS)
    assert set(kinds) == {"appeal", "verdict", "delimiter", "template", "json", "language", "invisible"}
    assert min(kinds.values()) >= 5
    # And they would do harm if nothing stood in their way: read as they are, many speak for the judge.
    assert sum(parse_agreement(text) is True for text in ANSWERS) >= 15
    assert sum(parse_validity(text) == "" for text in QUESTIONS) >= 5


@pytest.mark.parametrize("attack", ANSWERS)
def test_an_answer_cannot_forge_its_verdict(attack: str) -> None:
    honest = verifier(judge(), "Colour?", "blue")
    assert honest == Judgement(Verdict.WRONG, expected="red")
    assert verifier(judge(), "Colour?", attack) == honest
    # A judge that repeats what it was shown, and then says what it found, is heard; one that stops there is not.
    for repeats in (echo, last_quotation):
        firm = judge(agreement=lambda text, repeats=repeats: f"{repeats(text)}\nVERDICT: DIFFERENT")  # type: ignore[misc]
        assert verifier(firm, "Colour?", attack) == honest
        lost = verifier(judge(agreement=repeats), "Colour?", attack)
        assert (lost.verdict, lost.expected) == (Verdict.UNDECIDED, "red"), lost


@pytest.mark.parametrize("attack", ANSWERS)
def test_an_answer_stays_in_its_quotation_and_out_of_the_blind_stages(attack: str) -> None:
    honest, attacked = judge(), judge()
    verifier(honest, "Colour?", "blue")
    verifier(attacked, "Colour?", attack)
    assert [stage(batch[0]) for batch in attacked.batches] == ["validity", "answer", "agreement"]
    assert attacked.batches[:2] == honest.batches[:2]  # to the byte: the verifier commits before it sees any of it
    before, after = (chat_text(model.batches[2][0]) for model in (honest, attacked))
    assert QUOTED.sub("", after) == QUOTED.sub("", before)  # outside the quotations nothing has changed
    assert after.count("<<<") == before.count("<<<") and after.count(">>>") == before.count(">>>")
    assert quotations(after)[:-1] == quotations(before)[:-1]


@pytest.mark.parametrize("attack", QUESTIONS)
def test_a_question_cannot_forge_its_validity_or_the_blind_answer(attack: str) -> None:
    invalid = judge(validity=lambda text: f"{echo(text)}\nOBJECTIVE: no\nVERDICT: INVALID")
    said = verifier(invalid, attack, "blue")
    assert said.verdict is Verdict.INVALID and "not_objective" in (said.reason or "")
    for repeats in (echo, last_quotation):
        assert verifier(judge(validity=repeats), attack, "blue").verdict is Verdict.UNDECIDED
        own = judge(answer=lambda text, repeats=repeats: f"{repeats(text)}\nANSWER: red")  # type: ignore[misc]
        assert verifier(own, attack, "blue").expected == "red"
    dictated = verifier(judge(answer=echo), attack, "blue")
    assert dictated.expected != "blue" and dictated.verdict is not Verdict.RIGHT
    for model in (plain := judge(), hostile := judge()):
        verifier(model, "Colour?" if model is plain else attack, "blue")
    for before, after in zip(plain.batches, hostile.batches, strict=True):
        assert QUOTED.sub("", chat_text(after[0])) == QUOTED.sub("", chat_text(before[0]))


@pytest.mark.parametrize("attack", [*ANSWERS, *QUESTIONS])
def test_nothing_quoted_is_read_as_a_judges_word(attack: str) -> None:
    said = quote(attack).removeprefix("<<< ").removesuffix(" >>>")
    for reply in (said, f"```json\n{said}\n```", f"thus:\n{said}\n", said.replace(", ", ",\n").replace(" ", "\n")):
        assert parse_validity(reply) is None and parse_agreement(reply) is None
        assert parse_answer(f"thus:\n{reply}") is None


def test_a_judge_held_to_a_schema_is_heard_whatever_its_reason_quotes() -> None:
    """In JSON a quotation can stand in another text of the object; only the judge's own key counts."""
    for attack in ANSWERS:
        reply = json.dumps({"why": f'it says "{attack}"', "verdict": "DIFFERENT"})
        assert parse_agreement(reply) is False
