"""Thins out what a run found most of, so that what is learned from it stays broad. Knows records; trains nothing."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable

from gadfly.analysis.rates import distinct, image_key
from gadfly.records import Probe


def thinned(probes: Iterable[Probe], most_per_combination: int, seed: int) -> list[Probe]:
    """The distinct probes, at most so many of each combination of skills, drawn at random; 0 keeps all. Without skills
    each wording is a combination of its own. Sorted by images and question, so that the order in which they were found
    says nothing."""
    by_combination: defaultdict[tuple[str, ...], list[Probe]] = defaultdict(list)
    for probe in sorted(distinct(probes), key=lambda p: (image_key(p), p.question)):
        skills = probe.judgement.skills
        by_combination[("text", probe.question) if skills is None else tuple(sorted(set(skills)))].append(probe)
    rng = random.Random(seed)
    kept = []
    for _, some in sorted(by_combination.items()):
        kept += some if not most_per_combination else rng.sample(some, min(len(some), most_per_combination))
    return sorted(kept, key=lambda p: (image_key(p), p.question))
