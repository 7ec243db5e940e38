"""Names and plain-words descriptions of failure modes, from templates. Knows items' names; no model writes here."""

from __future__ import annotations

from collections.abc import Iterable

from gadfly.analysis.items import KINDS, kind_of
from gadfly.analysis.rates import Rate

_CLASSES = {
    "yes_no": "yes or no",
    "number": "a number",
    "colour": "a colour",
    "direction": "a direction",
    "size": "a size",
    "ordinal": "a place in an order",
    "word": "one word",
    "phrase": "several words",
}
_CONDITIONS = {
    "brightness.low": "dark",
    "brightness.middle": "half-bright",
    "brightness.high": "bright",
    "sharpness.low": "soft",
    "sharpness.middle": "half-sharp",
    "sharpness.high": "sharp",
    "clutter.low": "plain",
    "clutter.middle": "half-cluttered",
    "clutter.high": "cluttered",
    "object_size.low": "small-object",
    "object_size.middle": "middling-object",
    "object_size.high": "large-object",
    "aspect.wide": "wide",
    "aspect.square": "square",
    "aspect.tall": "tall",
}


def title(items: Iterable[str]) -> str:
    """A short name: "counting.count, “red”, answer 3 or more, dark image". Different sets of items have different
    names but for concepts and skills that are written alike."""
    parts = []
    for item in _in_order(items):
        kind, _, value = item.partition(":")
        match kind:
            case "answer":
                parts.append(f"answer {_answer(value)}")
            case "image":
                parts.append(f"{_condition(value)} image")
            case "concept":
                parts.append(f"“{value}”")
            case "family":
                parts.append(f"any {value}")
            case "referent":
                parts.append(f"{value.partition('.')[2]} referent")
            case _:
                parts.append(value)
    return ", ".join(parts)


def common(items: Iterable[str]) -> str:
    """What the questions are that have these items: "questions that need counting.count and that speak of “red”"."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for item in _in_order(items):
        by_kind[kind_of(item)].append(item.partition(":")[2])
    clauses = []
    if by_kind["skill"]:
        clauses.append(f"that need {_and(by_kind['skill'])}")
    clauses += [f"that need any skill of {family}" for family in by_kind["family"]]
    if by_kind["concept"]:
        clauses.append(f"that speak of {_and([f'“{concept}”' for concept in by_kind['concept']])}")
    if by_kind["referent"]:
        attributes = [value.partition(".")[::2] for value in by_kind["referent"]]
        clauses.append(f"that ask about what has {_and([f'the {name} {value}' for name, value in attributes])}")
    if by_kind["answer"]:
        clauses.append(f"whose right answer is {_and([_answer(value) for value in by_kind['answer']])}")
    which = "questions"
    if clauses:
        which += " " + _and(clauses)
    if by_kind["image"]:
        which += f" about {_and([_condition(value) for value in by_kind['image']])} images"
    return which


def describe(items: Iterable[str], failure: Rate, elsewhere: Rate) -> str:
    """A sentence or two: on which questions the target fails, how often, and how often elsewhere."""
    which = common(items)
    if failure.value is None:
        return (
            f"The target fails at {which}. The images it was not found on hold no such question, so there is no rate."
        )
    said = f"The target fails at {which}: it is WRONG on {_rate(failure)}"
    return f"{said}, elsewhere on {_rate(elsewhere)}." if elsewhere.value is not None else f"{said}."


def _in_order(items: Iterable[str]) -> list[str]:
    return sorted(items, key=lambda item: (KINDS.index(kind_of(item)), item))


def _answer(value: str) -> str:
    name, _, detail = value.partition(".")
    if not detail:
        return _CLASSES.get(name, name)
    if name == "number":
        return "no whole number" if detail == "other" else detail.replace("_up", " or more")
    return detail


def _condition(value: str) -> str:
    return _CONDITIONS.get(value, value)


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _rate(rate: Rate) -> str:
    assert rate.value is not None and rate.low is not None and rate.high is not None
    return f"{rate.value:.0%} of {rate.n} ({100 * rate.low:.0f} to {100 * rate.high:.0f})"
