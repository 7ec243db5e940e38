"""The models of one run, each with a meter, an account and the cache; a checkpoint is loaded once, whoever asks for it.

Knows settings of models and what they ask for in a checkpoint; knows no role, and no configuration of a run.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from gadfly.model_config import ModelConfig
from gadfly.models.ledger import Ledger
from gadfly.protocols import ChatModel

if TYPE_CHECKING:
    from gadfly.models.build import OpenImage
    from gadfly.models.cached import CompletionCache
    from gadfly.models.local import LocalModel


@dataclass(frozen=True, slots=True)
class Needs:
    """What a checkpoint must be able to take. Without `images` a plain language model will do."""

    images: bool = True
    chats_without_image: bool = False


@dataclass(frozen=True, slots=True)
class CacheFile:
    """Where greedy answers are kept, and about how large the file may become."""

    path: Path
    max_bytes: int


@final
class ModelPool:
    """Local and served models. Nothing is loaded, and no file of answers made, before the first model is asked for.

    `scope` is what else an answer depends on: how images are opened.
    """

    def __init__(self, open_image: OpenImage, ledger: Ledger, cache: CacheFile | None, scope: str) -> None:
        self.ledger = ledger
        self._open_image = open_image
        self._cache_file = cache
        self._scope = scope
        self._loaded: dict[tuple[object, ...], LocalModel] = {}

    def model(self, account: str, config: ModelConfig, needs: Needs, checkpoint: str | Path | None = None) -> ChatModel:
        """The model of `config`, paid for by `account`; a `checkpoint` in its place runs in this process. Raises
        ModelError as `local` does, and EndpointError for a server's key that is not set."""
        from gadfly.models.build import metered_endpoint, metered_local, price_of

        used = self.ledger.account(account, price_of(config))
        if config.base_url is not None and checkpoint is None:
            return metered_endpoint(config, self._open_image, self.ledger, used, self._cache, self._scope)
        model = self.local(config, needs, checkpoint)
        return metered_local(model, self.ledger, used, self._cache, self._scope)

    def local(self, config: ModelConfig, needs: Needs, checkpoint: str | Path | None = None) -> LocalModel:
        """The checkpoint of `config`, or another in its place, loaded when first asked for. Raises ModelError where it
        cannot be loaded, or cannot take what it needs to."""
        from gadfly.models.build import local_model

        name = str(checkpoint or config.model)
        placed = (config.device, config.device_map, config.dtype, config.quantization, config.attn_implementation)
        key = (name, *placed, config.batch_size, config.max_pixels, config.trust_remote_code)
        if key not in self._loaded:
            self._loaded[key] = local_model(name, config, self._open_image, text_only=not needs.images)
        # One model may be shared, and what it was loaded for first need not be all that is asked of it.
        model = self._loaded[key]
        if needs.images:
            model.require_images()
        if needs.chats_without_image:
            model.require_chats_without_image()
        return model

    @functools.cached_property
    def _cache(self) -> CompletionCache | None:
        from gadfly.models.cached import CompletionCache

        file = self._cache_file
        return None if file is None else CompletionCache(file.path, file.max_bytes)
