"""Has a phase's questions named by its annotator, or takes what it said of them before. Knows no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from gadfly.analysis.annotations import Kept, KeptAnnotator, KeptDescriber
from gadfly.analysis.naming import CanonicalAnnotator, Names, names_of
from gadfly.errors import EndpointError, ModelError
from gadfly.protocols import Annotator, Describer
from gadfly.records import Probe, Usage
from gadfly.roles.annotator import ModelAnnotator
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
        if self.unknown is None:
            return None
        assert isinstance(self.annotator, KeptAnnotator) and isinstance(self.describer, KeptDescriber)
        return Kept(self.annotator.questions, self.describer.words, self.unknown)


def annotated(
    wiring: Wiring,
    probes: Sequence[Probe],
    before: tuple[Kept, Names | None] | None,
    *,
    anew: bool,
    on_progress: Callable[[int, int], None] | None = None,
    on_remark: Callable[[str], None] | None = None,
) -> Named:
    """Every valid question named, as far as a model is needed for it; a grammar is asked when its names are needed.

    `before` is what the same annotator said in an earlier analysis, and the canonical names. That is enough where it
    has all of these questions, unless it is to be asked `anew`, which asks again for what failed; where all of that
    fails again and the model gives up, it is enough after all, which `on_remark` is told. `on_progress` gets (questions
    done, questions to ask) as they are begun and after each batch. Raises ModelError, EndpointError where there is
    nothing before."""
    if not wiring.config.annotator.asks_a_model:
        return Named(wiring.annotator, None, None, None, dict)
    questions = list(dict.fromkeys(probe.question for probe in probes if probe.verdict.valid))
    if before is not None and not before[0].questions.keys() >= set(questions):
        before = None
    if before is not None and not anew:
        return _with(wiring, *before)
    try:
        return _asked(wiring, probes, questions, on_progress)
    except (EndpointError, ModelError) as fault:
        if before is None:
            raise
        if on_remark is not None:
            on_remark(f"{fault}; what failed before stays unknown")
        return _with(wiring, *before)


def _asked(
    wiring: Wiring,
    probes: Sequence[Probe],
    questions: Sequence[str],
    on_progress: Callable[[int, int], None] | None,
) -> Named:
    annotator, names = wiring.annotator, None
    assert isinstance(annotator, ModelAnnotator), "it asks a model"
    if on_progress is not None:
        on_progress(0, len(questions))
    annotator.ask(questions, on_progress)
    if wiring.names_embedder is not None:
        names = names_of(annotator, probes, wiring.names_embedder)
    return _with(wiring, Kept({}, {}, asdict(annotator.unknown)), names)


def _with(wiring: Wiring, kept: Kept, names: Names | None) -> Named:
    """What is kept, and of the rest what the model says, by the same canonical names."""

    def annotator() -> Annotator:
        assert wiring.annotator is not None, "it asks a model"
        return wiring.annotator if names is None else CanonicalAnnotator(wiring.annotator, names)

    def describer() -> Describer:
        assert wiring.describer is not None, "whoever names skills puts modes in words"
        return wiring.describer

    named, worded = KeptAnnotator(kept.questions, annotator), KeptDescriber(kept.words, describer)
    return Named(named, worded, names, kept.unknown, wiring.ledger.usages)
