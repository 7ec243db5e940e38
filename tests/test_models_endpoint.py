"""An endpoint against a real server on loopback: what is sent, what comes back, and every way in which it does not."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import random
import socket
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil
from PIL.Image import Image as Picture

from gadfly.errors import EndpointError, ImageError
from gadfly.models.cached import Cached, CompletionCache
from gadfly.models.conformance import check_chat_model
from gadfly.models.data_urls import data_url
from gadfly.models.endpoint import EndpointModel, Patience
from gadfly.models.wire import Fault, Reply, Request, Tokens, read_body, retry_after_s
from gadfly.records import Chat, Completion, Image, Judgement, Message, Question, Sampling, Schema, Verdict
from gadfly.roles.verifier_model import ModelVerifier
from loopback_server import FAULTS, Act, Body, LoopbackServer, answer_to, texts_of

KEY = "sk-a-key-that-nobody-may-see-3141592653"
QUICK = Patience(timeout_s=5.0, backoff_s=0.01, max_backoff_s=0.05, gone_s=0.3)
GREEDY = Sampling()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def picture(image: Image) -> Picture:
    if image.id == "broken":
        raise ImageError("cut short")
    pixels = np.random.default_rng(len(image.id)).integers(0, 256, (image.height_px, image.width_px, 3), dtype=np.uint8)
    return pil.fromarray(pixels)


def chat(text: str, *images: Image) -> Chat:
    return (Message("system", ("be short",)), Message("user", (*images, text)))


def endpoint(url: str, request: Request | None = None, patience: Patience = QUICK, **options: Any) -> EndpointModel:
    return EndpointModel(url, request or Request("m"), picture, patience=patience, **options)


def always(act: Act) -> Any:
    return lambda n, body: act


def first(act: Act, times: int = 1) -> Any:
    return lambda n, body: act if n < times else Act.ANSWER


# ------------------------------------------------------------------------------------------------------ what is sent


def test_it_is_a_chat_model() -> None:
    with LoopbackServer() as server:
        check_chat_model(endpoint(server.url), [chat("one"), chat("two"), chat("three")])


def test_pixels_and_sampling_arrive_as_they_were() -> None:
    image = Image("a" * 64, "a.png", 40, 20)
    with LoopbackServer() as server:
        endpoint(server.url).complete([chat("what?", image)], Sampling(max_new_tokens=7))
        endpoint(server.url).complete([chat("x"), chat("x")], Sampling(temperature=0.5, top_p=0.9, seed=2))
    greedy, *sampled = server.bodies
    assert greedy["model"] == "m" and greedy["temperature"] == 0 and greedy["max_tokens"] == 7 and "seed" not in greedy
    system, user = greedy["messages"]
    assert system == {"role": "system", "content": "be short"}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert np.array_equal(np.asarray(opened(user["content"][0]["image_url"]["url"])), np.asarray(picture(image)))
    # 2 × 1,000,003 + the place in the batch: equal chats are drawn apart.
    assert sorted(body["seed"] for body in sampled) == [2_000_006, 2_000_007]
    assert {body["top_p"] for body in sampled} == {0.9}


def opened(url: str) -> Picture:
    kind, data = url.split(",", 1)
    assert kind.startswith("data:image/") and kind.endswith(";base64")
    return pil.open(io.BytesIO(base64.b64decode(data)))


def test_images_are_brought_down_to_size_and_lose_what_is_not_pixels() -> None:
    whole = pil.new("RGB", (200, 100), "red")
    whole.info["comment"] = b"taken at home"
    whole.info["exif"] = b"Exif\x00\x00home"
    for kind in ("png", "jpeg"):
        url = data_url(whole, kind, max_side_px=50)
        assert opened(url).size == (50, 25)
        assert b"home" not in base64.b64decode(url.split(",")[1])
    assert opened(data_url(whole, "png", max_side_px=500)).size == (200, 100)


def test_structured_output_where_it_is_asked_for() -> None:
    schema = {
        "type": "object",
        "properties": {"valid": {"type": "boolean"}, "verdict": {"enum": ["RIGHT", "WRONG"]}},
        "required": ["valid", "verdict"],
        "additionalProperties": False,
    }
    with LoopbackServer() as server:
        model = endpoint(server.url)
        (answer,) = model.complete([chat("judge")], Sampling(schema=Schema("verdict", schema)))
        (other,) = model.complete([chat("judge")], GREEDY)
    assert answer.text is not None and json.loads(answer.text) == {"valid": True, "verdict": "RIGHT"}
    assert other.text == "answer to be shortjudge"


@pytest.mark.parametrize("takes_schemas", [True, False])
def test_a_verifier_is_heard_in_json_where_the_server_has_it_and_in_lines_where_not(takes_schemas: bool) -> None:
    """All three stages. The server's JSON is the first that a schema allows: VALID, "text", SAME."""

    def plan(n: int, body: Body) -> Act:
        return Act.ANSWER if takes_schemas or "response_format" not in body else Act.BAD_REQUEST

    def lines(body: Body) -> str:
        asked = texts_of(body)
        return (
            "VERDICT: VALID" if "RELATED" in asked else "VERDICT: SAME" if "Second answer" in asked else "ANSWER: text"
        )

    image = Image("a" * 64, "a.png", 8, 8)
    with LoopbackServer(plan, answer=answer_to if takes_schemas else lines) as server:
        verifier = ModelVerifier(endpoint(server.url, max_concurrency=1))
        judged = verifier.judge(
            [Question((image,), "What is it?", 0)] * 2, [Completion("text"), Completion("a scrawl")]
        )
    assert judged == [Judgement(Verdict.RIGHT, expected="text")] * 2
    forms = [body["response_format"]["json_schema"]["name"] for body in server.bodies if "response_format" in body]
    assert forms == (["validity", "validity", "answer", "answer", "agreement"] if takes_schemas else ["validity"])
    assert ["image_url" in json.dumps(body) for body in server.bodies][-1] is False  # answers are compared as texts


