"""The chat-completions protocol: what is sent for a chat, and what came back. Pure; knows no client and no retries.

What a server sends is untrusted: every road through `read_body` ends in a Reply or a Fault, never in an exception.
"""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gadfly.errors import EndpointError
from gadfly.models.data_urls import ImageFormat
from gadfly.records import Chat, Image, Sampling
from gadfly.settings import address_fault

MAX_DETAIL_CHARS: Final = 200
_SEEDS: Final = 2**31  # servers keep seeds in 32 bits, some of them signed
_SEED_STEP: Final = 1_000_003  # a prime: seeds of neighbouring calls do not meet


@dataclass(frozen=True, slots=True)
class Request:
    """What all requests of one endpoint have in common.

    `max_tokens_field` is `max_completion_tokens` for servers that know only the newer name. `extra` goes into each
    request as it is, such as {"reasoning_effort": "low"}.
    """

    model: str
    image_format: ImageFormat = "png"
    max_side_px: int | None = None
    max_tokens_field: str = "max_tokens"
    extra: Mapping[str, Any] | None = None

    def body(self, chat: Chat, urls: Mapping[str, str], sampling: Sampling, index: int) -> dict[str, Any]:
        """The request for one chat. `urls` are data URLs by image id; `index` is the chat's place in its batch: it sets
        sampled answers to equal chats apart, since each would otherwise get the same seed."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": one.role, "content": _content(one.parts, urls)} for one in chat],
            "temperature": sampling.temperature,
            self.max_tokens_field: sampling.max_new_tokens,
        }
        if sampling.temperature > 0:
            body |= {"top_p": sampling.top_p, "seed": (sampling.seed * _SEED_STEP + index) % _SEEDS}
        if (form := sampling.schema) is not None:
            schema = {"name": form.name, "schema": dict(form.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | dict(self.extra or {})


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the server says a request took; None where it does not say."""

    prompt: int | None = None
    completion: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    text: str
    tokens: Tokens = Tokens()


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no answer: a stable code, and what the server said about it.

    `again`: another try may succeed. `status` is that of HTTP, None where no whole response came. `unreachable`: no
    connection was made, so the request itself is not to blame. `tokens` is set where the server worked all the same.
    """

    code: str
    detail: str = ""
    again: bool = False
    status: int | None = None
    unreachable: bool = False
    retry_after_s: float = 0.0
    server_code: str = ""
    tokens: Tokens | None = None

    @property
    def reason(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


def read_body(body: bytes) -> Reply | Fault:
    """The answer in the body of a response with status 200."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return Fault("endpoint_malformed", "the response is not JSON", again=True, status=200)
    if not isinstance(whole, dict):
        return Fault("endpoint_malformed", "the response is not a JSON object", again=True, status=200)
    tokens = _tokens(whole.get("usage"))
    choices = whole.get("choices")
    if choices is None and whole.get("error") is not None:  # some gateways put an error into a 200
        return Fault("endpoint_error", one_line(_message(whole)), status=200)
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return Fault("endpoint_empty", "no choices", status=200, tokens=tokens)
    message, finish = choices[0].get("message"), choices[0].get("finish_reason")
    if not isinstance(message, dict):
        return Fault("endpoint_empty", "a choice without a message", status=200, tokens=tokens)
    text, refusal = message.get("content"), message.get("refusal")
    if refusal or finish == "content_filter":
        return Fault("endpoint_refusal", one_line(str(refusal or "content filter")), status=200, tokens=tokens)
    if text is not None and not isinstance(text, str):
        return Fault("endpoint_malformed", "the content is not a text", status=200, tokens=tokens)
    if text is None or (not text.strip() and finish == "length"):
        why = "max_new_tokens was spent before any text" if finish == "length" else "a message without content"
        return Fault("endpoint_empty", why, status=200, tokens=tokens)
    # JSON can spell half of a surrogate pair, which no file and no database takes.
    return Reply(text.encode(errors="replace").decode().strip(), tokens)


def read_status(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """What a response with another status than 200 means. 408, 429 and 5xx are worth another try."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        whole = None
    error = whole.get("error") if isinstance(whole, dict) else None
    return Fault(
        f"endpoint_http_{status}",
        one_line(_message(whole)),
        again=status in (408, 429) or status >= 500,
        status=status,
        retry_after_s=retry_after_s(headers, time.time()),
        server_code=str(error.get("code") or "") if isinstance(error, dict) else "",
    )


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float:
    """How long the server asks to wait (RFC 9110, 10.2.3: seconds or a date), 0 where it does not. `now_s` is in
    Unix time. `retry-after-ms` is a finer one that some send along."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        try:
            wait_s = float(value) * unit_s
        except ValueError:
            continue
        if 0 <= wait_s < float("inf"):
            return wait_s
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - now_s)
    except (ValueError, OverflowError):
        return 0.0


def check_address(base_url: str) -> None:
    """Raise EndpointError unless it is the address of a server, and nothing more."""
    fault = address_fault(base_url)
    if fault is not None:  # the address is not quoted: what is wrong with it may be a secret
        raise EndpointError(f"the server's address {fault}")


def one_line(text: str) -> str:
    """The first 200 printable characters of what a server wrote: it goes into the store and onto terminals."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_DETAIL_CHARS]


def _content(parts: tuple[str | Image, ...], urls: Mapping[str, str]) -> str | list[dict[str, Any]]:
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]  # all servers take a plain text; some take nothing else where no image is
    return [
        {"type": "image_url", "image_url": {"url": urls[part.id]}}
        if isinstance(part, Image)
        else {"type": "text", "text": part}
        for part in parts
    ]


def _message(whole: Any) -> str:
    """The message of an error, in the three shapes that are about: {"error": {"message"}}, {"error"}, {"detail"}."""
    if not isinstance(whole, dict):
        return ""
    error = whole.get("error", whole.get("detail", whole.get("message", "")))
    return str(error.get("message", "")) if isinstance(error, dict) else str(error)


def _tokens(usage: Any) -> Tokens:
    if not isinstance(usage, dict):
        return Tokens()
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    prompt, completion = (one if isinstance(one, int) and one >= 0 else None for one in counts)
    return Tokens(prompt, completion)
