"""The parts of a report without a browser: boxes, chosen probes, numbers, thumbnails, the folder that is written."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.Image import Image as Picture

from gadfly.analysis import items
from gadfly.analysis.audit import Corrected
from gadfly.analysis.rates import Rate
from gadfly.analysis.training import Mean
from gadfly.errors import ImageError, StoreError
from gadfly.records import Image, Verdict
from gadfly.report.build import build_report
from gadfly.report.exports import modes_csv, report_md
from gadfly.report.pages import index_page, mode_page
from gadfly.report.policy import json_block, policy
from gadfly.report.sampling import sample, spread
from gadfly.report.taxonomy_map import shade
from gadfly.report.thumbnails import Thumbnails
from gadfly.report.treemap import Box, squarify
from gadfly.report.views import KINDS, build_site, evidence_link
from gadfly.report.wording import chance, duration, interval, percent, percent_interval, shown
from made_probes import RIGHT, WRONG, make_probe
from report_material import after, followed, material_of, odd_runs, open_image, ordinary

sizes = st.lists(st.floats(1, 1e4), min_size=1, max_size=40).map(lambda some: sorted(some, reverse=True))


def test_squarify_lays_out_a_known_example() -> None:
    # Bruls, Huizing & van Wijk 2000, figure 4: 6 6 4 3 2 2 1 in 6 x 4. The room is wider than high, so the first row
    # stands at the left, 12 / 4 = 3 wide, and holds both sixes, each 2 high.
    boxes = squarify([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert boxes[0] == Box(0, 0, 3, 2)
    assert boxes[1] == Box(0, 2, 3, 2)
    # Then 4 and 3 above the rest, in a row of 7 / 3 high: 4 / (7/3) = 12/7 wide.
    assert boxes[2].width == pytest.approx(12 / 7)
    assert boxes[2].height == pytest.approx(7 / 3)


@given(sizes)
def test_boxes_fill_the_room_in_proportion(some: list[float]) -> None:
    room = Box(0, 0, 100, 52)
    boxes = squarify(some, room)
    for size, box in zip(some, boxes, strict=True):
        assert box.width * box.height == pytest.approx(5200 * size / sum(some), rel=1e-6)
        assert box.left >= -1e-4 and box.left + box.width <= 100 + 1e-4
        assert box.top >= -1e-4 and box.top + box.height <= 52 + 1e-4


def test_shades_are_seven_equal_steps_and_wide_intervals_have_none() -> None:
    assert [shade(Rate(v, v, v, 9, 0)) for v in (0.0, 0.14, 0.15, 0.99, 1.0)] == [0, 0, 1, 6, 6]
    assert shade(Rate(0.5, 0.2, 0.7, 9, 0)) is None  # 50 points wide
    assert shade(Rate(None, None, None, 0, 0)) is None


def test_spread_takes_the_middles_of_equal_parts() -> None:
    probes = [make_probe(RIGHT, "a", i) for i in range(12)]
    assert [p.key.index for p in spread(probes, 3)] == [2, 6, 10]
    assert spread(probes, 20) == probes


def test_every_kind_of_item_has_its_words() -> None:
    assert tuple(KINDS) == items.KINDS


def test_the_sample_has_every_verdict_and_skill_and_keeps_its_limit() -> None:
    probes = ordinary()
    material = material_of(probes)
    chosen = sample(probes, material.skills, material.findings.search.modes)
    assert {p.verdict for p in chosen} == set(Verdict)
    assert {skill for p in chosen for skill in material.skills[p.key]} == {
        s for some in material.skills.values() for s in some
    }
    assert len({p.key for p in chosen}) == len(chosen)
    assert len(sample(probes, material.skills, (), limit=50)) == 50


def test_numbers_are_written_with_their_intervals() -> None:
    rate = Rate(0.4924, 0.478, 0.505, 25_372, 12_493)
    assert (percent(rate.value), percent_interval(rate)) == ("49.2%", "47.8 to 50.5")
    assert percent(None) == "–"
    assert [chance(q) for q in (2e-218, 0.0008, 0.0084)] == ["less than 0.1%", "less than 0.1%", "0.8%"]
    assert interval(Mean(2.0, 1.904, 2.096, 10)) == "1.90 to 2.10"
    assert [duration(s) for s in (4.24, 200, 4320)] == ["4.2 s", "3 min 20 s", "1 h 12 min"]


def test_steering_characters_are_seen_and_long_texts_are_cut() -> None:
    assert shown("a\u202eb\x00c\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert shown("two\nlines") == "two\nlines"
    assert shown("x" * 2001) == "x" * 2000 + " … (2,001 characters, cut here)"


def test_a_link_to_evidence_survives_what_a_skill_is_called() -> None:
    assert evidence_link() == "evidence.html"
    assert evidence_link(Verdict.WRONG, "a&b=c d") == "evidence.html#verdict=WRONG&skill=a%26b%3Dc%20d"


def test_small_pictures_keep_their_size_and_large_ones_are_brought_down() -> None:
    made = Thumbnails(lambda image: PIL.Image.new("RGB", (image.width_px, image.height_px)), 1_000_000)
    small, large = made.of(Image("a", "a", 96, 48)), made.of(Image("b", "b", 2880, 1440))
    assert small is not None and (small.width_px, small.height_px, small.small) == (96, 48, True)
    assert large is not None and (large.width_px, large.height_px, large.small) == (288, 144, False)
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(large.url.partition(",")[2])))
    assert picture.size == (288, 144)


def test_pictures_end_where_the_budget_does_and_a_broken_one_is_left_out() -> None:
    one = Thumbnails(open_image, 10_000).of(Image("a", "a", 64, 48))
    assert one is not None
    made = Thumbnails(open_image, 2 * len(one.url))
    image = Image("a", "a", 64, 48)
    assert [made.of(image) is not None for _ in range(3)] == [True, True, False]

    def broken(image: Image) -> Picture:
        raise ImageError("gone")

    assert Thumbnails(broken, 1000).of(image) is None


def test_data_cannot_end_its_element() -> None:
    block = json_block({"a": "</script><!--\u2028\ud800&"})
    assert not set("<>&\u2028") & set(block)
    assert json.loads(block) == {"a": "</script><!--\u2028\ud800&"}


def test_a_policy_lets_in_what_it_was_given_and_nothing_else() -> None:
    # printf 'a' | openssl dgst -sha256 -binary | base64
    said = policy(["a"], [])
    assert "script-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='" in said
    assert "style-src 'none'" in said and said.startswith("default-src 'none'")
    assert "unsafe" not in said and "http" not in said


class Inline(HTMLParser):
    """Collects what a page's policy has to let in, and attributes that it never would."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.texts: list[tuple[str, str]] = []
        self.attributes: set[str] = set()
        self.inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        data = dict(attrs).get("type") == "application/json"
        self.inside = tag if tag in ("script", "style") and not data else None

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside is not None:
            self.texts.append((self.inside, data))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("parts") / "report"
    build_report(material_of(ordinary()), open_image, out)
    return out


