"""Which probes are asked for: an address's parameters turned into a filter, and the filter into numbers. Knows columns
and the store's index; shows nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from gadfly.records import Verdict
from gadfly.store.columns import VERDICTS, ProbeColumns
from gadfly.store.pages import find_images, labelled_numbers, numbers_of_images, search

SEARCHED: Final = 20_000
"""Of the probes that hold a text the newest so many are looked through: the rest would keep the page waiting."""

LABEL_STATES: Final = ("labelled", "unlabelled", "disagreed")
PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted; empty is any. `after` and `before` are probes' numbers, between which a page lies."""

    phase: str = ""
    verdict: str = ""
    skill: str = ""
    image: str = ""
    q: str = ""
    labels: str = ""
    first: int | None = None
    last: int | None = None
    group: str = ""
    old: str = ""
    show: str = ""
    after: int | None = None
    before: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Filter:
        """From an address; what makes no sense is left out."""
        found: dict[str, str | int] = {}
        for field in fields(cls):
            value = given.get(field.name, "").strip()[:500]
            if field.name in ("first", "last", "after", "before"):
                if value.isascii() and value.isdigit() and len(value) < 16:
                    found[field.name] = int(value)
            elif value:
                found[field.name] = value
        if found.get("verdict") not in Verdict.__members__:
            found.pop("verdict", None)
        if found.get("labels") not in LABEL_STATES:
            found.pop("labels", None)
        return cls(**found)  # type: ignore[arg-type]

    def address(self, **changes: str | int | None) -> str:
        """The page's address with some things changed."""
        changed = replace(self, **changes)  # type: ignore[arg-type]
        given = {field.name: getattr(changed, field.name) for field in fields(self)}
        kept = {name: _encodable(value) for name, value in given.items() if value not in ("", None)}
        return "/probes" + (f"?{urlencode(kept)}" if kept else "")

    @property
    def narrowed(self) -> bool:
        return any((self.verdict, self.skill, self.image, self.q, self.labels, self.group, self.old)) or (
            self.first is not None or self.last is not None
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A page of numbers, newest first. `place` is that of the first among `total`. `more` says that only the newest
    SEARCHED that hold the text were looked through."""

    numbers: list[int]
    total: int
    place: int
    newer: int | None
    older: int | None
    more: bool


def find(connection: sqlite3.Connection, columns: ProbeColumns, wanted: Filter) -> Found:
    """The page that is asked for: the newest if neither `after` nor `before` is given."""
    mask_N, more = _mask(connection, columns, wanted)
    numbers = columns.number_N[mask_N]
    if wanted.after is not None:
        start = int(np.searchsorted(numbers, wanted.after, side="right"))
        end = min(start + PAGE, len(numbers))
    else:
        end = len(numbers) if wanted.before is None else int(np.searchsorted(numbers, wanted.before))
        start = max(0, end - PAGE)
    page = [int(number) for number in numbers[start:end][::-1]]
    return Found(
        numbers=page,
        total=len(numbers),
        place=len(numbers) - end + 1,
        newer=page[0] if page and end < len(numbers) else None,
        older=page[-1] if page and start > 0 else None,
        more=more,
    )


def _mask(connection: sqlite3.Connection, columns: ProbeColumns, wanted: Filter) -> tuple[NDArray[np.bool_], bool]:
    mask_N = np.ones(columns.n, dtype=np.bool_) if wanted.old else columns.current_N()
    if wanted.phase:
        mask_N &= columns.phase_N(wanted.phase)
    if wanted.verdict:
        mask_N &= columns.verdict_N == VERDICTS.index(Verdict(wanted.verdict))
    if wanted.skill:
        mask_N &= columns.skill_N(wanted.skill)
    if wanted.first is not None:
        mask_N &= columns.step_N >= wanted.first
    if wanted.last is not None:
        mask_N &= columns.step_N <= wanted.last
    if wanted.group:
        mask_N &= _group_N(columns, wanted.group)
    if wanted.image:
        images = find_images(connection, wanted.image)
        mask_N &= _at(columns, numbers_of_images(connection, images))
    if wanted.labels:
        mask_N &= _labels_N(connection, columns, wanted.labels)
    more = False
    if wanted.q:
        found = search(connection, wanted.q, SEARCHED)
        more = len(found) == SEARCHED
        mask_N &= _at(columns, found)
    return mask_N, more


def _group_N(columns: ProbeColumns, group: str) -> NDArray[np.bool_]:
    """A group is attempt.step.group."""
    parts = group.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        return np.zeros(columns.n, dtype=np.bool_)
    attempt, step, number = map(int, parts)
    found: NDArray[np.bool_] = (columns.attempt_N == attempt) & (columns.step_N == step) & (columns.group_N == number)
    return found


def _labels_N(connection: sqlite3.Connection, columns: ProbeColumns, state: str) -> NDArray[np.bool_]:
    said = labelled_numbers(connection)
    labelled = _at(columns, np.array([number for _, number, _, _ in said], dtype=np.int64))
    if state == "labelled":
        return labelled
    if state == "unlabelled":
        return ~labelled
    numbers = np.array([number for _, number, _, _ in said], dtype=np.int64)
    known = np.isin(numbers, columns.number_N[labelled])
    given = np.array([VERDICTS.index(Verdict(verdict)) for _, _, verdict, _ in said], dtype=np.int8)[known]
    at = columns.places(numbers[known])
    mask_N = np.zeros(columns.n, dtype=np.bool_)
    mask_N[at[columns.verdict_N[at] != given]] = True
    return mask_N


def _at(columns: ProbeColumns, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask_N = np.zeros(columns.n, dtype=np.bool_)
    mask_N[columns.places(numbers)] = True
    return mask_N


def _encodable(value: str | int) -> str | int:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
