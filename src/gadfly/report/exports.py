"""The files beside the pages: modes.csv, failures.jsonl, report.md. Makes untrusted texts harmless for each format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator

from gadfly.analysis.rates import distinct
from gadfly.records import Probe, Verdict
from gadfly.report.cards import record
from gadfly.report.material import Material
from gadfly.report.sampling import spread
from gadfly.report.views import Site
from gadfly.report.wording import count, interval, number, one_line, percent, percent_interval, shown

MAX_MODES = 15
MAX_EXAMPLES = 8
MAX_FAILURES = 30_000
"""Lines of failures.jsonl, some 10 MB: a report is to be mailed. The store has all."""

_COLUMNS = (
    "id name items failure_rate low high n wrong elsewhere lift lift_low "
    "lift_high held_up mean_depth novelty confirmation "
    "confirmed_failure_rate confirmed_low confirmed_high confirmed_n"
).split()


def modes_csv(material: Material) -> str:
    """A row for each failure mode, those too that did not hold up. No data is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for mode in material.findings.search.modes:
        confirmed = mode.confirmed_failure
        row = (
            *(mode.id, mode.name, " ".join(mode.items)),
            *(mode.failure.value, mode.failure.low, mode.failure.high, mode.failure.n, mode.failure.successes),
            *(mode.elsewhere.value, mode.lift.value, mode.lift.low, mode.lift.high),
            *(mode.held_up, mode.depth.value, mode.novelty, mode.confirmation),
            *((None,) * 4 if confirmed is None else (confirmed.value, confirmed.low, confirmed.high, confirmed.n)),
        )
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: object) -> object:
    """Spreadsheets run what begins like a formula: such a text gets an apostrophe in front, which they do not show."""
    if not isinstance(value, str):
        return value
    text = shown(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def failures(material: Material) -> list[Probe]:
    """The different WRONG probes that failures.jsonl has: all of them, or MAX_FAILURES spread evenly over the run."""
    return spread([probe for probe in distinct(material.probes) if probe.verdict is Verdict.WRONG], MAX_FAILURES)


def failures_jsonl(material: Material) -> Iterator[str]:
    """A line for each of them."""
    for probe in failures(material):
        line = record(probe, material.skills)
        yield json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n"


def report_md(site: Site) -> str:
    """The report in short, for a pull request."""
    m, rates = site.material, site.material.rates
    lines = [f"# What {_md(site.target)} gets wrong", ""]
    lines += [
        f"Run {_md(m.origin.run)}, phase {_md(m.origin.phase)}: {count(rates.n_probes)} different questions about "
        f"{count(rates.n_images)} pictures, asked by {_md(site.questioner)}, judged by {_md(site.verifier)}.",
        "",
        "| rate | is | 95% interval, % | n |",
        "|---|--:|--:|--:|",
    ]
    for name, rate in (
        ("failures found (FDR), of judged questions", rates.fdr),
        ("fair questions, of judged ones", rates.valid),
        ("answered wrongly, of fair questions", rates.failure),
        ("could not be judged, of all", rates.undecided),
    ):
        lines.append(f"| {name} | {percent(rate.value)} | {percent_interval(rate)} | {count(rate.n)} |")
    lines += ["", "## Failure modes", ""]
    lines += _modes(site)
    examples = site.gallery[:MAX_EXAMPLES]
    if examples:
        lines += ["", "## For example", "", "| picture | question | answered | expected |", "|---|---|---|---|"]
        for card in examples:
            answer = "nothing" if card.answer is None else card.answer
            expected = "not known" if card.expected is None else card.expected
            cells = (", ".join(card.paths), card.question, answer, expected)
            lines.append("| " + " | ".join(_md(one_line(cell)) for cell in cells) + " |")
    lines += ["", "## Before you believe it", ""]
    lines += [f"- **{_md(about)}.** {_md(said)}" for about, said in site.caveats]
    return "\n".join(lines) + "\n"


def _modes(site: Site) -> list[str]:
    if not site.held:
        reason = site.material.findings.search.reason
        return [f"None: {_md(reason)}." if reason else "None: nothing that questions share fails reliably more often."]
    lines = [
        "| | failure mode | failure rate | 95% interval, % | n | elsewhere | times as often |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for view in site.held[:MAX_MODES]:
        mode = view.mode
        lift = f"{number(mode.lift.value, 1)} ({interval(mode.lift, 1)})"
        cells = (
            *(str(view.rank), _md(view.name), percent(mode.failure.value), percent_interval(mode.failure)),
            *(count(mode.failure.n), percent(mode.elsewhere.value), lift),
        )
        lines.append("| " + " | ".join(cells) + " |")
    if len(site.held) > MAX_MODES:
        lines += ["", f"and {len(site.held) - MAX_MODES} more, in modes.csv"]
    return lines


def _md(text: str) -> str:
    """A text as plain text in Markdown: nothing of it is markup, a link, or a mention of somebody."""
    escaped = re.sub(r"([\\`*_{}\[\]()<>#+!|~&$-])", r"\\\1", one_line(text, 600))
    return escaped.replace("@", "@\u200b").replace("://", ":\u200b//").replace("www.", "www\u200b.")