def test_a_server_that_takes_no_schema_is_asked_without_and_not_troubled_again() -> None:
    refuses = lambda n, body: Act.BAD_REQUEST if "response_format" in body else Act.ANSWER  # noqa: E731
    wish = Sampling(schema=Schema("s", {"type": "object"}))
    with LoopbackServer(refuses) as server:
        model = endpoint(server.url, max_concurrency=1)
        assert model.complete([chat("x"), chat("y")], wish) == [
            Completion("answer to be shortx"),
            Completion("answer to be shorty"),
        ]
    assert ["response_format" in body for body in server.bodies] == [True, False, False]


def test_a_bad_request_is_not_laid_to_the_schema() -> None:
    with LoopbackServer(always(Act.BAD_REQUEST)) as server:
        model = endpoint(server.url)
        for _ in range(2):
            (one,) = model.complete([chat("x")], Sampling(schema=Schema("s", {"type": "object"})))
            assert one.error == "endpoint_http_400: no such thing"
    assert ["response_format" in body for body in server.bodies] == [True, False] * 2


def test_it_runs_where_a_loop_runs_already() -> None:
    async def notebook(url: str) -> list[Completion]:
        return endpoint(url).complete([chat("x")], GREEDY)

    with LoopbackServer() as server:
        assert asyncio.run(notebook(server.url)) == [Completion("answer to be shortx")]


# ---------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("act", "reason", "requests"),
    [
        # Four retries after the first try make five requests; what another try cannot mend is asked once.
        (Act.FAIL, "endpoint_http_500: something broke [31min the server", 5),
        (Act.HANG_UP, "endpoint_disconnected: the connection broke off", 5),
        (Act.HANG_UP_IN_BODY, "endpoint_disconnected: the connection broke off", 5),
        (Act.TRUNCATE, "endpoint_malformed: the response is not JSON", 5),
        (Act.MALFORM, "endpoint_malformed: the response is not JSON", 5),
        (Act.STALL, "endpoint_timeout: no answer within 0.2 s", 5),
        (Act.TRICKLE, "endpoint_timeout: no answer within 0.2 s", 5),
        (Act.WRONG_MODEL, "endpoint_http_404: The model 'm' does not exist", 1),
        (Act.NO_CHOICES, "endpoint_empty: no choices", 1),
        (Act.REFUSE, "endpoint_refusal: I cannot help with that.", 1),
    ],
)
def test_each_fault_has_its_reason(act: Act, reason: str, requests: int) -> None:
    patience = Patience(timeout_s=0.2 if act in (Act.STALL, Act.TRICKLE) else 5.0, backoff_s=0.01)
    with LoopbackServer(always(act)) as server:
        assert endpoint(server.url, patience=patience).complete([chat("x")], GREEDY) == [Completion(error=reason)]
    assert len(server.bodies) == requests


