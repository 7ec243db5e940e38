"""Hostile texts in every place that somebody else fills: none runs, none calls out, none breaks a page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from browsing import chromium
from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.view.wording import shown
from hostile_texts import HOSTILE as SHARED
from viewer import Served, accessibility_faults, look, served, wider_than_window

HOSTILE = (*SHARED, "W" * 5000, "A" * 1_000_000)  # these two broke a layout that the others did not


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Each text as question, answer, error, expected answer, reason, program, skill, name of a reward term and of a
    file; some as the run's, a phase's and labellers' names."""
    folder = tmp_path_factory.mktemp("hostile") / "run"
    verdicts = list(Verdict)
    with SqliteStore.create(folder, HOSTILE[0], {}, {}, seed=0) as store:
        attempt = store.begin_attempt("<script>window.pwned=1</script>")
        for i, text in enumerate(HOSTILE):
            image = Image(hashlib.sha256(f"{i}".encode()).hexdigest(), text, 64, 48)
            turn = Turn(text, Completion(text) if i % 3 else Completion(error=text))
            judgement = Judgement(verdicts[i % 4], text, text, (text, "plain"), 2, text)
            key = ProbeKey("<script>window.pwned=1</script>", attempt, i, 0)
            store.add([Probe(key, 0, (image,), (turn,), judgement, {shown(text) or "x": 0.5}, 0.5)])
            if text.strip() and len(text) < 100 and i % 5 == 0:
                store.label(text.replace("\0", "").encode("utf-8", "replace").decode(), key, Verdict.WRONG, drawn=True)
        store.end_attempt(attempt, "failed: <img src=x onerror=window.pwned=1>")
    with served(folder) as viewer:
        yield viewer


def test_there_are_many_of_them() -> None:
    assert len(set(HOSTILE)) >= 80


@pytest.mark.slow
def test_none_runs_none_calls_out_none_breaks_the_layout(at: Served) -> None:
    n = len(HOSTILE)
    paths = [
        "/",
        "/label",
        "/probes",
        f"/probes?before={n - 40}",
        "/probes?show=grid",
        f"/probes?show=grid&before={n - 40}",
    ]
    paths += [f"/probe/{number}" for number in range(1, n + 1)]
    with chromium() as browser:
        seen = look(browser.new_context(viewport={"width": 1100, "height": 800}), at)
        for path in paths:
            seen.page.goto(at.root + path, wait_until="load")
            assert seen.page.evaluate("window.pwned") is None, path
            assert (
                seen.page.evaluate(
                    "document.querySelectorAll('main script, main iframe, main object, main base').length"
                )
                == 0
            )
            assert wider_than_window(seen.page) <= 0, path
            # What frames the page is where it belongs.
            assert seen.page.locator("header.top nav a").count() == 3, path
            # The images are not there (404), which the console says; nothing else may be said.
            said = [one for one in seen.complaints if "status of 404" not in one]
            assert said == [], path
        assert [url for url in seen.requests if not url.startswith(at.root + "/")] == []
        for path in paths[:8]:
            seen.page.goto(at.root + path)
            assert accessibility_faults(seen.page) == [], path


@pytest.mark.slow
def test_a_text_is_shown_as_it_is_written(at: Served) -> None:
    with chromium() as browser:
        page = look(browser.new_context(), at).page
        for number in range(1, len(SHARED), 9):
            page.goto(f"{at.root}/probe/{number}")
            # As innerText gives white space differently, compare without.
            there = page.locator(".facts .text").first.text_content() or ""
            assert "".join(there.split()) == "".join(shown(HOSTILE[number - 1]).split())


@pytest.mark.slow
def test_a_megabyte_is_cut_and_can_be_had_whole(at: Served) -> None:
    number = HOSTILE.index("A" * 1_000_000) + 1
    with chromium() as browser:
        page = look(browser.new_context(), at).page
        page.goto(f"{at.root}/probe/{number}")
        assert len(page.locator(".facts .text").first.text_content() or "") == 20_000
        assert "1,000,000 characters" in page.inner_text(".facts")
        with page.expect_download() as download:
            page.locator("a:has-text('as a file')").first.click()
        assert download.value.suggested_filename == f"probe-{number}-question.txt"
        assert Path(download.value.path()).read_bytes() == b"A" * 1_000_000


def test_no_template_turns_escaping_off() -> None:
    for template in (files("gadfly.view") / "templates").iterdir():
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup", text), template.name
        assert not re.search(r"<script(?! src=\"/static/view.js\")|\son\w+=|style=|javascript:", text), template.name


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) < 100_000])
def test_shown_text_has_nothing_invisible_and_always_fits_utf_8(text: str) -> None:
    made = shown(text)
    made.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", made)
    assert shown(made) == made
