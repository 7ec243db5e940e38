"""What the command line prints: readable in 80 columns and in a log, true to its numbers, and harmless."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import gadfly.cli.output as output
from cli_calls import Cli
from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.analysis.comparison import compared
from gadfly.analysis.figures import points_text, rate_text
from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate
from gadfly.cli.output import plain, progress, say, table
from gadfly.cli.rate_tables import print_compared, print_examples, print_summary
from gadfly.cli.summary import summarise_over, training_line
from gadfly.counts import step_metrics
from gadfly.records import Completion, Image, Probe, ProbeKey, Turn, Verdict
from gadfly.store.queries import PAGE_PROBES, read_probes
from gadfly.store.sqlite import SqliteStore
from made_probes import make_probes
from store_samples import sample


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard output as a terminal of 80 columns."""
    screen = io.StringIO()
    made = Console(file=screen, width=80, highlight=False, emoji=False, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "console", lambda: made)
    monkeypatch.setattr("gadfly.cli.rate_tables.console", lambda: made)
    return screen


def lines(screen: io.StringIO) -> list[str]:
    found = screen.getvalue().splitlines()
    assert max(map(len, found), default=0) <= 80
    return found


def skilled(verdicts: str, image: str, skill: str, start: int = 0) -> list[Probe]:
    return make_probes(verdicts, image, start, skills=(skill,))


def test_a_training_that_asks_one_question_only_shows_beside_its_bar() -> None:
    """Of four probes one is RIGHT and three are WRONG; what is collapsed asks all images the same."""
    broad = make_probes("WWWR", "a")
    assert len({probe.question for probe in broad}) == 4
    collapsed = make_probes("WWWR", "a", question="how many?")
    assert training_line(step_metrics(broad)) == "FDR 75%  valid 100%  wordings 4/4"
    assert training_line(step_metrics(collapsed)) == "FDR 75%  valid 100%  wordings 1/4"
    assert training_line({"fdr": 0.5}) == "FDR 50%"


def test_rates_stand_in_rows_with_their_n(narrow: io.StringIO) -> None:
    """Two images, R W I U each: 6 decided, 4 valid, FDR 2/6, failure rate 2/4, UNDECIDED 2/8."""
    print_summary(summarise_over([*make_probes("RWIU", "a"), *make_probes("RWIU", "b", 10)]))
    said = "\n".join(lines(narrow))
    assert re.search(r"FDR, of decided +33\.3% \(", said)
    assert re.search(r"failure rate, of valid +50\.0% \(", said)
    assert re.search(r"UNDECIDED rate, of all +25\.0% \(", said)
    assert re.search(r"n decided +6\b", said) and re.search(r"n valid +4\b", said) and "8 on 2" in said
    assert "does not name the skills" in said


def test_why_probes_are_undecided_is_counted(narrow: io.StringIO) -> None:
    reasons = ["target_error: endpoint_timeout: no answer within 3 s", "target_error: endpoint_timeout: no answer"]
    reasons += [
        "judges_disagree: 2 RIGHT, 1 WRONG",
        "unreadable_judge: answer: hm",
        "not_listed",
        "judges_disagree: 1 R",
    ]
    reasons += ["judges_disagree: 1 RIGHT, 1 WRONG", f"{NASTY}: {NASTY}"]
    probes = [
        replace(probe, judgement=replace(probe.judgement, reason=reason))
        for probe, reason in zip(make_probes("U" * len(reasons), "a"), reasons, strict=True)
    ]
    summary = summarise_over([*probes, *make_probes("RI", "b")])
    assert list(summary.undecided.items())[:4] == [
        ("judges_disagree", 3),
        ("target_error: endpoint_timeout", 2),
        ("unreadable_judge: answer", 1),
        ("not_listed", 1),
    ]
    print_summary(summary)
    said = " ".join(narrow.getvalue().split())
    assert "UNDECIDED: 3 judges_disagree, 2 target_error: endpoint_timeout, 1 unreadable_judge: answer, 1 not_l" in said
    assert "\x1b" not in said


