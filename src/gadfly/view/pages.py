"""What each page of the viewer says, rendered. Knows a live run; nothing of HTTP.

Every text that somebody else wrote passes `shown` or `clipped` (wording.py) here, and Jinja's escaping in the template;
no template marks anything as safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from gadfly.analysis.rates import Rate
from gadfly.records import Probe, Verdict
from gadfly.store.pages import NumberedProbe, labelled_numbers, numbers_of_images, search_is_there
from gadfly.view import charts, wording
from gadfly.view.filters import SEARCHED, Filter, find
from gadfly.view.labels import accords, queue
from gadfly.view.live import LiveRun

SAMPLE: Final = 120
"""As many as `gadfly audit` asks about unless told otherwise."""

MAX_SAMPLE: Final = 10_000
LATEST: Final = 8
OTHERS: Final = 12
MAX_SKILLS: Final = 2000

KEYS: Final = (
    ("r", Verdict.RIGHT, "Right", "a fair question, answered correctly"),
    ("w", Verdict.WRONG, "Wrong", "a fair question, answered incorrectly"),
    ("i", Verdict.INVALID, "Invalid", "not a fair question"),
    ("u", Verdict.UNDECIDED, "Cannot tell", "it counts nowhere"),
)
_RATES: Final = (
    ("fdr", "Failures found", "{k} fair questions answered wrongly, of n = {n} that could be judged", "FDR"),
    ("valid", "Fair questions", "{k} fair questions, of n = {n} that could be judged", "valid rate"),
    ("failure", "Failures among fair questions", "{k} answered wrongly, of n = {n} fair questions", "failure rate"),
    ("undecided", "Not judged", "{k} could not be judged, of n = {n} in all; not the target's fault", "UNDECIDED rate"),
)


class Pages:
    """Renders the pages of a run. For the thread that the run was opened in."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._jinja = Environment(
            loader=PackageLoader("gadfly.view", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for text in (wording.shown, wording.clipped, wording.percent, wording.interval, wording.number, wording.when):
            self._jinja.filters[text.__name__] = text
        self._jinja.globals.update(
            run_name=wording.clipped(run.run.id, 80), verdict_words=wording.VERDICT_WORDS, verdicts=list(Verdict)
        )

    def overview(self, phase: str) -> str:
        return self._render("overview.html", **self._overview(phase))

    def live(self, phase: str) -> dict[str, Any]:
        """What the overview's page asks for every two seconds: its changing part anew, if it has changed."""
        given = self._overview(phase)
        found = self._run.figures(given["phase"])
        version = f"{self._run.columns.n}.{found.n_read if found else -1}.{given['state']}"
        return {"version": version, "running": given["running"], "html": self._render("_live.html", **given)}

    def probes(self, wanted: Filter) -> str:
        columns = self._run.columns
        searchable = search_is_there(self._run.connection)
        if not searchable and wanted.q:
            wanted = Filter.of({"phase": wanted.phase})
        found = find(self._run.connection, columns, wanted)
        skills = columns.skills()
        return self._render(
            "probes.html",
            wanted=wanted,
            found=found,
            shown_from=found.place,
            shown_to=found.place + len(found.numbers) - 1,
            probes=[self._row(one) for one in self._run.probes(found.numbers)],
            phases=self._run.phases,
            skills=[(name, n) for name, n in skills.items() if wording.is_plain(name)][:MAX_SKILLS],
            searched=SEARCHED,
            searchable=searchable,
            grid=wanted.show == "grid",
            n_read=columns.n,
        )

    def whole_text(self, number: int, turn: int, name: str) -> str | None:
        """One text of a probe in full, as it was written; None where there is none."""
        found = self._run.probes([number])
        if not found or turn >= len(found[0].probe.turns):
            return None
        probe = found[0].probe
        judgement, asked = probe.judgement, probe.turns[turn]
        texts = {"question": asked.question, "answer": asked.answer.text, "error": asked.answer.error}
        texts |= {"expected": judgement.expected, "reason": judgement.reason, "program": judgement.program}
        return texts.get(name)

    def probe(self, number: int, labeller: str) -> str | None:
        """None where there is no such probe."""
        found = self._run.probes([number])
        if not found:
            return None
        one, probe = found[0], found[0].probe
        key = probe.key
        group = f"{key.attempt}.{key.step}.{probe.group}"
        in_group = find(self._run.connection, self._run.columns, Filter(group=group, old="1"))
        numbers = self._numbers_about(probe)
        said = [(who, v, drawn) for who, n, v, drawn in labelled_numbers(self._run.connection) if n == number]
        attempt = self._run.columns.attempts.get(key.attempt)
        superseded = attempt is not None and key.step >= attempt.step_limit(False)
        return self._render(
            "probe.html",
            one=one,
            probe=probe,
            superseded=superseded,
            texts=self._turns(one),
            expected=self._text(probe.judgement.expected, one, 0, "expected"),
            reason=self._text(probe.judgement.reason, one, 0, "reason"),
            program=self._text(probe.judgement.program, one, 0, "program"),
            images=[(image, wording.clipped(image.path, 200)) for image in probe.images],
            terms=[(name, value, wording.term_words(name)) for name, value in sorted(probe.terms.items())],
            skills=[
                (wording.clipped(skill, 80), skill if wording.is_plain(skill) else None)
                for skill in probe.judgement.skills or ()
            ],
            skills_known=probe.judgement.skills is not None,
            group=group,
            group_n=in_group.total,
            in_group=self._others(in_group.numbers, number),
            image_n=len(numbers),
            about_image=self._others(numbers[-OTHERS - 1 :][::-1], number),
            labels=[(wording.clipped(who, 60), v, drawn) for who, v, drawn in said],
            labeller=wording.clipped(labeller, 60),
            mine=next((v for who, v, _ in said if who == labeller), None),
            keys=KEYS,
            address=Filter().address,
        )

    def label(self, phase: str, n: str, labeller: str) -> str:
        phases = self._run.phases
        phase = phase if phase in phases else (phases[-1] if phases else "")
        size = max(1, min(MAX_SAMPLE, int(n))) if n.isascii() and n.isdigit() and len(n) < 8 else SAMPLE
        sample = self._run.sample(phase, size)
        place = queue(self._run.connection, sample, labeller)
        shown = self._run.probes([number for number in (place.next, place.last) if number is not None])
        by_number = {one.number: one for one in shown}
        last = by_number.get(place.last) if place.last is not None else None
        verdict = next(
            (v for who, k, v, _ in labelled_numbers(self._run.connection)[::-1] if k == place.last and who == labeller),
            None,
        )
        one = by_number.get(place.next) if place.next is not None else None
        return self._render(
            "label.html",
            phase=phase,
            phases=phases,
            size=size,
            place=place,
            one=one,
            texts=self._turns(one) if one else [],
            images=[(image, wording.clipped(image.path, 200)) for image in one.probe.images] if one else [],
            last=None if last is None else self._row(last),
            last_said=verdict,
            keys=KEYS,
            labeller=wording.clipped(labeller, 60),
            back=f"/label?{_query(phase=phase, n=size)}",
            running=self._run.state()[0],
            n_current=int(self._run.columns.current_N().sum()),
            accords=[
                (wording.clipped(a, 60), wording.clipped(b, 60), found)
                for a, b, found in accords(self._run.connection, self._run.columns)
            ],
        )

    def keep_label(self, labeller: str, number: int, verdict: Verdict | None, drawn: bool) -> bool:
        """Keep what a labeller says of a probe, or with None take it back. False where there is no such probe. One that
        was drawn and judged blind stays so when it is changed on its own page. Raises StoreError."""
        found = self._run.probes([number])
        if not found:
            return False
        before = [d for who, n, _, d in labelled_numbers(self._run.connection) if who == labeller and n == number]
        self._run.label(labeller, found[0].probe.key, verdict, drawn=drawn or any(before))
        return True

    def _overview(self, phase: str) -> dict[str, Any]:
        phases = self._run.phases
        phase = phase if phase in phases else (phases[-1] if phases else "")
        running, state = self._run.state()
        found = self._run.figures(phase)
        counts = found.counts if found is not None else dict.fromkeys(Verdict, 0)
        latest = find(self._run.connection, self._run.columns, Filter(phase=phase)).numbers[:LATEST]
        return {
            "phase": phase,
            "phases": phases,
            "running": running,
            "state": wording.clipped(state, 300),
            "figures": found,
            "behind": found is not None and found.n_read < self._run.columns.n,
            "rates": [_card(getattr(found.rates, name), *words) for name, *words in _RATES] if found else [],
            "counts": counts,
            "bar": list(zip(Verdict, charts.shares([counts[v] for v in Verdict]), strict=True)),
            "chart": charts.course(found.windows) if found is not None else None,
            "latest": [self._row(one) for one in self._run.probes(latest)],
            "usage": self._run.usage(),
            "begun_at": self._run.run.created_at,
            "last_at": self._run.last_stored_at(),
            "attempts": sorted(self._run.columns.attempts.values(), key=lambda a: a.attempt),
            "address": Filter(phase=phase).address,
        }

    def _row(self, one: NumberedProbe) -> dict[str, Any]:
        probe = one.probe
        return {
            "number": one.number,
            "key": f"{wording.clipped(probe.key.phase, 40)} {probe.key.step}.{probe.key.index}",
            "image": probe.images[0],
            "path": wording.clipped(probe.images[0].path, 80),
            "question": wording.clipped(probe.question),
            "answer": None if probe.answer is None else wording.clipped(probe.answer, 140),
            "expected": None if probe.judgement.expected is None else wording.clipped(probe.judgement.expected, 80),
            "verdict": probe.verdict,
            "reason": wording.clipped(probe.judgement.reason, 100),
            "skills": [wording.clipped(skill, 60) for skill in probe.judgement.skills or ()],
        }

    def _others(self, numbers: list[int], number: int) -> list[dict[str, Any]]:
        others = [one for one in numbers if one != number][:OTHERS]
        return [self._row(one) for one in self._run.probes(others)]

    def _numbers_about(self, probe: Probe) -> list[int]:
        rows = self._run.connection.execute("SELECT image FROM images WHERE id = ?", (probe.images[0].id,)).fetchall()
        return [int(n) for n in numbers_of_images(self._run.connection, [row[0] for row in rows])]

    def _turns(self, one: NumberedProbe) -> list[dict[str, Any]]:
        return [
            {
                "question": self._text(turn.question, one, place, "question"),
                "answer": self._text(turn.answer.text, one, place, "answer"),
                "error": self._text(turn.answer.error, one, place, "error"),
            }
            for place, turn in enumerate(one.probe.turns)
        ]

    def _text(self, text: str | None, one: NumberedProbe, turn: int, name: str) -> dict[str, Any] | None:
        """A text with its length, cut where it is very long, and where all of it is: browsers take minutes to lay out a
        word of a million letters."""
        if text is None:
            return None
        kept = wording.shown(text[: wording.WHOLE_CHARS])
        address = f"/probe/{one.number}/{turn}/{name}.txt"
        return {
            "pieces": wording.breakable(kept),
            "text": kept,
            "chars": len(text),
            "cut": len(text) > wording.WHOLE_CHARS,
            "address": address,
        }

    def _render(self, name: str, **given: Any) -> str:
        return self._jinja.get_template(name).render(given)


def _card(rate: Rate, words: str, sentence: str, term: str) -> tuple[str, Rate, str, str]:
    said = sentence.format(k=wording.number(rate.successes), n=wording.number(rate.n))
    return words, rate, said, term


def _query(**given: str | int) -> str:
    values: Mapping[str, str | int] = given
    return urlencode({k: v.encode("utf-8", "replace") if isinstance(v, str) else v for k, v in values.items()})
