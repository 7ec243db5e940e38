"""`gadfly report`: which phase it is about, what it is compared with, and where it is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest

from cli_calls import Cli
from gadfly.images.folder import FolderSource
from gadfly.records import Probe
from gadfly.store.sqlite import SqliteStore
from made_probes import RIGHT, WRONG, make_probe


def made(folder: Path, phases: Mapping[str, Iterable[Probe]], images: Path) -> Path:
    """A run with these phases, as far as a store goes."""
    config = {"images": {"path": str(images)}, "target": {"model": "models/small-vlm"}}
    with SqliteStore.create(folder, folder.name, config, {"gadfly": "0.1.0"}, 3) as store:
        for phase, probes in phases.items():
            attempt = store.begin_attempt(phase)
            store.add([replace(p, key=replace(p.key, phase=phase, attempt=attempt)) for p in probes])
            store.end_attempt(attempt, "finished")
    return folder


def photographs(folder: Path) -> Path:
    folder.mkdir()
    for i in range(4):
        PIL.Image.new("RGB", (40, 30), (60 * i, 80, 90)).save(folder / f"{i}.png")
    return folder


def asked(images: Path, n: int = 12) -> list[Probe]:
    source = list(FolderSource(images))
    return [
        replace(
            make_probe(WRONG if i % 3 == 0 else RIGHT, "x", i, step=i // 4, skills=("see.it",), depth=1),
            images=(source[i % len(source)],),
        )
        for i in range(n)
    ]


def test_a_run_with_one_phase_is_reported_with_its_pictures(cli: Cli, tmp_path: Path) -> None:
    images = photographs(tmp_path / "photos")
    run = made(tmp_path / "run", {"sweep": asked(images)}, images)
    said = cli("report", run)
    assert said.status == 0, said.err
    assert "2 pages" in said.out
    report = run / "report"
    text = (report / "index.html").read_text("utf-8")
    assert "What <bdi>small-vlm</bdi> gets wrong" in text
    assert 'src="data:image/webp' in text
    assert 'id="comparison"' not in text
    assert len((report / "failures.jsonl").read_text("utf-8").splitlines()) == 4
    assert cli("report", run).status == 0, "over its own report"


def test_of_several_phases_it_is_about_the_training_and_compares_them_in_their_order(cli: Cli, tmp_path: Path) -> None:
    images = photographs(tmp_path / "photos")
    phases = {name: asked(images, n) for name, n in (("before", 8), ("train", 24), ("after", 9))}
    run = made(tmp_path / "run", phases, images)
    said = cli("report", run, "-o", tmp_path / "out", "--json")
    assert said.status == 0, said.err
    assert json.loads(said.out)["report"] == str(tmp_path / "out" / "index.html")
    text = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "24</b> fair questions" in text
    rates = text[text.index('id="compare-rates"') : text.index("one against the other")]
    assert rates.index("before") < rates.index("train") < rates.index("after")
    assert "after against before" in text
    assert not (run / "report").exists()


def test_several_runs_are_compared_and_the_first_is_reported(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # long names are cut
    images = photographs(tmp_path / "photos")
    made(tmp_path / "one", {"sweep": asked(images, 12)}, images)
    two = made(tmp_path / "two", {"sweep": asked(images, 18)}, images)
    said = cli("report", "two:sweep", "one")
    assert said.status == 0, said.err
    text = (two / "report" / "index.html").read_text("utf-8")
    assert "18</b> fair questions" in text
    assert "one:sweep against two:sweep" in text


def test_what_was_done_later_is_in_the_report_with_the_numbers_of_the_commands(cli: Cli, tmp_path: Path) -> None:
    """72 questions, a third of them WRONG; of the 24 WRONG the labeller calls every fourth RIGHT: 18 of 72, 25.0%. The
    verifier calls a third of its own answers WRONG. The other target never is."""
    images = photographs(tmp_path / "photos")
    probes = asked(images, 72)
    run = made(tmp_path / "run", {"sweep": probes, "later": asked(images, 60)}, images)
    with SqliteStore.open(run) as store:
        stored = list(store.probes("sweep"))
        wrong = [probe for probe in stored if probe.verdict is WRONG]
        for probe in stored:
            store.label("ann", probe.key, RIGHT if probe in wrong[::4] else probe.verdict, drawn=True)
            store.label("eve", probe.key, RIGHT, drawn=False)  # with the verdict in view: it counts nowhere
        for kind, phase, made_of in (
            ("null", "sweep.null", probes),
            (
                "transfer",
                "sweep.transfer.other",
                [replace(p, judgement=replace(p.judgement, verdict=RIGHT)) for p in probes],
            ),
        ):
            store.begin_replay(phase, kind, "sweep", {}, {"model": "other"} if kind == "transfer" else None)
            attempt = store.begin_attempt(phase)
            store.add([replace(p, key=replace(p.key, phase=phase, attempt=attempt)) for p in made_of])
            store.end_attempt(attempt, "finished")
    said = cli("report", run)
    assert said.status == 0, said.err
    text = (run / "report" / "index.html").read_text("utf-8")
    audited = json.loads(cli("audit", f"{run}:sweep", "--labeller", "ann", "--json").out)
    fdr = audited["corrected"]["fdr"]
    assert fdr["value"] == 0.25
    assert f"25.0%</b> ({100 * fdr['low']:.1f} to {100 * fdr['high']:.1f})" in text
    assert "of <bdi>ann</bdi>" in text and "<bdi>eve" not in text
    assert "<b>33.3%</b> of its own answers wrong" in text and "sweep.null" in text
    targets = text[text.index('id="target-table"') : text.index("Failures found are the share")]
    assert "other" in targets and "0.0%" in targets and "-33.3" in targets
    assert "sweep.transfer.other" not in text[text.index('id="compare-rates"') :], "it is no phase to compare"
    # A phase that nobody labelled is corrected by what the verifier does in the other one.
    assert cli("report", f"{run}:later").status == 0
    text = (run / "report" / "index.html").read_text("utf-8")
    there = audited["elsewhere"]["later"]["corrected"]["fdr"]
    assert f"25.0%</b> ({100 * there['low']:.1f} to {100 * there['high']:.1f})" in text
    assert "in the phase <bdi>sweep" in text and 'id="target-table"' not in text and 'id="noise"' not in text


def test_where_the_pictures_are_gone_the_rest_is_reported(cli: Cli, tmp_path: Path) -> None:
    images = photographs(tmp_path / "photos")
    run = made(tmp_path / "run", {"sweep": asked(images)}, images)
    images.rename(tmp_path / "moved")
    said = cli("report", run)
    assert said.status == 0, said.err
    assert "no picture could be opened" in said.err
    assert "The picture is not in this report" in (run / "report" / "index.html").read_text("utf-8")
    said = cli("report", run, "--images", tmp_path / "moved")
    assert "no picture" not in said.err
    assert "The picture is not in this report" not in (run / "report" / "index.html").read_text("utf-8")


def test_what_cannot_be_reported_is_one_line(cli: Cli, tmp_path: Path) -> None:
    images = photographs(tmp_path / "photos")
    run = made(tmp_path / "run", {"sweep": asked(images)}, images)
    assert "no phase 'train'" in cli("report", f"{run}:train").err
    assert "store.sqlite" in cli("report", tmp_path / "nothing").err
    said = cli("report", run, "-o", images)
    assert said.status == 2
    assert "is no report" in said.err
    assert len(list(images.iterdir())) == 4
    empty = made(tmp_path / "empty", {}, images)
    assert "no probes yet" in cli("report", empty).err
