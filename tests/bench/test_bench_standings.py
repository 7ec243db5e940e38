"""The benchmark of methods: its settings file, a grid with one small cell, and the table of made-up cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli_calls import Cli
from gadfly.bench.methods import chosen, read_methods
from gadfly.bench.search import check, config_of, images_of, search
from gadfly.bench.standings import OFTEN, RAW, curves, standings
from gadfly.bench.standings_figure import draw_discovery
from gadfly.bench.standings_text import sentences, tables_of
from gadfly.bench.tables import as_markdown
from gadfly.errors import ConfigError
from gadfly.records import Probe
from gadfly.roles.asking_bounty import BountyQuestioner
from gadfly.testbed.checkpoints import bundled

METHODS = read_methods()


def test_every_shipped_method_makes_a_configuration(tmp_path: Path) -> None:
    assert {"uniform", "zero-shot", "difference", "rl", "rl-sft"} <= set(METHODS)
    assert [name for name, method in METHODS.items() if method.ours] == ["bounty", "rl-alone", "rl", "rl-sft"]
    for method in chosen(METHODS, []):
        config = config_of(method, bundled("a"), tmp_path / "images", tmp_path / method.name, 3, 1000)
        assert config.limits.max_target_calls == 1000 and config.cache.max_bytes == 0 and config.seed == 3
        assert config.target.model == str(bundled("a"))
        # Enough steps to spend the budget even where a third of the questions takes no call.
        assert config.sweep.n >= 1000
        assert config.train.steps * config.train.probes_per_step >= 1000 - config.train.probes_per_step


def test_what_cannot_be_chosen_is_said() -> None:
    with pytest.raises(ConfigError, match="there is no method 'magic'"):
        chosen(METHODS, ["magic"])
    with pytest.raises(ConfigError, match="difference cannot be had here: the bundled models describe no images"):
        chosen(METHODS, ["difference"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[methods.x]\ntitle = 'x'\nplan = 'collect, train'", "must be a share between 0 and 1"),
        ("[methods.x]\ntitle = 'x'\ncollect = 0.5", "be left out otherwise"),
        ("[methods.x]\ntitle = 'x'\nplan = 'train, sweep'", "for a plan that sweeps after training"),
        ("[methods.x]\ntitle = 'x'\nplan = 'train'\ntrain = 0.5", "be left out otherwise"),
        ("[methods.x]\nplan = 'sweep'", "has no title"),
        ("[methods.x]\ntitle = 'x'\nplan = 'guess'", "must be one of"),
        ("[settings]", "unknown table 'settings'"),
        ("methods = 3", "methods must be a table"),
        ("[methods", "cannot be read"),
    ],
)
def test_a_settings_file_that_cannot_be_used_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_methods(tmp_path / "s.toml")


def test_a_setting_that_no_run_has_is_refused_before_any_cell() -> None:
    check(METHODS[name] for name in ("uniform", "rl"))
    odd = replace(METHODS["rl"], settings={**METHODS["rl"].settings, "reward.nonsense": 1})
    with pytest.raises(ConfigError, match=r"rl: unknown setting 'reward\.nonsense'"):
        check([odd])


def cell(method: str, organism: str, seed: int, n_failing: int, **more: Any) -> dict[str, Any]:
    names = [f"x.{n}" for n in range(n_failing)]
    diverse = {"n": 9, "self_bleu": 0.5, "mean_cosine": 0.4, "nearest_cosine": 0.9, "vendi": 7.0}
    return {
        "method": method,
        "organism": organism,
        "seed": seed,
        "calls": 1000,
        "wrong": 4,
        "modes": 2,
        "failing": names,
        "found_at_call": {name: 100 * (n + 1) for n, name in enumerate(names)},
        "area": 1.0,
        "fdr": [0.25, 0.2, 0.3],
        "excess_fdr": None,
        "valid_rate": [0.8, 0.7, 0.9],
        "wrong_skills": {"x.0": 4},
        "wrong_combinations": dict.fromkeys(names, 2),
        "valid_combinations": {"x.0": 2},
        "diversity": {"wrong": diverse, "valid": diverse},
        **more,
    }


CELLS = [
    *(cell("zero-shot", "a", seed, 4) for seed in range(3)),
    *(cell("uniform", "a", seed, 2, wrong=12, wrong_combinations={"x.0": 12, "x.1": 3}) for seed in range(3)),
    *(
        cell("rl", "a", seed, 6 + seed, fdr=[0.5, 0.4, 0.6], planted_recall=[min(1.0, 0.5 + seed), 0.0, 1.0])
        for seed in range(3)
    ),
    cell("rl", "b", 0, 9, calls=900),
]


def test_standings_by_hand() -> None:
    made = standings(CELLS, METHODS)
    rows = {row.method: row for row in made.rows}
    # Organism a: (6 + 7 + 8) / 3 = 7; b: 9; the mean of organisms, not of cells, is 8.
    assert rows["rl"].figures["failing"].value == 8 and rows["rl"].n_cells == 4
    assert rows["rl"].figures["failing"].low is None  # one seed on b
    assert rows["uniform"].figures["failing"].value == 2
    assert rows["uniform"].figures["failing"].reason == "the same with every seed: no interval"
    assert rows["uniform"].figures["excess_fdr"].value is None
    # FDR: a 0.5, b 0.25.
    assert rows["rl"].figures["fdr"].value == pytest.approx(0.375)
    # All of its failing ones were WRONG on five images, and of one skill each.
    assert [rows["zero-shot"].figures[key].value for key in RAW] == [1000, 4, 1, 4, 4]
    # All four WRONG probes have the skill.
    assert rows["zero-shot"].figures["wrong_skills_at_wrong"].value == pytest.approx(1)
    of_rl = [one for one in made.on_organisms if one.method == "rl"]
    assert [(one.organism, one.figures["failing"].value, one.all_recalled) for one in of_rl] == [
        ("a", 7, 2),
        ("b", 9, 0),
    ]
    assert (made.best_other, made.n_calls, made.n_wrong) == ("zero-shot", 900, 4)
    # Paired on organism a alone: 7 / 4, with 6, 7 and 8 to 4: standard error 1 / sqrt(3) / 4, t of 2 degrees 4.303.
    (rl,) = made.against
    assert (rl.method, rl.other, rl.overall.wins) == ("rl", "zero-shot", 3) and rl.overall == rl.on["a"]
    assert rl.overall.ratio.value == pytest.approx(1.75)
    assert rl.overall.ratio.high == pytest.approx(1.75 + 4.303 / 3**0.5 / 4, abs=0.001)
    # Of its two failing combinations one was WRONG in ten distinct probes, none in twenty.
    assert [rows["uniform"].figures[key].value for key in OFTEN] == [2, 1, 0]
    text = as_markdown(tables_of(made, METHODS), sentences(made, METHODS))
    assert (
        "| RL (ours) | 4 | 8.0 |" in text
        and "| a | zero-shot | 3 | 4.0 | – | 2.0 | – | 0 of 3 |" in text
        and "| RL (ours) | zero-shot | 1.75 (1.13 to 2.37) | 1.75 (1.13 to 2.37) | 3 of 3 pairs |" in text
    )
    assert "description-difference: the bundled models describe no images" in text


def test_curves_and_their_picture(tmp_path: Path) -> None:
    found = curves(CELLS, METHODS, points=10)
    # zero-shot: its four are found with calls 100, 200, 300 and 400.
    assert [y for _, y in found["zero-shot"]] == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4]
    assert found["RL (ours)"][-1] == pytest.approx((900, (6 + 7 + 8 + 9) / 4))
    path = draw_discovery(found, {"RL (ours)"}, tmp_path / "d.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert draw_discovery(found, {"RL (ours)"}, tmp_path / "e.png").read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_calls_that_no_step_can_be_had_of_are_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell without a probe would have everything rarefied to nothing."""
    monkeypatch.setattr("gadfly.bench.search.N_IMAGES", 8)
    with pytest.raises(ConfigError, match="before the first step of RL, VisPlay's uncertainty was done"):
        search(METHODS["visplay"], bundled("a"), images_of(tmp_path, 0), tmp_path / "run", 0, 64)


