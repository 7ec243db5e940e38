"""What `gadfly testbed` measured, as tables. Computes nothing; imported by the commands only when they run."""

from __future__ import annotations

from gadfly.analysis.figures import counted_text, points_text, rate_text
from gadfly.analysis.rates import Rate
from gadfly.bench.annotator_trial import AnnotatorTrial
from gadfly.bench.cards import depth_text, macro_text
from gadfly.bench.examining import Examined
from gadfly.bench.organisms import KeyFigures, Measured
from gadfly.bench.verifier_trial import VerifierTrial
from gadfly.cli.output import say, table


def print_examined(model: str, found: Examined, against: str | None) -> None:
    """Accuracy by skill and depth; failure rates inside and outside the spots, where there is a key; the accuracy of
    another model on the same questions, where there is none."""
    columns = ("skill", *(f"depth {depth}" for depth in found.depths))
    cells = [(title, *map(counted_text, accuracies)) for title, accuracies, _ in found.by_skill()]
    table(f"accuracy of {model} (95% interval)", columns, cells)
    say(macro_text(found))
    if found.figures is not None:
        say()
        print_key(found.figures)
    if found.beside:
        say()
        columns = ("", model, against or "", "n", "difference, percentage points")
        cells = [
            (
                depth_text(one.depth),
                rate_text(one.accuracy),
                rate_text(one.theirs),
                str(one.accuracy.n),
                points_text(one.difference),
            )
            for one in found.beside
        ]
        table(
            f"accuracy of {model} and {against} on the same questions (95% interval)",
            columns,
            cells,
            numeric=columns[1:],
        )


def print_key(figures: KeyFigures) -> None:
    """Failure rates inside and outside the spots, the clean twin's beside them where there is one."""
    rows = [(spot.name, spot.kind, *_measured(spot.inside), rate_text(spot.share)) for spot in figures.spots]
    rows.append(("outside all", "", *_measured(figures.outside), ""))
    columns = ("spot", "kind", "failure rate", "n", "clean twin", "difference", "share of uniform questions")
    table(f"failure rate of {figures.title} (95% interval)", columns, rows, numeric=columns[2:])


def _measured(measured: Measured) -> tuple[str, ...]:
    failure, twin = rate_text(measured.failure), rate_text(measured.twin)
    return failure, str(measured.failure.n), twin, points_text(measured.difference)


def print_verifier_trial(verifier: str, target: str, questioner: str, one: VerifierTrial) -> None:
    columns = ("", *(f"truly {verdict}" for verdict in one.verdicts))
    rows = [(f"judged {v}", *map(str, row)) for v, row in zip(one.verdicts, one.counts_4_4, strict=True)]
    kappa = "" if one.kappa is None else f", Cohen's kappa {one.kappa:.2f}"
    title = f"{verifier} on answers of {target} to {questioner}: n {one.n}{kappa}"
    table(title, columns, rows, numeric=columns[1:])
    for verdict, share in one.recognised.items():
        if share.n:
            say(f"{verdict}: {counted_text(share)} recognised")
    say()


def print_annotator_trial(model: str, found: AnnotatorTrial) -> None:
    columns = ("", "precision", "names said", "recall", "names true", "macro precision", "macro recall")
    rows = [
        (
            kind,
            *_counted(one.precision),
            *_counted(one.recall),
            rate_text(one.macro_precision),
            rate_text(one.macro_recall),
        )
        for kind, one in (("skills", found.skills), ("concepts", found.concepts))
    ]
    title = f"{model} beside the grammar on {found.skills.n} questions (95% interval)"
    table(title, columns, rows, numeric=columns[1:])
    say()
    of_each = ("skill", "precision", "said", "recall", "needed")
    each = [(one.name, *_counted(one.precision), *_counted(one.recall)) for one in found.skills.names]
    table("by skill", of_each, each, numeric=of_each[1:])
    say()
    unknown = found.unknown
    say(
        f"Not known of {unknown.errors + unknown.unreadable} of {unknown.asked} questions: {unknown.errors} errors, "
        f"{unknown.unreadable} replies that cannot be read."
    )
    if found.skills.negatives is not None:
        say(f"A skill that no question needs was named for {rate_text(found.skills.negatives)} of the questions.")
    if found.skills.invented:
        say(f"{found.skills.invented} names of skills are not the testbed's.")


def _counted(rate: Rate) -> tuple[str, str]:
    return rate_text(rate), f"{rate.n:,}"
