"""The panel: what several judges make of one question together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.config import Config, override, read_config
from gadfly.errors import ConfigError
from gadfly.records import Completion, Image, Judgement, Question, Verdict
from gadfly.roles.conformance import check_verifier
from gadfly.roles.verifier_panel import PanelVerifier, agreed

RIGHT, WRONG, INVALID, UNDECIDED = Verdict.RIGHT, Verdict.WRONG, Verdict.INVALID, Verdict.UNDECIDED
CAT = Image("c" * 64, "cat.png", 8, 8)


def said(verdict: Verdict, reason: str = "why") -> Judgement:
    return Judgement(verdict, None if verdict.valid else reason)


class ListedVerifier:
    """Says of each question what a table says; an answer that never came is UNDECIDED unless the question is bad."""

    def __init__(self, table: dict[str, Verdict]) -> None:
        self._table = table
        self.asked: list[str] = []

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        self.asked += [question.text for question in questions]
        return [
            said(self._table[q.text] if a.text is not None or self._table[q.text] is INVALID else UNDECIDED)
            for q, a in zip(questions, answers, strict=True)
        ]


@pytest.mark.parametrize(
    ("verdicts", "expected", "reason"),
    [
        ([RIGHT, RIGHT, RIGHT], RIGHT, None),
        ([WRONG], WRONG, None),
        ([RIGHT, WRONG, RIGHT], UNDECIDED, "judges_disagree: 2 RIGHT, 1 WRONG"),
        ([RIGHT, UNDECIDED, RIGHT], UNDECIDED, "why"),
        ([INVALID, INVALID], INVALID, "why"),
        ([WRONG, WRONG, INVALID], INVALID, "judges_disagree: 2 WRONG, 1 INVALID (why)"),
        ([UNDECIDED, INVALID], INVALID, "judges_disagree: 1 INVALID, 1 UNDECIDED (why)"),
        ([RIGHT, WRONG, INVALID], INVALID, "judges_disagree: 1 RIGHT, 1 WRONG, 1 INVALID (why)"),
    ],
)
def test_what_a_panel_makes_of_its_judges(verdicts: list[Verdict], expected: Verdict, reason: str | None) -> None:
    assert agreed([said(one) for one in verdicts]) == Judgement(expected, reason)


@given(st.lists(st.sampled_from(Verdict), min_size=1, max_size=5))
def test_the_order_of_the_judges_changes_no_verdict(verdicts: list[Verdict]) -> None:
    assert len({agreed([said(one) for one in some]).verdict for some in itertools.permutations(verdicts)}) == 1
    found = agreed([said(one) for one in verdicts]).verdict
    assert not found.valid or set(verdicts) == {found}  # RIGHT and WRONG are unanimous


def test_the_panel_keeps_the_contract_and_asks_no_more_than_it_must() -> None:
    first = ListedVerifier({"a": RIGHT, "b": INVALID, "c": UNDECIDED, "d": WRONG})
    second = ListedVerifier({"a": RIGHT, "b": RIGHT, "c": RIGHT, "d": RIGHT})
    panel = PanelVerifier([first, second])
    questions = [Question((CAT,), text, 0) for text in "abcd"]
    judged = panel.judge(questions, [Completion("x")] * 4)
    assert [one.verdict for one in judged] == [RIGHT, INVALID, UNDECIDED, UNDECIDED]
    assert second.asked == ["a", "c", "d"]
    check_verifier(panel, questions, [Completion("x")] * 4)


def test_the_panel_on_the_page_about_verifiers_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "verifier.md").read_text(encoding="utf-8")
    (tmp_path / "c.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    judges = read_config(tmp_path / "c.toml").verifier.judges
    assert [(one.votes, one.base_url is not None) for one in judges] == [(3, False), (1, True)]


def test_a_panel_is_configured_by_tables(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        '[verifier]\nmodel = "a"\nvotes = 3\ntemperature = 0.7\n'
        '[[verifier.panel]]\nkind = "oracle"\n[[verifier.panel]]\nmodel = "b"\n'
    )
    config = read_config(file)
    assert [(one.kind, one.model, one.votes) for one in config.verifier.judges] == [
        ("model", "a", 3),
        ("oracle", "", 1),
        ("model", "b", 1),
    ]
    assert override(config, {}) == config  # through to_dict and back
    with pytest.raises(ConfigError, match=r"verifier\.panel\.0\.knd.*did you mean 'verifier\.panel\.0\.kind'"):
        override(config, {"verifier.panel": [{"knd": "oracle"}]})
    with pytest.raises(ConfigError, match="cannot have a panel of its own"):
        override(config, {"verifier.panel": [{"panel": [{}]}]})
    with pytest.raises(ConfigError, match="votes 2 would all be the same"):
        override(Config(), {"verifier.votes": 2})
    with pytest.raises(ConfigError, match=r"verifier\.panel must be a list of tables, not 'oracle'"):
        override(Config(), {"verifier.panel": "oracle"})
