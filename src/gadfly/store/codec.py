"""Records to rows and back. Knows the columns' meaning; opens no file and runs no SQL.

A text is stored as TEXT. What SQLite's TEXT cannot hold safely, a NUL (which SQL functions take for the end) or a
lone surrogate (which has no UTF-8), is stored as a BLOB of its bytes, surrogates passed through; both read back as
they were. So an ordinary text is plain in any SQLite tool, and no text is ever altered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Verdict

Row = tuple[Any, ...]

INDEXED_CHARS = 10_000
"""So much of each text can be found by searching; migration 5 has the same number."""


def encode_text(text: str | None) -> str | bytes | None:
    if text is None:
        return None
    if "\0" not in text:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            pass
        else:
            return text
    return text.encode("utf-8", "surrogatepass")


def decode_text(stored: str | bytes) -> str:
    return stored.decode("utf-8", "surrogatepass") if isinstance(stored, bytes) else stored


def encode_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))  # ASCII, so that no lone surrogate reaches the database


@dataclass(frozen=True, slots=True)
class ProbeRows:
    """The rows of a batch of probes, one list a table, in the order of the INSERT statements of sqlite.py."""

    probes: list[Row]
    images: list[Row]
    probe_images: list[Row]
    turns: list[Row]
    terms: list[Row]
    texts: list[Row]


def encode_probes(probes: Iterable[Probe], first_id: int, created_at: float) -> ProbeRows:
    """The rows of `probes`, numbered from `first_id`. An image's rows refer to it by its id."""
    rows = ProbeRows([], [], [], [], [], [])
    images: dict[str, Image] = {}
    for number, probe in enumerate(probes, start=first_id):
        key, judgement = probe.key, probe.judgement
        assert probe.turns and probe.images, "a probe has at least one turn and one image"
        # SQLite would store NaN as NULL, which says "does not apply".
        assert not any(value is not None and math.isnan(value) for value in (probe.reward, *probe.terms.values())), (
            f"NaN among the rewards of {key}"
        )
        rows.probes.append(
            (
                number,
                key.attempt,
                key.step,
                key.index,
                probe.group,
                judgement.verdict.value,
                encode_text(judgement.reason),
                encode_text(judgement.expected),
                judgement.depth,
                encode_text(judgement.program),
                None if judgement.skills is None else encode_json(judgement.skills),
                probe.reward,
                created_at,
            )
        )
        for position, image in enumerate(probe.images):
            images[image.id] = image
            rows.probe_images.append((number, position, image.id))
        for position, turn in enumerate(probe.turns):
            answer = turn.answer
            rows.turns.append(
                (number, position, encode_text(turn.question), encode_text(answer.text), encode_text(answer.error))
            )
        rows.terms.extend((number, name, value) for name, value in probe.terms.items())
        rows.texts.append(
            (
                number,
                _indexed(turn.question for turn in probe.turns),
                _indexed(turn.answer.text for turn in probe.turns),
                _indexed([judgement.expected]),
                _indexed([judgement.reason]),
            )
        )
    rows.images.extend(
        (image.id, encode_text(image.path), image.width_px, image.height_px) for image in images.values()
    )
    return rows


def _indexed(texts: Iterable[str | None]) -> str | None:
    """Texts as the search index takes them: lone surrogates and NULs, which nobody can type, are passed over."""
    kept = "\n".join(text[:INDEXED_CHARS] for text in texts if text is not None)
    return kept.replace("\0", " ").encode("utf-8", "replace").decode() or None


def decode_skills(stored: str | None) -> tuple[str, ...] | None:
    return None if stored is None else tuple(json.loads(stored))


def decode_image(row: Row) -> Image:
    """From (id, path, width, height)."""
    return Image(row[0], decode_text(row[1]), row[2], row[3])


def decode_turn(row: Row) -> Turn:
    """From (question, answer, error)."""
    question, answer, error = (None if value is None else decode_text(value) for value in row)
    assert question is not None, "turns.question is NOT NULL"
    return Turn(question, Completion(text=answer, error=error))


def decode_probe(
    phase: str, row: Row, images: Iterable[Image], turns: Iterable[Turn], terms: Mapping[str, float | None]
) -> Probe:
    """From (attempt, step, idx, group_idx, verdict, reason, expected, depth, program, skills, reward)."""
    attempt, step, index, group, verdict, reason, expected, depth, program, skills, reward = row
    return Probe(
        key=ProbeKey(phase, attempt, step, index),
        group=group,
        images=tuple(images),
        turns=tuple(turns),
        judgement=Judgement(
            Verdict(verdict),
            reason=None if reason is None else decode_text(reason),
            expected=None if expected is None else decode_text(expected),
            skills=decode_skills(skills),
            depth=depth,
            program=None if program is None else decode_text(program),
        ),
        terms=terms,
        reward=reward,
    )
