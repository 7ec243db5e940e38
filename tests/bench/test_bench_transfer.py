"""The transfer benchmark: the matrix and the modes' reach by hand, and a small one run whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_calls import Cli, probes_of
from gadfly.analysis.transfer import Reach
from gadfly.bench.pooled import mean_rate
from gadfly.bench.tables import as_markdown
from gadfly.bench.transfer import Row, Transfer
from gadfly.bench.transfer_figure import draw_heatmap
from gadfly.bench.transfer_table import matrix, reached
from gadfly.bench.transfer_text import resting_on, tables_of


def cell(trained_on: str | None, target: str, seed: int, fdr: list[Any]) -> dict[str, Any]:
    return {"questioner": "q", "trained_on": trained_on, "target": target, "seed": seed, "fdr": fdr}


CELLS = [
    cell("a", "a", 0, [0.5, 0.4, 0.6, 100, 50]),
    cell("a", "b", 0, [0.2, 0.1, 0.4, 100, 20]),
    cell(None, "a", 0, [0.2, 0.1, 0.3, 80, 16]),
    cell("a", "a", 1, [0.7, 0.6, 0.8, 100, 70]),
]


def test_a_mean_of_rates_by_hand() -> None:
    # Two rates with bounds at 0.1 to either side: the mean's are at sqrt(0.05² + 0.05²) = 0.0707.
    made = mean_rate([CELLS[0]["fdr"], CELLS[3]["fdr"]])
    assert made.value == pytest.approx(0.6) and (made.n, made.successes) == (200, 120)
    assert made.low == pytest.approx(0.5293, abs=1e-4) and made.high == pytest.approx(0.6707, abs=1e-4)
    # A cell without decided probes has no rate, and is no zero.
    assert mean_rate([CELLS[1]["fdr"], [None, None, None, 0, 0]]).value == pytest.approx(0.2)
    assert mean_rate([]).value is None and mean_rate([]).n == 0


def test_the_matrix_has_untrained_questioners_first_and_dashes_where_nothing_was_run(tmp_path: Path) -> None:
    made = matrix(CELLS)
    assert made.rows == (("q", None), ("q", "a")) and made.columns == ("a", "b") and made.n_seeds == 2
    assert made.fdr[("q", "a"), "a"].value == pytest.approx(0.6)
    text = as_markdown(tables_of(made, []), [resting_on(made)])
    assert "| q, untrained | 20.0% (10.0 to 30.0, n 80) | – |" in text
    assert "| q, trained on a | 60.0% (52.9 to 67.1, n 200) | 20.0% (10.0 to 40.0, n 100) |" in text
    assert "the mean of 2 seeds" in text
    path = draw_heatmap(made, tmp_path / "one.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert draw_heatmap(made, tmp_path / "two.png").read_bytes() == path.read_bytes()
    assert draw_heatmap(matrix([]), tmp_path / "none.png").is_file()


def test_modes_are_counted_by_their_reach() -> None:
    def modes(*reaches: str) -> list[dict[str, str]]:
        return [{"name": f"{reach} mode", "reach": reach} for reach in reaches]

    found = reached(
        [
            {"questioner": "q", "trained_on": "a", "modes": modes("universal", "specific")},
            {"questioner": "q", "trained_on": "a", "modes": modes("specific", "shared")},
            {"questioner": "q", "trained_on": "b", "modes": []},
        ]
    )
    assert found[0].n == {Reach.UNIVERSAL: 1, Reach.SHARED: 1, Reach.SPECIFIC: 2, Reach.UNDETERMINED: 0}
    assert found[0].specific == ("specific mode",)  # found with two seeds, named once
    assert sum(found[1].n.values()) == 0 and found[1].universal == ()


def test_every_questioner_is_a_row_with_each_target_and_as_it_is(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("a", "clean")}
    transfer = Transfer(tmp_path, folders, {"small": tmp_path, "large": tmp_path}, [0], steps=1, n=64)
    rows = list(transfer.rows())
    assert len(rows) == 6 and rows[:2] == [Row("small", None, 0), Row("large", None, 0)]
    paths = {transfer.path(row, target) for row in rows for target in folders}
    assert len(paths) == 12 and tmp_path / "cells" / "large-a-0-clean.json" in paths


@pytest.mark.slow
@pytest.mark.timeout(900)  # it trains twice and loads a model a dozen times
def test_the_command_puts_the_same_questions_to_all_targets_and_goes_on(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, n in {"bench.search.N_IMAGES": 60, "cli.bench.QUICK_STEPS": 1, "cli.bench.QUICK_ASKED": 64}.items():
        monkeypatch.setattr(f"gadfly.{name}", n)
    arguments = ("bench", "transfer", "--quick", "--out", tmp_path, "--questioner", "questioner", "--target", "a")
    said = cli(*arguments, "--target", "clean")
    assert said.status == 0, said.err
    assert "questioner, trained on clean" in said.out and "The tables are in" in said.out
    assert len(list((tmp_path / "cells").iterdir())) == 6 and (tmp_path / "transfer.png").exists()
    run = tmp_path / "runs" / "questioner-a-0" / "run"
    own, other = probes_of(run, "sweep"), probes_of(run, "sweep.transfer.clean")
    assert [probe.question for probe in own] == [probe.question for probe in other] and len(own) == 64
    assert [probe.answer for probe in own] != [probe.answer for probe in other]
    assert {p.images[0].id for p in own}.isdisjoint(p.images[0].id for p in probes_of(run, "train"))
    made = json.loads((tmp_path / "cells" / "questioner-a-0-clean.json").read_text())
    wrong = {(p.images[0].id, p.question) for p in other if p.verdict == "WRONG"}
    assert made["fdr"][4] == len(wrong) and made["trained_on"] == "a" and made["target"] == "clean"
    modes = json.loads((tmp_path / "modes" / "questioner-a-0.json").read_text())
    assert modes["targets"] == ["a", "clean"]

    # A pair that is gone is made again from what was asked, without asking or training anew.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    (tmp_path / "cells" / "questioner-a-0-clean.json").unlink()
    again = cli(*arguments, "--target", "clean", "--json")
    assert again.status == 0 and len(json.loads(again.out)["cells"]) == 6
    assert probes_of(run, "sweep") == own and not (run / "train").exists()
    remade = json.loads((tmp_path / "cells" / "questioner-a-0-clean.json").read_text())
    assert remade["fdr"] == made["fdr"]
    untouched = tmp_path / "cells" / "questioner-clean-0-a.json"
    assert untouched.stat().st_mtime_ns == before[untouched]

    other_steps = cli("bench", "transfer", "--out", tmp_path, *arguments[5:], "--target", "clean", "--n", "64")
    assert other_steps.status == 2 and "was made with another steps (1, now 120)" in other_steps.err


def test_what_is_not_there_is_said(cli: Cli, tmp_path: Path) -> None:
    said = cli("bench", "transfer", "--out", tmp_path, "--target", "clean-huge")
    assert said.status == 2 and "there is no checkpoint 'clean-huge'" in said.err
