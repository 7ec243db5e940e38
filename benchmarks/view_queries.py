"""What the viewer takes on a large run: every page and every kind of query, median and 95th percentile in milliseconds.

    python benchmarks/view_queries.py [--probes 1000000] [--images 5000] [--out FOLDER] [--repeats 30]

The run is made up and stored once, as a real run's steps are; the time of that is the time of writing. Pages are asked
of the real server over its socket, with what a browser would send; queries are called beneath it. Both are given as
seconds that passed and, in brackets, as processor time: on a machine that does other things too the first says more
about those.
"""

from __future__ import annotations

import argparse
import http.client
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import uvicorn

from gadfly.errors import ImageError
from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES
from gadfly.testbed.skills import SKILLS
from gadfly.view.filters import Filter, find
from gadfly.view.live import LiveRun
from gadfly.view.pictures import Pictures
from gadfly.view.serving import serve

PER_STEP = 1000
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


def make_run(folder: Path, n: int, n_images: int) -> tuple[float, float]:
    """Seconds that storing took: passed, and of the processor."""
    rng = np.random.default_rng(0)
    images = [Image(f"{i:064x}", f"{i}.png", 96, 96) for i in range(n_images)]
    passed = used = 0.0
    with SqliteStore.create(folder, "speed", {"images": {"path": str(folder / "gone")}}, {}, 0) as store:
        attempt = store.begin_attempt("sweep")
        for step in range(n // PER_STEP):
            probes = [_probe(rng, images, attempt, step, i) for i in range(PER_STEP)]
            began, cpu = time.perf_counter(), time.process_time()
            store.add(probes)
            store.add_step("sweep", attempt, step, {"n": PER_STEP})
            passed += time.perf_counter() - began
            used += time.process_time() - cpu
        for i in range(240):
            key = ProbeKey("sweep", attempt, i % (n // PER_STEP), i)
            store.label("ann" if i % 2 else "bob", key, list(Verdict)[i % 4], drawn=True)
        store.end_attempt(attempt, "finished")
    return passed, used


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


def measured(name: str, work: Callable[[], object], repeats: int) -> None:
    passed, used = [], []
    for _ in range(repeats):
        began, cpu = time.perf_counter(), time.process_time()
        work()
        passed.append(1e3 * (time.perf_counter() - began))
        used.append(1e3 * (time.process_time() - cpu))
    (p50, p95), (c50, c95) = (np.percentile(some, [50, 95]) for some in (passed, used))
    print(f"  {name:38} {p50:7.1f} {p95:7.1f}   [{c50:6.1f} {c95:6.1f}]", flush=True)


def queries(folder: Path, repeats: int) -> None:
    began = time.perf_counter()
    run = LiveRun(folder)
    print(f"columns of {run.columns.n:,} probes read in {time.perf_counter() - began:.1f} s", flush=True)
    print("queries, ms: median and 95th percentile [processor]")
    for name, given in FILTERS.items():
        wanted = Filter.of(given)
        measured(f"find: {name}", lambda wanted=wanted: find(run.connection, run.columns, wanted), repeats)  # type: ignore[misc]
    numbers = find(run.connection, run.columns, Filter()).numbers
    measured("read: a page of 50", lambda: run.probes(numbers), repeats)
    measured("refresh: nothing new", run.refresh, repeats)
    began = time.perf_counter()
    stale = run.stale("sweep")
    assert stale is not None
    run.compute(stale)
    print(f"  all figures of the overview, beside the pages: {time.perf_counter() - began:.1f} s", flush=True)
    run.close()


def pages(folder: Path, repeats: int) -> None:
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
    measured("overview", lambda: get("/"), repeats)
    measured("overview, its changing part", lambda: get("/live"), repeats)
    for name, given in FILTERS.items():
        path = Filter.of(given).address()
        measured(f"probes: {name}", lambda path=path: get(path), repeats)  # type: ignore[misc]
    measured("probes as pictures", lambda: get("/probes?show=grid"), repeats)
    measured("a probe", lambda: get("/probe/500"), repeats)
    measured("label", lambda: get("/label"), repeats)
    connection.close()
    servers[0].should_exit = True
    thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--out", type=Path, help="where the run is kept for the next time; nowhere if left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.out or Path(temporary)) / f"{options.probes}-on-{options.images}"
        if not (folder / "store.sqlite").exists():
            n, (passed, used) = options.probes, make_run(folder, options.probes, options.images)
            print(
                f"{n:,} probes stored: {n / passed:,.0f} a second, [{n / used:,.0f} a second of the processor],",
                end=" ",
            )
            print(f"{(folder / 'store.sqlite').stat().st_size / 1e6:,.0f} MB", flush=True)
        queries(folder, options.repeats)
        pages(folder, options.repeats)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