@pytest.mark.slow
def test_a_training_before_a_sweep_takes_its_share_and_the_sweep_knows_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gadfly.bench.search.N_IMAGES", 40)
    small = {"train.images_per_step": 4, "train.group_size": 4, "sweep.batch_size": 16, "questioner.candidates": 2}
    method = replace(METHODS["rl"], train=0.4, settings={**METHODS["rl"].settings, **small})
    done: list[tuple[int, int]] = []
    found = search(method, bundled("a"), images_of(tmp_path, 0), tmp_path / "run", 0, 100, lambda *at: done.append(at))
    assert [{probe.key.phase for probe in stretch.probes} for stretch in found] == [{"train"}, {"sweep"}]
    trained, swept = (stretch.calls for stretch in found)
    assert 24 <= trained <= 40 and 84 <= trained + swept <= 100  # less than a step is left over of each
    assert done[-1][1] == 100 and [at for at, _ in done] == sorted(at for at, _ in done)
    taught: list[str] = []
    learn = BountyQuestioner.learn_from

    def learn_from(self: BountyQuestioner, probes: Sequence[Probe]) -> None:
        taught.extend(probe.key.phase for probe in probes)
        learn(self, probes)

    monkeypatch.setattr(BountyQuestioner, "learn_from", learn_from)
    search(method, bundled("a"), images_of(tmp_path, 0), tmp_path / "again", 0, 100)
    assert taught[0] == "train" and taught[-1] == "sweep"


