"""Says whether a failure mode was known before, by a fixed, versioned list (known_failures.toml). Knows skills' names
only.

The paper speaks of novel failure modes without saying, in what can be read of it, what they were compared with. The
list and the rule are ours.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib.resources import files


class Novelty(StrEnum):
    """KNOWN: one entry of the list covers all skills of the mode. NEW_COMBINATION: each skill is covered, but no entry
    covers all. NOVEL: the list does not know one of the skills."""

    KNOWN = "known"
    NEW_COMBINATION = "new combination of known skills"
    NOVEL = "novel"


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """One entry: its source's key, its name there, and the skills it covers, as patterns with *."""

    source: str
    name: str
    covers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownFailures:
    """A version of the list."""

    version: int
    entries: tuple[KnownFailure, ...]


@functools.cache
def known_failures() -> KnownFailures:
    """The list that is shipped."""
    data = tomllib.loads((files("gadfly.analysis") / "known_failures.toml").read_text("utf-8"))
    entries = [KnownFailure(entry["source"], entry["name"], tuple(entry["covers"])) for entry in data["entries"]]
    assert all(entry.source in data["sources"] for entry in entries), "each entry has a source"
    return KnownFailures(data["version"], tuple(entries))


def novelty(items: Iterable[str], known: KnownFailures) -> Novelty | None:
    """How new a mode with these items is, by its skills alone; None where it names no skill."""
    skills = [item.removeprefix("skill:") for item in items if item.startswith("skill:")]
    if not skills:
        return None
    covered = [{skill for skill in skills if _covers(entry, skill)} for entry in known.entries]
    if set(skills) in covered:
        return Novelty.KNOWN
    return Novelty.NEW_COMBINATION if set(skills) == set().union(*covered) else Novelty.NOVEL


def _covers(entry: KnownFailure, skill: str) -> bool:
    return any(fnmatchcase(skill, pattern) for pattern in entry.covers)
