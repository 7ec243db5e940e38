"""The ledger: what is counted, what it costs, and where a run ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from gadfly.errors import BudgetSpent
from gadfly.models.cached import Cached, CompletionCache
from gadfly.models.ledger import Ledger, Limits, Price
from gadfly.models.metered import Metered
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.records import Chat, Message, Sampling, Usage

A: Chat = (Message("user", ("two words",)),)
B: Chat = (Message("user", ("fail",)),)


def reply(chat: Chat, sampling: Sampling) -> str | Exception:
    return ValueError("no") if chat_text(chat) == "fail" else chat_text(chat)


def words(text: str) -> int:
    return len(text.split())


def test_a_meter_counts_and_passes_on() -> None:
    model = ScriptedModel("double", reply)
    ledger = Ledger()
    target = ledger.account("target")
    metered = Metered(model, ledger, target, count_tokens=words)
    assert metered.name == "double"
    assert metered.complete([A, B, A], Sampling()) == model.complete([A, B, A], Sampling())
    metered.complete([A], Sampling())
    usage = target.usage
    # "two words", three times over. Nobody counts the prompts, so no answer is counted whole.
    assert (usage.calls, usage.errors, usage.prompt_tokens, usage.completion_tokens) == (4, 1, None, 6)
    assert usage.uncounted == 3 and usage.cost is None and usage.seconds > 0
    assert ledger.usages() == {"target": usage}


def test_a_call_that_raises_is_counted() -> None:
    def broken(chat: Chat, sampling: Sampling) -> str:
        raise RuntimeError("down")

    ledger = Ledger()
    target = ledger.account("target")
    with pytest.raises(RuntimeError):
        Metered(ScriptedModel("double", broken), ledger, target).complete([A], Sampling())
    assert target.usage.calls == 1


def test_cost_by_token_and_by_call() -> None:
    ledger = Ledger()
    target, verifier = ledger.account("target", Price(2.0, 8.0, 0.01)), ledger.account("verifier")
    target.add_calls(3, errors=1, seconds=0.5)
    target.add_tokens(1000, 100)
    target.add_tokens(500, 0)
    # 3 × 0.01 + 1500 × 2 / 10⁶ + 100 × 8 / 10⁶ = 0.03 + 0.003 + 0.0008
    assert target.usage.cost == pytest.approx(0.0338)
    assert ledger.cost == pytest.approx(0.0338)
    assert verifier.usage == Usage()
    target.add_tokens(None, None)
    assert target.usage.uncounted == 1 and target.usage.cost is None and ledger.cost is None


def test_a_price_by_call_needs_no_tokens() -> None:
    account = Ledger().account("target", Price(per_call=0.5))
    account.add_calls(2, errors=0, seconds=0.0)
    account.add_tokens(None, None)
    assert account.usage.cost == 1.0


def test_calls_never_pass_their_limit_whatever_the_role() -> None:
    model = ScriptedModel("double", reply)
    ledger = Ledger(Limits(max_calls=5))
    target = Metered(model, ledger, ledger.account("target"))
    verifier = Metered(model, ledger, ledger.account("verifier"))
    target.complete([A, A], Sampling())
    verifier.complete([A, A], Sampling())
    with pytest.raises(BudgetSpent, match="4 calls made, 2 more wanted, 5 allowed"):
        target.complete([A, A], Sampling())
    target.complete([A], Sampling())
    assert sum(len(batch) for batch in model.batches) == 5
    assert target.complete([], Sampling()) == []


def test_cached_answers_are_no_calls(tmp_path: Path) -> None:
    ledger = Ledger(Limits(max_calls=1))
    account = ledger.account("target")
    inner = Metered(ScriptedModel("double", reply), ledger, account)
    cached = Cached(inner, CompletionCache(tmp_path / "cache"), on_cached=account.add_cached)
    for _ in range(5):
        cached.complete([A], Sampling())
    assert (account.usage.calls, account.usage.cached) == (1, 4)


def test_cost_is_foreseen() -> None:
    ledger = Ledger(Limits(max_cost=1.0))
    account = ledger.account("target", Price(per_call=0.2))
    metered = Metered(ScriptedModel("double", reply), ledger, account)
    metered.complete([A, A], Sampling())  # 0.4
    metered.complete([A, A], Sampling())  # 0.8
    with pytest.raises(BudgetSpent, match=r"0\.8 spent, 2 more calls would cost about 0\.4, 1 allowed"):
        metered.complete([A, A], Sampling())
    metered.complete([A], Sampling())
    with pytest.raises(BudgetSpent):
        metered.complete([A], Sampling())
    assert account.usage.cost == pytest.approx(1.0)


def test_the_targets_calls_have_a_limit_of_their_own_and_earlier_sittings_count() -> None:
    ledger = Ledger(Limits(max_target_calls=6))
    target, questioner = ledger.account("target"), ledger.account("questioner")
    ledger.begin([("target", Usage(calls=3)), ("questioner", Usage(calls=50))], 0.0)
    ledger.check(questioner, 1000)
    ledger.check(target, 3)
    target.add_calls(2, 0, 0.1)
    ledger.check(target, 1)
    with pytest.raises(BudgetSpent, match="5 calls of the target made, 2 more wanted, 6 allowed"):
        ledger.check(target, 2)


def test_a_limit_on_a_cost_that_cannot_be_known() -> None:
    ledger = Ledger(Limits(max_cost=1.0))
    account = ledger.account("target", Price(1.0, 1.0))
    ledger.check(account, 1)
    account.add_tokens(None, None)
    with pytest.raises(BudgetSpent, match="cannot be known"):
        ledger.check(account, 1)


def test_time_ends_a_run() -> None:
    now_s = 100.0
    ledger = Ledger(Limits(max_seconds=60), clock=lambda: now_s)
    account = ledger.account("target")
    now_s = 159.0
    ledger.check(account, 1)
    now_s = 160.0
    with pytest.raises(BudgetSpent, match="60 s have passed, 60 allowed"):
        ledger.check(account, 1)


def test_earlier_sittings_count_against_the_limits() -> None:
    now_s = [100.0]
    ledger = Ledger(Limits(max_calls=30, max_cost=4.5, max_seconds=60), clock=lambda: now_s[0])
    target = ledger.account("target", Price(per_call=0.25))
    target.add_calls(9, errors=0, seconds=1.0)
    # 4 calls, 2 of them on an account with a price: 2 × 0.25 = 0.5 spent.
    earlier = [("target", Usage(1)), ("questioner", Usage(2)), ("target", Usage(1))]
    ledger.begin(earlier, 50.0)
    assert target.usage == Usage(cost=0.0)  # a sitting of its own
    ledger.check(target, 16)  # 0.5 spent and 16 × 0.25 more; 50 s
    with pytest.raises(BudgetSpent, match="4 calls made, 27 more wanted, 30 allowed"):
        ledger.check(target, 27)
    target.add_calls(12, errors=0, seconds=1.0)
    with pytest.raises(BudgetSpent, match=r"3.5 spent, 5 more calls would cost about 1.2, 4.5 allowed"):
        ledger.check(target, 5)  # 0.5 + 12 × 0.25 spent, 5 × 0.25 more; in calls it would be 4 + 12 + 5, of 30
    now_s[0] = 110.0
    with pytest.raises(BudgetSpent, match="60 s have passed, 60 allowed"):
        ledger.check(target, 1)


def test_a_cost_that_was_not_known_earlier_is_not_known_now() -> None:
    ledger = Ledger(Limits(max_cost=2.0))
    target = ledger.account("target", Price(completion_per_million=1.0))
    ledger.begin([("target", Usage(1, uncounted=1))], 0.0)
    with pytest.raises(BudgetSpent, match="cannot be known"):
        ledger.check(target, 1)
