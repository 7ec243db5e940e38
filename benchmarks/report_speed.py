"""What `gadfly report` takes for a large run: seconds to build and to open, and megabytes.

    python benchmarks/report_speed.py [--probes 100000] [--images 2000]

The run is that of analysis_speed.py, about pictures with as much detail as photographs have. The opening is measured in
headless Chromium, from the request to the load event with every chart drawn.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image
from analysis_speed import make_run

from gadfly.images.folder import FolderSource

CHROMIUM = "/usr/bin/chromium"


def make_pictures(folder: Path, n: int) -> None:
    """Pictures with large shapes and fine grain."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(n):
        coarse = PIL.Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((640, 480), PIL.Image.Resampling.BICUBIC), dtype=np.float32)
        grain = rng.normal(0, 6, (480, 640, 1)).astype(np.float32)
        picture = PIL.Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
        picture.save(folder / f"{i:05}.jpg", quality=80)


def open_s(page_path: Path) -> float:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto("about:blank")
        began = time.perf_counter()
        page.goto(page_path.as_uri(), wait_until="load")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        took = time.perf_counter() - began
        browser.close()
    return took


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--probes", type=int, default=100_000)
    options.add_argument("--images", type=int, default=2_000)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run, pictures, out = (Path(scratch) / name for name in ("run", "pictures", "report"))
        make_pictures(pictures, chosen.images)
        make_run(run, chosen.probes, chosen.images, list(FolderSource(pictures)))
        command = [
            sys.executable,
            "-m",
            "gadfly",
            "report",
            str(run),
            "--images",
            str(pictures),
            "-o",
            str(out),
        ]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        took = time.perf_counter() - began
        cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        print(
            f"{chosen.probes} probes about {chosen.images} images: built in {took:.1f} s ({cpu.ru_utime:.1f} s of CPU, "
            f"peak {cpu.ru_maxrss / 1000:.0f} MB), {size / 1e6:.1f} MB"
        )
        for name in ("index.html", "evidence.html"):
            print(f"{name}: {(out / name).stat().st_size / 1e6:.1f} MB, opens in {open_s(out / name):.2f} s")


if __name__ == "__main__":
    main()
