"""What the models of a run were asked for and what it cost, printed. Computes nothing itself."""

from __future__ import annotations

from collections.abc import Mapping

from gadfly.cli.output import table
from gadfly.records import Usage

_COLUMNS = ("calls", "from cache", "errors", "tokens in", "tokens out", "seconds", "cost")


def print_usage(runs: Mapping[str, Mapping[str, Usage]]) -> None:
    """A row for each run and role that asked a model; nothing where none did."""
    rows = [(name, role, *_figures(used)) for name, roles in runs.items() for role, used in roles.items()]
    if not rows:
        return
    if len(runs) == 1:
        table("what the models were asked for", ("role", *_COLUMNS), [row[1:] for row in rows], numeric=_COLUMNS)
    else:
        table("what the models were asked for", ("", "role", *_COLUMNS), rows, numeric=_COLUMNS)


def _figures(used: Usage) -> tuple[str, ...]:
    counts = (used.calls, used.cached, used.errors, used.prompt_tokens, used.completion_tokens)
    cost = "–" if used.cost is None else f"{used.cost:.4g}"
    return (*("–" if n is None else f"{n:,}" for n in counts), f"{used.seconds:,.1f}", cost)
