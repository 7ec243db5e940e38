"""The words that bundled models know, and their ids. Knows the question language; no torch."""

from __future__ import annotations

import functools

from gadfly.testbed import english
from gadfly.testbed.answers import ANSWERS
from gadfly.testbed.scenes import GRID
from gadfly.testbed.skills import FAMILIES

PAD, UNKNOWN, END, IMAGE, USER, ASSISTANT = "<pad>", "<unk>", "<end>", "<image>", "<user>", "<assistant>"
SPECIAL = (PAD, UNKNOWN, END, IMAGE, USER, ASSISTANT)
# Words that only stand for what is seen in a cell of the grid while a model is trained; no text holds them.
CELLS = ("<blank>", *(f"<row{i}>" for i in range(GRID)), *(f"<column{i}>" for i in range(GRID)))

# What the questioner reads: the shipped prompt `testbed_questioner`, without and with a user's topic filled in.
ASK = "ask one question about this image"
ASK_ABOUT = "ask one question about this image the question must be about this topic : {focus} ."


@functools.cache
def words(added: tuple[str, ...] = ()) -> tuple[str, ...]:
    """All words, in the order of their ids. Fixed: a bundled checkpoint depends on it. What is `added` comes behind,
    each word once, and may be a whole passage of text that a model reads or writes as one word."""
    prompts = set(ASK.split()) | {"about", *FAMILIES, "comparison"}
    plain = sorted(english.vocabulary() | set(ANSWERS) | prompts | {"?", "."})
    return tuple(dict.fromkeys((*SPECIAL, *CELLS, *plain, *added)))


@functools.cache
def ids(added: tuple[str, ...] = ()) -> dict[str, int]:
    return {word: i for i, word in enumerate(words(added))}


def split(text: str, added: tuple[str, ...] = ()) -> list[str]:
    """Text to words, as the bundled models' tokenizer does it; words that it does not know become the unknown word."""
    known = ids(added)
    return [w if w in known else UNKNOWN for w in text.lower().replace("?", " ? ").replace(".", " . ").split()]
