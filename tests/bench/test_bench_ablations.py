"""The ablations: their settings file, what is made of wrong verdicts and the table by hand, and two small cells run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli_calls import Cli
from gadfly.bench.ablation_figure import draw_ablations
from gadfly.bench.ablation_table import ablation_table
from gadfly.bench.ablation_text import sentences, tables_of
from gadfly.bench.ablations import DEFAULT, chosen, read_ablations
from gadfly.bench.exploiting import exploited, judged_exactly
from gadfly.bench.search import config_of
from gadfly.bench.tables import as_markdown
from gadfly.errors import ConfigError, TestbedError
from gadfly.probing import UNPARSABLE
from gadfly.records import Completion, Judgement, Question, Verdict
from gadfly.testbed.checkpoints import bundled
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe, make_probes

ROWS = read_ablations()


def test_every_row_changes_its_factor_alone(tmp_path: Path) -> None:
    def config(name: str) -> dict[str, Any]:
        made = config_of(ROWS[name].method, bundled("a"), tmp_path / "images", tmp_path, 0, 15_000)
        return made.to_dict() | {"train": {**made.to_dict()["train"], "steps": None}}

    usual = config(DEFAULT)
    assert usual["images"]["heldout_share"] == 0.25 and usual["train"]["lora_rank"] == 0
    assert usual["verifier"]["kind"] == "oracle" and usual["verifier"]["error_rate"] == 0
    for name in set(ROWS) - {DEFAULT}:
        made = config(name)
        assert made["train"]["group_size"] * made["train"]["images_per_step"] == 128
        beside = config("topics") if name == "topics-no-astray" else usual  # a topic can be left where there is one
        changed = {section for section, value in made.items() if value != beside[section]}
        assert len(changed) == 1, (name, changed)  # and it is changed at all
    zeroed = [row.method.settings for row in ROWS.values() if row.factor == "reward"]
    assert sorted(
        sorted(key for key, value in settings.items() if value == 0 and "reward" in key) for settings in zeroed
    ) == [
        ["reward.crowding"],
        ["reward.crowding", "reward.failure"],  # what is not paid cannot be paid less
        *([f"reward.{term}"] for term in ("invalid", "lexical", "rarity", "semantic")),
    ]


def test_rows_are_chosen_by_name_or_factor_and_the_default_is_always_there() -> None:
    assert [row.name for row in chosen(ROWS, ["errors-20", "scaling"])] == [
        *(DEFAULT, "scale-group", "scale-batch"),
        "errors-20",
    ]
    everything = chosen(ROWS, [])
    assert len(everything) >= 28
    with pytest.raises(ConfigError, match="there is no row or factor 'magic'; rows: default, no-failure"):
        chosen(ROWS, ["magic"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[rows]\nx = { factor = 'f', title = 'x' }", "has no row 'default'"),
        ("[rows]\ndefault = { factor = 'f' }", "rows.default needs a factor and a title"),
        ("[rows]\ndefault = { factor = 'f', title = 'x', collect = 1.0 }", "at least 0 and below 1"),
        ("[rows]\ndefault = { factor = 'f', title = 'x', setings = {} }", "did you mean 'default.settings'"),
        ("[settings]", "unknown table 'settings'"),
        ("[rows", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_ablations(tmp_path / "a.toml")


def test_a_row_that_needs_what_is_not_there_says_so(tmp_path: Path) -> None:
    text = "[rows]\ndefault = { factor = 'f', title = 'd' }\nx = { factor = 'f', title = 'x', needs = 'nobody' }"
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(TestbedError, match="there is no bundled checkpoint 'nobody'; there are clean, a"):
        read_ablations(tmp_path / "a.toml")


class SaysWrong:
    """Calls everything WRONG; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        self.asked += [question.text for question in questions]
        return [Judgement(Verdict.WRONG, skills=("x.a",))] * len(questions)


