"""The report in a browser: it opens from a disk, its parts work, nothing leaves it, axe finds no serious fault."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browsing import Watched, chromium, watched
from gadfly.records import Verdict
from gadfly.report.build import build_report
from report_material import after, followed, material_of, odd_runs, open_image, ordinary


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a training with a planted failure mode, compared with another run."""
    out = tmp_path_factory.mktemp("report") / "report"
    probes = ordinary()
    build_report(material_of(probes, others={"another": probes[:300]}), open_image, out)
    return out


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a training that was labelled, transferred, confirmed."""
    out = tmp_path_factory.mktemp("done") / "report"
    build_report(followed(), open_image, out)
    return out


@pytest.fixture
def seen(browser: Browser) -> Iterator[Watched]:
    with watched(browser, viewport={"width": 1280, "height": 900}) as page:
        yield page


def pages(folder: Path) -> list[Path]:
    return [folder / "index.html", folder / "evidence.html", *sorted((folder / "modes").glob("*.html"))]


def test_every_page_opens_without_a_complaint_and_asks_for_nothing(folder: Path, seen: Watched) -> None:
    assert len(pages(folder)) > 2, "the planted mode has a page"
    for path in pages(folder):
        seen.open(path)
        assert seen.page.locator("h1").count() == 1
    assert seen.complaints == []
    assert seen.outside(folder) == []
    assert {url for url in seen.requests if url.startswith("file:")} == {path.as_uri() for path in pages(folder)}


def test_the_planted_mode_comes_first_and_its_page_shows_the_evidence(folder: Path, seen: Watched) -> None:
    seen.open(folder / "index.html")
    first = seen.page.locator(".mode-card h3 a").first
    assert "counting.count" in first.inner_text()
    seen.follow(first)
    cards = seen.page.locator(".card")
    assert cards.count() == 20
    assert set(cards.evaluate_all("all => all.map(one => one.dataset.verdict)")) == {"WRONG"}
    assert "counting.count?" in cards.first.inner_text()


def test_a_count_of_labels_leads_to_the_probes(done: Path, seen: Watched) -> None:
    seen.open(done / "index.html")
    link = seen.page.locator("#verifier .crossed").first.get_by_role("link", name="8", exact=False)
    assert link.inner_text() == "8"
    seen.follow(link)
    shown = seen.page.locator(".card:visible")
    assert shown.count() == 8
    assert set(
        shown.evaluate_all("all => all.map(one => one.dataset.verdict + ', ' + one.dataset.labels.split('\\n')[0])")
    ) == {"WRONG, labelled RIGHT by ann"}
    seen.page.get_by_label("Label", exact=True).select_option("")
    assert shown.count() > 8 and "label" not in seen.page.url
    assert seen.complaints == []


def test_a_mode_s_page_shows_fresh_questions_and_other_targets(done: Path, seen: Watched) -> None:
    seen.open(done / "index.html")
    assert "1. counting.count" in seen.page.locator(".mode-card h3").first.inner_text()
    seen.follow(seen.page.locator("#reach-table a").first)
    first = seen.page.locator(".card").first
    assert "alike" in first.inner_text() and "it is wrong" in first.inner_text()
    seen.page.get_by_role("link", name="confirmed").click()
    assert seen.page.url.endswith("#fresh") and seen.page.locator("section[aria-labelledby=fresh] .card").count() == 6
    rows = seen.page.locator("section[aria-labelledby=targets] tbody tr")
    assert [row.split()[0] for row in rows.all_inner_texts()] == ["small-vlm", "alike", "good", "fair"]
    assert seen.complaints == []


def test_a_box_of_the_map_opens_the_tree_there(folder: Path, seen: Watched) -> None:
    seen.open(folder / "index.html")
    assert not seen.page.get_by_role("link", name="Wrong answers that needed it").last.is_visible()
    seen.page.locator(".map a", has_text="count").first.click()
    opened = seen.page.locator("details[open] > summary", has_text="counting.count")
    opened.first.wait_for()  # the tree opens on hashchange, which comes after the click
    assert opened.first.is_visible()
    link = seen.page.locator("details[open] details[open] a", has_text="Wrong answers that needed it").first
    seen.follow(link)
    shown = seen.page.locator(".card:visible")
    assert shown.count() > 0
    assert set(shown.evaluate_all("all => all.map(one => one.dataset.verdict + one.dataset.skills)")) == {
        "WRONGcounting.count"
    }


def test_the_tree_opens_closes_and_is_searched(folder: Path, seen: Watched) -> None:
    seen.open(folder / "index.html")
    page, opened = seen.page, "#tree details[open]"
    page.get_by_role("button", name="Open all").click()
    assert page.locator(opened).count() == page.locator("#tree details").count()
    page.get_by_role("button", name="Close all").click()
    assert page.locator(opened).count() == 0
    page.get_by_label("Find in the tree").fill("left_of")
    visible = page.locator("#tree summary:visible .name").all_inner_texts()
    assert visible == ["space", "space.left_of"]


def test_tables_sort_both_ways_and_filter(folder: Path, seen: Watched) -> None:
    seen.open(folder / "index.html")
    table = seen.page.locator("#course-table")
    names = table.locator("tbody th")
    head = table.get_by_role("button", name="Skill")
    head.click()
    assert names.all_inner_texts() == ["counting.count", "logic.not", "recognition.colour", "space.left_of"]
    head.click()
    assert names.all_inner_texts()[0] == "space.left_of"
    assert table.locator("th[aria-sort=descending]").count() == 1
    table.get_by_role("button", name="Wrong in the last third").click()
    assert names.all_inner_texts()[0] == "counting.count", "numbers begin with the largest"
    seen.page.get_by_label("Filter skills").fill("colour")
    assert table.locator("tbody tr:visible th").all_inner_texts() == ["recognition.colour"]
    assert "1 shown" in seen.page.locator("[data-controls=course-table]").inner_text()


def test_evidence_is_filtered_by_verdict_words_and_address(folder: Path, seen: Watched) -> None:
    seen.open(folder / "index.html")
    seen.follow(seen.page.locator(".shares a", has_text="not a fair question"))
    shown = seen.page.locator(".card:visible")
    assert set(shown.evaluate_all("all => all.map(one => one.dataset.verdict)")) == {"INVALID"}
    assert shown.count() == 50
    seen.page.get_by_role("button", name="All").click()
    everything = shown.count()
    seen.page.get_by_label("Words in the question").fill("space.left_of number")
    assert 0 < shown.count() < everything
    seen.page.get_by_label("Words in the question").fill("no such words")
    assert shown.count() == 0
    assert seen.page.locator("#none").is_visible()


def test_a_mode_is_exported_as_lines_and_as_a_folder_of_pictures(folder: Path, seen: Watched, tmp_path: Path) -> None:
    path = pages(folder)[2]
    seen.open(path)
    with seen.page.expect_download() as download:
        seen.page.get_by_role("button", name="Export questions (.jsonl)").click()
    download.value.save_as(tmp_path / "lines")
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text("utf-8").splitlines()]
    assert download.value.suggested_filename == f"{path.stem}.jsonl"
    assert len(lines) == seen.page.locator(".card").count()
    assert {line["verdict"] for line in lines} == {Verdict.WRONG}
    with seen.page.expect_download() as download:
        seen.page.get_by_role("button", name="Export pictures and questions").click()
    download.value.save_as(tmp_path / "zip")
    with zipfile.ZipFile(tmp_path / "zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert f"{path.stem}/probes.jsonl" in names
        first = f"{path.stem}/images/{lines[0]['images'][0]['sha256'][:16]}.webp"
        import PIL.Image

        assert PIL.Image.open(io.BytesIO(archive.read(first))).size == (64, 48)
    assert seen.complaints == []


def test_charts_answer_to_pointer_and_keys(folder: Path, seen: Watched) -> None:
    seen.open(folder / "index.html")
    plot = seen.page.locator("[data-chart=course]")
    plot.scroll_into_view_if_needed()
    plot.hover()
    tip = plot.locator(".tip")
    assert tip.is_visible()
    assert "failures found" in tip.inner_text() and "n\u00a0=" in tip.inner_text()
    plot.focus()
    seen.page.keyboard.press("ArrowRight")
    first = tip.inner_text()
    seen.page.keyboard.press("ArrowRight")
    assert tip.inner_text() != first
    assert seen.page.locator("[data-chart] canvas").count() == 3


def test_keys_alone_reach_everything(folder: Path, seen: Watched) -> None:
    seen.open(pages(folder)[2])
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    zoom = seen.page.locator(".zoom").first
    zoom.focus()
    seen.page.keyboard.press("Enter")
    dialog = seen.page.locator("dialog")
    assert dialog.is_visible()
    before = dialog.inner_text()
    seen.page.keyboard.press("ArrowRight")
    assert dialog.inner_text() != before
    seen.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    theme = seen.page.locator("#theme")
    theme.focus()
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(folder: Path, done: Path, browser: Browser, theme: str) -> None:
    with watched(browser, viewport={"width": 1280, "height": 900}, color_scheme=theme) as seen:
        for path in [*pages(folder)[:3], *pages(done)[:3]]:
            seen.open(path)
            assert seen.page.evaluate("document.documentElement.dataset.theme") == theme
            seen.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            assert seen.axe() == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_its_window(folder: Path, done: Path, browser: Browser, width: int) -> None:
    with watched(browser, viewport={"width": width, "height": 800}) as seen:
        for path in [*pages(folder)[:3], *pages(done)[:3]]:
            seen.open(path)
            assert seen.overflow_px() <= 0, path.name


def test_on_paper_there_are_no_controls_and_the_paper_is_white(folder: Path, seen: Watched) -> None:
    seen.open(folder / "index.html")
    seen.page.emulate_media(media="print")
    assert not seen.page.locator(".bar").is_visible()
    assert not seen.page.locator(".controls").first.is_visible()
    assert seen.page.pdf().startswith(b"%PDF")


def test_without_scripts_everything_can_still_be_read(folder: Path, browser: Browser) -> None:
    with watched(browser, java_script_enabled=False) as seen:
        seen.open(folder / "index.html")
        assert seen.page.locator("#mode-table tbody tr").first.is_visible()
        assert seen.page.locator("#tree summary").first.is_visible()
        assert not seen.page.locator("#mode-table-filter").is_visible()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(odd_runs()))
@pytest.mark.parametrize("kind", ["train", "sweep", "all done"])
def test_runs_with_little_to_show_look_right_too(tmp_path: Path, browser: Browser, name: str, kind: str) -> None:
    out = tmp_path / "report"
    material = material_of(odd_runs()[name], training=kind != "sweep")
    build_report(after(material) if kind == "all done" else material, open_image, out)
    with watched(browser, viewport={"width": 390, "height": 800}) as seen:
        for path in pages(out):
            seen.open(path)
            assert seen.overflow_px() <= 0
            assert seen.axe() == []
            text = seen.page.locator("main").inner_text()
            assert "None" not in text.split() or "None of the" in text or "None was" in text
            assert "nan" not in text.lower().split()
        assert seen.complaints == []
        assert seen.outside(out) == []


def test_the_policy_stops_what_is_not_the_page_s_own(folder: Path, seen: Watched) -> None:
    seen.open(folder / "index.html")
    seen.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          const image = document.createElement("img");
          image.src = "https://example.invalid/x.png";
          document.body.append(image);
        }"""
    )
    assert seen.page.evaluate("window.ran") is None
    assert len(seen.complaints) == 2
    assert all("Content Security Policy" in one for one in seen.complaints)
