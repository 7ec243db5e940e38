"""Every way of asking in a run of its own on bundled models: it asks, goes by what it learned, and can be resumed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gadfly import run_folder, runs
from gadfly.config import Config, from_dict, override
from gadfly.config_checks import trainee_of
from gadfly.doctor.cost import planned_calls
from gadfly.errors import BudgetSpent, ConfigError
from gadfly.records import Probe
from gadfly.testbed.album import render
from gadfly.testbed.recipe import demo_settings
from gadfly.wiring import Wiring

METHODS: dict[str, dict[str, Any]] = {
    "zero-shot": {},
    "uniform": {"questioner.method": "uniform"},
    "diversity": {"questioner.method": "diversity", "questioner.steer": "topics"},
    "feedback": {"questioner.method": "feedback", "questioner.steer": "topics"},
    "best of n": {"questioner.method": "best_of_n", "questioner.candidates": 3},
    "archive": {"questioner.method": "archive", "questioner.steer": "topics", "questioner.candidates": 3},
    "bounty": {"questioner.method": "bounty", "questioner.candidates": 3},
    "bounty, screened": {"questioner.method": "bounty", "questioner.candidates": 6, "questioner.screen": True},
    "best of n, screened": {"questioner.method": "best_of_n", "questioner.candidates": 6, "questioner.screen": True},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asking") / "images"
    render(folder, n=24, split="probe", seed=5)
    return folder


def config_of(images: Path, out: Path, settings: dict[str, Any]) -> Config:
    base = demo_settings(images, out, steps=1, seed=3, heldout_share=0.0, n=48)
    plain = {"questioner.focus": (), "sweep.batch_size": 16, "reward.embedder": "hash", "cache.max_bytes": 0}
    given = {**plain, **settings}
    return override(from_dict(base), given)


def asked(config: Config, *, resume: bool = False) -> tuple[list[Probe], int]:
    """The probes of a sweep, and the target's calls over all sittings."""
    with run_folder.opened(config, resume=resume) as store:
        with suppress(BudgetSpent):
            runs.sweep(Wiring(config), store, split="train")
        calls = sum(used["target"].calls for _, used in store.usages() if "target" in used)
        return list(store.probes("sweep")), calls


@pytest.mark.parametrize("name", list(METHODS))
def test_a_run_that_was_broken_off_asks_the_same_as_one_that_was_not(name: str, images: Path, tmp_path: Path) -> None:
    settings = METHODS[name]
    whole, calls = asked(config_of(images, tmp_path / "whole", settings))
    assert len(whole) == 48 and calls <= 48  # equal questions about an image are put once in a step
    if name == "uniform":  # drawn from what can be asked
        assert all(probe.verdict.valid for probe in whole)
    if name.endswith("screened"):  # six candidates are hardly ever all bad
        assert sum(probe.verdict.valid for probe in whole) >= 45
    # A question may not fit its image, but it is one: 45 to 48 of 48 are, and 20 under a prompt that was not taught.
    assert sum("not_grammatical" in (probe.judgement.reason or "") for probe in whole) <= 6
    # 36 calls: the third step would need up to 16 more, and is not begun.
    first, first_calls = asked(config_of(images, tmp_path / "broken", {**settings, "limits.max_target_calls": 36}))
    assert len(first) == 32 and first_calls <= 36
    resumed, all_calls = asked(config_of(images, tmp_path / "broken", settings), resume=True)
    assert [(p.question, p.answer, p.verdict) for p in resumed] == [(p.question, p.answer, p.verdict) for p in whole]
    assert all_calls == calls


def test_difference_needs_models_that_can_describe(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="describe no images"):
        config_of(images, tmp_path, {"questioner.method": "difference"})


def test_ways_of_asking_are_not_trained(images: Path, tmp_path: Path) -> None:
    config = config_of(images, tmp_path, METHODS["archive"])
    with pytest.raises(ConfigError, match="'archive' is a way of asking without training"):
        trainee_of(config)


