"""Fetches the libraries that the report carries, by name and version, through npm. Knows nothing of the report itself.

    python scripts/vendor.py          # fetch anew, write manifest.json
    python scripts/vendor.py --check  # only compare the files that are there with the manifest

To move a version, change it in PACKAGES, run this, look at the report, and commit the files with their manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "src" / "gadfly" / "report" / "vendor"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Package:
    """A package and which of its files are kept, under which names."""

    name: str
    version: str
    licence: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "uplot",
        "1.6.32",
        "MIT",
        {
            "package/dist/uPlot.iife.min.js": "uplot.js",
            "package/dist/uPlot.min.css": "uplot.css",
            "package/LICENSE": "uplot.LICENSE",
        },
    ),
    Package(
        "@fontsource-variable/inter",
        "5.3.0",
        "OFL-1.1",
        {
            "package/files/inter-latin-wght-normal.woff2": "inter.woff2",
            "package/LICENSE": "inter.LICENSE",
        },
    ),
)


def fetch() -> list[dict[str, str]]:
    """Write the files of every package; returns the manifest's entries."""
    entries = []
    for package in PACKAGES:
        wanted = f"{package.name}@{package.version}"
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(["npm", "pack", "--silent", wanted], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
            (archive,) = Path(scratch).glob("*.tgz")
            with tarfile.open(archive) as members:
                for inside, name in package.files.items():
                    member = members.extractfile(inside)
                    assert member is not None, f"{wanted} has no {inside}"
                    data = member.read()
                    (VENDOR / name).write_bytes(data)
                    entries.append(
                        {
                            "file": name,
                            "package": package.name,
                            "version": package.version,
                            "licence": package.licence,
                            "from": inside,
                            "sha256": hashlib.sha256(data).hexdigest(),
                        }
                    )
    return entries


def faults() -> list[str]:
    """What differs between the manifest and the files, one line each."""
    entries = json.loads((VENDOR / MANIFEST).read_text("utf-8"))
    found = []
    for entry in entries:
        path = VENDOR / entry["file"]
        if not path.is_file():
            found.append(f"{entry['file']} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            found.append(f"{entry['file']} is not the file of the manifest")
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--check", action="store_true", help="compare, fetch nothing")
    if not options.parse_args().check:
        entries = fetch()
        (VENDOR / MANIFEST).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    differences = faults()
    for line in differences:
        print(line)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
