"""What a large run's store and viewer take: writing it, every kind of query, every page.

    python benchmarks/view_queries.py [--only write queries pages] [--probes 1000000] [--out FOLDER] [--rounds 30]

The run is made up and stored once, in steps, as a real run's are: each step is a transaction for its probes with all
their rows, one for its metrics and one for usage, in the write-ahead log with the same fsync (at each checkpoint). The
rate of writing is that of the whole run and of its last tenth, where every index is large. Pages are asked of the real
server over its socket, with what a browser would send; queries are called beneath it. Both are given as seconds that
passed and, in brackets, as processor time, median and 95th percentile. Wanted: 2,000 probes a second written, each
query under 100 ms at a million probes (the 95th percentile). Without
"write" in --only, a run that an earlier call kept in --out is looked at.
"""

from __future__ import annotations

import functools
import http.client
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import uvicorn
from measuring import options as common_options
from measuring import told

from gadfly.errors import ImageError
from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Usage, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES
from gadfly.testbed.skills import SKILLS
from gadfly.view.filters import Filter, find
from gadfly.view.live import LiveRun
from gadfly.view.pictures import Pictures
from gadfly.view.serving import serve

PER_STEP = 250  # probes a transaction; a step of the demo has 128, one of a server's 256 or more
PARTS = ("write", "queries", "pages")
LEAST_WRITTEN, MOST_MS = 2000.0, 100.0
FILTERS = {
    "nothing": {},
    "a verdict": {"verdict": "WRONG"},
    "a skill": {"skill": str(SKILLS[3])},
    "verdict, skill and steps": {"verdict": "INVALID", "skill": str(SKILLS[5]), "first": "100", "last": "200"},
    "an image": {"image": f"{17:064x}"},
    "part of an image's name": {"image": "12"},
    "a common word": {"q": "left"},
    "common words in a row": {"q": "left of the red star"},
    "a rare word": {"q": "xylophone"},
    "the beginning of a rare word": {"q": "xyl"},
    "the beginning of common words": {"q": "tri"},
    "one letter": {"q": "s"},
    "words and a verdict": {"q": "red star", "verdict": "RIGHT"},
    "labelled": {"labels": "labelled"},
    "labels against the verifier": {"labels": "disagreed"},
    "nothing that matches": {"verdict": "WRONG", "skill": "none", "q": "zebra"},
    "the middle": {"before": "500000"},
}