def test_every_page_lets_in_its_own_scripts_and_styles_by_hash(folder: Path) -> None:
    for path in folder.rglob("*.html"):
        page = Inline()
        text = path.read_text("utf-8")
        page.feed(text)
        allowed = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
        assert allowed is not None
        for kind, inline in page.texts:
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            assert f"{kind}-src" in allowed[1] and digest in allowed[1].replace("&#39;", "'")
        assert not {name for name in page.attributes if name == "style" or name.startswith("on")}
        assert len(page.texts) >= 3


def test_the_files_hold_what_the_run_found(folder: Path) -> None:
    probes = ordinary()
    lines = [json.loads(line) for line in (folder / "failures.jsonl").read_text("utf-8").splitlines()]
    wrong = [p for p in probes if p.verdict is WRONG]
    assert [(one["step"], one["index"]) for one in lines] == [(p.key.step, p.key.index) for p in wrong]
    assert lines[0]["images"] == [{"sha256": wrong[0].images[0].id, "path": wrong[0].images[0].path}]
    rows = list(csv.DictReader((folder / "modes.csv").read_text("utf-8").splitlines()))
    assert rows[0]["name"] == "counting.count"
    assert float(rows[0]["low"]) < float(rows[0]["failure_rate"]) < float(rows[0]["high"])
    text = (folder / "report.md").read_text("utf-8")
    assert text.startswith("# What small\\-vlm gets wrong\n")
    assert "| 1 | counting.count | " in text


