"""Has a run's questions named by its annotator, and says what came of it. Knows no findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gadfly.cli.output import progress, remark, say
from gadfly.errors import EndpointError, ModelError
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from gadfly.analysis.annotations import Kept
    from gadfly.analysis.naming import Names
    from gadfly.protocols import Annotator, Describer
    from gadfly.records import Probe, Usage
    from gadfly.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Named:
    """The annotator by canonical names, and who puts modes in words. `names` are None where they are nobody's free
    choice, `unknown` where no model was asked; `usage` says what models were used for until now."""

    annotator: Annotator | None
    describer: Describer | None
    names: Names | None
    unknown: Mapping[str, int] | None
    usage: Callable[[], Mapping[str, Usage]]

    @property
    def kept(self) -> Kept | None:
        """What a model said until now, None where none was asked."""
        from gadfly.analysis.annotations import Kept, KeptAnnotator, KeptDescriber

        if self.unknown is None:
            return None
        assert isinstance(self.annotator, KeptAnnotator) and isinstance(self.describer, KeptDescriber)
        return Kept(self.annotator.questions, self.describer.words, self.unknown)

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
        lost = self.unknown["errors"] + self.unknown["unreadable"]
        if lost:
            say(
                f"Of {lost} of {self.unknown['asked']} questions it is not known what they need: the annotator failed "
                f"at {self.unknown['errors']}, and its reply to {self.unknown['unreadable']} cannot be read."
            )
        print_usage({"": self.usage()})


def annotated(wiring: Wiring, probes: Sequence[Probe], before: tuple[Kept, Names | None] | None, anew: bool) -> Named:
    """Every valid question named, as far as a model is needed for it; a grammar is asked when its names are needed.

    `before` is what the same annotator said of the same probes in an earlier analysis, and the canonical names. That
    is enough unless it is to be asked `anew`, which asks again for what failed; where all of that fails again and the
    model gives up, it is enough after all. Raises ModelError, EndpointError where there is nothing before."""
    if not wiring.config.annotator.asks_a_model:
        return Named(wiring.annotator, None, None, None, dict)
    if before is not None and not anew:
        return _with(wiring, *before)
    try:
        return _asked(wiring, probes)
    except (EndpointError, ModelError) as fault:
        if before is None:
            raise
        remark(f"{fault}; what failed before stays unknown")
        return _with(wiring, *before)


def _asked(wiring: Wiring, probes: Sequence[Probe]) -> Named:
    from gadfly.analysis.annotations import Kept
    from gadfly.analysis.naming import names_of
    from gadfly.roles.annotator import ModelAnnotator

    annotator, names = wiring.annotator, None
    assert isinstance(annotator, ModelAnnotator), "it asks a model"
    with progress("naming skills", passing=True) as bar:
        annotator.ask([probe.question for probe in probes if probe.verdict.valid], bar.update)
    if wiring.names_embedder is not None:
        names = names_of(annotator, probes, wiring.names_embedder)
    return _with(wiring, Kept({}, {}, as_plain(annotator.unknown)), names)


def _with(wiring: Wiring, kept: Kept, names: Names | None) -> Named:
    """What is kept, and of the rest what the model says, by the same canonical names."""
    from gadfly.analysis.annotations import KeptAnnotator, KeptDescriber
    from gadfly.analysis.naming import CanonicalAnnotator

    def annotator() -> Annotator:
        assert wiring.annotator is not None, "it asks a model"
        return wiring.annotator if names is None else CanonicalAnnotator(wiring.annotator, names)

    def describer() -> Describer:
        assert wiring.describer is not None, "whoever names skills puts modes in words"
        return wiring.describer

    named, worded = KeptAnnotator(kept.questions, annotator), KeptDescriber(kept.words, describer)
    return Named(named, worded, names, kept.unknown, wiring.ledger.usages)
