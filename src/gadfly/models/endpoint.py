"""A model behind an OpenAI-compatible server: vLLM, SGLang, `transformers serve`, Ollama, a vendor. Knows no roles.

A fault of one call is a completion with a reason, `endpoint_timeout`, `endpoint_http_500`, `endpoint_refusal`, …; a
server that is gone, or refuses everything, is an EndpointError.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import random
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import openai
from PIL.Image import Image as Picture

from gadfly.errors import EndpointError
from gadfly.models.breaker import Breaker
from gadfly.models.concurrency import AdaptiveLimit
from gadfly.models.data_urls import DataUrls
from gadfly.models.wire import Fault, Reply, Request, Tokens, check_address, one_line, read_body, read_status
from gadfly.overlap import called_off_by
from gadfly.records import Chat, Completion, Image, Sampling

NO_KEY: Final = "none"  # the client wants one; servers that need none ignore it


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on. `timeout_s` is for one whole request, `retries` are further tries after a fault.

    The n-th retry waits `backoff_s` × 2ⁿ⁻¹, at most `max_backoff_s`, times a random factor from ½ to 1. A 429 is not a
    fault and uses up no retry: it is waited out, for up to `max_wait_s` a call. `gone_after` and `gone_s` are the
    circuit breaker's.
    """

    timeout_s: float = 120.0
    retries: int = 4
    backoff_s: float = 0.5
    max_backoff_s: float = 20.0
    max_wait_s: float = 600.0
    gone_after: int = 10
    gone_s: float = 30.0


@dataclass(order=True, slots=True)
class _Call:
    """One chat on its way: when it may next be sent, and what it has been through. Sorted as it is sent."""

    ready_s: float
    index: int
    faults: int = 0
    waits: int = 0  # tries that were no fault of the call's: throttled, or nobody there
    first_s: float | None = None
    sent_s: float = 0.0