def test_the_same_run_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    build_report(material_of(ordinary()), open_image, tmp_path / "again")
    for path in folder.rglob("*"):
        if path.is_file():
            assert (tmp_path / "again" / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_a_report_is_written_over_a_report_and_over_nothing_else(tmp_path: Path) -> None:
    material = material_of(odd_runs()["tiny"])
    out = tmp_path / "report"
    build_report(material, open_image, out)
    (out / "modes" / "old.html").write_text("of an earlier one")
    build_report(material, open_image, out)
    assert not (out / "modes" / "old.html").exists()
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").write_text("mine")
    with pytest.raises(StoreError, match="is no report"):
        build_report(material, open_image, other)
    assert (other / "cat.jpg").read_text() == "mine"
    assert not (tmp_path / "report.partial").exists()


def test_missing_pictures_are_said_and_the_report_is_built(tmp_path: Path) -> None:
    def gone(image: Image) -> Picture:
        raise ImageError("no such folder")

    site = build_site(material_of(ordinary()), gone)
    assert site.pictures_missing
    built = build_report(material_of(ordinary()), gone, tmp_path / "report")
    assert built.pictures_missing
    assert "could not be opened" in built.index.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "No question has been asked yet"),
        ("tiny", "too few probes"),
        ("all right", "all 120 answers were RIGHT"),
        ("all wrong", "all 120 answers were WRONG"),
        ("all invalid", "None of the <b>120</b> judged questions was a fair one"),
        ("all undecided", "None of the <b>120</b> questions could be judged"),
    ],
)
def test_odd_runs_say_what_is_the_matter(tmp_path: Path, name: str, said: str) -> None:
    built = build_report(material_of(odd_runs()[name], training=False), open_image, tmp_path / "report")
    assert said in built.index.read_text("utf-8")


