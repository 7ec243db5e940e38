"""What an analysis found, as tables. Computes nothing; imported by the command only when it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gadfly.analysis.coverage import Coverage, Growth
from gadfly.analysis.curriculum import Course, Curriculum, SkillCourse
from gadfly.analysis.figures import rate_text
from gadfly.analysis.findings import Findings
from gadfly.analysis.modes import Confirmation, Mode, ModeSearch
from gadfly.analysis.taxonomy import Node
from gadfly.annotating import Named
from gadfly.cli.output import say, table
from gadfly.cli.usage import print_usage
from gadfly.cli.wording import example_text, no_mode_text, number_text, place_text
from gadfly.records import Probe, ProbeKey

MAX_MODES = 15
MAX_COURSES = 6
MAX_FAILING = 8


def print_findings(name: str, probes: Sequence[Probe], found: Findings, files: Iterable[Path]) -> None:
    counts = found.counts
    say(
        f"{name}: {counts.total:,} probes, {counts.right:,} RIGHT, {counts.wrong:,} WRONG, {counts.invalid:,} INVALID, "
        f"{counts.undecided:,} UNDECIDED"
    )
    if counts.total == 0:
        say("There are no probes, so there is nothing to find.")
    elif counts.decided == 0:
        say("No probe was decided, so there is nothing to find; `gadfly show` gives the reasons.")
    elif counts.valid == 0:
        say("Every question was INVALID, so the target was judged on none; `gadfly show` gives the reasons.")
    else:
        say(f"failure rate of the {found.failure.n:,} distinct valid ones: {rate_text(found.failure)}")
        say()
        _print_modes(found.search, {probe.key: probe for probe in probes})
        _print_taxonomy(found.taxonomy)
        if found.curriculum is not None:
            _print_curriculum(found.curriculum)
        if found.coverage is not None:
            _print_coverage(found.coverage)
        _print_reasons(found)
    say()
    for path in files:
        say(f"  {path}")


def _print_modes(search: ModeSearch, probes: Mapping[ProbeKey, Probe]) -> None:
    if search.reason is not None:
        say(f"No failure mode: {no_mode_text(search)}.")
        return
    searched = (
        f"{search.n_tested:,} sets of items were tested on {search.n_searched:,} probes about "
        f"{search.images_searched:,} images; rates are of {search.n_measured:,} probes about "
        f"{search.images_measured:,} others"
    )
    held = [mode for mode in search.modes if mode.held_up]
    if held:
        columns = ("", "failure mode", "failure rate", "n", "elsewhere", "lift", "depth")
        rows = [(f"{i}", *_mode_row(mode)) for i, mode in enumerate(held[:MAX_MODES], start=1)]
        table("failure modes (95% interval)", columns, rows, numeric=columns[2:])
        say()
        rows = [(f"{i}", *_example_row(mode, probes)) for i, mode in enumerate(held[:MAX_MODES], start=1)]
        table("for example", ("", "probe", "question and answer", "novelty"), rows, numeric=("probe",))
        if len(held) > MAX_MODES:
            say(f"and {len(held) - MAX_MODES} more, in modes.json")
    else:
        say(f"No failure mode: {no_mode_text(search)}.")
    say(f"{searched}.")
    fallen = [mode.name for mode in search.modes if not mode.held_up]
    if fallen:
        more = f" and {len(fallen) - MAX_FAILING} more" if len(fallen) > MAX_FAILING else ""
        say(f"Found, but not borne out by the other images: {'; '.join(fallen[:MAX_FAILING])}{more}.")
    if search.n_without_skills:
        say(f"The skills of {search.n_without_skills:,} probes are unknown; they count as needing none.")


def print_named(named: Named) -> None:
    """What came of asking the annotator; nothing where no model was asked."""
    if named.unknown is None:
        return
    say()
    if named.names is not None:
        n_skills = len(set(named.names.skills.values()))
        say(f"The annotator named {len(named.names.skills)} skills, which were merged into {n_skills}.")
    lost = named.unknown["errors"] + named.unknown["unreadable"]
    if lost:
        say(
            f"Of {lost} of {named.unknown['asked']} questions it is not known what they need: the annotator failed at "
            f"{named.unknown['errors']}, and its reply to {named.unknown['unreadable']} cannot be read."
        )
    print_usage({"": named.usage()})


def _mode_row(mode: Mode) -> tuple[str, ...]:
    return (
        mode.name,
        rate_text(mode.failure),
        str(mode.failure.n),
        "–" if mode.elsewhere.value is None else f"{mode.elsewhere.value:.1%}",
        "–" if mode.lift.value is None else f"{mode.lift.value:.1f}×",
        "–" if mode.depth.value is None else f"{mode.depth.value:.1f}",
    )


def _example_row(mode: Mode, probes: Mapping[ProbeKey, Probe]) -> tuple[str, ...]:
    confirmed = "" if mode.confirmation is Confirmation.UNTESTED else f", {mode.confirmation}"
    novelty = f"{mode.novelty or '–'}{confirmed}"
    if not mode.evidence:
        return "–", "–", novelty
    probe = probes[mode.evidence[0]]
    return place_text(probe), example_text(probe), novelty


def _print_taxonomy(nodes: Iterable[Node]) -> None:
    rows = list(_tree(nodes, 0))
    if rows:
        say()
        table(
            "family, skill, failure mode (95% interval)", ("", "failure rate", "n"), rows, numeric=("failure rate", "n")
        )


def _tree(nodes: Iterable[Node], level: int) -> Iterable[tuple[str, ...]]:
    for node in nodes:
        yield f"{'· ' * level}{node.title}", rate_text(node.failure), str(node.failure.n)
        yield from _tree(node.children, level + 1)


def _print_curriculum(found: Curriculum) -> None:
    say()
    columns = ("steps", "valid", "depth", "skills", *(("attributes", "smallest thing") if found.detailed else ()))
    rows = [
        (
            f"{one.first_step} to {one.last_step}",
            str(one.n),
            number_text(one.depth, 2),
            number_text(one.skills_per_question, 2),
            *((number_text(one.attributes, 2), rate_text(one.size)) if found.detailed else ()),
        )
        for one in found.thirds
    ]
    table("thirds of the training: means per question (95% interval)", columns, rows, numeric=columns[1:])
    if found.detailed:
        say("attributes: words per description; smallest thing: of those asked about, its diameter to the image's side")
    early = [one for one in found.skills if one.course is Course.EARLY_PEAKING][:MAX_COURSES]
    late = [one for one in reversed(found.skills) if one.course is Course.LATE_EMERGING][:MAX_COURSES]
    say()
    if early or late:
        table(
            "skills that come and go: share of the questions (95% interval)",
            ("skill", "course", "first third", "last third", "failure rate then"),
            [_course_row(one) for one in (*early, *late)],
            numeric=("first third", "last third", "failure rate then"),
        )
    steady = sum(one.course is Course.STEADY for one in found.skills)
    say(
        f"Of {len(found.skills)} skills {steady} are steady: their share in the last third is not reliably another one."
    )


def _course_row(one: SkillCourse) -> tuple[str, ...]:
    return one.skill, one.course, rate_text(one.shares[0]), rate_text(one.shares[-1]), rate_text(one.failures[-1])


def _print_coverage(found: Coverage) -> None:
    say()
    kinds = (
        ("skills needed", found.skills),
        ("combinations needed", found.combinations),
        ("combinations WRONG", found.wrong_combinations),
    )
    columns = ("distinct", "seen", "in half of the probes", "chance that the next is new", "new in 1,000 more")
    table("what has been seen (95% interval)", columns, [_growth_row(*kind) for kind in kinds], numeric=columns[1:])
    say(found.sentence)
    if found.failing:
        say()
        rows = [
            (
                " + ".join(one.skills),
                rate_text(one.failure),
                str(one.failure.n),
                f"{one.at_depth:.1%}",
                str(one.wrong_images),
            )
            for one in found.failing[:MAX_FAILING]
        ]
        columns = ("combination", "failure rate", "n", "at that depth", "WRONG images")
        table(f"failing combinations: {len(found.failing)}, of which", columns, rows, numeric=columns[1:])
    else:
        say("No combination fails reliably more often than questions of its depth.")


def _growth_row(name: str, growth: Growth) -> tuple[str, ...]:
    half = growth.curve[len(growth.curve) // 2 - 1] if len(growth.curve) > 1 else None
    return (
        name,
        str(growth.observed),
        "–" if half is None else number_text(half.distinct, 0),
        rate_text(growth.unseen),
        number_text(growth.new_in_more, 0),
    )


def _print_reasons(found: Findings) -> None:
    said = [("course", found.curriculum_reason), ("coverage", found.coverage_reason)]
    lines = [f"No {what}: {reason}." for what, reason in said if reason is not None]
    if lines:
        say()
    for line in lines:
        say(line)
