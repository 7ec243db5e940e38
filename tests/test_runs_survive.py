"""What a run survives: `kill -9` at random moments in any stage, a full disk, a torn checkpoint, images that move.

A run that is resumed must end as one that was left alone: the same current probes with the same rewards (so the history
of novelty was rebuilt), the same trained weights. What else was stored must still be there, superseded.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

import forked_commands
from gadfly.records import Probe
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.checkpoints import bundled
from gadfly.train.checkpoints import checkpoint_dir, resume_step
from hostile_weights import Trap
from loopback_server import LoopbackServer

STEPS = 4
TRAINING = (
    f"--steps={STEPS} --set=train.images_per_step=2 --set=train.group_size=4 --set=train.learning_rate=0.001".split()
)
KINDS = {
    "lora": ["run", *TRAINING, "--set=train.save_every=2", "--set=train.keep_checkpoints=1"],
    "weights": [
        "run",
        *TRAINING,
        "--set=train.save_every=1",
        "--set=train.lora_rank=0",
        "--set=train.num_iterations=2",
    ],
    "sweep": ["sweep", "--n=40", "--set=sweep.batch_size=4"],
    "served": ["sweep", "--n=40", "--set=sweep.batch_size=4"],
    "fine-tuned": ["run", *TRAINING, "--set=train.save_every=3", "--set=train.method=rl+sft"],
}

STAGES = {
    "anywhere": (None, None),
    "while a checkpoint is saved": ("train/checkpoints/checkpoint-*", 0.05),
    "anywhere, twice": (None, None),
    "while the store is made": ("store.*", 0.03),
    "while the questioner is saved": ("questioner.partial", 0.03),
    "while the first model is loaded": ("images.jsonl", 0.3),
}
"""Where a kill falls: so many seconds at most after the first path of this name appears. None is the whole run."""


SWEEPS = ("sweep", "served")


@dataclass(frozen=True)
class Moment:
    number: int
    kind: str
    stage: str

    def __str__(self) -> str:
        return f"{self.number} {self.kind} {self.stage}"


def moments(n: int) -> list[Moment]:
    """Every stage and every kind in turn; a sweep saves nothing, so it is killed anywhere instead."""
    made = []
    for number in range(n):
        kind = list(KINDS)[number % len(KINDS)]
        stage = list(STAGES)[(number + number // len(STAGES)) % len(STAGES)]
        saved = "saved" in stage and kind in SWEEPS
        made.append(Moment(number, kind, "anywhere" if saved else stage))
    return made


class Whole:
    """One kind of run with one folder of images, left alone: what a killed one must come to, and how long it takes.
    The target of a served one is at `url`, and the next questions are asked for while it answers."""

    def __init__(self, kind: str, album: Path, tmp_path: Path, url: str) -> None:
        self.album = Path(shutil.copytree(album, tmp_path / "album"))
        self._folder, self._pairs = tmp_path / "runs", tmp_path / "pairs.jsonl"
        images = sorted(path.name for path in album.glob("*.png"))
        self._pairs.write_text("".join(json.dumps({"image": i, "question": "what shape?"}) + "\n" for i in images))
        sft = [f"--set=train.sft.data={self._pairs}", "--set=train.sft.batch=6"] if kind == "fine-tuned" else []
        target = [f"--target={bundled('clean')}"]
        if kind == "served":
            target = ["--target=m", f"--target-url={url}", "--set=cache.max_bytes=0"]
        models = [f"--questioner={bundled('questioner')}", *target, "--verifier=oracle"]
        sizes = ["--set=questioner.max_new_tokens=16", "--set=reward.embedder=hash"]
        self._arguments = [*KINDS[kind], *sft, f"--images={self.album}", *models, *sizes, f"--out={self._folder}"]
        self.phase = "sweep" if kind in SWEEPS else "train"
        self.log = tmp_path / f"{kind}.log"

    def arguments(self, name: str, *more: str) -> list[str]:
        return [*self._arguments, f"--name={name}", *more]

    def run(self, name: str) -> Path:
        return self._folder / name

    @cached_property
    def seconds(self) -> float:
        began = time.monotonic()
        forked_commands.run(self.arguments("whole"), self.log)
        return time.monotonic() - began

    @cached_property
    def outcome(self) -> dict[str, Any]:
        assert self.seconds
        return outcome(self.run("whole"), self.phase)


def outcome(run: Path, phase: str) -> dict[str, Any]:
    """All that must not depend on whether a run was killed."""
    with SqliteStore.open(run, read_only=True) as store:
        assert store.integrity_check() == []
        weights = run / "questioner" / "model.safetensors"
        return {
            "probes": [content(probe) for probe in store.probes(phase)],
            "counts": store.counts(phase),
            "history": store.valid_questions(phase, 1000),
            "steps": [step.step for step in store.steps(phase)],
            "weights": weights.read_bytes() if phase == "train" else None,
        }


def content(probe: Probe) -> tuple[Any, ...]:
    images = tuple(image.id for image in probe.images)
    key = (probe.key.step, probe.key.index)
    return (*key, probe.group, images, probe.turns, probe.judgement, dict(probe.terms), probe.reward)


def everything(run: Path) -> list[Probe]:
    if not (run / "store.sqlite").exists():
        return []
    with SqliteStore.open(run, read_only=True) as store:
        assert store.integrity_check() == []
        return list(store.probes(include_superseded=True))


def kill_and_resume(whole: Whole, moment: Moment) -> None:
    name = f"{moment.number}-{moment.kind}"
    rng, run = random.Random(name), whole.run(name)
    assert whole.outcome["probes"] and whole.outcome["history"]
    stored: list[Probe] = []
    for _ in range(2 if "twice" in moment.stage else 1):
        kill(whole, moment.stage, run, rng)
        now = everything(run)
        assert {repr(probe) for probe in stored} <= {repr(probe) for probe in now}
        stored = now
    goes_on_from = resume_step(run, num_iterations=2 if moment.kind == "weights" else 1)
    was_done = (run / "questioner").exists()
    resume = ["--resume"] if (run / "store.sqlite").exists() else []
    forked_commands.run(whole.arguments(name, *resume), whole.log)

    assert outcome(run, whole.phase) == whole.outcome
    after = everything(run)
    assert set(Counter(probe.key for probe in after).values()) == {1}
    assert {repr(probe) for probe in stored} <= {repr(probe) for probe in after}
    assert json.loads((run / "config.json").read_text())["name"] == name
    with SqliteStore.open(run, read_only=True) as store:
        attempts = store.attempts(whole.phase)
    if whole.phase == "train":
        assert was_done or attempts[-1].from_step == goes_on_from
        rows = [json.loads(line) for line in (run / "train" / "metrics.jsonl").read_text().splitlines()]
        assert {row["step"] for row in rows} == set(range(STEPS))
        assert {path.name for path in (run / "train" / "checkpoints").glob("checkpoint-*")} == {
            path.name for path in (whole.run("whole") / "train" / "checkpoints").glob("checkpoint-*")
        }


def kill(whole: Whole, stage: str, run: Path, rng: random.Random) -> None:
    """Start or resume the run, and kill it; it may have come to its end by then."""
    appears, longest_s = STAGES[stage]
    delay_s = rng.uniform(0, longest_s or whole.seconds)
    resume = ["--resume"] if (run / "store.sqlite").exists() else []
    seen = set(run.glob(appears)) if appears else set()
    process = forked_commands.start(whole.arguments(run.name, *resume), whole.log)
    while appears is not None and process.is_alive() and not set(run.glob(appears)) - seen:
        time.sleep(0.0005)
    time.sleep(delay_s)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), whole.log.read_text()


Wholes = Callable[[str], Whole]


@pytest.fixture(scope="module")
def whole(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wholes]:
    made: dict[str, Whole] = {}
    with LoopbackServer(latency_s=0.05) as server:

        def of(kind: str) -> Whole:
            if kind not in made:
                made[kind] = Whole(kind, album, tmp_path_factory.mktemp("killed"), server.url)
            return made[kind]

        yield of


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_run_is_resumed_as_if_it_had_not_been(whole: Wholes) -> None:
    """A tenth of the soak, in one test: what the killed runs are compared with is made once."""
    for moment in moments(5):
        try:
            kill_and_resume(whole(moment.kind), moment)
        except AssertionError as fault:
            fault.add_note(f"killed at moment {moment}")
            raise


@pytest.mark.soak
@pytest.mark.parametrize("moment", moments(50), ids=str)
def test_fifty_moments(moment: Moment, whole: Wholes) -> None:
    kill_and_resume(whole(moment.kind), moment)


# --- other blows ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_training_goes_on_from_the_checkpoint_before_a_torn_one(whole: Wholes) -> None:
    """Updates are saved at 2, 4, 6, 8, two of them kept: without the last, step 3 is made again, and superseded."""
    one = whole("weights")
    assert one.outcome["steps"] == list(range(STEPS))
    run = Path(shutil.copytree(one.run("whole"), one.run("torn")))
    shutil.rmtree(run / "questioner")
    weights = checkpoint_dir(run) / "checkpoint-8" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with (run / "train" / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 4, "att')  # half a line, as a full disk leaves it
    forked_commands.run(one.arguments("torn", "--resume"), one.log)
    assert outcome(run, "train") == one.outcome
    with SqliteStore.open(run, read_only=True) as store:
        assert [a.from_step for a in store.attempts("train")] == [0, 3]
        assert sum(store.counts(include_superseded=True).values()) == (STEPS + 1) * 8
    rows = [json.loads(line) for line in (run / "train" / "metrics.jsonl").read_text().splitlines()]
    assert [(row["attempt"], row["step"]) for row in rows] == [(1, 0), (1, 1), (1, 2), (1, 3), (2, 3)]


@pytest.mark.slow
def test_images_that_were_renamed_are_found_by_their_hash(whole: Wholes) -> None:
    """All of them renamed so that their order is turned round, and one added: the same images come, in their steps."""
    one = whole("sweep")
    assert one.outcome["probes"]
    run = one.run("moved")
    process = forked_commands.start(one.arguments("moved"), one.log)
    while len(everything(run)) < 8:
        assert process.is_alive(), one.log.read_text()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert len(everything(run)) < 40

    paths = sorted(one.album.glob("*.png"))
    (one.album / "moved").mkdir()
    moved = [path.rename(one.album / "moved" / f"{len(paths) - n:03}.png") for n, path in enumerate(paths)]
    PIL.Image.new("RGB", (96, 96)).save(one.album / "added.png")
    hidden = moved[0].rename(one.album.parent / "hidden.png")
    refused = forked_commands.start(one.arguments("moved", "--resume"), one.log)
    refused.join()
    assert refused.exitcode == 2
    assert one.log.read_text().splitlines()[-1] == (
        f"gadfly: 1 of the 12 images that the run was begun with are no more in {one.album}, 000000.png among them; "
        "put them back, under any name, or start a new run"
    )
    hidden.rename(moved[0])
    forked_commands.run(one.arguments("moved", "--resume"), one.log)
    assert outcome(run, "sweep") == one.outcome

    for path, now in zip(paths, moved, strict=True):
        now.rename(path)
    (one.album / "added.png").unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB: the store fits, a checkpoint of LoRA's does not."""
    (tmp_path / "disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", tmp_path / "disk"], check=False).returncode:
        pytest.skip("mounting needs root; a limit on the size of files is tested everywhere")
    yield tmp_path / "disk"
    subprocess.run(["umount", tmp_path / "disk"], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_a_run_in_one_line_and_space_lets_it_go_on(whole: Wholes, small_disk: Path) -> None:
    one = whole("lora")
    check_full(one, small_disk, None)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    forked_commands.run(one.arguments("full", f"--out={small_disk}", "--resume"), one.log)
    assert outcome(small_disk / "full", "train") == one.outcome


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_like_a_full_disk(whole: Wholes, tmp_path: Path) -> None:
    one = whole("lora")
    check_full(one, tmp_path, 700_000)
    forked_commands.run(one.arguments("full", f"--out={tmp_path}", "--resume"), one.log)
    assert outcome(tmp_path / "full", "train") == one.outcome


def check_full(one: Whole, out: Path, max_file_bytes: int | None) -> None:
    """Two steps fit, and no checkpoint. What was stored is whole."""
    log = out.parent / "full.log"
    process = forked_commands.start(one.arguments("full", f"--out={out}"), log, max_file_bytes)
    process.join()
    said = log.read_text()
    assert process.exitcode == 2, said
    assert "Traceback" not in said
    assert "free some space, then resume the run" in said.splitlines()[-1]
    assert [content(probe) for probe in everything(out / "full")] == one.outcome["probes"][:16]
    assert resume_step(out / "full") == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_checkpoint_that_would_run_code_is_refused(whole: Wholes, name: str) -> None:
    one = whole("weights")
    assert one.outcome["probes"]
    run = Path(shutil.copytree(one.run("whole"), one.run(f"hostile-{name}")))
    shutil.rmtree(run / "questioner")
    shutil.rmtree(checkpoint_dir(run) / "checkpoint-8")  # where no step is left to do, not all is read
    torch.save({"state": Trap(run / "sprung")}, checkpoint_dir(run) / "checkpoint-6" / name)
    process = forked_commands.start(one.arguments(run.name, "--resume"), one.log)
    process.join()
    assert process.exitcode == 2, one.log.read_text()
    assert "was not written by a training" in one.log.read_text().splitlines()[-1]
    assert not (run / "sprung").exists()
