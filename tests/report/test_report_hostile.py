"""What models and files say is text: in every page, as every field, without the policy's help, none of it runs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browsing import Watched, chromium, watched
from gadfly.analysis.audit import Corrected
from gadfly.analysis.taxonomy import Node
from gadfly.records import Image, Probe, Verdict
from gadfly.report.build import build_report
from gadfly.report.exports import report_md
from gadfly.report.material import Material
from gadfly.report.views import build_site
from hostile_texts import HOSTILE
from made_probes import WRONG, make_probe
from report_material import CONFIG, after, material_of, open_image, ordinary

LOOK = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const handlers = (one) => [...one.attributes].some((a) => a.name.startsWith("on"));
  return {
    ran: window.pwned === undefined ? null : window.pwned,
    scripts: all("script[src]").length,
    styles: all("body style").length,
    strangers: all("iframe, object, embed, base, form, video, audio, marquee, math, animate, use").length,
    handlers: all("*").filter(handlers).length,
    addresses: all("a[href]").map((a) => a.getAttribute("href")).filter((href) => /^[a-z]+:/i.test(href)),
    pictures: all("img[src]").filter((one) => !one.src.startsWith("data:image/webp;base64,")).length,
  };
}"""
CLEAN: dict[str, object] = {
    "ran": None,
    "scripts": 0,
    "styles": 0,
    "strangers": 0,
    "handlers": 0,
    "addresses": [],
    "pictures": 0,
}


def hostile_probe(text: str, i: int) -> Probe:
    verdict = list(Verdict)[i % 4]
    probe = make_probe(verdict, f"i{i}", i, question=text, answer=text, expected=text, skills=(text,), depth=1)
    return replace(
        probe,
        images=(Image(f"i{i}", text, 64, 48),),
        judgement=replace(probe.judgement, reason=text or "none"),
        terms={text[:100]: 1.0},
        reward=1.0,
    )


def hostile_material() -> Material:
    """Every text as question, answer, expected answer, reason, file name, skill, reward term; and as the name of a
    mode, of a family, of a model, of a run."""
    probes = [*ordinary(), *(replace_step(hostile_probe(text, i)) for i, text in enumerate(HOSTILE))]
    material = material_of(probes)
    (mode, *_) = (one for one in material.findings.search.modes if one.held_up)
    modes = tuple(
        replace(
            mode,
            id=f"m{i:010x}",
            name=text,
            description=text,
            items=(f"skill:{text}", f"concept:{text}", f"answer:word.{text}", f"image:{text}"),
        )
        for i, text in enumerate(HOSTILE)
    )
    nodes = tuple(
        Node(
            text,
            "family",
            text,
            mode.failure,
            (Node(f"skill:{text}", "skill", text, mode.failure, (Node(one.id, "mode", text, mode.failure, ()),)),),
        )
        for text, one in zip(HOSTILE, modes, strict=True)
    )
    search = replace(material.findings.search, modes=modes)
    script = HOSTILE[0]
    done = after(material)
    assert done.transfer is not None and done.noise is not None
    named = {one.key: WRONG for one in probes}
    over, *_ = done.transfer.modes.values()
    targets = tuple(replace(done.transfer.targets[0], name=text, phase=text, probes=probes) for text in HOSTILE[:9])
    transfer = replace(
        done.transfer,
        targets=targets,
        modes={one.id: replace(over, others=dict.fromkeys(HOSTILE[:9], over.own)) for one in modes},
    )
    refused = Corrected.refused(script)
    labelled = tuple(replace(done.labelled[0], labeller=text, said=named) for text in HOSTILE[:9])
    labelled += tuple(replace(done.labelled[1], labeller=text, phase=text, corrected=refused) for text in HOSTILE[:9])
    return replace(
        material,
        name=script,
        findings=replace(material.findings, search=search, taxonomy=nodes, coverage_reason=script),
        origin=replace(
            material.origin,
            run=script,
            phase=script,
            config={**CONFIG, "target": {"model": script}, script: list(HOSTILE[:100])},
            versions={script: script},
        ),
        usage=dict.fromkeys(HOSTILE[:20], next(iter(material.usage.values()))),
        ended_by_limit=script,
        remarks=HOSTILE[:30],
        compared=tuple(replace(row, name=text) for text in HOSTILE for row in material.compared),
        reading=tuple(replace(done.reading[0], mode=one) for one in modes),
        fresh={one.id: probes[-40:] for one in modes},
        labelled=labelled,
        n_labels=len(named),
        noise=replace(done.noise, phase=script, probes=probes[-40:]),
        transfer=transfer,
        contrasts=(),
    )


