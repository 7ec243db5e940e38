"""The things Gadfly writes down: images, questions, answers, judgements, probes. Frozen; knows not how they arise.

Words are those of the glossary in docs/architecture.md. Verdicts are said of the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What became of a probe. RIGHT and WRONG are said of the target, INVALID of the question, UNDECIDED of us."""

    RIGHT = "RIGHT"
    WRONG = "WRONG"
    INVALID = "INVALID"
    UNDECIDED = "UNDECIDED"

    @property
    def valid(self) -> bool:
        """Whether the question was a good one: the target was judged on it."""
        return self in (Verdict.RIGHT, Verdict.WRONG)

    @property
    def decided(self) -> bool:
        """Whether it counts in rates (RIGHT, WRONG, INVALID)."""
        return self is not Verdict.UNDECIDED


@dataclass(frozen=True, slots=True)
class Image:
    """One picture, known by the SHA-256 of its bytes.

    `path` is where it was read, relative to its source's root; it is for people, never an identity.
    `width_px` and `height_px` are the size after EXIF rotation.
    """

    id: str
    path: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat. `parts` are texts and images, in the order in which the model sees them."""

    role: str  # "system", "user" or "assistant"
    parts: tuple[str | Image, ...]


Chat = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON schema that answers are to follow."""

    name: str
    schema: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is to complete a chat. temperature 0 is greedy decoding. `schema` is a wish: a backend that cannot
    hold its answers to one leaves it out of account."""

    max_new_tokens: int = 32
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    schema: Schema | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model returned for one chat: a text, or the reason why there is none. Exactly one of the two is set."""

    text: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        assert (self.text is None) != (self.error is None), "a completion is a text or an error"


@dataclass(frozen=True, slots=True)
class Question:
    """What is put to the target: a text about one or more images, before any answer. `group` is its place among the
    groups of one step: questions with the same group were asked about the same images in the same step. `topic` is
    what it was to be about, empty for anything."""

    images: tuple[Image, ...]
    text: str
    group: int
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Grounding:
    """What a question asks about, from what is known of its images.

    `referents` are the attributes that all things have which it asks about, as `attribute.value`, sorted; empty where
    they share none or there are none. `size` is the diameter of the smallest of them as a share of the picture's side,
    None where there are none. `attributes` is how many attribute words a description in it has, in the mean."""

    referents: tuple[str, ...]
    size: float | None
    attributes: float


@dataclass(frozen=True, slots=True)
class Words:
    """A short name for what some questions have in common, and a sentence that says it."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class PastQuestion:
    """A valid question that was asked before, the skills it needed (sorted), None where unknown, and whether the target
    failed at it."""

    text: str
    skills: tuple[str, ...] | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the verifier made of a question and its answer.

    `expected` is the answer the verifier itself committed to, None where it has none.
    `reason` is always set for INVALID and UNDECIDED: a short code, optionally followed by ": " and a detail.
    `skills` are the skills that the question needs, sorted, where the verifier knows them (the testbed's oracle does);
    None where unknown. `depth` is the number of reasoning steps, `program` the parsed question, likewise.
    """

    verdict: Verdict
    reason: str | None = None
    expected: str | None = None
    skills: tuple[str, ...] | None = None
    depth: int | None = None
    program: str | None = None

    def __post_init__(self) -> None:
        assert self.reason is not None or self.verdict.valid, f"{self.verdict} needs a reason"


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange of a probe: the question's text, and the target's answer or the reason why there is none."""

    question: str
    answer: Completion


TRAINING, SWEEP = "train", "sweep"
"""What a run calls the phase in which its questioner learns, and a sweep that is given no other name."""


@dataclass(frozen=True, slots=True)
class ProbeKey:
    """Where a probe stands in its run. `attempt` grows by one with each resume, so that a probe made again after a
    resume supersedes the older one of the same (step, index) and never overwrites it. `phase` is TRAINING, SWEEP, …"""

    phase: str
    attempt: int
    step: int
    index: int


@dataclass(frozen=True, slots=True)
class Probe:
    """One question (or dialogue) put to the target about one image (or several), with all that came of it.

    `terms` are the reward terms by name, unweighted, None where a term does not apply. `reward` is the one scalar the
    trainer gets, None for UNDECIDED.
    """

    key: ProbeKey
    group: int
    images: tuple[Image, ...]
    turns: tuple[Turn, ...]
    judgement: Judgement
    terms: Mapping[str, float | None] = field(default_factory=dict)
    reward: float | None = None

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict

    @property
    def question(self) -> str:
        """The text of the last question."""
        return self.turns[-1].question

    @property
    def answer(self) -> str | None:
        """The target's last answer, None where there is none."""
        return self.turns[-1].answer.text


@dataclass(frozen=True, slots=True)
class Usage:
    """What a role's model has been used for. A call is one chat that it was asked to complete; `cached` were answered
    without it.

    Tokens are None until somebody counts them. `uncounted` are the answers of which nobody said what they took.
    `seconds` is time spent waiting for the model. `cost` is None without a price, or where tokens have one and
    some answers are uncounted.
    """

    calls: int = 0
    cached: int = 0
    errors: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    uncounted: int = 0
    seconds: float = 0.0
    cost: float | None = None