def test_what_fails_is_said_with_an_example(narrow: io.StringIO) -> None:
    """30 images: counting always WRONG, colour always RIGHT. The rate over all is 50%, so of counting's 30 WRONG
    probes 15 are beyond usual."""
    probes = [p for i in range(30) for p in (*skilled("W", str(i), "counting"), *skilled("R", str(i), "colour", 1))]
    print_summary(summarise_over(probes))
    said = " ".join(" ".join(lines(narrow)).split())
    assert re.search(r"counting 100\.0% \([0-9.]+ to 100\.0\) 30 15 ", said)
    assert "→ blue, not red" in said
    assert "a failure rate of 50.0%" in said


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        (make_probes("IIII", "a"), "Every question was INVALID"),
        (make_probes("UU", "a"), "No probe was decided"),
        (skilled("RW", "a", "x"), "No skill fails reliably"),
        ([], "No probe was decided"),
    ],
)
def test_runs_with_nothing_to_tell_say_so(probes: Sequence[Probe], expected: str, narrow: io.StringIO) -> None:
    print_summary(summarise_over(probes))
    said = "\n".join(lines(narrow))
    assert expected in said
    assert "nan" not in said and "None" not in said


@pytest.mark.parametrize("n_runs", [1, 2, 5])
def test_runs_are_compared_in_eighty_columns(n_runs: int, narrow: io.StringIO) -> None:
    runs = {f"runs/number{i}": [*skilled("RW", "a", "x"), *skilled("WWI", "b", "y", 10)] for i in range(n_runs)}
    print_compared(compared(runs, bootstrap_rng()), {})
    said = "\n".join(lines(narrow))
    assert all(name in said for name in runs)
    assert "distinct among 4 valid probes" in said and "distinct among 3 WRONG probes" in said
    assert said.count("FDR of ") == n_runs - 1
    assert "None" not in said


def test_runs_without_skills_are_compared_by_their_rates(narrow: io.StringIO) -> None:
    print_compared(compared({"photos": make_probes("RW", "a"), "bad": make_probes("II", "a")}, bootstrap_rng()), {})
    said = "\n".join(lines(narrow))
    assert "cannot be counted" in said
    assert "None" not in said


def test_a_rate_without_data_is_a_dash() -> None:
    assert rate_text(Rate(None, None, None, 0, 0)) == "–"
    assert rate_text(Rate(0.475, 0.441, 0.509, 100, 47)) == "47.5% (44.1 to 50.9)"
    assert rate_text(Rate(1.0, None, None, 1, 1)) == "100.0%"
    assert rate_text(Rate(0.475, 0.441, 0.509, 100, 47), 100) == "47.5% (44.1 to 50.9, n 100)"
    assert points_text(Estimate(0.03, -0.012, 0.072)) == "+3.0 (-1.2 to +7.2)"
    assert points_text(Estimate(None, None, None)) == points_text(None) == "–"


@given(st.text())
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = plain(text)
    assert shown == plain(shown)
    assert all(c.isprintable() or not c.isascii() for c in shown)
    assert len(plain(text, 10)) <= 10


NASTY = "\x1b]0;owned\x07 \x1b[31m[bold]big[/] [link=http://x]y[/link] :skull: \u202egnp.exe\u202c \\[red]\\"


def test_nothing_of_what_is_shown_is_read_as_markup(narrow: io.StringIO) -> None:
    table(NASTY, ("a", NASTY), [(NASTY, NASTY)])
    say(NASTY)
    said = narrow.getvalue()
    assert "\x1b" not in said and "\u202e" not in said and "\x07" not in said
    flat = "".join(said.split())
    assert flat.count("[bold]big[/]") == 5 and flat.count(":skull:") == 5 and "link=http" in flat


def store_with(folder: Path, *probes: Probe) -> None:
    with SqliteStore.create(folder, "run", {}, {}, 0) as store:
        store.begin_attempt("train")
        store.add(probes)