def test_only_what_a_verifier_judged_is_judged_once_more() -> None:
    unread = make_probe(INVALID, "i", 1)
    unread = replace(unread, judgement=Judgement(INVALID, UNPARSABLE))
    unwritten = make_probe(UNDECIDED, "i", 2, question="")
    probes = [make_probe(RIGHT, "i", 0, question="red?"), unread, unwritten, make_probe(INVALID, "i", 3, question="?")]
    exact = SaysWrong()
    made = judged_exactly(probes, exact)
    assert exact.asked == ["red?", "?"]
    assert [probe.verdict for probe in made] == [WRONG, INVALID, UNDECIDED, WRONG]
    assert made[0].judgement.skills == ("x.a",) and made[0].turns == probes[0].turns


def test_what_is_exploited_by_hand() -> None:
    said = [*make_probes("WWWWRRIIU", "i"), *make_probes("WR", "j", 9)]
    true = [*make_probes("WWRIRWIRW", "i"), *make_probes("IR", "j", 9)]
    made = exploited(said, true, np.random.default_rng(0))
    # WRONG by the verifier: four about i, of which two are not, and one about j, which is not: 3 of 5.
    assert (made.unshared.successes, made.unshared.n) == (3, 5)
    # Decided by both and not WRONG in truth: about i the third, fourth, fifth, seventh and eighth, about j both: 7, of
    # which the same three are called WRONG.
    assert (made.favoured.successes, made.favoured.n) == (3, 7)
    # What had no question in it was judged by nobody: it is no chance for an error.
    unread = replace(make_probe(INVALID, "j", 20), judgement=Judgement(INVALID, UNPARSABLE))
    assert exploited([*said, unread], [*true, unread], np.random.default_rng(0)).favoured.n == 7
    exact = exploited(true, true, np.random.default_rng(0))
    assert exact.unshared.value == 0 and exact.favoured.value == 0
    nothing = exploited([], [], np.random.default_rng(0))
    assert nothing.unshared.value is None and nothing.favoured.n == 0


def cell(row: str, seed: int, fdr: float, **more: Any) -> dict[str, Any]:
    rate = [fdr, fdr - 0.1, fdr + 0.1, 100, round(100 * fdr)]
    diverse = {"n": 9, "self_bleu": 0.5, "mean_cosine": 0.4, "nearest_cosine": 0.9, "vendi": 7.0}
    after = {
        "fdr_n": rate,
        "valid_n": [0.8, 0.7, 0.9, 100, 80],
        "calls": 100,
        "wrong": 4,
        "modes": 2,
        "failing": ["x.0"],
        "found_at_call": {"x.0": 50},
        "area": 0.5,
        "fdr": rate[:3],
        "excess_fdr": [0.1, 0.0, 0.2],
        "valid_rate": [0.8, 0.7, 0.9],
        "wrong_skills": {"x.0": 4},
        "wrong_combinations": {"x.0": 2, "x.1": 2},
        "valid_combinations": {"x.0": 2},
        "diversity": {"wrong": diverse, "valid": diverse},
    }
    stage = {"stage": "after", "said_fdr": rate, "fdr": rate, "unshared": [0.2, 0.1, 0.3, 50, 10]}
    return {
        "row": row,
        "organism": "a",
        "seed": seed,
        "before": {"fdr_n": [0.3, 0.2, 0.4, 100, 30]},
        "after": after,
        "failing_in_training": ["x.0", "x.1"],
        "verifier": [{**stage, "favoured": [0.1, 0.0, 0.2, 50, 5]}],
        **more,
    }


CELLS = [
    *(cell(DEFAULT, seed, 0.4 + 0.1 * seed) for seed in range(3)),
    *(cell("no-rarity", seed, 0.28 + 0.12 * seed, failing_in_training=["x.0"] * seed) for seed in range(3)),
    cell("errors-20", 0, 0.5),
]


