"""The viewer clicked through in a browser: filters, pages, labels by keyboard; runs that hold nothing, or one thing."""

from __future__ import annotations

import http.client
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from browsing import chromium
from gadfly.records import Probe, ProbeKey, Verdict
from gadfly.store.sqlite import SqliteStore
from viewer import (
    Look,
    Served,
    accessibility_faults,
    look,
    made,
    make_images,
    make_store,
    served,
    wider_than_window,
)

SKILLS = (("counting.count",), ("space.left_of", "counting.count"), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def run_of(folder: Path, verdicts: str, *, ended: bool = True, per_step: int = 8) -> Path:
    """A run with one probe a letter (R, W, I, U), `per_step` a step, on four images."""
    images = make_images(folder / "images", 4)
    by_letter = {one.value[0]: one for one in Verdict}
    probes: list[Probe] = [
        made(i // per_step, i % per_step, images, verdict=by_letter[letter], skills=SKILLS[i % 3])
        for i, letter in enumerate(verdicts)
    ]
    return make_store(folder / "run", probes, ended=ended)


def opened(browser: Browser, at: Served) -> Look:
    return look(browser.new_context(viewport={"width": 1200, "height": 900}), at)


def press(page: Page, key: str, done: str) -> None:
    """Press a key on a page that has its script, and wait for the next page that has."""
    page.keyboard.press(key)
    page.wait_for_selector(f".progress label:has-text('{done}')")
    page.wait_for_load_state("load")


def check(seen: Look, at: Served) -> None:
    """Nothing went wrong, nothing was called but the viewer, nothing sticks out, axe finds no serious fault."""
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith(at.root + "/")] == []
    assert wider_than_window(seen.page) <= 0
    assert accessibility_faults(seen.page) == []


@pytest.mark.slow
def test_a_walk_through_the_pages(browser: Browser, tmp_path: Path) -> None:
    # 120 probes: in each 8 letters 4 WRONG, 2 RIGHT, 1 INVALID, 1 UNDECIDED.
    with served(run_of(tmp_path, "WRWIWUWR" * 15), tmp_path / "images") as at:
        seen = opened(browser, at)
        page = seen.page
        page.wait_for_selector(".card")
        # FDR = 60 / (60 + 30 + 15) = 57.1%; valid rate = 90 / 105 = 85.7%; failure rate = 60 / 90; UNDECIDED 15 / 120.
        cards = page.locator(".card").all_inner_texts()
        assert [re.search(r"[\d.]+%", card)[0] for card in cards] == ["57.1%", "85.7%", "66.7%", "12.5%"]  # type: ignore[index]
        assert all("n = " in card and "95% interval" in card for card in cards)
        expect(page.locator("svg.chart")).to_have_count(1)
        check(seen, at)

        page.click(".legend a:has-text('WRONG')")
        expect(page.locator(".count")).to_contain_text("60 probes match")
        expect(page.locator("table.probes tbody tr")).to_have_count(50)
        check(seen, at)
        page.click("a[rel=next]")
        expect(page.locator(".count")).to_contain_text("51 to 60")
        page.click("a[rel=prev]")
        expect(page.locator(".count")).to_contain_text("1 to 50")

        page.click(".views a:has-text('Pictures')")
        expect(page.locator(".tiles li")).to_have_count(50)
        page.wait_for_function("[...document.images].slice(0, 4).every((one) => one.naturalWidth > 0)")
        check(seen, at)

        page.goto(at.root + "/probes")
        # Every third probe needs two skills: numbers 1, 4, 7 … of 0 to 119, so 40.
        page.select_option("select[name=skill]", "space.left_of")
        page.fill("input[name=last]", "0")
        page.click("button:has-text('Filter')")
        expect(page.locator(".count")).to_contain_text("3 probes match")  # 1, 4 and 7 of step 0
        page.goto(at.root + "/probes")
        page.fill("input[name=q]", "question 14.7")  # sample's text of the last probe
        page.keyboard.press("Enter")
        expect(page.locator(".count")).to_contain_text("1 probe matches")
        page.goto(at.root + "/probes?q=nowhere")
        expect(page.locator("main")).to_contain_text("Nothing matches")

        page.goto(at.root + "/probes?image=2.png&verdict=RIGHT")
        page.click("td.question a")
        expect(page.locator("h1")).to_contain_text("RIGHT")
        assert page.inner_text(".facts .text >> nth=1") == "two" and page.inner_text(".facts .text >> nth=2") == "three"
        expect(page.locator("main")).to_contain_text("Same group")
        expect(page.locator("main")).to_contain_text("Same image")
        check(seen, at)
        page.click(".verdicts button:has-text('Wrong')")
        expect(page.locator(".labels")).to_contain_text("picked, with the verdict in view")
        page.goto(at.root + "/probes?labels=disagreed")
        expect(page.locator(".count")).to_contain_text("1 probe matches")
        check(seen, at)


@pytest.mark.slow
def test_labels_by_keyboard_are_blind_kept_undone_and_compared(browser: Browser, tmp_path: Path) -> None:
    run = run_of(tmp_path, "WRI" * 6)
    with served(run, tmp_path / "images", labeller="ann") as at:
        seen = opened(browser, at)
        page = seen.page
        page.goto(at.root + "/label")
        assert page.locator(".labelling .badge").count() == 0  # the verifier's verdict is not there to be seen
        for key, done in (("r", "1 of 18"), ("w", "2 of 18"), ("u", "3 of 18"), ("z", "2 of 18"), ("i", "3 of 18")):
            press(page, key, done)
        check(seen, at)
        # The sample takes the verdicts in turn: RIGHT, WRONG, INVALID. So three labels agree with the verifier.
        assert "100.0%" in page.inner_text("tr:has-text('ann and the verifier')")
        page.fill("input[name=labeller]", "Zoë <b>")
        page.click("button:has-text('Change')")
        page.wait_for_selector(".progress label:has-text('0 of 18')")
        page.wait_for_load_state("load")
        press(page, "w", "1 of 18")
        row = page.inner_text("tr:has-text('Zoë <b> and ann')")
        assert "\t1\t" in row and "0.0%" in row
        check(seen, at)
    with SqliteStore.open(run, read_only=True) as store:
        said = [(one.labeller, one.verdict.value, one.drawn) for one in store.labels()]
    assert sorted(said) == [
        ("Zoë <b>", "WRONG", True),
        ("ann", "INVALID", True),
        ("ann", "RIGHT", True),
        ("ann", "WRONG", True),
    ]
    with served(run, tmp_path / "images", labeller="ann") as at:  # another day: it goes on from there
        page = opened(browser, at).page
        page.goto(at.root + "/label")
        assert "3 of 18" in page.inner_text(".progress")


@pytest.mark.slow
def test_the_overview_follows_a_run_and_labels_are_kept_meanwhile(browser: Browser, tmp_path: Path) -> None:
    run = run_of(tmp_path, "WRI" * 6, ended=False)
    with served(run, tmp_path / "images") as at:
        seen = opened(browser, at)
        page = seen.page
        page.wait_for_selector("h2:has-text('18 probes')")
        images = make_images(tmp_path / "images", 4)
        with SqliteStore.open(run) as store:  # the run's own writer, with its lock
            attempt = store.begin_attempt("train", 10)
            store.add([made(10, i, images, attempt=attempt) for i in range(4)])
            page.wait_for_selector("h2:has-text('22 probes')", timeout=15_000)
            page.goto(at.root + "/label")
            press(page, "r", "1 of")
            store.add([made(11, 0, images, attempt=attempt)])
            assert len(store.labels("ann")) == 1
        check(seen, at)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verdicts", "says"),
    [("", "no probes"), ("WRI", "33.3%"), ("R" * 24, "0.0%"), ("W" * 24, "100.0%"), ("U" * 24, "No data yet: n = 0")],
)
def test_runs_that_hold_nothing_or_one_thing_look_right(
    browser: Browser, tmp_path: Path, verdicts: str, says: str
) -> None:
    with served(run_of(tmp_path, verdicts), tmp_path / "images") as at:
        seen = opened(browser, at)
        page = seen.page
        if verdicts:
            page.wait_for_selector(".card")
        assert says in page.inner_text("main")
        assert "nan" not in page.inner_text("main").lower().split() and "None" not in page.inner_text("main")
        check(seen, at)
        for path in ("/probes", "/probes?show=grid", "/label", *(["/probe/1"] if verdicts else [])):
            page.goto(at.root + path)
            assert "None" not in page.inner_text("main").replace("None.", "").replace("None:", "")
            check(seen, at)
        if not verdicts or set(verdicts) == {"U"}:
            page.goto(at.root + "/label")
            assert "nothing to label yet" in page.inner_text("main")