def test_show_defuses_all_that_comes_from_outside(cli: Cli, tmp_path: Path) -> None:
    nasty = sample(0, 0, question=NASTY)
    image = Image(nasty.images[0].id, "[red]\x1b[2J.png", 1, 1)
    run = tmp_path / "[bold]run[/]"
    store_with(run, Probe(nasty.key, 0, (image,), nasty.turns, nasty.judgement))
    for arguments in ([run], [run, "--json"]):
        said = cli("show", *arguments)
        assert said.status == 0
        assert "\x1b" not in said.out and "\x07" not in said.out
    assert "[bold]run[/]" in cli("show", run).out
    assert "\x1b" not in cli("show", tmp_path / "\x1b[2Jnone").err


def test_what_a_run_says_at_its_end_is_defused(narrow: io.StringIO) -> None:
    """Questions, answers, skills and runs' names, in the summary, its examples and a comparison."""

    def nasty(i: int, verdict: Verdict, skills: tuple[str, ...] | None) -> Probe:
        probe = sample(0, i, image=i, question=NASTY, skills=skills, verdict=verdict)
        return replace(probe, turns=(Turn(NASTY, Completion(NASTY)),))

    named = [nasty(i, Verdict.WRONG if i % 2 else Verdict.RIGHT, (NASTY if i % 2 else "plain",)) for i in range(60)]
    print_summary(summarise_over(named))
    assert "owned" in narrow.getvalue()
    examples = [nasty(i, Verdict.WRONG, None) for i in range(3)]
    print_examples(examples)
    print_compared(compared({NASTY: named, f"b{NASTY}": examples}, bootstrap_rng()), {})
    said = narrow.getvalue()
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said


