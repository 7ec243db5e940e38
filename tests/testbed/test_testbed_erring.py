"""The verifier with injected errors: how many, which, and that they stay the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gadfly.config import from_dict, override
from gadfly.errors import ConfigError
from gadfly.records import Completion, Image, Judgement, Question, Verdict
from gadfly.testbed.erring import INJECTED, ErringVerifier, with_errors
from gadfly.testbed.oracle import OracleVerifier
from gadfly.wiring import Wiring
from testbed_worlds import STREET

ORACLE = OracleVerifier({"x": STREET})
IMAGE = Image("x", "x.png", 96, 96)
COLOUR = "what colour is the thing pointed at by the blue arrow?"  # red


def judged(verifier: ErringVerifier | OracleVerifier, text: str, answers: list[str | None]) -> list[Judgement]:
    said = [Completion(error="timeout") if answer is None else Completion(answer) for answer in answers]
    return verifier.judge([Question((IMAGE,), text, 0)] * len(said), said)


ANSWERS: list[str | None] = [f"answer {n}" for n in range(2000)]  # all WRONG


def test_a_share_of_the_verdicts_is_exchanged_for_either_of_the_others() -> None:
    n = Counter(one.verdict for one in judged(ErringVerifier(ORACLE, 0.2, seed=0), COLOUR, ANSWERS))
    # Of 2,000 each is kept with probability 0.8 and becomes RIGHT or INVALID with 0.1 each: 1,600, 200 and 200, with
    # standard deviations of 17.9 and 13.4. Four of them are allowed.
    assert abs(n[Verdict.WRONG] - 1600) < 72
    assert abs(n[Verdict.RIGHT] - 200) < 54 and abs(n[Verdict.INVALID] - 200) < 54


def test_what_is_judged_again_is_judged_alike_and_by_another_seed_otherwise() -> None:
    first = judged(ErringVerifier(ORACLE, 0.2, seed=0), COLOUR, ANSWERS)
    again = judged(ErringVerifier(ORACLE, 0.2, seed=0), COLOUR, ANSWERS[::-1])[::-1]
    assert first == again
    other = judged(ErringVerifier(ORACLE, 0.2, seed=1), COLOUR, ANSWERS)
    wrong = [[one.reason == INJECTED for one in some] for some in (first, other)]
    # Both err on 400 of 2,000 each: were they independent, on 80 together (standard deviation 8).
    assert abs(sum(map(all, zip(*wrong, strict=True))) - 80) < 36


def test_a_higher_rate_only_adds_errors() -> None:
    few, many = (judged(ErringVerifier(ORACLE, rate, seed=0), COLOUR, ANSWERS) for rate in (0.05, 0.2))
    assert all(b.reason == INJECTED for a, b in zip(few, many, strict=True) if a.reason == INJECTED)


def test_an_error_looks_like_any_verdict_but_for_its_reason() -> None:
    always = ErringVerifier(ORACLE, 1.0, seed=0)
    found = {one.verdict: one for one in judged(always, COLOUR, ANSWERS[:20])}
    exact = judged(ORACLE, COLOUR, ["red"])[0]
    assert set(found) == {Verdict.RIGHT, Verdict.INVALID}  # all of them are WRONG
    right = found[Verdict.RIGHT]
    assert (right.expected, right.skills, right.program) == (exact.expected, exact.skills, exact.program)
    invalid = found[Verdict.INVALID]
    assert (invalid.expected, invalid.skills, invalid.reason) == (None, None, INJECTED)
    # A question that was INVALID has no skills that it could get; it is not INVALID again.
    for one in judged(always, "what colour is the heart?", ANSWERS[:20]):
        assert one.verdict.valid and one.skills is None and one.expected is None


def test_our_own_faults_stay_undecided_and_no_errors_mean_the_verifier_itself() -> None:
    always = ErringVerifier(ORACLE, 1.0, seed=0)
    assert judged(always, COLOUR, [None]) == judged(ORACLE, COLOUR, [None])
    assert with_errors(ORACLE, 0.0, seed=0) is ORACLE
    assert judged(ErringVerifier(ORACLE, 0.0, seed=0), COLOUR, ANSWERS) == judged(ORACLE, COLOUR, ANSWERS)


def test_the_configuration_injects_errors_into_the_oracle_alone(album: Path) -> None:
    config = from_dict({"seed": 7, "images": {"path": str(album)}, "verifier": {"kind": "oracle", "error_rate": 0.1}})
    assert isinstance(Wiring(config).verifier, ErringVerifier)
    assert isinstance(Wiring(override(config, {"verifier.error_rate": 0.0})).verifier, OracleVerifier)
    with pytest.raises(ConfigError, match=r"verifier\.error_rate is a share, from 0 to 1, not 1\.5"):
        override(config, {"verifier.error_rate": 1.5})
    with pytest.raises(ConfigError, match=r"verifier\.kind 'model' makes its own"):
        override(config, {"verifier.kind": "model"})
