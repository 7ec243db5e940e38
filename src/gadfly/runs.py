"""What a run does: its questioner trained, its sweeps made, both gone on with. Knows parts by wiring."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

from gadfly.counts import Counts, Metric
from gadfly.records import SWEEP, TRAINING, Image, Verdict
from gadfly.run_folder import TRAINED, folder_of, images_of
from gadfly.sittings import UsageKept, counts_of, first_step_of, sitting
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

OnStep = Callable[[int, int, Mapping[str, Metric]], None]
OnSweep = Callable[[int, int, Counts], None]


def train(
    wiring: Wiring,
    store: SqliteStore,
    *,
    resume: bool,
    on_sft_step: OnStep | None = None,
    on_step: OnStep | None = None,
) -> Path:
    """Train the questioner; returns the folder of the trained one. Whatever ends it early, what is stored stays.
    A training that had ended is not begun anew."""
    from gadfly.train.checkpoints import resume_step
    from gadfly.train.method import train as train_by_method
    from gadfly.train.placement import settle

    config, folder = wiring.config, folder_of(wiring.config)
    if config.train.method == "sft_own":
        return _train_on_own_failures(wiring, store, resume, on_sft_step, on_step)
    by_rl = config.train.method != "sft"
    first_step = resume_step(folder, config.train.num_iterations) if resume else 0
    if resume and (folder / TRAINED).exists() and (first_step >= config.train.steps or not by_rl):
        return folder / TRAINED
    # What can be found wanting is built before the attempt begins; SFT needs neither target nor verifier.
    trainee, placed, prompt_chat = wiring.trainee, settle(config.train, config.questioner), wiring.prompt_chat
    images, pairs = images_of(folder, wiring, "train"), wiring.sft_pairs()
    probing = wiring.probing(UsageKept(store, wiring.ledger), wiring.reward()) if by_rl else None
    with sitting(store, TRAINING, first_step, wiring.ledger) as attempt:
        if probing is not None:
            # Only what stands below the checkpoint is current now: the attempt has superseded the rest.
            probing.reward.remember(store.valid_questions(TRAINING, config.reward.remembered))
        return train_by_method(
            config.train,
            sampling=wiring.questioner_sampling,
            seed=config.seed,
            images=images,
            pairs=pairs,
            open_image=wiring.source.open,
            prompt_chat=prompt_chat,
            topic_at=wiring.topics.at,
            questioner_path=trainee,
            probing=probing,
            run_dir=folder,
            placed=placed,
            attempt=attempt,
            resume=resume,
            on_sft_step=on_sft_step,
            on_step=on_step,
        )


def _train_on_own_failures(
    wiring: Wiring, store: SqliteStore, resume: bool, on_sft_step: OnStep | None, on_step: OnStep | None
) -> Path:
    from gadfly.analysis.thinning import thinned
    from gadfly.sweep import sweep as ask_all
    from gadfly.train.own_failures import train_on_own_failures
    from gadfly.train.placement import settle

    config, folder = wiring.config, folder_of(wiring.config)
    per_step, steps = config.train.probes_per_step, config.train.steps
    first_step = first_step_of(store, TRAINING)
    if first_step >= steps and (folder / TRAINED).exists():
        return folder / TRAINED
    trainee, placed, prompt_chat = wiring.trainee, settle(config.train, config.questioner), wiring.prompt_chat
    images, reward = images_of(folder, wiring, "train"), wiring.reward()
    probing = wiring.probing(UsageKept(store, wiring.ledger), reward)

    def failures(before: int) -> list[tuple[Image, str]]:
        wrong = [probe for probe in store.probes(TRAINING, verdict=Verdict.WRONG) if probe.key.step < before]
        kept = thinned(wrong, config.train.sft.most_per_combination, config.seed)
        return [(probe.images[0], probe.question) for probe in kept]

    with sitting(store, TRAINING, first_step, wiring.ledger) as attempt:
        reward.remember(store.valid_questions(TRAINING, config.reward.remembered))
        if resume and first_step < steps:
            # What an earlier sitting left when it reached a limit knows fewer failures than this one will.
            shutil.rmtree(folder / TRAINED, ignore_errors=True)

        def ask(questioner: str | Path, first: int, n_steps: int) -> None:
            ask_all(
                images,
                wiring.questioner(questioner),
                probing,
                n=steps * per_step,
                batch=per_step,
                seed=config.seed,
                phase=TRAINING,
                attempt=attempt,
                first_step=first,
                steps=n_steps,
                ahead=wiring.asks_ahead,
                on_progress=None if on_step is None else lambda n, _, c: on_step(n // per_step, steps, {"fdr": c.fdr}),
            )

        return train_on_own_failures(
            config.train,
            seed=config.seed,
            first_step=first_step,
            ask=ask,
            failures=failures,
            open_image=wiring.source.open,
            prompt_chat=prompt_chat,
            questioner_path=trainee,
            run_dir=folder,
            placed=placed,
            on_sft_step=on_sft_step,
        )


def sweep(
    wiring: Wiring,
    store: SqliteStore,
    *,
    phase: str = SWEEP,
    split: str | None = None,
    questioner: Path | None = None,
    on_progress: OnSweep | None = None,
) -> Counts:
    """Ask `config.sweep.n` questions with a frozen questioner; goes on where an earlier attempt of the phase ended.

    `split` and `questioner` stand in for those of the configuration. A questioner that goes by what became of its
    questions begins with those of the run's training. Novelty is scored against the phase's own history. The counts,
    those given to `on_progress` too, are of the whole phase.
    """
    from gadfly.sweep import sweep as ask_all

    config = wiring.config
    first_step = first_step_of(store, phase)
    if first_step * config.sweep.batch_size >= config.sweep.n:
        return counts_of(store, phase)
    images, reward = images_of(folder_of(config), wiring, split or config.sweep.split), wiring.reward()
    learner = wiring.learner(questioner)
    asker = wiring.questioner(questioner) if learner is None else learner
    probing = wiring.probing(UsageKept(store, wiring.ledger), reward)
    with sitting(store, phase, first_step, wiring.ledger) as attempt:
        done = counts_of(store, phase)
        reward.remember(store.valid_questions(phase, config.reward.remembered))
        if learner is not None:
            for earlier in (TRAINING, phase):
                for _, probes in groupby(store.probes(earlier), key=lambda probe: probe.key.step):
                    learner.learn_from(list(probes))
        return done + ask_all(
            images,
            asker,
            probing,
            n=config.sweep.n,
            batch=config.sweep.batch_size,
            seed=config.seed,
            phase=phase,
            attempt=attempt,
            first_step=first_step,
            learner=learner,
            ahead=wiring.asks_ahead,
            on_progress=None if on_progress is None else lambda n, total, c: on_progress(n, total, done + c),
        )
