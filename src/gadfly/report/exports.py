"""The files beside the pages: modes.csv, failures.jsonl, report.md. Makes untrusted texts harmless for each format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence

from gadfly.analysis.rates import distinct
from gadfly.analysis.transfer import ModeTransfer
from gadfly.records import Probe, Verdict
from gadfly.report.cards import record
from gadfly.report.material import Material
from gadfly.report.sampling import spread
from gadfly.report.views import ModeView, Site
from gadfly.report.wording import NOTHING, count, interval, number, one_line, percent, percent_interval, shown

MAX_MODES = 15
MAX_EXAMPLES = 8
MAX_READ = 5
MAX_FAILURES = 30_000
"""Lines of failures.jsonl, some 10 MB: a report is to be mailed. The store has all."""

_COLUMNS = (
    "id name items failure_rate low high n wrong elsewhere lift lift_low "
    "lift_high held_up mean_depth novelty confirmation "
    "confirmed_failure_rate confirmed_low confirmed_high confirmed_n "
    "read_as new_failures reach z p other_targets"
).split()


def modes_csv(material: Material) -> str:
    """A row for each failure mode, those too that did not hold up. No data is an empty cell."""
    out = io.StringIO()
    reading = {one.mode.id: (place, one.new) for place, one in enumerate(material.reading, start=1)}
    transfer = {} if material.transfer is None else material.transfer.modes
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
            *reading.get(mode.id, (None, None)),
            *_transferred(transfer.get(mode.id)),
        )
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _transferred(one: ModeTransfer | None) -> tuple[object, ...]:
    return (None,) * 4 if one is None else (one.reach, one.standing.z, one.standing.p, len(one.others))


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
    lines += ["", *_corrected(site), "", "## Failure modes", ""]
    lines += _modes(site)
    lines += _targets(site)
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
    transfer = site.material.transfer is not None
    columns = ["", "failure mode", "failure rate", "95% interval, %", "n", "elsewhere", "times as often"]
    columns += ["asked afresh", "known or new", *(["other targets"] if transfer else [])]
    lines = [_row(columns), "|--:|---|--:|--:|--:|--:|--:|---|---|" + "---|" * transfer]
    for view in site.held[:MAX_MODES]:
        mode = view.mode
        afresh = view.tested
        if mode.confirmed_failure is not None and mode.confirmed_failure.n:
            rate = mode.confirmed_failure
            afresh += f", {percent(rate.value)} ({percent_interval(rate)}), n {count(rate.n)}"
        cells = [
            *(str(view.rank), _md(view.name), percent(mode.failure.value), percent_interval(mode.failure)),
            *(count(mode.failure.n), percent(mode.elsewhere.value)),
            *(f"{number(mode.lift.value, 1)} ({interval(mode.lift, 1)})", afresh, view.known or NOTHING),
            *([_reach(view)] if transfer else []),
        ]
        lines.append(_row(cells))
    if len(site.held) > MAX_MODES:
        lines += ["", f"and {len(site.held) - MAX_MODES} more, in modes.csv"]
    if site.reading:
        first = ", ".join(_md(one.name) for one in site.reading[:MAX_READ])
        last = site.reading[:MAX_READ][-1].reading
        assert last is not None
        lines += ["", f"To be read first: {first}. That explains {count(last.explained)} of {count(last.n)} failures."]
    return lines


def _reach(view: ModeView) -> str:
    if view.transfer is None or view.reach is None:
        return NOTHING
    z = view.transfer.standing.z
    return view.reach if z is None else f"{view.reach} (Z-score {z:+.1f})"


def _corrected(site: Site) -> list[str]:
    """The rates corrected for the verifier's errors, or why they are not."""
    m = site.material
    if not site.labelled:
        phase = _md(m.origin.phase)
        return [f"The rates are the verifier's own; gadfly audit RUN:{phase} corrects them for its errors."]
    lines = []
    for view in site.labelled:
        who = f"by the labels of {_md(view.found.labeller)}" + ("" if view.here else f" in {_md(view.found.phase)}")
        if view.refused is not None:
            lines += ["", f"Not corrected {who}: {_md(view.refused)}."]
            continue
        lines += ["", f"Corrected for the verifier's errors, {who} ({count(view.n)}):", ""]
        lines += ["| rate | as judged | corrected | 95% interval, % |", "|---|--:|--:|--:|"]
        better = view.found.corrected
        for name, judged, found in (
            ("failures found (FDR), of judged questions", m.rates.fdr, better.fdr),
            ("fair questions, of judged ones", m.rates.valid, better.valid),
            ("answered wrongly, of fair questions", m.rates.failure, better.failure),
        ):
            lines.append(_row([name, percent(judged.value), percent(found.value), percent_interval(found)]))
    return lines[1:]


def _targets(site: Site) -> list[str]:
    transfer = site.material.transfer
    if transfer is None:
        return []
    lines = [
        "",
        "## Other targets",
        "",
        "| target | failures found (FDR) | 95% interval, % | n | this one, on the same |",
    ]
    lines.append("|---|--:|--:|--:|--:|")
    for one in transfer.targets:
        fdr, own = one.rates.theirs.fdr, one.rates.own.fdr
        cells = [_md(one.name), percent(fdr.value), percent_interval(fdr), count(fdr.n)]
        lines.append(_row([*cells, f"{percent(own.value)} ({percent_interval(own)}), n {count(own.n)}"]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(text: str) -> str:
    """A text as plain text in Markdown: nothing of it is markup, a link, or a mention of somebody."""
    escaped = re.sub(r"([\\`*_{}\[\]()<>#+!|~&$-])", r"\\\1", one_line(text, 600))
    return escaped.replace("@", "@\u200b").replace("://", ":\u200b//").replace("www.", "www\u200b.")
