"""How near an endpoint comes to the ideal, concurrency / latency, against a loopback server of known latency.

    python benchmarks/endpoint_throughput.py --latency 0.5 --concurrency 32 --rounds 60

The server runs in a process of its own. The whole batch is timed, with the growth from 8 calls at once to all of them.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds a call")
    parser.add_argument("--concurrency", type=int, default=32, help="the most calls at once")
    parser.add_argument("--rounds", type=int, default=60, help="calls are rounds × concurrency")
    parser.add_argument("--capacity", type=int, default=None, help="calls at once that the server bears")
    options = parser.parse_args()
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
    if options.capacity is None and result["share_of_ideal"] < TARGET_SHARE:
        sys.exit(f"below {TARGET_SHARE:.0%} of the ideal")


def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    n = options.rounds * options.concurrency
    model = EndpointModel(url, Request("m"), no_images, max_concurrency=options.concurrency)
    chats = [(Message("user", (f"question {k}",)),) for k in range(n)]
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    answers = model.complete(chats, Sampling())
    took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
    assert [one.text for one in answers] == [f"answer to question {k}" for k in range(n)]
    ideal = min(options.concurrency, options.capacity or options.concurrency) / options.latency
    return {
        "calls": n,
        "seconds": round(took_s, 2),
        "calls_per_second": round(n / took_s, 1),
        "ideal_calls_per_second": round(ideal, 1),
        "share_of_ideal": round(n / took_s / ideal, 4),
        "client_cpu_ms_per_call": round(cpu_s / n * 1000, 2),
    }


def no_images(image: Image) -> Picture:
    raise AssertionError("the benchmark shows no images")


if __name__ == "__main__":
    main()
