"""Free names made into canonical ones: similar skills merged, and put under families that are merged likewise.

Two steps. Names with the same telling words, in whatever form and order, are one (`wordforms.plain_form`). What is
left is clustered by embeddings, complete linkage, so that no two names of a cluster are further apart than the
threshold, nor kept apart by what their words say (`wordforms.kept_apart`). The rule is the same for every set of names
and remembers none, so that equal probes give equal names. Knows no model that names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from gadfly.analysis.rates import distinct
from gadfly.analysis.wordforms import marks, plain_form, singular, words_of
from gadfly.protocols import Annotator, Embedder
from gadfly.records import Probe

THRESHOLD: Final = 0.8
"""Of the cosine. Above all pairs of different skills in tests/data/skill_names.tsv that words do not keep apart (0.74
at most): a wrong merge hides a failure mode, a merge that is missed only splits one."""

MAX_CLUSTERED: Final = 3000
"""So many of the most frequent names are clustered; rarer ones are merged by their words only. The matrix of distances
grows with the square, and what was named once or twice makes no mode."""

Part = TypeVar("Part", str, tuple[str, ...])

_APART: Final = 2.0  # the largest distance there is between unit vectors


@dataclass(frozen=True, slots=True)
class Names:
    """What each name that was given has become: raw → canonical. `families` are those of the skills."""

    skills: Mapping[str, str]
    families: Mapping[str, str]
    concepts: Mapping[str, str]


class CanonicalAnnotator:
    """An `Annotator` that says what another one says, by canonical names; a name not among `names` stays as it is."""

    def __init__(self, annotator: Annotator, names: Names) -> None:
        self._annotator = annotator
        self._names = names

    def skills(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [_renamed(some, self._names.skills) for some in self._annotator.skills(questions)]

    def concepts(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [_renamed(some, self._names.concepts) for some in self._annotator.concepts(questions)]


def names_of(annotator: Annotator, probes: Iterable[Probe], embedder: Embedder) -> Names:
    """The canonical names of all that an annotator says of the distinct valid probes: of the skills of those for which
    the verifier names none, and of all concepts."""
    valid = [probe for probe in distinct(probes) if probe.verdict.valid]
    unnamed = [probe.question for probe in valid if probe.judgement.skills is None]
    skills = Counter(chain.from_iterable(some or () for some in annotator.skills(unnamed)))
    concepts = Counter(
        chain.from_iterable(some or () for some in annotator.concepts([probe.question for probe in valid]))
    )
    merged, families = merge_skills(skills, embedder)
    return Names(merged, families, merge_concepts(concepts))


def merge_skills(counts: Mapping[str, int], embedder: Embedder) -> tuple[dict[str, str], dict[str, str]]:
    """(canonical skill of each `family.skill`, canonical family of each family), from how often each was named.

    The name of a group is its most frequent family, families merged, and its most frequent skill, under whatever family
    and in whatever number it was named: counts that are taken together change places less often. Distances are those
    of the whole name and of the skill alone, half and half."""
    of_families = _counts_of(counts, counts, _family)
    families = {name: _chosen(of_families, names) for names in _grouped(of_families, embedder.embed) for name in names}

    def embed(names: Sequence[str]) -> NDArray[np.float32]:
        whole_N_D = embedder.embed([" ".join(words_of(name)) for name in names])
        skill_N_D = embedder.embed([" ".join(words_of(_skill(name))) for name in names])
        return np.concatenate([whole_N_D, skill_N_D], axis=1) * np.float32(0.5**0.5)

    skills: dict[str, str] = {}
    for names in _grouped(counts, embed):
        family = _chosen(_counts_of(names, counts, lambda name: families[_family(name)]))
        forms = _counts_of(names, counts, lambda name: _singulars(_skill(name)))
        form = min(forms, key=lambda one: (-forms[one], len(one), one))
        skill = min((one for name in names if _singulars(one := _skill(name)) == form), key=_simplicity)
        skills |= dict.fromkeys(names, f"{family}.{skill}")
    return dict(sorted(skills.items())), dict(sorted(families.items()))


def merge_concepts(counts: Mapping[str, int]) -> dict[str, str]:
    """The canonical form of each concept: what differs in number only is one. No embeddings: red lies near blue."""
    groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in counts:
        groups[_singulars(name) or (name,)].append(name)
    return {name: _chosen(counts, groups[form]) for form in sorted(groups) for name in sorted(groups[form])}


def _grouped(counts: Mapping[str, int], embed: Callable[[Sequence[str]], NDArray[np.float32]]) -> list[list[str]]:
    """The names, those that are one together."""
    groups: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for name in sorted(counts):
        groups[plain_form(name)].append(name)
    by_use = sorted(groups.values(), key=lambda names: (-sum(counts[name] for name in names), names))
    near, rare = by_use[:MAX_CLUSTERED], by_use[MAX_CLUSTERED:]
    if len(near) < 2:
        return by_use
    heads = [min(names, key=_simplicity) for names in near]  # not by counts, which change
    clusters: defaultdict[int, list[str]] = defaultdict(list)
    for label, names in zip(_clustered(heads, embed(heads)), near, strict=True):
        clusters[label] += names
    return [*clusters.values(), *rare]


def _clustered(names: Sequence[str], embeddings_N_D: NDArray[np.float32]) -> list[int]:
    """A label for each name; equal ones are near, and none in a cluster are kept apart."""
    distances_N_N = np.clip(1.0 - embeddings_N_D @ embeddings_N_D.T, 0.0, _APART).astype(np.float64)
    distances_N_N = np.round((distances_N_N + distances_N_N.T) / 2, 4)  # rounding errors must not decide
    distances_N_N[_kept_apart(names)] = _APART
    np.fill_diagonal(distances_N_N, 0.0)
    model = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="complete", distance_threshold=1.0 - THRESHOLD
    )
    return [int(label) for label in model.fit(distances_N_N).labels_]


def _kept_apart(names: Sequence[str]) -> NDArray[np.bool_]:
    """`wordforms.kept_apart` of every pair, shape N_N."""
    of = [marks(name) for name in names]
    apart_N_N = _differ([one.digits for one in of]) | _differ([one.operators for one in of])
    for scale in set(chain.from_iterable(one.sides for one in of)):
        sides = [one.sides.get(scale) for one in of]
        known_N = np.array([side is not None for side in sides])
        apart_N_N |= _differ(sides) & known_N[:, None] & known_N[None, :]
    return apart_N_N


def _differ(values: Sequence[object]) -> NDArray[np.bool_]:
    numbers: dict[object, int] = {}
    of_N = np.array([numbers.setdefault(value, len(numbers)) for value in values])
    differ_N_N: NDArray[np.bool_] = of_N[:, None] != of_N[None, :]
    return differ_N_N


def _counts_of(names: Iterable[str], counts: Mapping[str, int], part: Callable[[str], Part]) -> Counter[Part]:
    """How often each part of these names was used."""
    found: Counter[Part] = Counter()
    for name in names:
        found[part(name)] += counts[name]
    return found


def _chosen(counts: Mapping[str, int], among: Iterable[str] | None = None) -> str:
    """The most frequent one; of equals the simplest."""
    return min(counts if among is None else among, key=lambda name: (-counts[name], *_simplicity(name)))


def _singulars(name: str) -> tuple[str, ...]:
    return tuple(singular(word) for word in words_of(name))


def _simplicity(name: str) -> tuple[int, int, str]:
    return len(words_of(name)), len(name), name


def _family(name: str) -> str:
    return name.partition(".")[0]


def _skill(name: str) -> str:
    return name.partition(".")[2]


def _renamed(names: tuple[str, ...] | None, canonical: Mapping[str, str]) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted({canonical.get(name, name) for name in names}))
