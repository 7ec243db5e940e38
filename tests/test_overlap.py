"""Work beside other work: in what order it comes, who gets its errors, and that it ends when nobody waits any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import PIL.Image
import pytest

from gadfly.errors import BudgetSpent
from gadfly.models.endpoint import EndpointModel
from gadfly.models.ledger import Ledger, Limits
from gadfly.models.local import LocalModel
from gadfly.models.metered import Metered
from gadfly.models.scripted import ScriptedModel
from gadfly.models.wire import Request
from gadfly.overlap import Beside, CalledOff, Later, one_ahead
from gadfly.records import Chat, Completion, Image, Message, Sampling
from loopback_server import LoopbackServer

TEXT: Chat = (Message("user", ("How many?",)),)
SOON_S = 20.0
"""Longer than anything here takes on a busy machine, and far shorter than what is called off would take."""


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_each_item_is_made_while_the_one_before_is_used_and_none_sooner() -> None:
    begun = [threading.Event() for _ in range(5)]

    def items() -> Iterator[int]:
        for n in range(4):
            begun[n].set()
            yield n

    used = []
    with one_ahead(items()) as coming:
        for n in coming:
            if n < 3:
                assert begun[n + 1].wait(SOON_S)  # it would never come if it waited for this block
            assert not any(event.is_set() for event in begun[n + 2 :])
            used.append(n)
    assert used == [0, 1, 2, 3]


def test_a_fault_comes_in_the_place_of_its_item() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise BudgetSpent("no more")

    used = []

    def use() -> None:
        with one_ahead(items()) as coming:
            for n in coming:
                time.sleep(0.05)  # it is raised by now, and heard of only afterwards
                used.append(n)

    with pytest.raises(BudgetSpent, match="no more"):
        use()
    assert used == [0]


def test_what_comes_later_is_waited_for_at_the_first_look() -> None:
    with Beside() as beside:
        told = threading.Event()

        def answers() -> list[str]:
            assert told.wait(SOON_S)
            return ["a", "b", "c"]

        later = Later(3, beside.begin(answers).result)
        assert len(later) == 3 and not told.is_set()
        told.set()
        assert list(later) == ["a", "b", "c"] and later[-1] == "c" and later[:2] == ["a", "b"]


def broken_off(*works: Callable[[], object], when: Callable[[], object]) -> list[Future[object]]:
    """What became of works whose block was left by Ctrl-C, once `when` had returned."""
    begun: list[Future[object]] = []

    def block() -> None:
        with Beside() as beside:
            begun.extend(beside.begin(work) for work in works)
            when()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    return begun


def test_waiting_for_a_server_ends_with_who_waits() -> None:
    """Ctrl-C while a server takes its time: the thread must not sit the answer out."""
    with LoopbackServer(latency_s=600.0) as server:
        model = EndpointModel(server.url, Request("m"), _picture)
        began = time.monotonic()

        def all_asked() -> None:
            while len(server.bodies) < 3:
                time.sleep(0.01)

        answers, after = broken_off(
            lambda: model.complete([TEXT] * 3, Sampling()),
            lambda: model.complete([TEXT], Sampling()),
            when=all_asked,
        )
        assert time.monotonic() - began < SOON_S
        assert isinstance(answers.exception(), asyncio.CancelledError)
        assert after.cancelled() and len(server.bodies) == 3


def test_a_call_that_begins_too_late_asks_nobody() -> None:
    with LoopbackServer() as server:
        model, off = EndpointModel(server.url, Request("m"), _picture), threading.Event()

        def late() -> list[Completion]:
            assert off.wait(SOON_S)
            return model.complete([TEXT], Sampling())

        (answers,) = broken_off(late, when=threading.Timer(0.2, off.set).start)  # by then the block has been left
        assert isinstance(answers.exception(), asyncio.CancelledError) and server.bodies == []


def test_a_model_in_this_process_ends_with_the_batch_that_it_is_at(checkpoint: Path) -> None:
    opened = threading.Event()
    chats = [(Message("user", (Image("1" * 64, "1.png", 96, 96), f"What is {n}?")),) for n in range(2_000)]

    def picture(image: Image) -> PIL.Image.Image:
        opened.set()
        return _picture(image)

    model = LocalModel(checkpoint, picture, device="cpu", max_batch=1)
    (answers,) = broken_off(lambda: model.complete(chats, Sampling(max_new_tokens=8)), when=opened.wait)
    assert isinstance(answers.exception(), CalledOff)
    assert model.complete(chats[:1], Sampling(max_new_tokens=2))[0].error is None  # whose turn it is was given back


def test_two_models_at_once_draw_what_each_draws_alone(checkpoint: Path) -> None:
    """torch has one stream of random numbers for all of a process."""
    one, other = (LocalModel(checkpoint, _picture, device="cpu", max_batch=2) for _ in range(2))
    image = Image("1" * 64, "1.png", 96, 96)
    chats = [(Message("user", (image, f"What is {n}?")),) for n in range(12)]
    how = [Sampling(max_new_tokens=12, temperature=1.0, seed=seed) for seed in (1, 2)]
    alone = [model.complete(chats, sampling) for model, sampling in zip((one, other), how, strict=True)]
    for _ in range(3):
        with Beside() as beside:
            first = beside.begin(lambda: one.complete(chats, how[0]))
            assert other.complete(chats, how[1]) == alone[1]
            assert first.result() == alone[0]


def test_calls_under_way_count_against_the_limits() -> None:
    """The target is asked for five answers, and while it is at them the verifier for three: of seven allowed."""
    ledger = Ledger(Limits(max_calls=7))
    verifier = Metered(ScriptedModel("judge", lambda chat, how: "yes"), ledger, ledger.account("verifier"))

    class Slow:
        name = "slow"

        def complete(self, chats: object, sampling: Sampling) -> list[Completion]:
            with pytest.raises(BudgetSpent, match="5 calls made, 3 more wanted, 7 allowed"):
                verifier.complete([TEXT] * 3, sampling)
            verifier.complete([TEXT] * 2, sampling)
            return [Completion("a")] * 5

    Metered(Slow(), ledger, ledger.account("target")).complete([TEXT] * 5, Sampling())
    assert {role: used.calls for role, used in ledger.usages().items()} == {"verifier": 2, "target": 5}
    with pytest.raises(BudgetSpent, match="7 calls made, 1 more wanted"):
        verifier.complete([TEXT], Sampling())


def _picture(image: Image) -> PIL.Image.Image:
    return PIL.Image.new("RGB", (image.width_px, image.height_px), (9, 99, 199))