def test_a_training_that_ends_in_one_question_for_all_images_is_warned_of() -> None:
    many = [make_probe(WRONG, f"i{i}", i, step=i // 20, question=f"q{i}") for i in range(120)]
    few = [*many[:100], *(make_probe(WRONG, f"i{i}", i, step=5, question="how many?") for i in range(100, 120))]
    for asked, training, warned in ((many, True, False), (few, True, True), (few, False, False)):
        page = index_page(build_site(material_of(asked, training=training), open_image))
        assert ("in its last steps only 5.0% of a step&#39;s were worded differently" in page) == warned


def test_what_is_carried_along_is_what_the_manifest_says() -> None:
    vendor = files("gadfly.report") / "vendor"
    entries = json.loads((vendor / "manifest.json").read_text("utf-8"))
    assert {one["package"] for one in entries} == {"uplot", "@fontsource-variable/inter"}
    for one in entries:
        assert hashlib.sha256((vendor / one["file"]).read_bytes()).hexdigest() == one["sha256"], one["file"]
        assert (vendor / f"{one['file'].partition('.')[0]}.LICENSE").is_file()


# ------------------------------------------------------------------------------------- what was done with it later


def test_rates_stand_beside_what_they_are_once_the_verifiers_errors_are_taken_out() -> None:
    """Of 251 that it calls WRONG Ann labelled 40 and found 32 so; RIGHT and INVALID she left as they were. So truly
    wrong are 251 · 32/40 = 200.8 of 884, 22.7%; of the 784 fair ones, which all stay fair, 25.6%."""
    site = build_site(followed(), open_image)
    ann, bob = site.labelled
    assert ann.refused is None and ann.n == 120
    page = index_page(site)
    table = page[page.index("As labelled by <bdi>ann") : page.index("As labelled by <bdi>bob")]
    assert [one in table for one in ("28.4%", "22.7%", "88.7%", "32.0%", "25.6%")] == [True] * 5
    assert re.search(r"failures found <b class=\"num\">22.7%</b> \(\d+\.\d to \d+\.\d\)", page), "in short, at the top"
    assert "n&nbsp;=&nbsp;884" in table and "120&nbsp;labels" in table
    # Of the 48 that are labelled RIGHT it called 8 WRONG, weighted: 533 / (533 + 251 · 8/40) = 91.4% are seen.
    assert "91.4%" in table
    assert bob.refused is not None and "at least 5 of each are needed" in page
    assert "The rates are not corrected: labels for only 1 of the 533 probes judged RIGHT" in page
    said = report_md(site)
    assert "| failures found (FDR), of judged questions | 28.4% | 22.7% | " in said
    assert "Not corrected by the labels of bob: labels for only 1" in said


def test_each_label_is_one_click_from_its_evidence() -> None:
    material = followed()
    site = build_site(material, open_image)
    (differ,) = (one for one in site.labelled[0].rows[1][1] if one.said is RIGHT)
    assert (differ.judged, differ.n, differ.mark) == (WRONG, 8, "labelled RIGHT by ann")
    assert f'href="{evidence_link(WRONG, None, differ.mark)}"'.replace("&", "&amp;") in index_page(site)
    shown = [card for card in site.sample if card.verdict is WRONG and differ.mark in card.labels]
    assert len(shown) == 8
    assert differ.mark in site.sampled_labels


def test_without_labels_one_line_says_so_and_how_to_get_some() -> None:
    site = build_site(material_of(ordinary()), open_image)
    page = index_page(site)
    section = page[page.index('id="verifier"') : page.index('id="training"')]
    assert "The rates are the verifier’s own" in section and "gadfly audit RUN:train" in section
    assert "<table" not in section and "own answers" not in section
    assert "gadfly audit RUN:train corrects them" in report_md(site)


def test_labels_of_another_phase_correct_as_if_it_erred_alike_and_lead_nowhere() -> None:
    material = followed()
    ann = replace(material.labelled[0], phase="before")
    site = build_site(replace(material, labelled=(ann,)), open_image)
    assert not site.labelled[0].here
    page = index_page(site)
    assert "in the phase <bdi>before" in page and "if the verifier erred here as it did there" in page
    assert "label=labelled" not in page
    reason = "the judge does not tell the verdicts apart well enough to be corrected: condition number 40, at most 10"
    refused = replace(ann, corrected=Corrected.refused(reason))
    page = index_page(build_site(replace(material, labelled=(refused,)), open_image))
    assert f"The rates are not corrected: {reason}." in page
    assert "they do not suffice to correct them" in page


def test_a_mode_s_page_says_what_its_rate_is_compared_with() -> None:
    material = material_of(ordinary())
    findings = material.findings
    assert findings.search.n_in_none > 0
    everywhere = replace(findings.search, n_in_none=0)
    for search, among in ((findings.search, "where no failure mode is"), (everywhere, "all other questions")):
        site = build_site(replace(material, findings=replace(findings, search=search)), open_image)
        assert among in mode_page(site, site.modes[0])
    assert "where no failure mode is" not in mode_page(site, site.modes[0])


def test_a_mode_found_among_questions_of_the_same_skills_says_by_how_much() -> None:
    material = material_of(ordinary())
    search = material.findings.search
    mode = replace(search.modes[0], found=replace(search.modes[0].found, matched=0.172))
    findings = replace(material.findings, search=replace(search, modes=(mode, *search.modes[1:])))
    site = build_site(replace(material, findings=findings), open_image)
    said = "17 points more than other questions that need the same skills"
    assert said in mode_page(site, site.modes[0])
    plain = build_site(material, open_image)
    assert "need the same skills" not in mode_page(plain, plain.modes[0])


def test_modes_say_what_held_afresh_who_shares_them_and_when_to_read_them() -> None:
    material = followed()
    site = build_site(material, open_image)
    (row,) = csv.DictReader(io.StringIO(modes_csv(material)))
    # 48 fresh ones, of which every fifth is RIGHT: 38 of 48 are WRONG.
    assert (row["confirmation"], row["confirmed_n"], row["confirmed_failure_rate"][:5]) == ("confirmed", "48", "0.791")
    assert (row["read_as"], row["new_failures"], row["novelty"]) == ("1", "169", "known")
    assert (row["reach"], row["other_targets"]) == ("shared", "3") and float(row["z"]) > 0
    page, overview = mode_page(site, site.modes[0]), index_page(site)
    for text in (page, overview):
        assert "confirmed" in text and "shared by some" in text and "79.2% (64.9 to 88.6)" in text
    assert "Read these first" in overview and "Explains 169 of the 251 wrong answers; so far 67.3%" in overview
    assert len(site.modes[0].fresh) == 6
    card = site.modes[0].cards[0]
    assert [(one.target, one.verdict) for one in card.others[:2]] == [("alike", WRONG), ("good", RIGHT)]
    assert "1 confirmed" in overview and "gadfly confirm" not in overview
    said = report_md(site)
    assert "confirmed, 79.2% (64.9 to 88.6), n 48 | known kind of failure | shared by some (Z-score" in said
    assert "| alike | 28.4% | 25.1 to 31.9 | 884 |" in said
    untouched = modes_csv(material_of(ordinary()))
    assert next(csv.DictReader(io.StringIO(untouched)))["reach"] == ""
    assert "gadfly confirm RUN:train" in index_page(build_site(material_of(ordinary()), open_image))


@pytest.mark.parametrize("name", list(odd_runs()))
def test_runs_with_little_to_show_stand_all_that_can_be_done_with_them(name: str, tmp_path: Path) -> None:
    probes = odd_runs()[name]
    build_report(after(material_of(probes)), open_image, tmp_path / "report")
    for path in (tmp_path / "report").rglob("*.html"):
        text = re.sub(r"<(script|style).*?</\1>", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert not re.search(r"\b(nan|None%|NaN|inf)\b", text)
    assert "nan" not in (tmp_path / "report" / "report.md").read_text("utf-8").split()