@dataclass(frozen=True)
class Writing:
    """Seconds that storing took, passed and of the processor, step by step."""

    n: int
    wall_s: list[float]
    cpu_s: list[float]

    def rates(self) -> dict[str, float]:
        """Probes a second: of all, of the last tenth, of all by processor time."""
        last = max(1, len(self.wall_s) // 10)
        per_step = self.n / len(self.wall_s)
        return {
            "written_a_second": self.n / sum(self.wall_s),
            "written_a_second_last_tenth": last * per_step / sum(self.wall_s[-last:]),
            "written_a_second_of_processor": self.n / sum(self.cpu_s),
        }


def make_run(folder: Path, n: int, n_images: int) -> Writing:
    """A run of `n` probes, written as a run writes."""
    rng = np.random.default_rng(0)
    images = [Image(f"{i:064x}", f"{i}.png", 96, 96) for i in range(n_images)]
    written = Writing(n, [], [])
    with SqliteStore.create(folder, "speed", {"images": {"path": str(folder / "gone")}}, {}, 0) as store:
        attempt = store.begin_attempt("sweep")
        for step in range(n // PER_STEP):
            probes = [_probe(rng, images, attempt, step, i) for i in range(PER_STEP)]
            began, cpu = time.perf_counter(), time.process_time()
            store.add(probes)
            store.add_step("sweep", attempt, step, {"n": PER_STEP})
            store.set_usage(attempt, {"target": Usage(calls=PER_STEP * (step + 1))})
            written.wall_s.append(time.perf_counter() - began)
            written.cpu_s.append(time.process_time() - cpu)
        for i in range(240):
            key = ProbeKey("sweep", attempt, i % (n // PER_STEP), i)
            store.label("ann" if i % 2 else "bob", key, list(Verdict)[i % 4], drawn=True)
        store.end_attempt(attempt, "finished")
    return written


def kept_run(out: Path, n: int, n_images: int) -> tuple[Path, Writing | None]:
    """The folder of such a run, made where it is not there, and then what writing it took."""
    folder = out / f"{n}-on-{n_images}"
    if (folder / "store.sqlite").exists():
        return folder, None
    return folder, make_run(folder, n, n_images)


def _probe(rng: np.random.Generator, images: list[Image], attempt: int, step: int, index: int) -> Probe:
    verdict = list(Verdict)[int(rng.choice(4, p=[0.5, 0.3, 0.18, 0.02]))]
    skills = tuple(sorted({str(SKILLS[i]) for i in rng.integers(len(SKILLS), size=rng.integers(1, 5))}))
    words = [
        f"{SIZES[rng.integers(len(SIZES))]} {COLOURS[rng.integers(len(COLOURS))]} {SHAPES[rng.integers(len(SHAPES))]}"
        for _ in range(2)
    ]
    rare = " xylophone" if rng.random() < 1e-4 else ""
    question = f"how many things are left of the {words[0]} and above the {words[1]}{rare}?"
    return Probe(
        ProbeKey("sweep", attempt, step, index),
        index // 8,
        (images[int(rng.integers(len(images)))],),
        (Turn(question, Completion(str(rng.integers(9)))),),
        Judgement(verdict, None if verdict.valid else "vague", "2", skills, len(skills), question),
        {"failure": 1.0, "semantic": float(rng.random()), "lexical": float(rng.random()), "invalid": None},
        float(rng.random()),
    )


def measured(name: str, work: Callable[[], object], repeats: int) -> float:
    """The 95th percentile of the milliseconds that pass."""
    passed, used = [], []
    for _ in range(repeats):
        began, cpu = time.perf_counter(), time.process_time()
        work()
        passed.append(1e3 * (time.perf_counter() - began))
        used.append(1e3 * (time.process_time() - cpu))
    (p50, p95), (c50, c95) = (np.percentile(some, [50, 95]) for some in (passed, used))
    print(f"  {name:38} {p50:7.1f} {p95:7.1f}   [{c50:6.1f} {c95:6.1f}]", flush=True)
    return float(p95)


def queries(folder: Path, repeats: int) -> dict[str, float]:
    """The 95th percentile of each kind of query, in milliseconds."""
    taken: dict[str, float] = {}
    began = time.perf_counter()
    run = LiveRun(folder)
    print(f"columns of {run.columns.n:,} probes read in {time.perf_counter() - began:.1f} s", flush=True)
    print("queries, ms: median and 95th percentile [processor]")
    for name, given in FILTERS.items():
        wanted = Filter.of(given)
        look = functools.partial(find, run.connection, run.columns, wanted)
        taken[name] = measured(f"find: {name}", look, repeats)
    numbers = find(run.connection, run.columns, Filter()).numbers
    taken["a page of 50"] = measured("read: a page of 50", lambda: run.probes(numbers), repeats)
    taken["nothing new"] = measured("refresh: nothing new", run.refresh, repeats)
    began = time.perf_counter()
    stale = run.stale("sweep")
    assert stale is not None
    run.compute(stale)
    print(f"  all figures of the overview, beside the pages: {time.perf_counter() - began:.1f} s", flush=True)
    run.close()
    return taken


def pages(folder: Path, repeats: int) -> dict[str, float]:
    """The 95th percentile of each page, in milliseconds."""
    taken: dict[str, float] = {}
    ready, at = threading.Event(), list[str]()
    servers: list[uvicorn.Server] = []

    def on_ready(address: str) -> None:
        at.append(address)
        ready.set()

    def nowhere() -> object:
        raise ImageError("no folder")

    pictures = Pictures(None, 64_000_000, nowhere)  # type: ignore[arg-type]
    thread = threading.Thread(
        target=lambda: serve(folder, pictures, port=0, labeller="ann", on_ready=on_ready, on_server=servers.append)
    )
    thread.start()
    ready.wait()
    where = urlsplit(at[0])
    connection = http.client.HTTPConnection("127.0.0.1", where.port or 0, timeout=120)
    headers = {"Cookie": f"gadfly-{where.port}={where.query.removeprefix('token=')}"}

    def get(path: str) -> bytes:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, (path, response.status)
        return body

    for _ in range(300):  # the figures are worked out beside the pages
        if b"Working out" not in get("/"):
            break
        time.sleep(1)
    get("/label")  # the first draws the sample
    print("pages, ms: median and 95th percentile [processor]")
    taken["overview"] = measured("overview", lambda: get("/"), repeats)
    taken["overview, its changing part"] = measured("overview, its changing part", lambda: get("/live"), repeats)
    for name, given in FILTERS.items():
        path = Filter.of(given).address()
        taken[f"probes: {name}"] = measured(f"probes: {name}", lambda path=path: get(path), repeats)  # type: ignore[misc]
    taken["probes as pictures"] = measured("probes as pictures", lambda: get("/probes?show=grid"), repeats)
    taken["a probe"] = measured("a probe", lambda: get("/probe/500"), repeats)
    taken["label"] = measured("label", lambda: get("/label"), repeats)
    connection.close()
    servers[0].should_exit = True
    thread.join()
    return taken


def main() -> None:
    parser = common_options(__doc__, rounds=30)
    parser.add_argument("--probes", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some of these parts")
    parser.add_argument("--out", type=Path, help="where the run is kept for the next time; nowhere if left out")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.probes, chosen.rounds = 20_000, 5
    parts = chosen.only
    figures: dict[str, object] = {"probes": chosen.probes}
    wanted: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as temporary:
        out = chosen.out or Path(temporary)
        folder, written = kept_run(out, chosen.probes, chosen.images)
        if written is None and "write" in parts:
            print(
                f"{folder.name} is there already: what writing it took is not known; leave --out out, or name another"
            )
        if written is not None:
            rates, megabytes = written.rates(), (folder / "store.sqlite").stat().st_size / 1e6
            print(
                f"{written.n:,} probes stored, {PER_STEP} a step: {rates['written_a_second']:,.0f} a second, the last "
                f"tenth {rates['written_a_second_last_tenth']:,.0f}, "
                f"[{rates['written_a_second_of_processor']:,.0f} a second of the processor], {megabytes:,.0f} MB",
                flush=True,
            )
            figures |= rates
            slowest = min(rates["written_a_second"], rates["written_a_second_last_tenth"])
            wanted[f"at least {LEAST_WRITTEN:,.0f} probes a second written"] = slowest >= LEAST_WRITTEN
        if "queries" in parts:
            figures["queries_p95_ms"] = taken = queries(folder, chosen.rounds)
            wanted[f"each query under {MOST_MS:.0f} ms"] = max(taken.values()) < MOST_MS
        if "pages" in parts:
            figures["pages_p95_ms"] = pages(folder, chosen.rounds)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    told("view_queries", figures, wanted, chosen)


if __name__ == "__main__":
    main()
