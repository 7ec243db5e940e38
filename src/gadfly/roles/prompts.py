"""Loads prompts and fills their slots, so that what a model wrote stays a quotation. Knows nothing of what they say.

Three things could turn a quotation into part of a prompt: braces that are taken for slots, the closing delimiter, and
what looks like the reply that a judge or an annotator is asked for. `fill` and `quote` defuse all three. Control tokens
of a particular model are that model's own business.
"""

from __future__ import annotations

import re
import unicodedata
from importlib import resources
from pathlib import Path
from typing import Final

from gadfly.errors import ConfigError

OPENING: Final = "<<<"
CLOSING: Final = ">>>"

MAX_QUOTED_CHARS: Final = 500
"""A longer text is cut: it must not push the instructions out of a small judge's attention."""

_REPLY_LINE: Final = re.compile(r"(verdict|answer|skills|concepts)([\s*_`#>\"'-]*)[:=]", re.IGNORECASE)


def load_prompt(name_or_path: str) -> str:
    """The text of a bundled prompt ("questioner", "target", "verifier_validity", …) or of a file of your own.

    Raises ConfigError where there is neither, or the file is empty or not UTF-8.
    """
    bundled = resources.files("gadfly.roles").joinpath("prompts")
    names = sorted(entry.name.removesuffix(".txt") for entry in bundled.iterdir() if entry.name.endswith(".txt"))
    if name_or_path in names:
        return bundled.joinpath(f"{name_or_path}.txt").read_text(encoding="utf-8").strip()
    try:
        text = Path(name_or_path).expanduser().read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise ConfigError(f"the prompt {name_or_path} is not UTF-8 text") from None
    except (OSError, ValueError):
        raise ConfigError(
            f"no prompt {name_or_path}: give a text file that can be read, or one of {', '.join(names)}"
        ) from None
    if not text:
        raise ConfigError(f"the prompt {name_or_path} is empty")
    return text


def require_slots(template: str, *names: str) -> None:
    """Raise ConfigError where the template lacks one of these slots: without it the text would never be seen."""
    for name in names:
        if f"{{{name}}}" not in template:
            raise ConfigError(f"a prompt lacks the slot {{{name}}}; it begins with {template[:40]!r}")


def turns(template: str) -> tuple[str, ...]:
    """The turns of a prompt, divided by lines of three dashes: the user's and the model's in turn. Raises ConfigError
    where the user's is not the first and the last, or one is empty."""
    found = tuple(turn.strip() for turn in re.split(r"^---$", template, flags=re.MULTILINE))
    if len(found) % 2 == 0 or not all(found):
        raise ConfigError(f"a prompt has {len(found)} turns; the user's is the first and the last, and none is empty")
    return found


def fill(template: str, **slots: str) -> str:
    """The template with each `{name}` replaced, in one pass: braces in what is filled in are never read again, and
    braces that name no slot (an example in JSON, say) stand as they are."""
    pattern = "|".join(re.escape(name) for name in slots)
    return re.sub(f"{{({pattern})}}", lambda match: slots[match[1]], template) if slots else template


def quote(text: str) -> str:
    """A model's text as one delimited line that cannot end the quotation, nor pass for a reply if echoed."""
    plain = "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text)
    plain = " ".join(plain.split())
    if len(plain) > MAX_QUOTED_CHARS:
        plain = plain[:MAX_QUOTED_CHARS] + " […]"
    # Single brackets stay ("is 3 < 4?"); a run of them, which could be or become a delimiter, does not.
    plain = re.sub(r"<{2,}", "‹", re.sub(r">{2,}", "›", plain))
    plain = _REPLY_LINE.sub(lambda match: f"{match[1]}{match[2].rstrip()} -", plain)
    return f"{OPENING} {plain} {CLOSING}"