@pytest.mark.parametrize("act", [Act.FAIL, Act.HANG_UP_IN_BODY, Act.TRUNCATE, Act.THROTTLE])
def test_what_passes_is_tried_again(act: Act) -> None:
    with LoopbackServer(first(act, times=4)) as server:
        (one,) = endpoint(server.url).complete([chat("x")], GREEDY)
    assert one.text == "answer to be shortx"
    assert len(server.bodies) == 5


def test_waits_between_tries_double_up_to_their_longest_and_are_scattered() -> None:
    model = endpoint("http://127.0.0.1:1/v1", patience=Patience(backoff_s=0.5, max_backoff_s=3.0))
    for n, longest_s in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (50, 3.0)):
        waits_s = [model._backoff_s(n) for _ in range(50)]
        assert longest_s / 2 <= min(waits_s) < max(waits_s) <= longest_s
        assert max(waits_s) - min(waits_s) > longest_s / 4  # half of what there is


def test_an_image_that_cannot_be_opened_costs_its_own_chat() -> None:
    broken, sound = Image("broken", "b.png", 8, 8), Image("s" * 64, "s.png", 8, 8)
    with LoopbackServer() as server:
        bad, good = endpoint(server.url).complete([chat("x", broken), chat("y", sound)], GREEDY)
    assert bad.error == "image_unreadable: ImageError: cut short"
    assert good.text == "answer to be shorty"
    assert len(server.bodies) == 1


def test_retry_after_is_kept_by_all_calls() -> None:
    with LoopbackServer(first(Act.THROTTLE), retry_after="1") as server:
        started_s = time.monotonic()
        endpoint(server.url, max_concurrency=1).complete([chat("x"), chat("y")], GREEDY)
    assert time.monotonic() - started_s >= 1.0
    assert server.acts == {Act.THROTTLE: 1, Act.ANSWER: 2}


def test_a_server_that_wants_too_long_a_silence_or_more_money_ends_the_run() -> None:
    silence = "refuses further calls: wants 86400 s of silence"
    with (
        LoopbackServer(always(Act.THROTTLE), retry_after="86400") as server,
        pytest.raises(EndpointError, match=silence),
    ):
        endpoint(server.url).complete([chat("x")], GREEDY)
    quota = "refuses further calls: endpoint_http_429: You exceeded your current quota"
    with LoopbackServer(always(Act.NO_QUOTA)) as server, pytest.raises(EndpointError, match=quota):
        endpoint(server.url).complete([chat("x")], GREEDY)


def test_a_server_that_is_gone_ends_the_run_with_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"  # bound, not listening: every connection is refused
        started_s = time.monotonic()
        with pytest.raises(EndpointError, match=r"is gone: \d+ requests in a row failed over .* the server still runs"):
            endpoint(url).complete([chat(str(n)) for n in range(200)], GREEDY)
    assert 0.3 <= time.monotonic() - started_s < 5


def test_a_short_outage_is_waited_out() -> None:
    with LoopbackServer(first(Act.HANG_UP, times=30)) as server:
        patience = Patience(backoff_s=0.2, gone_s=10)
        answers = endpoint(server.url, patience=patience).complete([chat(str(n)) for n in range(20)], GREEDY)
    assert [one.text for one in answers] == [f"answer to be short{n}" for n in range(20)]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (Act.WRONG_MODEL, "The model 'm' does not exist"),
        (Act.BAD_REQUEST, "endpoint_http_400: no such thing"),  # as `transformers serve` says of a wrong name
        (Act.NO_CHOICES, "endpoint_empty: no choices"),  # or whose model spends all its tokens on thinking
    ],
)
def test_a_server_that_refuses_everything_ends_the_run(act: Act, said: str) -> None:
    why = f"answered none of the first 20 requests, the last with .*{said}; check the model's name"
    with LoopbackServer(always(act)) as server, pytest.raises(EndpointError, match=why):
        endpoint(server.url).complete([chat(str(n)) for n in range(100)], GREEDY)
    # Those that were answered, and those under way meanwhile: eight at first, one more with each answer.
    assert len(server.bodies) <= 20 + (8 + 20)


def test_a_model_that_declines_every_question_does_not() -> None:
    with LoopbackServer(always(Act.REFUSE)) as server:
        answers = endpoint(server.url).complete([chat(str(n)) for n in range(60)], GREEDY)
    assert {one.error for one in answers} == {"endpoint_refusal: I cannot help with that."}


