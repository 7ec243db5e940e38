"""Has a run's questions named by its annotator, and says what came of it. Knows no findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gadfly.cli.output import as_plain, progress, say

if TYPE_CHECKING:
    from gadfly.analysis.naming import Names
    from gadfly.protocols import Annotator
    from gadfly.records import Probe, Usage
    from gadfly.roles.annotator import Unknown
    from gadfly.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Named:
    """The annotator by canonical names. `names` are None where they are nobody's free choice, `unknown` where no model
    was asked; `usage` says what models were used for until now."""

    annotator: Annotator | None
    names: Names | None
    unknown: Unknown | None
    usage: Callable[[], Mapping[str, Usage]]

    def said(self) -> dict[str, Any]:
        """For JSON; nothing where no model was asked."""
        if self.unknown is None:
            return {}
        return {"annotator": as_plain(self.unknown), "names": as_plain(self.names), "usage": as_plain(self.usage())}

    def print(self) -> None:
        if self.unknown is None:
            return
        from gadfly.cli.usage import print_usage

        say()
        if self.names is not None:
            n_skills = len(set(self.names.skills.values()))
            say(f"The annotator named {len(self.names.skills)} skills, which were merged into {n_skills}.")
        lost = self.unknown.errors + self.unknown.unreadable
        if lost:
            say(
                f"Of {lost} of {self.unknown.asked} questions it is not known what they need: the annotator failed at "
                f"{self.unknown.errors}, and its reply to {self.unknown.unreadable} cannot be read."
            )
        print_usage({"": self.usage()})


def annotated(wiring: Wiring, probes: Sequence[Probe]) -> Named:
    """Every valid question named, as far as a model is needed for it; a grammar is asked when its names are needed."""
    from gadfly.roles.annotator import ModelAnnotator

    annotator, names = wiring.annotator, None
    if not isinstance(annotator, ModelAnnotator):
        return Named(annotator, None, None, dict)
    from gadfly.analysis.naming import CanonicalAnnotator, names_of

    with progress("naming skills", passing=True) as bar:
        annotator.ask([probe.question for probe in probes if probe.verdict.valid], bar.update)
    said: Annotator = annotator
    if wiring.names_embedder is not None:
        names = names_of(annotator, probes, wiring.names_embedder)
        said = CanonicalAnnotator(annotator, names)
    return Named(said, names, annotator.unknown, wiring.ledger.usages)
