"""How much of what there is to find `gadfly analyze` finds: its modes against the answer keys of the organisms.

    python benchmarks/planted_modes.py --out runs/planted_modes

For each target (a, b, c) and seed (0, 1, 2) the uniform sampler asks 10,000 questions about images of one split, and of
each target 5,000 about fresh ones. The analysis gets the first 1,000, 2,000, 5,000 and 10,000 of the former, with the
skills of their programs and with a tenth of those labels wrong (on both sides); the modes that it reports are compared
with the key on the fresh ones, by the definitions of `bench/discovery.py`. With --phase RUN:PHASE the analysis gets the
probes of a run that is there already in place of the sweep.

One JSON per cell (target, seed, number, share of wrong labels) is written to OUT, and a cell that is there already is
not made again; answers are kept apart from them, so that --again compares anew without asking anybody. Broken off, it
goes on where it was. The table at its end is Markdown.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measuring import checkpoint

from gadfly import run_folder, runs
from gadfly.analysis.conditions import Measures, conditions, measure_all
from gadfly.analysis.findings import analyse
from gadfly.analysis.items import items_by_probe
from gadfly.analysis.modes import Mode, covers
from gadfly.analysis.statistics import Flags
from gadfly.bench.discovery import Discovery, Standing, discovery
from gadfly.bench.keys import AnswerKey, key_of, read_key
from gadfly.bench.organisms import probes_in_spots
from gadfly.config import Config, from_dict, override
from gadfly.protocols import Annotator
from gadfly.records import Image, Probe, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.album import SCENES_FILE, read_scenes, render
from gadfly.testbed.recipe import demo_settings
from gadfly.testbed.skills import SKILLS
from gadfly.wiring import Wiring

N_IMAGES = 2500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/planted_modes"))
    parser.add_argument("--targets", type=checkpoint, nargs="+", default=["a", "b", "c"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000, 5000, 10_000])
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.1], help="shares of skill labels wrong")
    parser.add_argument("--fresh", type=int, default=5000, help="so many fresh questions to each target")
    parser.add_argument("--phase", help="RUN:PHASE of a run against the one target, in place of the uniform sweep")
    parser.add_argument("--again", action="store_true", help="make cells again that are there, with the same answers")
    options = parser.parse_args()
    fresh = {target: Fresh(options.out, target, options.fresh) for target in options.targets}
    found = []
    for seed in options.seeds:
        for target in options.targets:
            cell = Cell(options.out, fresh[target], seed, max(options.sizes), options.phase)
            for noise in options.noise:
                for n in options.sizes:
                    path = options.out / f"{target}-{seed}-{n}-{noise:g}{'-phase' if options.phase else ''}.json"
                    if options.again or not path.exists():
                        write_whole(path, cell.result(n, noise))
                    found.append(json.loads(path.read_text(encoding="utf-8")))
                    print(line(found[-1]), flush=True)
    print_totals(found)


def write_whole(path: Path, data: Mapping[str, Any]) -> None:
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)


class Fresh:
    """Probes of one target on which no mode was sought, made or read when first asked for."""

    def __init__(self, out: Path, target: str, n: int) -> None:
        self.target = target
        self.config = functools.partial(config_of, out, target, "fresh", 0, n, n)

    @functools.cached_property
    def key(self) -> AnswerKey:
        path = key_of(self.target)
        assert path is not None, f"{self.target} has no answer key"
        return read_key(path)

    @functools.cached_property
    def wiring(self) -> Wiring:
        return Wiring(self.config())

    @functools.cached_property
    def probes(self) -> list[Probe]:
        """The valid ones."""
        return [probe for probe in swept(self.wiring.config) if probe.verdict.valid]

    @functools.cached_property
    def in_spot_S_N(self) -> Flags:
        """In which spots they lie."""
        scenes = read_scenes(Path(self.wiring.config.images.path))
        return np.asarray(probes_in_spots(self.key, self.probes, scenes))

    @functools.cached_property
    def measures(self) -> dict[str, Measures]:
        return measured(self.wiring, self.probes)


class Cell:
    """The probes of one target and one seed, made or read when first asked for."""

    def __init__(self, out: Path, fresh: Fresh, seed: int, n_sought: int, phase: str | None) -> None:
        self.fresh, self.seed = fresh, seed
        self.run, _, self.phase = (phase or "").partition(":")
        self.config = functools.partial(config_of, out, fresh.target, "probe", seed, n_sought, N_IMAGES)

    def result(self, n: int, noise: float) -> dict[str, Any]:
        """What the analysis makes of the first `n` probes, and how that compares with the key."""
        probes, fresh, in_spot_S_N = self.sought[:n], self.fresh.probes, self.fresh.in_spot_S_N
        began, key = time.monotonic(), self.fresh.key
        annotator: Annotator | None = self.wiring.annotator
        assert annotator is not None
        if noise:
            annotator = NoisyAnnotator(annotator, noise)
            probes, fresh = without_skills(probes), without_skills(fresh)
        reference = {image.id: self.measures[image.id] for probe in probes for image in probe.images}
        found = analyse(
            probes,
            training=self.phase == "train",
            annotator=annotator,
            conditions=conditions(reference),
            grounder=self.wiring.grounder,
        )
        seconds = time.monotonic() - began
        modes = found.search.modes
        of_images = conditions(self.fresh.measures, reference)
        items = items_by_probe(fresh, annotator, of_images, self.fresh.wiring.grounder)
        in_mode_M_N = np.array([[covers(mode, some) for some in items] for mode in modes], dtype=bool)
        in_mode_M_N = in_mode_M_N.reshape(len(modes), len(fresh))
        failures_N = np.array([probe.verdict is Verdict.WRONG for probe in fresh])
        images = [probe.images[0].id for probe in fresh]
        compared = discovery(failures_N, in_mode_M_N, in_spot_S_N, images, np.random.default_rng(0))
        return {
            "target": self.fresh.target,
            "seed": self.seed,
            "n": len(probes),
            "noise": noise,
            "seconds": round(seconds, 1),
            "failure_rate": found.failure.value,
            "n_tested": found.search.n_tested,
            "spots": spots_found(key, compared),
            "modes": [
                mode_found(mode, compared, m, key, failures_N, in_mode_M_N, in_spot_S_N) for m, mode in enumerate(modes)
            ],
        }

    @functools.cached_property
    def sought(self) -> list[Probe]:
        """The probes in which modes are sought, in the order in which they were made."""
        if self.run:
            with SqliteStore.open(Path(self.run), read_only=True) as store:
                return list(store.probes(self.phase))
        return swept(self.config())

    @functools.cached_property
    def wiring(self) -> Wiring:
        return Wiring(run_folder.config_of(Path(self.run)) if self.run else self.config())

    @functools.cached_property
    def measures(self) -> dict[str, Measures]:
        return measured(self.wiring, self.sought)


def config_of(out: Path, target: str, split: str, seed: int, n: int, n_images: int) -> Config:
    """A uniform sweep over images of a testbed split; they are rendered when first needed."""
    images = out / f"images-{split}-{seed}-{n_images}"
    if not (images / SCENES_FILE).exists():  # it is written last
        shutil.rmtree(images, ignore_errors=True)
        render(images, n=n_images, split=split, seed=seed)
    settings = demo_settings(
        images, out / f"{target}-{seed}-{split}-{n}", steps=1, seed=seed, heldout_share=0.0, n=n, target=target
    )
    # Nothing is trained here, so novelty need not be scored.
    changes = {
        "questioner.method": "uniform",
        "sweep.split": "train",
        "sweep.batch_size": 250,
        "target.batch_size": 250,
        "reward.embedder": "hash",
        "reward.window": 1,
    }
    return override(from_dict(settings), changes)


def swept(config: Config) -> list[Probe]:
    """The probes of a sweep, which is made or gone on with where it is not done."""
    exists = run_folder.is_begun(config)
    if exists:
        with SqliteStore.open(run_folder.folder_of(config), read_only=True) as store:
            if len(probes := list(store.probes("sweep"))) >= config.sweep.n:
                return probes
    with run_folder.opened(config, resume=exists) as store:
        runs.sweep(Wiring(config), store)
        return list(store.probes("sweep"))


def measured(wiring: Wiring, probes: Sequence[Probe]) -> dict[str, Measures]:
    images: dict[str, Image] = {image.id: image for probe in probes for image in probe.images}
    return measure_all(wiring.source, images.values(), {}, wiring.object_sizes)


class NoisyAnnotator:
    """Another annotator, with a share of its skill labels replaced by others; the same question gets the same ones."""

    def __init__(self, annotator: Annotator, share: float) -> None:
        self.annotator, self.share = annotator, share

    def skills(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        labels = self.annotator.skills(questions)
        return [some and self._altered(q, some) for q, some in zip(questions, labels, strict=True)]

    def _altered(self, question: str, labels: tuple[str, ...]) -> tuple[str, ...]:
        rng = random.Random(question)
        return tuple(sorted({rng.choice(SKILLS) if rng.random() < self.share else label for label in labels}))

    def concepts(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return self.annotator.concepts(questions)


def without_skills(probes: Sequence[Probe]) -> list[Probe]:
    """The probes as of a verifier that knows no skills, so that the annotator is asked for them."""
    return [replace(probe, judgement=replace(probe.judgement, skills=None)) for probe in probes]


def spots_found(key: AnswerKey, compared: Discovery) -> dict[str, Any]:
    return {
        spot.name: {"n": found.n, "wrong": found.n_wrong, "recalled": found.recalled}
        for spot, found in zip(key.spots, compared.spots, strict=True)
    }


def mode_found(
    mode: Mode, compared: Discovery, m: int, key: AnswerKey, failures_N: Any, in_mode_M_N: Any, in_spot_S_N: Any
) -> dict[str, Any]:
    """One mode: what it is, what it turned out to be, its rate as reported and on fresh probes, and for the spot that
    it shares most failures with (share of the mode's failures in it, share of the spot's failures covered)."""
    found = compared.modes[m]
    shared_S = (in_spot_S_N & in_mode_M_N[m] & failures_N).sum(axis=1)
    nearest = int(shared_S.argmax())
    of_mode, of_spot = int((in_mode_M_N[m] & failures_N).sum()), int((in_spot_S_N[nearest] & failures_N).sum())
    return {
        "name": mode.name,
        "items": list(mode.items),
        "standing": found.standing,
        "held_up": mode.held_up,
        "recalls": [key.spots[s].name for s in found.recalls],
        "reported": [mode.failure.value, mode.failure.low, mode.failure.high, mode.failure.n],
        "fresh": [found.inside.value, found.inside.low, found.inside.high, found.inside.n],
        "elsewhere": found.outside.value,
        "nearest": key.spots[nearest].name if shared_S[nearest] else None,
        "within": int(shared_S[nearest]) / of_mode if of_mode else None,
        "covered": int(shared_S[nearest]) / of_spot if of_spot else None,
    }


def line(r: Mapping[str, Any]) -> str:
    missed = [name for name, spot in r["spots"].items() if spot["recalled"] is False]
    standings = [mode["standing"] for mode in r["modes"]]
    counts = ", ".join(f"{standings.count(s)} {s}" for s in Standing if s in standings)
    recalled = sum(spot["recalled"] is True for spot in r["spots"].values())
    return (
        f"{r['target']} seed {r['seed']}  n {r['n']:6d}  noise {r['noise']:<4g}  recalled {recalled} of "
        f"{recalled + len(missed)}  modes {len(standings):2d}: {counts or 'none'}  "
        f"missed: {', '.join(missed) or 'none'}"
    )


def print_totals(results: Sequence[Mapping[str, Any]]) -> None:
    """Recall and precision over all targets and seeds, and what was missed, as a table."""
    targets = list(dict.fromkeys(r["target"] for r in results))
    recalled = "".join(f" {target} |" for target in targets)
    print(
        f"\n| labels wrong | n | spots recalled |{recalled} false modes, of reported | of those that held up | missed |"
    )
    print("|---" * (6 + len(targets)) + "|")
    for noise, n in sorted({(r["noise"], r["n"]) for r in results}):
        some = [r for r in results if (r["noise"], r["n"]) == (noise, n)]
        modes = [mode for r in some for mode in r["modes"]]
        cells = [f"{noise:.0%}", f"{n:,}", spots_text(some)]
        cells += [spots_text([r for r in some if r["target"] == target]) for target in targets]
        cells += [false_text(modes), false_text([mode for mode in modes if mode["held_up"]]), missed_text(some)]
        print(f"| {' | '.join(cells)} |")


def spots_text(results: Sequence[Mapping[str, Any]]) -> str:
    spots = [spot["recalled"] for r in results for spot in r["spots"].values() if spot["recalled"] is not None]
    return f"{sum(spots)} of {len(spots)}"


def false_text(modes: Sequence[Mapping[str, Any]]) -> str:
    measured = [mode for mode in modes if mode["standing"] != Standing.UNMEASURED]
    return f"{sum(mode['standing'] == Standing.FALSE for mode in measured)} of {len(measured)}"


def missed_text(results: Sequence[Mapping[str, Any]]) -> str:
    missed = Counter(
        f"{name} ({r['target']})" for r in results for name, spot in r["spots"].items() if spot["recalled"] is False
    )
    return ", ".join(f"{name} × {times}" for name, times in missed.most_common()) or "none"


if __name__ == "__main__":
    main()
