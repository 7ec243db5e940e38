"""One probe through the real loop into a store that is thrown away; one question to the annotator, which is outside."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gadfly.doctor.finding import Finding, failed, passed, warned
from gadfly.errors import GadflyError
from gadfly.probing import UNPARSABLE, Written
from gadfly.records import Image, Probe, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

CHECK: Final = "one probe"
QUESTION: Final = "How many dogs are left of the tree?"
TRIES: Final = 4
"""An untrained questioner may well write something that is no question; that alone says nothing about the rest."""


def check_annotator(wiring: Wiring) -> Iterator[Finding]:
    """Whether the annotator that `gadfly analyze` would ask says what a question needs."""
    config = wiring.config.annotator
    at_once = config if config.base_url is None else replace(config, retries=0)
    try:
        annotator = Wiring(replace(wiring.config, annotator=at_once)).annotator
        assert annotator is not None, "a model is named"
        (skills,) = annotator.skills([QUESTION])
    except GadflyError as fault:
        yield failed("annotator", str(fault))
        return
    if skills is None:
        mend = "see annotator.prompt, or take a larger model; `gadfly testbed evaluate-annotator` measures one"
        yield failed("annotator", f"{config.model} says nothing readable of {QUESTION!r}; {mend}")
    else:
        yield passed("annotator", f"{config.model} says that {QUESTION!r} needs {', '.join(skills) or 'nothing'}")


def check_one_probe(wiring: Wiring, image: Image) -> Iterator[Finding]:
    """The first question that can be put to the target, and what came of it. `wiring` has neither limits nor cache."""
    started_s = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="gadfly-doctor-") as folder:
            probe = _probe(wiring, image, Path(folder))
    except GadflyError as fault:
        yield failed(CHECK, str(fault))
        return
    seconds = time.perf_counter() - started_s
    figures = {
        "image": image.path,
        "question": probe.question,
        "answer": probe.answer,
        "verdict": str(probe.verdict),
        "reason": probe.judgement.reason,
        "reward": probe.reward,
        "seconds": round(seconds, 2),
    }
    said = f"{image.path}: {probe.question!r} was answered {probe.answer!r}: {probe.verdict}"
    if probe.judgement.reason == UNPARSABLE:
        yield warned(
            CHECK,
            f"{TRIES} times the questioner wrote no question, at last {probe.question[:80]!r}: target and verifier "
            "were not asked; see questioner.prompt and questioner.max_new_tokens",
            **figures,
        )
    elif probe.verdict is Verdict.UNDECIDED:
        yield failed(CHECK, f"{said}, {probe.judgement.reason}; mend that role, or a run will learn nothing", **figures)
    else:
        reason = f", {probe.judgement.reason}" if probe.judgement.reason else ""
        yield passed(CHECK, f"{said}{reason}; reward {probe.reward:.2f}, {seconds:.1f} s", **figures)


def _probe(wiring: Wiring, image: Image, folder: Path) -> Probe:
    config = wiring.config
    questioner = wiring.questioner()
    with SqliteStore.create(folder / "run", config.name, {}, {}, config.seed) as store:
        attempt = store.begin_attempt("doctor")
        probing = wiring.probing(store, wiring.reward())
        for step in range(TRIES):
            written = [Written((image,), questioner.ask([image], config.seed + step)[0], 0)]
            probe = probing.step(written, phase="doctor", attempt=attempt, step=step).probes[0]
            if probe.judgement.reason != UNPARSABLE:
                break
        return next(one for one in store.probes("doctor") if one.key == probe.key)  # as it was stored