def test_requests_that_are_refused_among_others_end_nothing() -> None:
    with LoopbackServer(lambda n, body: Act.BAD_REQUEST if n else Act.ANSWER) as server:
        answers = endpoint(server.url, max_concurrency=1).complete([chat(str(n)) for n in range(60)], GREEDY)
    assert sum(one.error is not None for one in answers) == 59


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host/v1", "http://", f"http://me:{KEY}@host/v1", f"http://host/v1?key={KEY}"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(EndpointError) as caught:
        endpoint(url)
    assert KEY not in str(caught.value)


# ----------------------------------------------------------------------------------------------------------- the key


def test_the_key_shows_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    seen: list[str] = []
    file = tmp_path / "cache.sqlite"

    def echo(body: Body) -> str:
        return f"they sent {KEY}"

    plan = [Act.FAIL, Act.HANG_UP, Act.MALFORM, Act.ANSWER, Act.WRONG_KEY]
    with LoopbackServer(lambda n, body: plan[n], answer=echo) as server:
        model = endpoint(server.url, key_env="MY_KEY")
        cached = Cached(model, CompletionCache(file), scope=model.fingerprint)
        seen += map(repr, cached.complete([chat("x")], GREEDY))
        with pytest.raises(EndpointError, match=r"does not accept the key in \$MY_KEY") as caught:
            cached.complete([chat("y")], GREEDY)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"  # it did go where it belongs
    seen += [repr(model), str(vars(model)), model.fingerprint, "".join(traceback.format_exception(caught.value))]
    seen += [record.getMessage() + str(record.args) for record in caplog.records]
    assert any(record.name.startswith("httpcore2") for record in caplog.records)
    assert "they sent <key>" in seen[0]
    assert not [text for text in seen if KEY in text]
    assert not [path for path in tmp_path.iterdir() if KEY.encode() in path.read_bytes()]


def test_a_key_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(
        EndpointError, match=r"\$MY_KEY, which is to hold the key for http://127.0.0.1:1/v1, is not set"
    ):
        endpoint("http://127.0.0.1:1/v1", key_env="MY_KEY")


# --------------------------------------------------------------------------------------------------- reading, by hand


FIELDS = st.sampled_from(["choices", "message", "content", "usage", "error", "refusal", "finish_reason"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner),
    max_leaves=20,
)


@given(JSON)
def test_whatever_comes_is_a_reply_or_a_fault(whole: Any) -> None:
    outcome = read_body(json.dumps(whole).encode())
    assert isinstance(outcome, Fault) or outcome.text.encode()


def test_odd_bodies() -> None:
    def body(**message: Any) -> bytes:
        finish = message.pop("finish", "stop")
        return json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode()

    assert read_body(body(content=" seven \n")) == Reply("seven")
    assert read_body(body(content="")) == Reply("")
    assert read_body(b'{"choices": [{"message": {"content": "\\ud800"}}]}') == Reply("?")
    assert read_body(body(content="", finish="length")).reason == (  # type: ignore[union-attr]  # a Fault
        "endpoint_empty: max_new_tokens was spent before any text"
    )
    assert read_body(body(content="no", finish="content_filter")).reason == "endpoint_refusal: content filter"  # type: ignore[union-attr]
    assert read_body(b'{"error": {"message": "overloaded"}}').reason == "endpoint_error: overloaded"  # type: ignore[union-attr]
    assert read_body(b"[" * 100_000).reason == "endpoint_malformed: the response is not JSON"  # type: ignore[union-attr]
    counted = read_body(b'{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 4}}')
    assert counted == Reply("a", Tokens(4, None))