def test_names_of_files_that_are_left_out_are_defused(cli: Cli, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    (tmp_path / "\x1b]0;owned\x07.png").write_text("no picture")
    options = ["--images", tmp_path, "--target", "t", "--questioner", "q", "--verifier", "v"]
    for more in ([], ["--json"]):
        said = cli("sweep", *options, "--dry-run", *more)
        assert said.status == 0 and "owned" in said.out + said.err
        assert "\x1b" not in said.out + said.err and "\x07" not in said.out + said.err


def test_show_finds_the_newest_and_by_filter(cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with SqliteStore.create(run, "run", {}, {}, 0) as store:
        for phase in ("train", "after", "between"):  # not in the order of the alphabet
            attempt = store.begin_attempt(phase)
            for index in range(3):
                probe = sample(0, index, question=f"{phase} {index}?")
                key = ProbeKey(phase, attempt, 0, index)
                store.add([Probe(key, 0, probe.images, probe.turns, probe.judgement, probe.terms, probe.reward)])
    found = cli("show", run, "--limit", 4).out
    assert re.findall(r"(train|after|between) (\d)\?", found) == [
        ("after", "2"),
        ("between", "0"),
        ("between", "1"),
        ("between", "2"),
    ]
    assert "4 of 9 matching probes shown; the run has 9 probes" in found
    some = cli("show", f"{run}:train", "--contains", "TRAIN 1").out
    assert "1 of 1 matching probes shown; the run has 3 probes in train" in some
    path = sample(0, 0).images[0].path
    assert "9 of 9" in cli("show", run, "--image", path).out
    assert "0 of 0" in cli("show", run, "--image", "no such").out
    wrong = cli("show", f"{run}:sweep")
    assert wrong.status == 2 and "has no phase 'sweep'; it has train, after, between" in wrong.err
    compared = cli("compare", run)
    assert compared.status == 0
    assert all(f"{run}:{phase}" in "".join(compared.out.split()) for phase in ("train", "after", "between"))


def test_show_reads_no_more_than_it_shows(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pages of probes, the newest of which are all there is to see; how many match is counted, not read."""
    run, pages = tmp_path / "run", 0
    with SqliteStore.create(run, "run", {}, {}, 0) as store:
        store.begin_attempt("train")
        verdicts = [Verdict.WRONG if index % 2 else Verdict.RIGHT for index in range(3 * PAGE_PROBES)]
        store.add([sample(0, index, verdict=verdict) for index, verdict in enumerate(verdicts)])

    def counted(*arguments: Any) -> Iterator[list[Probe]]:
        nonlocal pages
        for page in read_probes(*arguments):
            pages += 1
            yield page

    monkeypatch.setattr("gadfly.store.sqlite.read_probes", counted)
    shown = cli("show", run, "--limit", 2).out
    assert f"2 of {3 * PAGE_PROBES} matching probes shown" in shown and pages == 1
    assert f"train 0.{3 * PAGE_PROBES - 1}" in shown
    half = 3 * PAGE_PROBES // 2
    assert f"2 of {half} matching probes" in cli("show", run, "--limit", 2, "--verdict", "right").out and pages == 2
    assert f"2 of {half} matching probes" in cli("show", run, "--limit", 2, "--verdict", "right", "--contains", "q").out


def test_show_marks_what_a_resume_has_superseded(cli: Cli, tmp_path: Path) -> None:
    """A first sitting stores steps 0 to 2; a second goes on from step 1, and makes it anew."""
    run = tmp_path / "run"
    with SqliteStore.create(run, "run", {}, {}, 0) as store:
        for steps in ([0, 1, 2], [1]):
            attempt = store.begin_attempt("train", from_step=steps[0])
            for step in steps:
                probe = sample(step, 0, question=f"sitting {attempt}, step {step}?")
                key = ProbeKey("train", attempt, step, 0)
                store.add([Probe(key, 0, probe.images, probe.turns, probe.judgement, probe.terms, probe.reward)])
    marked = {"sitting 1, step 0?": False, "sitting 1, step 1?": True, "sitting 1, step 2?": True}
    every = marked | {"sitting 2, step 1?": False}
    found = json.loads(cli("show", run, "--superseded", "--json").out)
    assert {one["turns"][0]["question"]: one["superseded"] for one in found} == every
    current = json.loads(cli("show", run, "--json").out)
    assert {one["turns"][0]["question"]: one["superseded"] for one in current} == {
        question: False for question, superseded in every.items() if not superseded
    }
    rows = [line for line in cli("show", run, "--superseded").out.splitlines() if "sitting" in line]
    assert [line.rstrip().endswith(" yes") for line in rows] == [every[q] for q in every]
    assert "superseded" not in cli("show", run).out


def test_progress_in_a_log_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 steps of 1 s each: the first word after 10 s, then one for each tenth. What is over at once is not told."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress("asking") as bar:
        for step in range(1, 101):
            now += 1
            bar.update(step, 100, "FDR 5%")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 10
    assert said[0] == "asking: 10/100, 10 s, about 90 s left  FDR 5%"
    assert said[-1] == "asking: 100/100, 100 s  FDR 5%"
    with progress("reading") as bar:
        for step in range(1, 101):
            now += 0.01
            bar.update(step, 100)
    assert capsys.readouterr().err == ""


def test_a_long_stage_is_never_silent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 steps of 20 s: a tenth takes 2,000 s, yet there is a word every 40 s. A new stage has a new clock."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress("training") as bar:
        for step in range(1, 11):
            now += 20
            bar.update(step, 1000)
        bar.update(0, 10, title="measuring")
        now += 40
        bar.update(5, 10)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["training"] * 5 + ["measuring"]
    assert said[-1] == "measuring: 5/10, 40 s, about 40 s left"


def test_the_time_left_of_what_is_taken_up_again_comes_from_what_was_done_since(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """90 of 100 cells were there; one takes 10 minutes. Before the first is done nothing is known of the time left."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress("cells") as bar:
        bar.update(90, 100, "b, seed 1")
        now += 300
        bar.update(90, 100, "b, seed 1")
        now += 300
        bar.update(91, 100, "c, seed 1")
    assert capsys.readouterr().err.splitlines() == [
        "cells: 90/100, 5 min 0 s  b, seed 1",
        "cells: 91/100, 10 min 0 s, about 1 h 30 min left  c, seed 1",
    ]