@pytest.mark.parametrize("method", ["archive", "bounty"])
def test_what_sorts_questions_needs_somebody_who_names_skills(method: str, tmp_path: Path) -> None:
    config = override(Config(), {"questioner.method": method, "questioner.model": "x", "cache.max_bytes": 0})
    wiring = Wiring(config)
    with pytest.raises(ConfigError, match=f"{method!r} sorts questions"):
        wiring.learner()


def test_what_a_run_would_take_counts_candidates_and_repeated_answers(images: Path, tmp_path: Path) -> None:
    best = config_of(images, tmp_path, METHODS["best of n"])
    assert planned_calls(best, "sweep") == {"questioner": 3 * 48, "target": 48, "verifier": 0}
    for name in ("archive", "bounty"):
        assert planned_calls(config_of(images, tmp_path, METHODS[name]), "sweep")["questioner"] == 3 * 48
    visplay = config_of(
        images,
        tmp_path,
        {"reward.kind": "uncertainty", "reward.rarity": 0.0, "reward.crowding": 0.0, "reward.repeats": 8},
    )
    assert planned_calls(visplay, "train")["target"] == 9 * 128  # one step of 16 images, 8 questions each


OWN: dict[str, Any] = {
    "train.method": "sft_own",
    "train.steps": 4,
    "train.images_per_step": 8,
    "train.group_size": 2,
    "train.sft.rounds": 2,
    "train.sft.learning_rate": 5e-4,
    "train.sft.most_per_combination": 2,
}


def trained(config: Config, *, resume: bool = False) -> list[Probe]:
    with run_folder.opened(config, resume=resume) as store:
        with suppress(BudgetSpent):
            runs.train(Wiring(config), store, resume=resume)
        return list(store.probes("train"))


@pytest.mark.slow
def test_a_questioner_learns_from_its_own_failures_in_rounds(images: Path, tmp_path: Path) -> None:
    config = config_of(images, tmp_path / "whole", OWN)
    whole = trained(config)
    assert [probe.key.step for probe in whole] == sorted([0, 1, 2, 3] * 16)
    folder = run_folder.folder_of(config)
    assert (folder / "train" / "round-1" / "config.json").exists() and (folder / "questioner").exists()
    # Broken off within the second round: 64 calls would be needed.
    broken = config_of(images, tmp_path / "broken", {**OWN, "limits.max_target_calls": 46})
    first = trained(broken)
    assert 32 <= len(first) < 64 and (run_folder.folder_of(broken) / "questioner").exists()
    resumed = trained(config_of(images, tmp_path / "broken", OWN), resume=True)
    assert [probe.question for probe in resumed] == [probe.question for probe in whole]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uncertainty", "curiosity"])
def test_the_others_rewards_train_a_questioner(kind: str, images: Path, tmp_path: Path) -> None:
    settings = {
        "reward.kind": kind,
        "reward.rarity": 0.0,
        "reward.crowding": 0.0,
        "reward.repeats": 3,
        "train.steps": 2,
    }
    small = {"train.images_per_step": 2, "train.group_size": 4}
    config = config_of(images, tmp_path, {**settings, **small})
    with run_folder.opened(config, resume=False) as store:
        runs.train(Wiring(config), store, resume=False)
        probes = list(store.probes("train"))
        calls = sum(used["target"].calls for _, used in store.usages())
    assert len(probes) == 16 and all(probe.reward is not None for probe in probes)
    if kind == "curiosity":
        assert calls <= 16
    else:  # each different question about an image: its answer, and three more
        assert 16 < calls <= 64 and calls % 4 == 0


@pytest.mark.parametrize("method", ["rl", "sft_own"])
def test_a_prompt_without_a_place_for_topics_is_refused_before_anything_is_begun(
    method: str, images: Path, tmp_path: Path
) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Ask one question about the image.\n", encoding="utf-8")
    config = config_of(
        images,
        tmp_path,
        {"questioner.focus": ("counting",), "questioner.prompt": str(prompt), "train.method": method},
    )
    with run_folder.opened(config, resume=False) as store:
        with pytest.raises(ConfigError, match=r"lacks the slot \{focus\}"):
            runs.train(Wiring(config), store, resume=False)
        assert store.attempts("train") == []
