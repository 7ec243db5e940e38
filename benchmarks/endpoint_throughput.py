"""How near an endpoint comes to the ideal, concurrency / latency, against a loopback server of known latency.

    python benchmarks/endpoint_throughput.py --latency 0.5 --concurrency 32 --rounds 60

The server runs in a process of its own, and the clock is the real one. Two shares of the ideal are reported: of the
whole batch, which loses about two round trips (the growth from 8 calls at once to all of them, and a last one that is
not full), and of what lies between, which is what a longer batch comes to and what is held to the 95%.
With --capacity the server throttles (429, Retry-After: 0) what goes beyond it; the ideal is then capacity / latency.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL.Image import Image as Picture

from gadfly.models.endpoint import EndpointModel
from gadfly.models.wire import Request
from gadfly.records import Image, Message, Sampling

SERVER = Path(__file__).parents[1] / "tests" / "loopback_server.py"
TARGET_SHARE = 0.95
GROWTH_ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds a call")
    parser.add_argument("--concurrency", type=int, default=32, help="the most calls at once")
    parser.add_argument("--rounds", type=int, default=60, help="calls are rounds × concurrency")
    parser.add_argument("--capacity", type=int, default=None, help="calls at once that the server bears")
    options = parser.parse_args()
    if options.rounds < 2 * GROWTH_ROUNDS:
        parser.error(f"--rounds must be at least {2 * GROWTH_ROUNDS}, or nothing lies between growth and end")
    command = [sys.executable, str(SERVER), "--latency", str(options.latency)]
    if options.capacity is not None:
        command += ["--capacity", str(options.capacity)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            result = measure(server.stdout.readline().strip(), options)
        finally:
            server.terminate()
    print(json.dumps(result))
    if options.capacity is None and result["sustained_share_of_ideal"] < TARGET_SHARE:
        sys.exit(f"below {TARGET_SHARE:.0%} of the ideal")


def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    n = options.rounds * options.concurrency
    answered_s: list[float] = []
    model = EndpointModel(
        url,
        Request("m"),
        no_images,
        max_concurrency=options.concurrency,
        on_tokens=lambda tokens: answered_s.append(time.perf_counter()),
    )
    chats = [(Message("user", (f"question {k}",)),) for k in range(n)]
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    answers = model.complete(chats, Sampling())
    took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
    assert [one.text for one in answers] == [f"answer to question {k}" for k in range(n)]
    # Whole round trips apart, since answers come in bursts; the growth is over by the first, the last round not begun.
    first, last = GROWTH_ROUNDS * options.concurrency - 1, n - 2 * options.concurrency - 1
    sustained = (last - first) / (answered_s[last] - answered_s[first])
    ideal = min(options.concurrency, options.capacity or options.concurrency) / options.latency
    return {
        "calls": n,
        "seconds": round(took_s, 2),
        "calls_per_second": round(n / took_s, 1),
        "ideal_calls_per_second": round(ideal, 1),
        "share_of_ideal": round(n / took_s / ideal, 4),
        "sustained_share_of_ideal": round(sustained / ideal, 4),
        "client_cpu_ms_per_call": round(cpu_s / n * 1000, 2),
    }


def no_images(image: Image) -> Picture:
    raise AssertionError("the benchmark shows no images")


if __name__ == "__main__":
    main()
