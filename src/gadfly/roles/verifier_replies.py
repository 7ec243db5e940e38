"""What a judge may reply in each stage, and how it is read. Knows nothing of prompts and models.

A reply is JSON by the schemas below, where a backend enforces them, or free text that ends with a line of a given form.
`prompts.quote` and the readers here belong together: nothing that passed `quote` is read as a verdict or an answer,
whether a judge repeats it alone, on a line of its own or inside JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from gadfly.records import Schema

CRITERIA: Final = ("related", "objective", "single", "answerable", "unambiguous")
"""The names of the criteria in the validity prompt, in its order."""


def _one_of(*words: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def _schema(name: str, **properties: dict[str, Any]) -> Schema:
    required = list(properties)
    whole = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Schema(name, whole)


VALIDITY_SCHEMA: Final = _schema(
    "validity", **{name: _one_of("yes", "no") for name in CRITERIA}, verdict=_one_of("VALID", "INVALID")
)
ANSWER_SCHEMA: Final = _schema("answer", answer={"type": "string"})
AGREEMENT_SCHEMA: Final = _schema("agreement", verdict=_one_of("SAME", "DIFFERENT"))

_DECORATION: Final = r"[\s*_`#>\"'-]*"
_FENCED: Final = re.compile(r"\A```\w*\n(.*)\n```\Z", re.DOTALL)


def parse_validity(reply: str) -> str | None:
    """The reason why the question is invalid, "" for a valid one, None where the reply holds no verdict."""
    verdict = parse_verdict(reply, ("valid", "invalid"))
    if verdict is None or verdict == "valid":
        return None if verdict is None else ""
    said = _json(reply, "verdict")
    failed = [name for name in CRITERIA if (_yes_or_no(reply, name) if said is None else said.get(name)) == "no"]
    if not failed:
        return "invalid"
    return f"not_{failed[0]}" + (f": {', '.join(failed[1:])}" if len(failed) > 1 else "")


def parse_answer(reply: str) -> str | None:
    """The last line that begins with "ANSWER:", else the only line there is; None where neither holds anything."""
    if (said := _json(reply, "answer")) is not None:
        return said["answer"].strip() or None
    marked = re.findall(rf"^{_DECORATION}answer{_DECORATION}:(.*)$", reply, re.IGNORECASE | re.MULTILINE)
    lines = [line for line in reply.splitlines() if line.strip()]
    found = marked[-1] if marked else lines[0] if len(lines) == 1 else ""
    return found.strip().strip("*_`").strip() or None


def parse_agreement(reply: str) -> bool | None:
    """Whether the judge said SAME; None where the reply holds no verdict."""
    verdict = parse_verdict(reply, ("same", "different"))
    return None if verdict is None else verdict == "same"


def parse_verdict(reply: str, words: Sequence[str]) -> str | None:
    """The verdict of a reply in JSON, else the word of the last well-formed "VERDICT: word" line, lower case; None
    where there is none.

    Well-formed: the verdict is the whole line, save for markdown and a full stop. The last counts, since a judge may
    weigh both, or repeat the form it was given, before it decides.
    """
    if (said := _json(reply, "verdict")) is not None:
        verdict = said["verdict"].strip().lower()
        return verdict if verdict in words else None
    line = rf"^{_DECORATION}verdict{_DECORATION}[:=]{_DECORATION}({'|'.join(words)})[\s*_`\"'.!]*$"
    found = re.findall(line, reply, re.IGNORECASE | re.MULTILINE)
    return found[-1].lower() if found else None


def _json(reply: str, key: str) -> dict[str, str] | None:
    """A reply that is one JSON object with this key, its texts only; None for any other reply.

    The key must stand in the reply as it is, followed by a colon: this is what `quote` breaks up. Written with escapes
    (\\u0076erdict) it would slip through a quotation, so it is not read. A key that is there twice is not read either.
    """
    bare = reply.strip()
    fenced = _FENCED.match(bare)
    try:
        whole = json.loads(fenced[1] if fenced else bare, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return None
    if not isinstance(whole, dict) or not isinstance(whole.get(key), str) or not re.search(rf'"{key}"\s*:', reply):
        return None
    return {name: value for name, value in whole.items() if isinstance(value, str)}


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _yes_or_no(reply: str, name: str) -> str | None:
    said = re.findall(rf"^{_DECORATION}{name}\b[^\n]*?\b(yes|no)\b", reply, re.IGNORECASE | re.MULTILINE)
    return said[-1].lower() if said else None
