"""Asking afresh: what is asked for a mode, when it ends, and that one broken off goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gadfly.analysis.modes import Mode
from gadfly.confirming import MODE, Confirming
from gadfly.probing import Probing
from gadfly.protocols import Verifier
from gadfly.records import Completion, Judgement, Probe, Question, Verdict
from made_modes import made_mode
from made_probes import INVALID, RIGHT, WRONG, make_probe
from probing_doubles import EchoTarget, ListStore, PlainReward, WordVerifier, image

HARD, RED = made_mode("skill:hard"), made_mode("skill:red")
FRESH = [image(f"new{n:02}") for n in range(40)]
SOURCE = [
    make_probe((WRONG, RIGHT)[i % 2], f"old{i}", i, question=f"hard q{i}", skills=("hard",)) for i in range(12)
] + [
    make_probe(WRONG, "old", 20, question="red thing", skills=("red",)),
    make_probe(INVALID, "old", 21, question="hard vague", skills=("hard",)),
    make_probe(WRONG, "old", 22, question="easy", skills=("easy",)),
]


def items_of(probes: Sequence[Probe]) -> list[frozenset[str]]:
    return [frozenset(f"skill:{skill}" for skill in probe.judgement.skills or ()) for probe in probes]


class Politely:
    """A paraphraser that says please, to all but red things."""

    def paraphrase(self, questions: Sequence[str], seed: int) -> list[str | None]:
        return [None if "red" in question else f"please {question}" for question in questions]


def how(**changes: Any) -> Confirming:
    plain = Confirming(SOURCE, FRESH, items_of, None, Politely(), per_mode=60, per_mode_valid=30, batch=16, seed=0)
    return replace(plain, **changes)


def probing(store: ListStore, target: EchoTarget | None = None, verifier: Verifier | None = None) -> Probing:
    return Probing(target or EchoTarget(), verifier or WordVerifier(), PlainReward(), store, str)


def made_for(store: ListStore) -> dict[str, list[Probe]]:
    modes = {step: metrics[MODE] for _, _, step, metrics in store.steps}
    return {id: [p for p in store.probes if modes[p.key.step] == id] for id in set(modes.values())}


def ask(confirming: Confirming, modes: Sequence[Mode], store: ListStore, parts: Probing | None = None) -> int:
    first_step = max((step for *_, step, _ in store.steps), default=-1) + 1
    counts = confirming.confirm(
        modes, parts or probing(store), made_for(store), phase="c", attempt=1, first_step=first_step
    )
    return counts.total


def test_a_modes_own_texts_are_put_to_fresh_images_every_second_in_other_words() -> None:
    store = ListStore()
    told: list[tuple[int, int, str]] = []
    counts = how().confirm(
        [HARD], probing(store), {}, phase="c", attempt=1, first_step=0, on_progress=lambda *said: told.append(said)
    )
    assert counts.wrong == len(store.probes) == 30
    own = {probe.question for probe in SOURCE[:12]}  # of RIGHT and WRONG alike; the invalid one is not asked again
    plain = [p for p in store.probes if not p.question.startswith("please ")]
    assert {p.question for p in plain} <= own and len(plain) == 15
    assert {p.question.removeprefix("please ") for p in store.probes} == own
    assert {p.images[0].id for p in store.probes} <= {one.id for one in FRESH}
    assert len({p.images[0].id for p in store.probes}) == 30  # none is asked about twice before all were once
    assert [len({p.group for p in store.probes if p.key.step == step}) for step in (0, 1)] == [16, 14]
    assert told == [(0, 1, HARD.name), (0, 1, HARD.name), (1, 1, "")]


def test_invalid_ones_and_those_of_other_modes_do_not_count_but_cost() -> None:
    class Half(WordVerifier):
        """Every image with an odd number makes a question invalid, and one in four changes what it needs."""

        def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
            return [self._odd(q, int(q.images[0].id[3:])) for q in questions]

        def _odd(self, question: Question, n: int) -> Judgement:
            if n % 2:
                return Judgement(Verdict.INVALID, "odd")
            return Judgement(Verdict.WRONG, skills=("hard",) if n % 4 else ("other",))

    store = ListStore()
    # One in four counts, so 30 would take about 120 questions; 60 are allowed.
    assert ask(how(), [HARD], store, probing(store, verifier=Half())) == 60
    # What can be known beforehand costs nothing: ten images are fit, twenty are needed.
    store, target = ListStore(), EchoTarget()
    assert ask(how(verifier=Half()), [HARD], store, probing(store, target, Half())) == 60
    assert {int(q.images[0].id[3:]) % 4 for q in target.asked} == {2}
    many = [image(f"new{n:03}") for n in range(200)]
    store = ListStore()
    assert ask(how(verifier=Half(), images=many), [HARD], store, probing(store, verifier=Half())) == 30


def test_without_other_words_it_ends_all_the_same() -> None:
    for changes in ({"paraphraser": None}, {}):
        store = ListStore()
        # Red things cannot be reworded. With somebody who could, the ten paraphrases are waited for up to the limit;
        # one text about 40 images gives 40 questions.
        assert ask(how(**changes), [RED], store) == (30 if changes else 40)
        assert {p.question for p in store.probes} == {"red thing"}


def test_several_modes_each_have_probes_of_their_own() -> None:
    both = made_mode("skill:hard", "skill:q1")
    store = ListStore()
    ask(how(), [HARD, made_mode("skill:nowhere"), both], store)
    assert set(made_for(store)) == {HARD.id}  # no probe of the source is known to need q1
    assert ask(how(images=[]), [HARD], ListStore()) == 0


@pytest.mark.parametrize("steps_done", [0, 1, 2, 3])
def test_broken_off_it_goes_on_as_if_it_had_not(steps_done: int) -> None:
    class Ends(ListStore):
        def add_step(self, phase: str, attempt: int, step: int, metrics: Mapping[str, Any]) -> None:
            if step == steps_done:
                raise KeyboardInterrupt
            super().add_step(phase, attempt, step, metrics)

    whole = ListStore()
    ask(how(), [HARD, RED], whole)
    assert len(whole.steps) == 2 + 3
    broken = Ends()
    with pytest.raises(KeyboardInterrupt):
        ask(how(), [HARD, RED], broken)
    kept = ListStore()
    kept.steps = broken.steps
    kept.probes = [p for p in broken.probes if p.key.step < steps_done]  # the others are superseded
    ask(how(), [HARD, RED], kept)
    assert [(p.images, p.question, p.key.step) for p in kept.probes] == [
        (p.images, p.question, p.key.step) for p in whole.probes
    ]
    assert ask(how(), [HARD, RED], kept) == 0  # there is nothing more to ask
    # More valid ones are wanted: the same ones count, and as many more are asked.
    assert ask(how(per_mode_valid=40), [HARD], kept) == 10