def test_retry_after_in_all_its_forms() -> None:
    assert retry_after_s({"retry-after": "2.5"}, 0) == 2.5
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "1"}, 0) == 0.25
    # 1 January 1970, 00:01:00, read twenty seconds after midnight.
    assert retry_after_s({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 20) == 40
    for nonsense in ("", "soon", "-3", "inf", "nan"):
        assert retry_after_s({"retry-after": nonsense}, 0) == 0
    assert retry_after_s({}, 0) == 0


# ------------------------------------------------------------------------------------------------------- many at once


def test_as_many_at_once_as_allowed_and_no_more() -> None:
    with LoopbackServer(latency_s=0.1) as server:
        endpoint(server.url, max_concurrency=16).complete([chat(str(n)) for n in range(160)], GREEDY)
    assert server.most_under_way == 16  # how much that brings: test_models_dispatch.py, and the benchmark


FINAL = {
    Act.WRONG_MODEL: "endpoint_http_404",
    Act.BAD_REQUEST: "endpoint_http_400",
    Act.NO_CHOICES: "endpoint_empty",
    Act.REFUSE: "endpoint_refusal",
}


def test_what_is_to_be_tried_again_goes_before_what_was_never_tried() -> None:
    with LoopbackServer(first(Act.FAIL), latency_s=0.01) as server:
        endpoint(server.url, max_concurrency=2).complete([chat(str(n)) for n in range(100)], GREEDY)
    asked = [texts_of(body) for body in server.bodies]
    again = max(place for place, text in enumerate(asked) if text == asked[0])
    # A back-off of 0.01 s at most is over within a few calls of 0.01 s; behind all fresh ones it would be the last.
    assert 1 <= again < 50


CODES = {  # what the client makes of each act where it waits for the end of it
    Act.ANSWER: None,
    Act.THROTTLE: "endpoint_http_429",
    Act.FAIL: "endpoint_http_500",
    Act.HANG_UP: "endpoint_disconnected",
    Act.HANG_UP_IN_BODY: "endpoint_disconnected",
    Act.STALL: "endpoint_timeout",
    Act.TRUNCATE: "endpoint_malformed",
    Act.MALFORM: "endpoint_malformed",
    **FINAL,
}


@pytest.mark.parametrize(
    "n", [pytest.param(500, marks=pytest.mark.slow), pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.soak])]
)
def test_nothing_lost_nothing_doubled_every_error_with_its_reason(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client saw of each try is recorded where it sees it. On a machine that is short of time it gives up on
    requests that the server has not read yet, or has answered already; the server alone cannot tell."""
    rng = random.Random(0)
    acts: dict[str, list[Act]] = {}
    tries: dict[int, list[Reply | Fault]] = {}
    ask = EndpointModel._ask

    async def recorded(self: EndpointModel, *arguments: Any) -> Reply | Fault:
        outcome = await ask(self, *arguments)
        tries.setdefault(arguments[-1], []).append(outcome)
        return outcome

    monkeypatch.setattr(EndpointModel, "_ask", recorded)

    def plan(_: int, body: Body) -> Act:
        act = rng.choice(FAULTS) if rng.random() < 0.3 else Act.ANSWER
        acts.setdefault(texts_of(body), []).append(act)
        return act

    told: list[Tokens] = []
    patience = Patience(timeout_s=2.0, backoff_s=0.01, max_backoff_s=0.05)
    with LoopbackServer(plan, latency_s=0.005) as server:
        model = endpoint(server.url, patience=patience, on_tokens=told.append)
        answers = model.complete([chat(f" number {k}") for k in range(n)], GREEDY)
    assert len(answers) == len(tries) == n
    for k, one in enumerate(answers):
        *before, last = tries[k]
        # Asked again is only what may pass, and what came last is what is returned.
        assert all(isinstance(fault, Fault) and fault.again for fault in before)
        if isinstance(last, Reply):
            assert one == Completion(last.text) == Completion(f"answer to be short number {k}")
        else:
            assert one == Completion(error=last.reason) and ": " in last.reason
            counted = [fault for fault in tries[k] if isinstance(fault, Fault) and fault.status != 429]
            assert not last.again or len(counted) == 5  # the first try and four more
        check_against(acts.get(f"be short number {k}", []), tries[k])
    assert len(told) == sum(isinstance(one, Reply) or one.tokens is not None for some in tries.values() for one in some)
    assert sum(server.acts[act] for act in FAULTS) > 0.2 * n
    # Each request is refused for good with probability 0.3 × 4/11 = 0.109 and answered with 0.7, so about
    # 0.7 / 0.809 = 87% of the calls end with an answer.
    assert sum(one.text is not None for one in answers) > 0.8 * n


def check_against(acts: list[Act], tries: list[Reply | Fault]) -> None:
    """A try is one request, or none where the client gave up before the server read it; and it saw what was done."""
    codes = [one.code if isinstance(one, Fault) else None for one in tries]
    given_up = sum(code == "endpoint_timeout" for code in codes) - acts.count(Act.STALL)
    assert len(acts) <= len(tries)
    if given_up <= 0 and len(acts) == len(tries):
        assert codes == [CODES[act] for act in acts]
    else:  # a connection that the server has closed is a fault too, and no request reaches it
        assert len(tries) - len(acts) <= sum(code in ("endpoint_timeout", "endpoint_disconnected") for code in codes)
