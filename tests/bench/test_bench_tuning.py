"""Tuning: the shipped trials, what is chosen by hand, and how it freezes the methods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_calls import Cli
from gadfly.bench.methods import Method, read_methods
from gadfly.bench.search import config_of
from gadfly.bench.tuning import read_trials, tuning
from gadfly.bench.tuning_text import table_of
from gadfly.errors import ConfigError
from gadfly.testbed.checkpoints import bundled

METHODS = read_methods(tuned=None)


def _shown(method: Method, folder: Path) -> str:
    """All that a search goes by; the shares of its calls are no settings of a run."""
    config = config_of(method, bundled("a"), folder / "images", folder / "out", 0, 5000).to_dict()
    return json.dumps([{**config, "train": {**config["train"], "steps": 0}}, method.collect, method.train])


def test_every_method_has_as_many_trials_that_all_differ(tmp_path: Path) -> None:
    trials = read_trials(METHODS)
    assert set(trials) == {name for name, one in METHODS.items() if one.unavailable is None} - {"uniform"}
    for name, some in trials.items():
        assert len(some) == 4 and not some[0].changes
        assert len({_shown(one.method, tmp_path) for one in some}) == 4, name
        assert [one.method.name for one in some] == [f"{name}.{at}" for at in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[trials]\nuniform = 'none'", "the trials are not those of the methods: archive, best-of-n"),
        (None, "each method has the same number of trials, or one is favoured; there are .*rl 5"),
        ("[trials", "cannot be read"),
    ],
)
def test_trials_that_favour_a_method_are_refused(text: str | None, said: str, tmp_path: Path) -> None:
    if text is None:
        text = (Path(read_trials.__code__.co_filename).parent / "trials.toml").read_text()
        text = text.replace("rl = [", 'rl = [\n    { "train.learning_rate" = 1e-3 },', 1)
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_trials(METHODS, tmp_path / "t.toml")


def test_a_method_without_settings_has_nothing_to_try(cli: Cli, tmp_path: Path) -> None:
    said = cli("bench", "tune", "--method", "uniform", "--out", tmp_path / "out")
    assert said.status == 2 and "uniform: nothing of it can be set" in said.err and not (tmp_path / "out").exists()


def cell(name: str, seed: int, n_failing: int, area: float) -> dict[str, Any]:
    rates = {kind: [0.5, 0.4, 0.6] for kind in ("fdr", "valid_rate", "planted_recall")}
    return {
        "method": name,
        "budget": 5000,
        "seed": seed,
        "calls": 4992,
        "failing": [f"x.{n}" for n in range(n_failing)],
        "area": area,
        **rates,
    }


def test_the_most_failing_combinations_are_chosen_and_freeze_the_methods(tmp_path: Path) -> None:
    trials = {name: some for name, some in read_trials(METHODS).items() if name in ("rl-sft", "sft", "rl")}
    tried = ((1, 4, 9.0), (2, 5, 2.0), (3, 5, 3.0), (4, 3, 9.0))
    cells = [
        # Means over seeds 4.5, 5.5, 5.5 and 3.5; of the equal ones the third has more area.
        *(cell(f"rl-sft.{at}", seed, n + seed, area) for seed in (0, 1) for at, n, area in tried),
        *(cell(f"sft.{at}", 0, 5, 1.0) for at in (1, 2, 3, 4)),
        *(cell(f"rl.{at}", 0, 5, 1.0) for at in (1, 2, 3)),
    ]
    made = tuning(cells, trials)
    assert made["methods"]["rl-sft"]["chosen"] == {"collect": 0.1}
    assert made["methods"]["sft"]["chosen"] == {}  # all equal: as it was
    assert made["methods"]["rl"]["chosen"] is None  # a trial is missing
    assert made["methods"]["rl-sft"]["trials"][2]["failing"] == [5, 6]
    (tmp_path / "tuning.json").write_text(json.dumps(made))
    frozen = read_methods(tuned=tmp_path / "tuning.json")
    assert frozen["rl-sft"].collect == 0.1 and METHODS["rl-sft"].collect == 0.2
    assert "collect" not in frozen["rl-sft"].settings
    assert {name: one for name, one in frozen.items() if name != "rl-sft"} == {
        name: one for name, one in METHODS.items() if name != "rl-sft"
    }
    rows = table_of(made, METHODS).rows
    assert ("RL+SFT (ours)", "collect 0.1", "chosen", "5.5", "3.0", "50.0%", "50.0%", "50.0%") in rows
