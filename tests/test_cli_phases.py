"""Bars for the stages of findings: on a terminal each is gone when something else is said, whatever ends it."""

from __future__ import annotations

import pytest

from gadfly.cli.phases import Stages
from gadfly.phase_findings import MEASURING, NAMING, READING

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # the cursor, while a bar is drawn and afterwards


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.usefixtures("terminal")
def test_each_stage_has_a_bar_of_its_own_until_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages() as stages:
        for stage, total in ((READING, 3000), (MEASURING, 20)):
            stages.update(0, total, stage)
            assert capsys.readouterr().err.count(HIDDEN) == 1
            stages.update(total, total, stage)
            said = capsys.readouterr().err
            assert stage in said and f"{total}/{total}" in said and said.count(SHOWN) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("terminal")
def test_a_remark_ends_the_bar_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages() as stages:
        stages.update(0, 20, MEASURING)
        stages.remark("no image conditions")
        before, remark, after = capsys.readouterr().err.partition("no image conditions")
        assert remark and before.count(HIDDEN) == before.count(SHOWN) == 1 and after == "\n"
        stages.update(0, 20, MEASURING)
        stages.update(64, 360, NAMING)
    said = capsys.readouterr().err
    assert said.count(HIDDEN) == said.count(SHOWN) == 2 and "64/360" in said


@pytest.mark.usefixtures("terminal")
def test_what_breaks_a_stage_off_leaves_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    def broken_off() -> None:
        with Stages() as stages:
            stages.update(64, 360, NAMING)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    said = capsys.readouterr().err
    assert said.rindex(SHOWN) > said.rindex(HIDDEN)
