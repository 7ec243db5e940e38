"""From a model's settings to a model: local or served, metered, cached. Knows implementations of ChatModel; no roles.

Wrapped from the inside out: the model, its meter, the cache. So only what a model itself does is counted and paid for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL.Image import Image as Picture

from gadfly.model_config import ModelConfig
from gadfly.models.cached import Cached, CompletionCache
from gadfly.models.ledger import Account, Ledger, Price
from gadfly.models.metered import Metered
from gadfly.protocols import ChatModel
from gadfly.records import Image

if TYPE_CHECKING:
    from gadfly.models.checkpoint import Loading
    from gadfly.models.local import LocalModel
    from gadfly.models.wire import Request

OpenImage = Callable[[Image], Picture]


def price_of(config: ModelConfig) -> Price | None:
    """What a model costs, None where nobody has said."""
    if not config.has_price:
        return None
    return Price(config.price_prompt or 0.0, config.price_completion or 0.0, config.price_call or 0.0)


def local_model(checkpoint: str, config: ModelConfig, open_image: OpenImage, text_only: bool = False) -> LocalModel:
    """A checkpoint in this process; with `text_only` a language model will do. Raises ModelError."""
    from gadfly.models.local import LocalModel

    return LocalModel(
        checkpoint,
        open_image,
        device=config.device,
        dtype=config.dtype,
        max_batch=config.batch_size,
        text_only=text_only,
        loading=loading_of(config),
    )


def loading_of(config: ModelConfig) -> Loading:
    """How a checkpoint is brought into memory, whether to be asked or to be trained."""
    from gadfly.models.checkpoint import Loading

    return Loading(
        device_map=config.device_map,
        quantization=config.quantization,
        attn_implementation=config.attn_implementation,
        max_pixels=config.max_pixels,
        trust_remote_code=config.trust_remote_code,
    )


def metered_local(
    model: LocalModel, ledger: Ledger, account: Account, cache: CompletionCache | None, scope: str
) -> ChatModel:
    """A checkpoint for one role. Two roles may share the checkpoint; each has a meter of its own. `scope` is what else
    an answer depends on: how images are opened."""
    metered = Metered(model, ledger, account, count_tokens=model.count_tokens)
    return _cached(metered, model.fingerprint, account, cache, scope)


def request_of(config: ModelConfig) -> Request:
    """What is said of every call to a served model."""
    from gadfly.models.wire import Request

    return Request(
        config.model,
        image_format=config.image_format,
        max_side_px=config.max_side_px,
        max_tokens_field=config.max_tokens_field,
        extra=config.extra or None,
    )


def metered_endpoint(
    config: ModelConfig,
    open_image: OpenImage,
    ledger: Ledger,
    account: Account,
    cache: CompletionCache | None,
    scope: str,
) -> ChatModel:
    """A served model for one role. Raises EndpointError for a key that is not set; the server is not asked yet."""
    from gadfly.models.endpoint import EndpointModel, Patience

    assert config.base_url is not None, "a served model has an address"
    endpoint = EndpointModel(
        config.base_url,
        request_of(config),
        open_image,
        key_env=config.key_env,
        max_concurrency=config.max_concurrency,
        patience=Patience(timeout_s=config.timeout_s, retries=config.retries),
        on_tokens=lambda tokens: account.add_tokens(tokens.prompt, tokens.completion),
    )
    return _cached(Metered(endpoint, ledger, account), endpoint.fingerprint, account, cache, scope)


def _cached(
    model: ChatModel, fingerprint: str, account: Account, cache: CompletionCache | None, scope: str
) -> ChatModel:
    if cache is None:
        return model
    return Cached(model, cache, scope=json.dumps([fingerprint, scope]), on_cached=account.add_cached)
