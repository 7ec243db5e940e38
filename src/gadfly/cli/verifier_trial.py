"""A verifier beside the testbed's oracle: builds the roles, counts pairs of verdicts, prints them. Knows no store.

What `gadfly audit RUN --labeller oracle` says of a run, this says of a checkpoint, on questions of its own: one about
each image, so that plain intervals hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gadfly.analysis.confusion import VERDICTS, agreement
from gadfly.analysis.statistics import wilson_interval
from gadfly.cli.output import say, table
from gadfly.models.local import LocalModel
from gadfly.protocols import Questioner
from gadfly.records import Judgement, Sampling, Verdict
from gadfly.roles.prompts import load_prompt
from gadfly.roles.questioner import ModelQuestioner, parse_question
from gadfly.roles.target import ModelTarget
from gadfly.roles.verifier_model import ModelVerifier
from gadfly.testbed.album import SceneSource
from gadfly.testbed.evaluation import beside_oracle
from gadfly.testbed.scenes import generate
from gadfly.testbed.uniform import UniformQuestioner

_BATCH = 64


def trial(
    verifier: Path,
    target: Path,
    questioners: Mapping[str, Path | None],
    n: int,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """For each questioner (None is the uniform sampler) what `summary` gives, of `n` images of the held-out split."""
    source = SceneSource(itertools.islice(generate("heldout", seed), n))

    def local(path: Path) -> LocalModel:
        return LocalModel(path, source.open, max_batch=_BATCH)

    judge = ModelVerifier(local(verifier))
    answering = ModelTarget(local(target), load_prompt("testbed_target"), Sampling(max_new_tokens=4))
    found = {}
    for done, (name, path) in enumerate(questioners.items()):
        asking: Questioner
        if path is None:
            asking = UniformQuestioner(source.scenes)
        else:
            how = Sampling(max_new_tokens=40, temperature=1.0)
            asking = ModelQuestioner(local(path), load_prompt("testbed_questioner"), how)
        pairs = beside_oracle(
            source,
            asking,
            answering,
            judge,
            parse_question,
            seed,
            lambda so_far, n, done=done: on_progress(done * n + so_far, len(questioners) * n),  # type: ignore[misc]
        )
        found[name] = summary(pairs)
    return found


def summary(pairs: list[tuple[Judgement, Judgement]]) -> dict[str, Any]:
    """`counts_4_4` has the verifier's verdicts in rows and the oracle's in columns, in the order of Verdict. For each
    verdict of the oracle, how often the verifier gives it too, of what it decided."""
    ours = dict(enumerate(one.verdict for one, _ in pairs))
    true = dict(enumerate(other.verdict for _, other in pairs))
    both = agreement(ours, true)
    order = list(Verdict)
    found = {}
    for verdict in VERDICTS:
        place = order.index(verdict)
        hits = both.counts_4_4[place][place]
        n = sum(both.counts_4_4[order.index(said)][place] for said in VERDICTS)
        low, high = wilson_interval(hits, n) if n else (None, None)
        found[verdict.value] = {"share": hits / n if n else None, "low": low, "high": high, "n": n}
    return {
        "verdicts": [verdict.value for verdict in order],
        "counts_4_4": [list(row) for row in both.counts_4_4],
        "n": both.n,
        "kappa": both.kappa,
        "recognised": found,
    }


def print_trial(verifier: str, target: str, found: Mapping[str, Any]) -> None:
    for name, one in found.items():
        columns = ("", *(f"truly {verdict}" for verdict in one["verdicts"]))
        rows = [(f"judged {v}", *map(str, row)) for v, row in zip(one["verdicts"], one["counts_4_4"], strict=True)]
        kappa = "" if one["kappa"] is None else f", Cohen's kappa {one['kappa']:.2f}"
        table(f"{verifier} on answers of {target} to {name}: n {one['n']}{kappa}", columns, rows, numeric=columns[1:])
        for verdict, share in one["recognised"].items():
            if share["n"]:
                say(
                    f"{verdict}: {share['share']:.1%} recognised ({share['low']:.0%} to {share['high']:.0%}), "
                    f"n {share['n']}"
                )
        say()