@pytest.mark.slow
def test_a_narrow_window(browser: Browser, tmp_path: Path) -> None:
    with served(run_of(tmp_path, "WRWIWUWR" * 3), tmp_path / "images") as at:
        seen = look(browser.new_context(viewport={"width": 360, "height": 700}, color_scheme="dark"), at)
        for path in ("/", "/probes", "/probe/1", "/label"):
            seen.page.goto(at.root + path)
            check(seen, at)


def test_a_probe_that_a_resume_made_anew_is_outside_all_but_its_own_page(tmp_path: Path) -> None:
    run = run_of(tmp_path, "WRWI", per_step=1)
    images = make_images(tmp_path / "images", 4)
    with SqliteStore.open(run) as store:
        attempt = store.begin_attempt("train", 2)
        store.add([made(2, 0, images, attempt=attempt, verdict=Verdict.RIGHT)])
        store.end_attempt(attempt, "finished")
        assert [one.key for one in store.probes()][-1] == ProbeKey("train", 2, 2, 0)
    from gadfly.view.filters import Filter
    from gadfly.view.live import LiveRun
    from gadfly.view.pages import Pages

    live = LiveRun(run)
    pages = Pages(live)
    assert "<strong>3</strong> probes" in pages.probes(Filter())  # steps 0 and 1, and the new 2
    assert "<strong>5</strong> probes" in pages.probes(Filter(old="1"))
    assert "counts nowhere" in (pages.probe(3, "ann") or "")
    assert "counts nowhere" not in (pages.probe(5, "ann") or "")
    live.close()


def test_a_page_does_not_wait_for_the_browsers_acknowledgement(tmp_path: Path) -> None:
    """Over one connection, as browsers do. Were a page's end held back until its beginning is acknowledged, each would
    take 40 ms more than it costs."""
    with served(run_of(tmp_path, "W")) as at:
        where = urlsplit(at.root)
        connection = http.client.HTTPConnection("127.0.0.1", where.port or 0, timeout=20)
        taken_s = []
        for _ in range(40):  # the first few are acknowledged at once whatever the server does
            began = time.perf_counter()
            connection.request("GET", "/static/view.css", headers={"Cookie": f"gadfly-{where.port}={at.token}"})
            response = connection.getresponse()
            assert response.read() and response.status == 200
            taken_s.append(time.perf_counter() - began)
        connection.close()
    assert statistics.median(taken_s) < 0.035
