"""The findings of a phase as a library makes them, without the command line: the same files, and what is told on the
way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from cli_calls import Cli
from gadfly import run_folder, runs
from gadfly.config import from_dict, override
from gadfly.errors import EndpointError, StoreError
from gadfly.phase_findings import MEASURING, NAMING, READING, Phase, read_phase
from gadfly.records import Probe
from gadfly.report.courses import draw_courses
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.album import render
from gadfly.wiring import Wiring
from loopback_server import Act, Body, LoopbackServer, texts_of
from mode_worlds import hearts

N = 48


@pytest.fixture
def run(checkpoint: Path, tmp_path: Path) -> Path:
    """Questions about 12 images to a target of random weights, judged by the oracle."""
    render(tmp_path / "album", n=12, split="probe", seed=3)
    settings = {
        "name": "swept",
        "out": str(tmp_path),
        "images": {"path": str(tmp_path / "album")},
        "questioner": {"method": "uniform"},
        "target": {"model": str(checkpoint), "max_new_tokens": 3},
        "verifier": {"kind": "oracle"},
        "reward": {"embedder": "hash"},
        "sweep": {"n": N},
    }
    config = from_dict(settings)
    with run_folder.opened(config, resume=False) as store:
        runs.sweep(Wiring(config), store)
    return tmp_path / "swept"


class Heard:
    """What is told while a phase is read and analysed."""

    def __init__(self) -> None:
        self.stages: list[tuple[int, int, str]] = []
        self.remarks: list[str] = []

    def of(self, stage: str) -> list[tuple[int, int]]:
        return [(done, total) for done, total, which in self.stages if which == stage]

    def read(self, run: Path, annotator: dict[str, str] | None = None) -> Phase:
        with SqliteStore.open(run, read_only=True) as store:
            return read_phase(
                store,
                run,
                "sweep",
                change=None if annotator is None else lambda own: override(own, {"annotator": annotator}),
                on_progress=lambda done, total, stage: self.stages.append((done, total, stage)),
                on_remark=self.remarks.append,
            )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def made(folder: Path, probes: Iterable[Probe]) -> Path:
    """A run of these probes, whose images are not there."""
    with SqliteStore.create(folder, "made", {"images": {"path": str(folder / "gone")}}, {}, 0) as store:
        attempt = store.begin_attempt("sweep")
        store.add([replace(p, key=replace(p.key, phase="sweep", attempt=attempt)) for p in probes])
    return folder


def test_the_files_are_those_of_the_command(cli: Cli, run: Path) -> None:
    with SqliteStore.open(run, read_only=True) as store:
        phase = read_phase(store, run, "sweep")
    found = phase.analyse()
    written = [*phase.write(found), *draw_courses(found, phase.folder.path)]
    files = contents(run / "findings")
    assert {str(path.relative_to(run / "findings")) for path in written} == files.keys() - {
        "pictures.json",
        "groundings.json",
    }
    assert phase.search() == found.search
    modes = phase.folder.path / "modes.json"
    modes.write_text(json.dumps({**json.loads(modes.read_text()), "n_searched": 77}))
    assert phase.search().n_searched == 77  # what is written is read
    for path in written:
        path.unlink()
    assert cli("analyze", run).status == 0
    assert contents(run / "findings") == files


def test_a_phase_that_there_is_not_is_said(run: Path) -> None:
    with (
        SqliteStore.open(run, read_only=True) as store,
        pytest.raises(StoreError, match="no phase 'swep'; it has sweep"),
    ):
        read_phase(store, run, "swep")


def test_no_part_of_the_command_line_is_loaded(run: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from gadfly.phase_findings import read_phase;"
        "from gadfly.store.sqlite import SqliteStore; run = Path(sys.argv[1]);"
        "phase = read_phase(SqliteStore.open(run, read_only=True), run, 'sweep');"
        "print(phase.analyse().counts.total, [name for name in sys.modules if name.startswith('gadfly.cli')])"
    )
    said = subprocess.run([sys.executable, "-c", program, str(run)], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == (f"{N} []\n", "")


def test_progress_is_told_from_the_beginning_of_a_stage_to_its_end_and_what_is_kept_is_not_made_again(
    run: Path,
) -> None:
    first, again = Heard(), Heard()
    phase = first.read(run)
    assert first.stages == [(0, N, READING), (N, N, READING)]
    found = phase.analyse()
    n_images = len({image.id for probe in phase.probes for image in probe.images})
    assert first.of(MEASURING) == [(done, n_images) for done in range(n_images + 1)]
    assert [stage for _, _, stage in first.stages] == [READING] * 2 + [MEASURING] * (n_images + 1)
    assert again.read(run).analyse() == found
    assert again.of(MEASURING) == [] and first.remarks == again.remarks == []


def test_what_cannot_be_found_out_is_remarked_and_the_rest_is_found(run: Path) -> None:
    album = run.parent / "album"
    torn = sorted(album.glob("*.png"))[:3]
    for path in torn:
        path.write_bytes(path.read_bytes()[:60])
    heard = Heard()
    phase = heard.read(run)
    asked = {image.path for probe in phase.probes for image in probe.images}
    found = phase.analyse()
    assert heard.remarks == [
        f"{len(asked & {path.name for path in torn})} of {len(asked)} images could not be measured"
    ]
    phase.items_of()
    assert len(heard.remarks) == 1  # once for a phase
    for path in (run / "findings").glob("*.json"):
        path.unlink()
    album.rename(run.parent / "elsewhere")
    gone = Heard()
    assert gone.read(run).analyse().counts == found.counts
    assert [remark.partition(":")[0] for remark in gone.remarks] == ["no image conditions", "no referents"]


def test_an_annotator_that_refuses_is_fatal_only_where_it_said_nothing_before(tmp_path: Path) -> None:
    run, heard, again = made(tmp_path / "run", hearts(24)), Heard(), Heard()
    refuses = False

    def act(n: int, body: Body) -> Act:
        if refuses:
            return Act.WRONG_KEY
        return Act.BAD_REQUEST if "question 0/0/5?" in texts_of(body) else Act.ANSWER

    with LoopbackServer(act, answer=lambda body: json.dumps({"skills": ["see.it"], "concepts": []})) as server:
        annotator = {"model": "namer", "base_url": server.url}
        phase = heard.read(run, annotator)
        phase.write(phase.analyse())
        assert heard.of(NAMING) == [(0, 72), (64, 72), (72, 72)]
        assert phase.named.unknown == {"asked": 72, "errors": 1, "unreadable": 0}
        files = contents(run / "findings")
        refuses = True
        assert again.read(run, annotator).named.unknown == phase.named.unknown
        (remark,) = again.remarks
        assert "does not accept the key" in remark and remark.endswith("; what failed before stays unknown")
        n_asked = len(server.bodies)
        unasked = Heard()
        phase = unasked.read(run)  # by the annotator of the findings
        assert phase.write(phase.analyse()) and contents(run / "findings") == files
        assert len(server.bodies) == n_asked and unasked.of(NAMING) == []
        with pytest.raises(EndpointError, match="does not accept the key"):
            again.read(run, {**annotator, "model": "another"}).analyse()
