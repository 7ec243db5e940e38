"""The tokenizer of a plain language model in a processor's place, so that one road serves both. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import BatchFeature, PreTrainedTokenizerBase


class TextProcessor:
    """What `LocalModel` asks of a processor, without images: a chat that has one is a ValueError, which is that chat's
    own fault."""

    image_token = None

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    @property
    def chat_template(self) -> Any:
        return self.tokenizer.chat_template

    def apply_chat_template(self, conversation: Sequence[Mapping[str, Any]], **how: Any) -> Any:
        """The prompt. Templates of language models expect each message to be one text, not a list of parts."""
        if any(part["type"] != "text" for message in conversation for part in message["content"]):
            raise ValueError("this is a language model: it takes no image")
        messages = [
            {"role": message["role"], "content": "".join(part["text"] for part in message["content"])}
            for message in conversation
        ]
        return self.tokenizer.apply_chat_template(messages, **how)

    def __call__(self, text: Sequence[str], images: None = None, **how: Any) -> BatchFeature:
        assert images is None, "no prompt of a language model has images"
        return BatchFeature(dict(self.tokenizer(list(text), return_token_type_ids=False, **how)))
