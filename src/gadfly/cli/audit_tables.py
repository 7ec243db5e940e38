"""What an audit found, as tables. Computes nothing; imported by the commands only when they run."""

from __future__ import annotations

from gadfly.analysis.audit import Audit, Corrected
from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.analysis.confusion import VERDICTS, Agreement
from gadfly.analysis.figures import rate_text
from gadfly.analysis.rates import Rates, rates
from gadfly.analysis.statistics import Estimate
from gadfly.cli.output import say, table
from gadfly.cli.wording import number_text, reasoned
from gadfly.records import Probe, Verdict


def judged_rates(probes: list[Probe]) -> Rates:
    return rates(probes, bootstrap_rng())


def print_audit(name: str, labeller: str, found: Audit) -> None:
    rows = [
        (f"judged {verdict}", *map(str, row), str(sum(row)), str(judged))
        for verdict, row, judged in zip(VERDICTS, found.counts_3_3, found.judged_3, strict=True)
    ]
    columns = ("", *(f"labelled {verdict}" for verdict in VERDICTS), "labels", "probes")
    table(f"{name}, as labelled by {labeller}", columns, rows, numeric=columns[1:])
    if found.settled:
        say(f"{found.settled} more held no question: INVALID without a verifier.")
    if found.cannot_tell:
        say(f"{found.cannot_tell} labels say that it cannot be told; they count nowhere.")
    say()
    table(
        "the verifier, weighted for how the sample was drawn (95% interval)",
        ("", "sensitivity", "specificity"),
        [(name, _share(one.sensitivity), _share(one.specificity)) for name, one in found.detection.items()],
    )
    kappa = reasoned(found.kappa, number_text(found.kappa))
    say(f"It agrees with {labeller} on {_share(found.agreement)}; Cohen's kappa {kappa}")


def print_corrected(title: str, judged: Rates, corrected: Corrected) -> None:
    say()
    rows = [
        ("FDR", rate_text(judged.fdr), _share(corrected.fdr)),
        ("valid rate", rate_text(judged.valid), _share(corrected.valid)),
        ("failure rate", rate_text(judged.failure), _share(corrected.failure)),
    ]
    table(f"rates of {title} (95% interval)", ("", "as judged", "corrected for the verifier's errors"), rows)


def _share(estimate: Estimate) -> str:
    return reasoned(estimate, rate_text(estimate))


def print_pairs(first: str, second: str, pairs: Agreement) -> None:
    columns = ("", *(f"then {verdict}" for verdict in Verdict))
    rows = [(f"{v}", *map(str, row)) for v, row in zip(Verdict, pairs.counts_4_4, strict=True)]
    kappa = "" if pairs.kappa is None else f", Cohen's kappa {pairs.kappa:.2f}"
    table(f"{first} (rows) and {second}: {pairs.n} probes{kappa}", columns, rows, numeric=columns[1:])
