"""Whether Python and the libraries are those that the installed Gadfly asks for. Reads its metadata; keeps no list."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from gadfly.doctor.finding import Finding, failed, passed

CHECK = "versions"


def check_versions() -> Iterator[Finding]:
    """One line for all that fit, and one for each that does not."""
    wanted = metadata.requires("gadfly") or []
    python = metadata.metadata("gadfly")["Requires-Python"]
    yield from compare([Requirement(one) for one in wanted], SpecifierSet(python))


def compare(wanted: Iterable[Requirement], python: SpecifierSet) -> Iterator[Finding]:
    """What is installed against what is wanted; what belongs to an extra is passed over."""
    fit = {}
    faults = []
    if not python.contains(platform.python_version(), prereleases=True):
        faults.append(failed(CHECK, f"Python is {platform.python_version()}, wanted {python}; install one that fits"))
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            faults.append(failed(CHECK, f"{one.name} is not installed; pip install '{one.name}{one.specifier}'"))
            continue
        if one.specifier.contains(version, prereleases=True):
            fit[one.name] = version
        else:
            mend = f"pip install '{one.name}{one.specifier}'"
            faults.append(failed(CHECK, f"{one.name} is {version}, wanted {one.specifier}; {mend}"))
    if not faults:
        said = ", ".join(f"{name} {version}" for name, version in fit.items())
        yield passed(CHECK, f"python {platform.python_version()}, {said}", python=platform.python_version(), **fit)
    yield from faults