class EndpointModel:
    """A ChatModel over a server at `base_url`, such as http://127.0.0.1:8000/v1.

    The calls of one batch run side by side, as many as the server bears and never more than `max_concurrency`; what
    was learnt of that goes on to the next batch. `key_env` names the environment variable that holds the key; it is
    read anew for each batch and kept nowhere. `on_tokens` is told of each answer what the server says it took.

    Not for use from several threads. Raises EndpointError for an address that cannot be used, for a key that is not
    set or not accepted, and for a server that is gone.
    """

    def __init__(
        self,
        base_url: str,
        request: Request,
        open_image: Callable[[Image], Picture],
        *,
        name: str | None = None,
        key_env: str | None = None,
        max_concurrency: int = 32,
        patience: Patience | None = None,
        on_tokens: Callable[[Tokens], None] | None = None,
    ) -> None:
        check_address(base_url)
        self._base_url = base_url
        self._request = request
        self._open_image = open_image
        self._name = request.model if name is None else name
        self._key_env = key_env
        self._patience = Patience() if patience is None else patience
        self._on_tokens = on_tokens
        self._limit = AdaptiveLimit(max_concurrency)
        self._breaker = Breaker(base_url, failures=self._patience.gone_after, window_s=self._patience.gone_s)
        self._takes_schemas = True  # until the server refuses one
        self._jitter = random.Random()  # not seeded: two processes must not come back at the same moment
        self._key()

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        """All besides chats and sampling that an answer depends on, as a text: for the key of a cache."""
        return json.dumps({"base_url": self._base_url, **asdict(self._request)}, sort_keys=True)

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        """Completions in order, each chat answered or given up for a reason. Raises EndpointError."""
        return _run(self._complete(chats, sampling)) if chats else []

    async def _complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        client = openai.AsyncOpenAI(
            api_key=self._key(), base_url=self._base_url, max_retries=0, timeout=self._patience.timeout_s
        )
        client.organization = client.project = None  # the client takes these from the environment, for any server
        loop, whole = asyncio.get_running_loop(), asyncio.current_task()
        assert whole is not None, "a coroutine of a task"
        with (
            called_off_by(lambda: loop.call_soon_threadsafe(whole.cancel)),
            DataUrls(self._open_image, self._request.image_format, self._request.max_side_px) as urls,
        ):
            async with client:
                return await self._dispatch(
                    len(chats), lambda index: self._ask(client, urls, chats[index], sampling, index)
                )

    async def _dispatch(self, n: int, ask: Callable[[int], Coroutine[Any, Any, Reply | Fault]]) -> list[Completion]:
        """Keep as many calls under way as the limit allows until all are settled. A call that waits for its next try
        holds no place."""
        fresh = deque(_Call(0.0, index) for index in range(n))
        again: list[
            _Call
        ] = []  # a heap; what is due in it goes before fresh calls, or it would wait for the last of them
        running: dict[asyncio.Task[Reply | Fault], _Call] = {}
        settled: dict[int, Completion] = {}
        try:
            while fresh or again or running:
                now_s = asyncio.get_running_loop().time()
                pause_s = self._limit.pause_s(now_s)
                while pause_s <= 0 and len(running) < self._limit.limit:
                    if again and again[0].ready_s <= now_s:
                        call = heapq.heappop(again)
                    elif fresh:
                        call = fresh.popleft()
                    else:
                        break
                    call.sent_s = now_s
                    call.first_s = now_s if call.first_s is None else call.first_s
                    running[asyncio.create_task(ask(call.index))] = call
                wake_s = _wake_s(now_s, pause_s, fresh, again) if len(running) < self._limit.limit else None
                if not running:
                    await asyncio.sleep(wake_s or 0.0)
                    continue
                full = len(running) >= self._limit.limit  # once: the first of several answers moves the limit
                done, _ = await asyncio.wait(running, timeout=wake_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    call = running.pop(task)
                    completion = self._settle(call, task.result(), full=full)
                    if completion is None:
                        heapq.heappush(again, call)
                    else:
                        settled[call.index] = completion
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return [settled[index] for index in range(n)]

    def _settle(self, call: _Call, outcome: Reply | Fault, *, full: bool) -> Completion | None:
        """The end of a call, or None where it is to be tried again, from `call.ready_s` on."""
        now_s = asyncio.get_running_loop().time()
        if isinstance(outcome, Reply) or outcome.tokens is not None:
            self._limit.succeeded(full=full)
            if self._on_tokens is not None and outcome.tokens is not None:
                self._on_tokens(outcome.tokens)
        if isinstance(outcome, Reply):
            self._breaker.answered()
            return Completion(outcome.text)
        if outcome.status == 429:
            return self._throttled(call, outcome, now_s)
        if outcome.status is not None and outcome.status >= 500:
            self._limit.faulted(call.sent_s, now_s)
        if outcome.status == 401:
            raise EndpointError(
                f"{self._base_url} does not accept the key"
                + (f" in ${self._key_env}" if self._key_env else "; name the variable that holds one")
                + f" ({outcome.reason})"
            )
        if outcome.again:
            self._breaker.failed(outcome.reason, now_s)
        elif outcome.code == "endpoint_refusal":  # of this question, by a model that works
            self._breaker.answered()
        elif outcome.status is not None:
            self._breaker.refused(outcome.reason)
        return self._again(call, outcome, now_s)

    def _again(self, call: _Call, fault: Fault, now_s: float) -> Completion | None:
        if not fault.again:
            return Completion(error=fault.reason)
        if fault.unreachable:  # no call is to blame: all wait until the server is back or the breaker opens
            return self._wait(call, fault, now_s)
        call.faults += 1
        if call.faults > self._patience.retries:
            return Completion(error=fault.reason)
        call.ready_s = now_s + max(self._backoff_s(call.faults), min(fault.retry_after_s, self._patience.gone_s))
        return None

    def _throttled(self, call: _Call, fault: Fault, now_s: float) -> Completion | None:
        self._breaker.alive()
        if fault.server_code == "insufficient_quota" or fault.retry_after_s > self._patience.max_wait_s:
            wants = f"wants {fault.retry_after_s:.0f} s of silence; " if fault.retry_after_s else ""
            raise EndpointError(f"{self._base_url} refuses further calls: {wants}{fault.reason}; resume the run later")
        self._limit.throttled(call.sent_s, now_s, fault.retry_after_s)
        return self._wait(call, fault, now_s)

    def _wait(self, call: _Call, fault: Fault, now_s: float) -> Completion | None:
        call.waits += 1
        call.ready_s = now_s + max(fault.retry_after_s, self._backoff_s(call.waits))
        assert call.first_s is not None, "a call that was answered was sent"
        return Completion(error=fault.reason) if call.ready_s - call.first_s > self._patience.max_wait_s else None

    def _backoff_s(self, n: int) -> float:
        longest_s = min(self._patience.backoff_s * 2.0 ** min(n - 1, 30), self._patience.max_backoff_s)
        return longest_s * self._jitter.uniform(0.5, 1.0)

    async def _ask(
        self, client: openai.AsyncOpenAI, urls: DataUrls, chat: Chat, sampling: Sampling, index: int
    ) -> Reply | Fault:
        """One request, once. Every fault of the server's is returned, none raised."""
        images = [part for message in chat for part in message.parts if isinstance(part, Image)]
        try:
            by_id = {image.id: await urls.get(image) for image in images}
        except Exception as error:  # noqa: BLE001 - a picture that cannot be opened costs its own chat only
            return Fault("image_unreadable", one_line(f"{type(error).__name__}: {error}"))
        if sampling.schema is None or not self._takes_schemas:
            return await self._send(client, self._request.body(chat, by_id, replace(sampling, schema=None), index))
        outcome = await self._send(client, self._request.body(chat, by_id, sampling, index))
        if not isinstance(outcome, Fault) or outcome.status not in (400, 422):
            return outcome
        # It may be the schema that the server does not take. A wish must not cost the answer.
        plain = await self._send(client, self._request.body(chat, by_id, replace(sampling, schema=None), index))
        if isinstance(plain, Reply):
            self._takes_schemas = False
        return plain

    async def _send(self, client: openai.AsyncOpenAI, body: dict[str, Any]) -> Reply | Fault:
        try:
            async with asyncio.timeout(self._patience.timeout_s):  # the client's own starts anew with every byte
                response = await client.chat.completions.with_raw_response.create(**body)
            return read_body(self._without_key(response.http_response.content))
        except openai.APIStatusError as error:
            return read_status(error.status_code, error.response.headers, self._without_key(error.response.content))
        except (TimeoutError, openai.APITimeoutError):
            return Fault("endpoint_timeout", f"no answer within {self._patience.timeout_s:g} s", again=True)
        except openai.APIConnectionError as error:
            if _unreachable(error):
                return Fault("endpoint_unreachable", "no connection", again=True, unreachable=True)
            return Fault("endpoint_disconnected", "the connection broke off", again=True)

    def _without_key(self, body: bytes) -> bytes:
        """Some servers quote the key that they do not like, and what they say goes into stores and onto terminals."""
        key = self._key()
        return body if key == NO_KEY else body.replace(key.encode(), b"<key>")

    def _key(self) -> str:
        if self._key_env is None:
            return NO_KEY
        key = os.environ.get(self._key_env, "").strip()
        if not key:
            raise EndpointError(
                f"${self._key_env}, which is to hold the key for {self._base_url}, is not set; export it"
            )
        return key


def _wake_s(now_s: float, pause_s: float, fresh: Sequence[_Call], again: Sequence[_Call]) -> float | None:
    """How long until a call may be sent, None where none waits."""
    if pause_s > 0:
        return pause_s
    return None if fresh or not again else max(0.0, again[0].ready_s - now_s)


def _unreachable(error: BaseException | None) -> bool:
    """Whether no connection was made at all, as the causes of the client's error tell."""
    if isinstance(error, BaseExceptionGroup):
        return all(_unreachable(one) for one in error.exceptions)
    if error is None:
        return False
    return isinstance(error, (ConnectionRefusedError, socket.gaierror)) or _unreachable(
        error.__cause__ or error.__context__
    )


def _run(work: Coroutine[Any, Any, list[Completion]]) -> list[Completion]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as thread:  # a notebook has a loop of its own in this thread
        return thread.submit(asyncio.run, work).result()