def test_the_table_by_hand(tmp_path: Path) -> None:
    made = ablation_table(CELLS, ROWS)
    rows = {row.name: row for row in made.rows}
    assert list(rows) == [DEFAULT, "no-rarity", "errors-20"] and made.before.n == 300
    assert rows[DEFAULT].against is None and rows[DEFAULT].fdr.value == pytest.approx(0.5)
    against = rows["no-rarity"].against
    assert against is not None and against.difference.value == pytest.approx(-0.1)
    # 12, 10 and 8 points below: standard error 2 / sqrt(3), t of 2 degrees of freedom 4.303.
    half = 0.02 / 3**0.5 * 4.303
    assert against.difference.low == pytest.approx(-0.1 - half, abs=1e-4)
    assert against.difference.high == pytest.approx(-0.1 + half, abs=1e-4)
    found = rows["no-rarity"].figures
    assert found["failing_in_training"].value == 1 and (found["failing"].value, found["failing"].low) == (1, None)
    assert rows["no-rarity"].figures["planted_recall"].value is None
    one = rows["errors-20"].against  # one seed: 0.5 against the default's 0.4 of that seed
    assert one is not None and one.difference.value == pytest.approx(0.1) and one.difference.low is None
    assert [stage.title for stage in made.stages] == ["default", "oracle, 20% errors"]
    text = as_markdown(tables_of(made), sentences(made))
    assert "| verifier | oracle, 20% errors | 1 | 50.0% (40.0 to 60.0, n 100) | +10.0 |" in text
    assert "| no rarity | 10.0% | 1.0 (0.0 to 3.5) |" in text
    assert "-10.0 (-15.0 to -5.0)" in text and "20.0% (10.0 to 30.0, n 50)" in text
    path = draw_ablations(made, tmp_path / "one.png")
    assert draw_ablations(made, tmp_path / "two.png").read_bytes() == path.read_bytes()
    assert draw_ablations(ablation_table([], ROWS), tmp_path / "none.png").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)  # two trainings, each with questions before and after, and a dozen models loaded
def test_the_command_makes_cells_once_and_says_what_errors_were_good_for(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {"bench.fresh.N_UNIFORM": 200, "bench.fresh.N_COMBINATION": 40, "cli.bench.QUICK_UNIFORM": 160}
    fewer |= {"bench.search.N_IMAGES": 80, "cli.bench.QUICK_CALLS": 260, "cli.bench.QUICK_ASKED": 128}
    for name, n in fewer.items():
        monkeypatch.setattr(f"gadfly.{name}", n)
    arguments = ("bench", "ablations", "--quick", "--out", tmp_path, "--only", "errors-20")
    said = cli(*arguments)
    assert said.status == 0, said.err
    assert "oracle, 20% errors" in said.out and "The tables are in" in said.out
    exact, erring = (json.loads((tmp_path / "cells" / f"a-{row}-0.json").read_text()) for row in (DEFAULT, "errors-20"))
    # The same questioner asks the same before either training; one of them is judged wrongly now and then.
    assert exact["before"] == erring["before"]
    stages = {row: {one["stage"]: one for one in cell["verifier"]} for row, cell in (("e", exact), ("r", erring))}
    assert list(stages["r"]) == ["before", *(f"training {n}/3" for n in (1, 2, 3)), "after"]
    assert all(one["unshared"][0] == 0 and one["favoured"][0] == 0 for one in stages["e"].values())
    assert stages["r"]["before"]["favoured"][0] > 0
    assert all(one["said_fdr"] == one["fdr"] for one in stages["e"].values())
    assert stages["r"]["before"]["fdr"] == stages["e"]["before"]["fdr"] != stages["r"]["before"]["said_fdr"]
    assert 128 <= exact["calls"] <= 260 and exact["after"]["distinct_probes"] <= 128
    assert not list(tmp_path.rglob("*.safetensors")) and (tmp_path / "ablations.png").exists()
    path = tmp_path / "cells" / "a-errors-20-0.json"
    before = path.stat().st_mtime_ns
    again = cli(*arguments, "--json")
    assert again.status == 0 and path.stat().st_mtime_ns == before
    assert [row["name"] for row in json.loads(again.out)["table"]["rows"]] == [DEFAULT, "errors-20"]
    other = cli("bench", "ablations", "--out", tmp_path, "--only", "errors-20", "--seeds", "1", "--calls", "300")
    assert other.status == 2 and "was made with another budget (260, now 300)" in other.err