@pytest.mark.slow
@pytest.mark.timeout(900)  # it draws, asks and measures with seven models loaded one after the other
def test_the_command_makes_a_cell_once_and_says_what_it_found(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {"bench.fresh.N_UNIFORM": 200, "bench.fresh.N_COMBINATION": 40, "cli.bench.QUICK_UNIFORM": 160}
    for name, n in {**fewer, "bench.search.N_IMAGES": 80, "cli.bench.QUICK_CALLS": 192}.items():
        monkeypatch.setattr(f"gadfly.{name}", n)
    arguments = ("bench", "discovery", "--quick", "--out", tmp_path, "--method", "zero-shot")
    said = cli(*arguments)
    assert said.status == 0, said.err
    assert "zero-shot" in said.out and "The tables are in" in said.out
    path = tmp_path / "cells" / "a-zero-shot-0.json"
    made = json.loads(path.read_text())
    assert 192 - 64 < made["calls"] <= 192 and made["wrong"] > 0 and made["fdr"][0] > 0
    assert set(made["failing"]) <= set(made["found_at_call"])
    assert 0 <= made["excess_fdr"][0] <= made["fdr"][0] and made["planted_recall"][0] is not None
    assert (tmp_path / "discovery.png").exists() and "zero-shot" in (tmp_path / "table.md").read_text()
    before = path.stat().st_mtime_ns
    again = cli(*arguments)
    assert again.status == 0 and path.stat().st_mtime_ns == before
    only_tables = cli(*arguments, "--method", "sft", "--minutes", "0")
    assert only_tables.status == 0 and "1 of 2 cells were not begun in time" in only_tables.out
    assert "| zero-shot | 1 |" in (tmp_path / "table.md").read_text() and list(path.parent.iterdir()) == [path]
    other = cli(*arguments, "--calls", "200")  # what is said goes before what a quick look takes
    assert other.status == 2 and "was made with another budget (192, now 200)" in other.err