def replace_step(probe: Probe) -> Probe:
    return replace(probe, key=replace(probe.key, step=40 + probe.key.index % 7))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def material() -> Material:
    return hostile_material()


@pytest.fixture(scope="module")
def folder(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hostile") / "report"
    build_report(material, open_image, out)
    return out


def open_clean(seen: Watched, path: Path, fragment: str = "") -> None:
    seen.open(path, fragment)
    assert seen.page.evaluate(LOOK) == CLEAN, path.name


def test_there_are_at_least_eighty_of_them() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 80


@pytest.mark.slow
@pytest.mark.parametrize(("width", "every"), [(390, 1), (1280, 10)])
def test_none_runs_on_any_page_even_without_the_policy(folder: Path, browser: Browser, width: int, every: int) -> None:
    """`every`: nearly all that a wide window could show otherwise is on the first two pages."""
    with watched(browser, bypass_csp=True, viewport={"width": width, "height": 800}) as seen:
        modes = sorted((folder / "modes").glob("*.html"))
        assert len(modes) == len(HOSTILE)
        for path in [folder / "index.html", folder / "evidence.html", *modes[::every]]:
            open_clean(seen, path)
            assert seen.overflow_px() <= 0, path.name
            assert seen.page.locator("footer").is_visible()
        assert seen.complaints == []
        assert seen.dialogs == []
        assert seen.outside(folder) == []


@pytest.mark.slow
def test_none_runs_when_the_page_is_used(folder: Path, browser: Browser) -> None:
    """What scripts move about (legends, boxes beside the pointer, enlarged pictures, filters) is text as well."""
    with watched(browser, bypass_csp=True, viewport={"width": 1280, "height": 800}) as seen:
        open_clean(seen, folder / "index.html")
        seen.page.locator("[data-chart=rewards]").focus()
        for key in ("ArrowRight", "ArrowRight"):
            seen.page.keyboard.press(key)
        seen.page.get_by_role("button", name="Open all").click()
        seen.page.locator("#mode-table th button").nth(1).click()
        seen.page.get_by_label("Filter failure modes").fill("<script>")
        assert seen.page.evaluate(LOOK) == CLEAN
        open_clean(seen, folder / "evidence.html", "#label=%3Cimg%20src=x%20onerror=window.pwned=1%3E")
        seen.page.locator("#label").select_option(index=5)
        assert seen.page.evaluate(LOOK) == CLEAN
        open_clean(seen, folder / "evidence.html", "#skill=%3Cimg%20src=x%20onerror=window.pwned=1%3E&verdict=<script>")
        for i in range(0, 24, 3):
            seen.page.locator(".zoom").nth(i).click()
            assert seen.page.locator("dialog").is_visible()
            seen.page.get_by_role("button", name="Close", exact=True).click()
        assert seen.page.evaluate(LOOK) == CLEAN
        assert seen.dialogs == []
        assert seen.complaints == []


@pytest.mark.slow
def test_each_is_shown_as_it_was_written(browser: Browser, tmp_path: Path) -> None:
    """Escaped once and not twice: what is read on the page is what the model wrote."""
    texts = [text for text in HOSTILE if text.isprintable() and 0 < len(text) < 1000]
    assert len(texts) > 70
    with watched(browser) as seen:
        for first in range(0, len(texts), 50):  # fewer than a page of evidence shows of one verdict
            some = texts[first : first + 50]
            probes = [make_probe(Verdict.WRONG, f"i{i}", i, question=text) for i, text in enumerate(some)]
            build_report(material_of(probes, training=False), open_image, tmp_path / f"report{first}")
            seen.open(tmp_path / f"report{first}" / "evidence.html")
            found = seen.page.locator("#cards .asked").evaluate_all("all => all.map((one) => one.textContent)")
            assert found == some


def test_the_files_are_harmless_where_they_are_read(folder: Path, material: Material) -> None:
    with (folder / "modes.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(HOSTILE)
    assert not [row["name"] for row in rows if row["name"].lstrip().startswith(("=", "+", "-", "@"))]
    failures = (folder / "failures.jsonl").read_text("utf-8").splitlines()
    questions = {json.loads(line)["question"] for line in failures}
    wrong = {text[:20_000] for i, text in enumerate(HOSTILE) if list(Verdict)[i % 4] is Verdict.WRONG}
    assert wrong <= questions
    said = report_md(build_site(material, open_image))
    assert not re.findall(r"(?<!\\)[<>`\[]", said), "nothing that begins an element, code or a link"
