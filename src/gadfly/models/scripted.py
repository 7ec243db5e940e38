"""A model that answers by a function: the double for tests and dry runs. Knows nothing of real models.

It is public, since whoever builds on these protocols needs one too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gadfly.records import Chat, Completion, Sampling

Reply = Callable[[Chat, Sampling], str | Exception]


def chat_text(chat: Chat) -> str:
    """All texts of a chat, one a line, images left out: what a reply function usually decides by."""
    return "\n".join(part for message in chat for part in message.parts if isinstance(part, str))


class ScriptedModel:
    """A ChatModel whose replies come from `reply(chat, sampling)`.

    An exception that `reply` returns becomes the error of that one completion; one that it raises leaves `complete`,
    as the failure of a whole batch would. `batches` holds the chats of every call, in order.
    """

    def __init__(self, name: str, reply: Reply) -> None:
        self._name = name
        self._reply = reply
        self.batches: list[tuple[Chat, ...]] = []

    @property
    def name(self) -> str:
        return self._name

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        self.batches.append(tuple(chats))
        replies = [self._reply(chat, sampling) for chat in chats]
        return [
            Completion(error=f"{type(reply).__name__}: {reply}") if isinstance(reply, Exception) else Completion(reply)
            for reply in replies
        ]
