"""A chat-completions server on 127.0.0.1 that does what it is told, faults above all; or a faulty proxy before another.

It honours `response_format`. In a process of its own: python tests/loopback_server.py --latency 0.2 --capacity 32
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

Body = dict[str, Any]
STALL_S = 30.0
HEADERS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


class Act(StrEnum):
    """What the server makes of one request."""

    ANSWER = "answer"
    THROTTLE = "throttle"
    FAIL = "fail"
    BAD_REQUEST = "bad_request"
    HANG_UP = "hang_up"
    HANG_UP_IN_BODY = "hang_up_in_body"
    STALL = "stall"
    TRICKLE = "trickle"
    TRUNCATE = "truncate"
    MALFORM = "malform"
    WRONG_MODEL = "wrong_model"
    NO_CHOICES = "no_choices"
    REFUSE = "refuse"
    WRONG_KEY = "wrong_key"
    NO_QUOTA = "no_quota"


FAULTS = [act for act in Act if act not in (Act.ANSWER, Act.WRONG_KEY, Act.NO_QUOTA, Act.TRICKLE)]
"""What may go wrong with one request of many. A wrong key or an empty account ends a run."""

Plan = Callable[[int, Body], Act]
"""What to do with the n-th request (from 0), given its body."""


def texts_of(body: Body) -> str:
    """All texts of a request, in order, joined."""
    contents = [message["content"] for message in body["messages"]]
    parts = [[{"type": "text", "text": one}] if isinstance(one, str) else one for one in contents]
    return "".join(part["text"] for some in parts for part in some if part["type"] == "text")


def answer_to(body: Body) -> str:
    """The default answer: says what was asked; or the smallest instance of the schema that was asked for."""
    form = body.get("response_format")
    if form is None:
        return f"answer to {texts_of(body)}"
    assert form["type"] == "json_schema"
    return json.dumps(instance(form["json_schema"]["schema"]))


def instance(schema: Body) -> Any:
    """A value that follows a schema, as far as our own schemas go."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object":
            return {name: instance(schema["properties"][name]) for name in schema["required"]}
        case "array":
            return []
        case kind:
            return {"string": "text", "boolean": True, "integer": 0, "number": 0.5}[kind]


class LoopbackServer:
    """Serves from a thread until the `with` block ends. `bodies` are the requests, `acts` counts what was done.

    With `capacity`, requests beyond so many at once are throttled. With `upstream`, answers are that server's.
    `models` are the names that it lists, None for a server without such a list.
    """

    def __init__(
        self,
        plan: Plan = lambda n, body: Act.ANSWER,
        *,
        answer: Callable[[Body], str] = answer_to,
        latency_s: float = 0.0,
        retry_after: str | None = "0",
        capacity: int | None = None,
        upstream: str | None = None,
        usage: bool = True,
        models: Sequence[str] | None = None,
    ) -> None:
        self._plan = plan
        self._answer = answer
        self._latency_s = latency_s
        self._retry_after = retry_after
        self._capacity = capacity
        self._upstream = upstream
        self._usage = usage
        self._models = models
        self._under_way = 0
        self.most_under_way = 0
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.acts: Counter[Act] = Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one_request(reader, writer):
                    pass
        except asyncio.CancelledError:
            pass  # the server stops
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head)}
        if "content-length" not in headers:  # a GET: the list of models
            whole = json.dumps({"object": "list", "data": [{"id": one} for one in self._models or ()]}).encode()
            status = "200 OK" if self._models is not None else "404 Not Found"
            kind = "Content-Type: application/json"
            writer.write(f"HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {len(whole)}\r\n\r\n".encode() + whole)
            await writer.drain()
            return True
        body: Body = json.loads(await reader.readexactly(int(headers["content-length"])))
        n = len(self.bodies)
        self.bodies.append(body)
        self.headers.append(headers)
        act = self._plan(n, body)
        if self._capacity is not None and self._under_way >= self._capacity:
            act = Act.THROTTLE
        self.acts[act] += 1
        if act is Act.THROTTLE:
            return await self._send(writer, act, body, headers)
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        try:
            await asyncio.sleep(self._latency_s)
            return await self._send(writer, act, body, headers)
        finally:
            self._under_way -= 1

    async def _send(self, writer: asyncio.StreamWriter, act: Act, body: Body, headers: dict[str, str]) -> bool:
        more = {}
        status, whole = 200, b""
        match act:
            case Act.HANG_UP:
                return False
            case Act.STALL:
                await asyncio.sleep(STALL_S)
                return False
            case Act.THROTTLE:
                status, whole = 429, _error("slow down", "rate_limit_exceeded")
                more = {} if self._retry_after is None else {"Retry-After": self._retry_after}
            case Act.NO_QUOTA:
                status, whole = 429, _error("You exceeded your current quota", "insufficient_quota")
            case Act.FAIL:
                status, whole = 500, _error("something broke\n\x1b[31min the server", None)
            case Act.BAD_REQUEST:
                status, whole = 400, _error("no such thing", None)
            case Act.WRONG_MODEL:
                status, whole = 404, _error(f"The model '{body['model']}' does not exist", "model_not_found")
            case Act.WRONG_KEY:
                status, whole = 401, _error(f"Incorrect API key: {headers['authorization']}", "invalid_api_key")
            case Act.NO_CHOICES:
                whole = json.dumps({"choices": []}).encode()
            case Act.REFUSE:
                message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
                whole = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
            case Act.MALFORM:
                whole = b'{"choices": [{"message": {"content": wrong}}]}'
            case _:
                whole = await self._whole(body)
        if act is Act.TRUNCATE:
            whole = whole[: len(whole) // 2]
        lines = [f"HTTP/1.1 {status} {HEADERS[status]}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(whole)}", *(f"{name}: {value}" for name, value in more.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if act is Act.TRICKLE:
            for byte in whole:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.write(
            whole[: len(whole) // 2] if act is Act.HANG_UP_IN_BODY else whole if act is not Act.TRICKLE else b""
        )
        await writer.drain()
        return act is not Act.HANG_UP_IN_BODY

    async def _whole(self, body: Body) -> bytes:
        if self._upstream is not None:
            return await asyncio.to_thread(_forward, self._upstream, body)
        message = {"role": "assistant", "content": self._answer(body)}
        whole: Body = {"object": "chat.completion", "model": body["model"]}
        whole["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
        if self._usage:
            whole["usage"] = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
        return json.dumps(whole).encode()


def _forward(url: str, body: Body) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request(
            "POST", f"{parts.path}/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        whole = response.read()
        assert response.status == 200, whole[:200]
        return whole
    finally:
        connection.close()


def _error(message: str, code: str | None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "error", "code": code}}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--capacity", type=int, default=None)
    options = parser.parse_args()
    with LoopbackServer(latency_s=options.latency, capacity=options.capacity) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
