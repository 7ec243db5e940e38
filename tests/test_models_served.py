"""A bundled checkpoint behind `transformers serve`, on loopback, gives the answers that it gives in this process."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil
from PIL.Image import Image as Picture

from cli_calls import Cli, probes_of
from gadfly.errors import EndpointError
from gadfly.models.endpoint import EndpointModel, Patience
from gadfly.models.local import LocalModel
from gadfly.models.wire import Request, Tokens
from gadfly.records import Chat, Image, Message, Probe, Sampling, Verdict
from gadfly.testbed.checkpoints import bundled
from loopback_server import FAULTS, Act, Body, LoopbackServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("uvicorn") is None, reason="needs transformers[serving], of the dev extra"
    ),
]
START_S = 120
GREEDY = Sampling(max_new_tokens=12)


def picture(image: Image) -> Picture:
    rng = np.random.default_rng(int(image.id, 16))
    return pil.fromarray(rng.integers(0, 256, (image.height_px, image.width_px, 3), dtype=np.uint8))


def chats() -> list[Chat]:
    questions = ("how many squares are there ?", "is the circle blue ?", "what colour is the star ?")
    images = [Image(f"{n:064x}", f"{n}.png", 96 + 8 * n, 96) for n in range(3)]
    return [(Message("user", (image, question)),) for image in images for question in questions]


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    return bundled("clean")


@pytest.fixture(scope="module")
def url(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", str(checkpoint)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = tmp_path_factory.mktemp("log") / "serve.log"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as server:
        try:
            deadline_s = time.monotonic() + START_S
            while not listens(port):
                assert server.poll() is None and time.monotonic() < deadline_s, log.read_text()[-2000:]
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_greedy_answers_equal_those_in_process(checkpoint: Path, url: str) -> None:
    local = LocalModel(checkpoint, picture, device="cpu").complete(chats(), GREEDY)
    tokens: list[Tokens] = []
    served = EndpointModel(url, Request(str(checkpoint)), picture, max_concurrency=2, on_tokens=tokens.append)
    assert served.complete(chats(), GREEDY) == local
    assert len({one.text for one in local}) > 3  # a model that says the same to all would show nothing
    # 16 image tokens and some words in; 12 tokens out at most.
    assert all(one.prompt is not None and one.prompt > 16 and one.completion is not None for one in tokens)


def test_a_faulty_road_to_it_changes_no_answer(checkpoint: Path, url: str) -> None:
    rng = random.Random(1)
    faults = [Act.FAIL, Act.HANG_UP, Act.HANG_UP_IN_BODY, Act.TRUNCATE, Act.MALFORM, Act.THROTTLE, Act.NO_CHOICES]

    def plan(n: int, body: Body) -> Act:
        return rng.choice(faults) if rng.random() < 0.3 else Act.ANSWER

    local = LocalModel(checkpoint, picture, device="cpu").complete(chats(), GREEDY)
    with LoopbackServer(plan, upstream=url) as proxy:
        patience = Patience(timeout_s=60, backoff_s=0.01)
        model = EndpointModel(proxy.url, Request(str(checkpoint)), picture, max_concurrency=2, patience=patience)
        for _ in range(3):
            for got, expected in zip(model.complete(chats(), GREEDY), local, strict=True):
                assert got == expected or (got.error or "").startswith("endpoint_")
    assert proxy.acts[Act.ANSWER] < proxy.acts.total()


def test_a_whole_sweep_against_it_equals_one_in_this_process(
    cli: Cli, album: Path, checkpoint: Path, url: str, tmp_path: Path
) -> None:
    options = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle", "--n", 12]
    options += ["--out", tmp_path, "--set", "reward.embedder=hash", "--set", "target.prompt=testbed_target"]
    served = cli("sweep", *options, "--name", "served", "--target-url", url, "--json")
    assert served.status == 0, served.err
    assert cli("sweep", *options, "--name", "local").status == 0
    here, there = ([(p.key, p.turns, p.judgement) for p in probes_of(tmp_path / name)] for name in ("local", "served"))
    assert here == there
    assert len({turns[0].answer.text for _, turns, _ in here}) > 3
    usage = json.loads(served.out)["usage"]["target"]
    assert usage["uncounted"] == 0 and usage["prompt_tokens"] > 16 * usage["calls"]


@pytest.mark.parametrize("n", [500, pytest.param(5000, marks=pytest.mark.soak)])
def test_three_faults_in_ten_calls_make_no_answer_wrong(
    n: int, cli: Cli, album: Path, checkpoint: Path, url: str, tmp_path: Path
) -> None:
    """Every fault there is, stalls of 30 seconds among them, between the whole loop and the real server."""
    rng = random.Random(2)

    def plan(number: int, body: Body) -> Act:
        return rng.choice(FAULTS) if rng.random() < 0.3 else Act.ANSWER

    options = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle", "--n", n]
    options += ["--out", tmp_path, "--set", "reward.embedder=hash", "--set", "cache.max_bytes=0"]
    options += ["--set", "target.prompt=testbed_target", "--set", "target.max_new_tokens=4"]
    assert cli("sweep", *options, "--name", "local").status == 0
    with LoopbackServer(plan, upstream=url) as proxy:
        options += ["--target-url", proxy.url, "--set", "target.timeout_s=3", "--set", "target.max_concurrency=8"]
        said = cli("sweep", *options, "--name", "served")
    assert said.status == 0, said.err
    with warnings.catch_warnings():  # a call that is given up may leave its socket to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    here, there = ({p.key: p for p in probes_of(tmp_path / name)} for name in ("local", "served"))
    assert here.keys() == there.keys() and len(here) == n  # nothing lost, nothing doubled
    undecided = [p for p in there.values() if p.verdict is Verdict.UNDECIDED]
    assert all((p.judgement.reason or "").startswith("target_error: endpoint_") for p in undecided)
    for key in there.keys() - {p.key for p in undecided}:
        assert (there[key].answer, there[key].judgement) == (here[key].answer, here[key].judgement)
    wrong = sum(p.verdict is Verdict.WRONG for p in there.values())
    assert wrong > 10 and 0 < len(undecided) < 0.4 * n
    assert {act for act in FAULTS if proxy.acts[act]} == set(FAULTS)
    counted = re.findall(r"(\d+) target_error: endpoint_\w+", said.out.partition("UNDECIDED: ")[2])
    assert sum(map(int, counted)) == len({(p.images[0].id, p.question) for p in undecided} - decided(there.values()))


def decided(probes: Iterable[Probe]) -> set[tuple[str, str]]:
    """What was decided at least once: a question that came again is one question in the tables."""
    return {(p.images[0].id, p.question) for p in probes if p.verdict is not Verdict.UNDECIDED}


def test_a_wrong_name_says_so(url: str) -> None:
    (one,) = EndpointModel(url, Request("no-such-model"), picture).complete(chats()[:1], GREEDY)
    assert one.error is not None and one.error.startswith("endpoint_http_400: Server is pinned to ")
    with pytest.raises(
        EndpointError, match=r"answered none of the first 20 requests, the last with .* Server is pinned to"
    ):
        EndpointModel(url, Request("no-such-model"), picture).complete(chats() * 3, GREEDY)
