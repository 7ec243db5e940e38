"""Asks the server of a role once, and where that fails looks for the reason. Knows nothing of local checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import openai

from gadfly.config_checks import named
from gadfly.doctor.finding import Finding, failed, passed
from gadfly.errors import EndpointError, GadflyError
from gadfly.model_config import ModelConfig
from gadfly.models.build import request_of
from gadfly.models.endpoint import NO_KEY, EndpointModel, Patience
from gadfly.models.wire import one_line
from gadfly.records import Chat, Completion, Image, Message, Sampling
from gadfly.wiring import Wiring

LISTING_TIMEOUT_S: Final = 20.0
QUESTION: Final = "What is in this picture? Answer in one word."


def check_server(wiring: Wiring, role: str, config: ModelConfig, image: Image) -> Iterator[Finding]:
    """One call with an image: where it is answered, server, key, name and images are as they should be."""
    check = f"{role} answers"
    assert config.base_url is not None, "a served role has an address"
    try:
        named(role, config.model)
        server = _endpoint(wiring, config)
        answer = _ask(server, (Message("user", (image, QUESTION)),), config.sampling)
    except GadflyError as fault:  # no name, no key, a key that is not accepted
        yield failed(check, str(fault))
        return
    where = f"{config.model} at {config.base_url}"
    if answer.text is not None:
        yield passed(check, f"{where} takes images; of {image.path} it says: {answer.text[:80]}")
        return
    yield failed(check, f"{where}: {_reason(server, config, answer.error or '')}")


def _endpoint(wiring: Wiring, config: ModelConfig) -> EndpointModel:
    """As a run would reach it, without patience: what does not work at once is what a doctor is to tell."""
    assert config.base_url is not None, "a served role has an address"
    patience = Patience(timeout_s=config.timeout_s, retries=0, max_wait_s=0.0)
    return EndpointModel(
        config.base_url,
        request_of(config),
        wiring.source.open,
        key_env=config.key_env,
        max_concurrency=1,
        patience=patience,
    )


def _ask(server: EndpointModel, chat: Chat, how: Sampling) -> Completion:
    return server.complete([chat], how)[0]


def _reason(server: EndpointModel, config: ModelConfig, error: str) -> str:
    """What is wrong, and what to do about it, by what else the server answers."""
    if error.startswith("endpoint_unreachable"):
        return "nothing answers there; start the server, or mend base_url"
    if error.startswith("endpoint_timeout"):
        return f"no answer within {config.timeout_s:g} s; see whether the server is still loading, or raise timeout_s"
    names = _listed(config)
    if names is not None and config.model not in names:
        some = ", ".join(names[:10]) or "none"
        return f"no such model is served there; the names are {some} ({error})"
    if error.startswith("endpoint_http_404"):
        return f"no such model or no such path; check the name, and that base_url ends as in /v1 ({error})"
    try:
        without_image = _ask(server, (Message("user", (QUESTION,)),), config.sampling)
    except EndpointError as fault:
        return str(fault)
    if without_image.text is not None:
        return f"it answers a text and not an image; serve a vision-language model, or mend image_format ({error})"
    return f"{error.rstrip('.')}; see the server's log"


def _listed(config: ModelConfig) -> list[str] | None:
    """The names of the models that the server lists, None where it lists none. The list is a wish: not all servers
    have one."""
    key = os.environ.get(config.key_env or "", "").strip() or NO_KEY
    timeout_s = min(LISTING_TIMEOUT_S, config.timeout_s)
    try:
        with openai.OpenAI(api_key=key, base_url=config.base_url, max_retries=0, timeout=timeout_s) as client:
            client.organization = client.project = None  # the client takes these from the environment, for any server
            return sorted(one_line(str(one.id)) for one in client.models.list().data)
    except (openai.OpenAIError, ValueError, TypeError, AttributeError):  # the last three: a body that is no list
        return None
