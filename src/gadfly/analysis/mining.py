"""Finds the itemsets on which a rate is reliably higher than elsewhere. Knows a matrix of items, not what they mean.

Subgroup discovery by exhaustive search (Klösgen 1996; Wrobel 1997), with three guards: every itemset that has enough
support is a test, and false discoveries are controlled over all of them; the test takes probes about one image as
alike; and of the many itemsets that overlap with a real one, only those are kept that say something of their own.

Suffixes: N probes, K items, M itemsets, I images, J items by which an itemset may be extended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import false_discovery_control

from gadfly.analysis.clustered import Sums, design_effects, tail, tail_within
from gadfly.analysis.items import KINDS, is_special_case, kind_of
from gadfly.analysis.matched import Difference, differences
from gadfly.analysis.mixtures import REDUNDANT, Groups
from gadfly.analysis.statistics import Flags, Floats, Whole


@dataclass(frozen=True, slots=True)
class MiningSettings:
    """What counts as an itemset and as a find.

    Support: at least `min_probes` probes on `min_images` images, on the half of the images that is searched, and more
    where so few could not be told from chance were all of them WRONG (`_least_testable`). A find has
    WRONG answers on `min_wrong_images` images (the glossary's bound of a failing combination), and a rate at least
    `min_excess` above the rate elsewhere: with enough probes any difference is significant, and a few points are not
    worth a name. What is compared with the probes that no find holds must exceed their rate by `min_over_rest`: they
    are what is left over, chosen for failing little, and a good deal is above that without being a weakness. What is
    compared with questions that need the same skills must exceed their rate by `min_over_matched`.
    `false_discovery_rate` is that of statistics, over all itemsets tested.
    """

    min_probes: int = 10
    min_images: int = 10
    min_wrong_images: int = 5
    max_items: int = 3
    min_excess: float = 0.05
    min_over_rest: float = 0.25
    min_over_matched: float = 0.10
    false_discovery_rate: float = 0.05
    max_finds: int = 50


@dataclass(frozen=True, eq=False, slots=True)
class Tested:
    """Every itemset that was tested: its items (columns, ascending, padded with -1), its counts, and its test.

    `p_M` is the one-sided p-value of its rate against the overall one, `q_M` that after Benjamini and Hochberg, `z_M`
    the signed root of the deviance, which orders them, `excess_M` how far its rate is above that of all other probes,
    `effect_M` the design effect."""

    itemset_M_3: Whole
    n_M: Floats
    wrong_M: Floats
    images_M: Floats
    wrong_images_M: Floats
    effect_M: Floats
    p_M: Floats
    q_M: Floats
    z_M: Floats
    excess_M: Floats


@dataclass(frozen=True, slots=True)
class Find:
    """An itemset on which the rate is reliably higher: its columns, and what the searched half showed of it. A rate
    measured here is too high, since it was chosen for being high. `matched` is by how much it is higher than on
    questions that need the same skills, where that is why it was found."""

    columns: tuple[int, ...]
    n: int
    wrong: int
    images: int
    wrong_images: int
    q: float
    matched: float | None


CANDIDATES = 2000
"""So many of the strongest significant itemsets are compared with each other. Nearly all are overlaps of a few."""

ROUNDS = 3
"""So often candidates are chosen at most, each time against what the finds before left."""

LATE = "answer:yes_no"
"""Items that say whether yes or no is right explain what nothing else does: a target that likes to say yes fails
wherever no is right, and that would hide whatever else it fails at."""


def mine(
    holds_N_K: Flags, wrong_N: Flags, image_N: Whole, items: tuple[str, ...], settings: MiningSettings
) -> tuple[list[Find], Tested]:
    """The finds, strongest first, and all that was tested. Rows of one image must be neighbours.

    First come the concepts that make a difference among questions that need the same skills. Other candidates must
    stand out among all probes first, then among those that no find holds: who asks mostly about what fails has few
    others, and among so many failures the next cause does not stand out."""
    tested = try_all(holds_N_K, wrong_N, image_N, items, settings)
    matched = _matched(holds_N_K, wrong_N, items, tested, settings)
    against, background = tested, float(wrong_N.mean()) if len(wrong_N) else 0.0
    worth_M = _stands_out(tested, settings.min_excess, settings)
    kept: list[int] = []
    for nth in range(ROUNDS):
        if nth > 0:
            against = _tested_against(tested, background)
            worth_M |= _stands_out(against, settings.min_over_rest, settings)
        candidates = _candidates(against, worth_M, len(items))
        kept, held_N = _distinct(holds_N_K, wrong_N, items, tested, list(matched), candidates, settings)
        left = float(wrong_N[~held_N].mean()) if not held_N.all() else background
        if left >= background:
            break
        background = left
    return [_find(against, m, matched.get(m)) for m in kept], tested


def _matched(
    holds_N_K: Flags, wrong_N: Flags, items: tuple[str, ...], tested: Tested, settings: MiningSettings
) -> dict[int, Difference]:
    """By itemset, of one item each: the concepts that make a difference among questions that need the same skills.

    Only concepts: what an answer is, or an image, makes a difference to some skills and none to others as a rule, and
    would be a mixture by itself."""
    kinds = np.array([kind_of(item) for item in items])
    skills, concepts = np.flatnonzero(kinds == "skill"), np.flatnonzero(kinds == "concept")
    others = [k for k, item in enumerate(items) if kinds[k] not in ("skill", "concept") and not item.startswith(LATE)]
    rows = np.flatnonzero((tested.itemset_M_3[:, 1] < 0) & np.isin(tested.itemset_M_3[:, 0], concepts))
    if not len(skills) or not len(rows):
        return {}
    found = differences(
        holds_N_K[:, tested.itemset_M_3[rows, 0]],
        wrong_N,
        holds_N_K[:, skills],
        holds_N_K[:, others],
        tested.effect_M[rows],
        tested.wrong_images_M[rows] >= settings.min_wrong_images,
        settings.min_over_matched,
    )
    return {int(rows[one.item]): one for one in found}


def _stands_out(tested: Tested, min_excess: float, settings: MiningSettings) -> Flags:
    """Which itemsets have a rate reliably, and by so much, above the one that they are tested against."""
    out_M: Flags = (tested.q_M <= settings.false_discovery_rate) & (tested.excess_M >= min_excess)
    return out_M & (tested.wrong_images_M >= settings.min_wrong_images)


def _candidates(tested: Tested, worth_M: Flags, n_items: int) -> Whole:
    """Those of some itemsets that say more than a smaller one, strongest first."""
    candidates = np.flatnonzero(worth_M & ~_redundant(tested, worth_M, n_items))
    return candidates[np.lexsort((candidates, -tested.z_M[candidates]))][:CANDIDATES]


def _tested_against(tested: Tested, rate: float) -> Tested:
    """The same itemsets, tested against a rate that is not their own and all others'."""
    fixed_M = np.full(len(tested.n_M), np.clip(rate, 1e-9, 1 - 1e-9))
    p_M, z_M = tail(tested.n_M, tested.wrong_M, tested.effect_M, fixed_M)
    q_M = false_discovery_control(p_M, method="bh")
    return replace(tested, p_M=p_M, q_M=q_M, z_M=z_M, excess_M=tested.wrong_M / tested.n_M - rate)


def try_all(
    holds_N_K: Flags, wrong_N: Flags, image_N: Whole, items: tuple[str, ...], settings: MiningSettings
) -> Tested:
    """Test every itemset of up to `max_items` items that has enough support."""
    found = _Found([], [])
    if len(wrong_N):
        may_join_K_K = np.array([[not (is_special_case(a, b) or is_special_case(b, a)) for a in items] for b in items])
        order = np.argsort(holds_N_K.sum(axis=0), kind="stable")  # rare ones first: what hangs below them is small
        _extend(_Half(holds_N_K, wrong_N, image_N, may_join_K_K), np.arange(len(wrong_N)), (), order, settings, found)
    sets = np.array(found.itemsets, dtype=np.int64).reshape(-1, settings.max_items)
    sets = np.sort(np.where(sets < 0, len(items), sets), axis=1)
    sets = np.where(sets == len(items), -1, sets)
    sums_M_7 = np.concatenate(found.sums) if found.sums else np.zeros((0, 7))
    in_order = np.lexsort(sets.T[::-1]) if len(sets) else np.zeros(0, dtype=np.int64)
    if len(wrong_N):
        least = _least_testable(sums_M_7[:, 0], float(wrong_N.mean()), settings)
        in_order = in_order[sums_M_7[in_order, 0] >= least]
    return _tested(sets[in_order], sums_M_7[in_order], wrong_N, image_N)


def _least_testable(n_M: Floats, rate: float, settings: MiningSettings) -> float:
    """The least number of probes with which an itemset may count as a test: where all of them were WRONG, that would
    pass a Bonferroni correction over the itemsets that have so many. With fewer it could pass none, and would only be
    in the way of others. (Tarone, Biometrics 46, 1990; for itemsets Terada et al., PNAS 110, 2013.) It hangs on the
    overall rate and on no itemset's own."""
    if not 0 < rate < 1:
        return settings.min_probes
    sizes, times = np.unique(n_M, return_counts=True)
    so_large = np.cumsum(times[::-1])[::-1]
    passes = sizes * np.log(rate) + np.log(so_large) <= np.log(settings.false_discovery_rate)
    return max(float(settings.min_probes), float(sizes[passes].min(initial=np.inf)))


@dataclass(frozen=True, eq=False, slots=True)
class _Half:
    holds_N_K: Flags
    wrong_N: Flags
    image_N: Whole
    may_join_K_K: Flags


@dataclass(frozen=True, eq=False, slots=True)
class _Found:
    itemsets: list[tuple[int, ...]]
    sums: list[Floats]  # n, wrong, images, wrong², wrong · n, n², images with a WRONG one


def _extend(
    half: _Half, rows: Whole, prefix: tuple[int, ...], candidates: Whole, settings: MiningSettings, found: _Found
) -> None:
    """Count all itemsets `prefix` + one candidate over `rows`, the probes of `prefix`; then go on below those that have
    support. A depth-first search over vertical lists of probes (Eclat; Zaki, IEEE TKDE 12, 2000)."""
    block_N_J = half.holds_N_K[rows[:, None], candidates]
    enough_J = block_N_J.sum(axis=0) >= settings.min_probes
    block_N_J, candidates = block_N_J[:, enough_J], candidates[enough_J]
    if not len(candidates):
        return
    images = half.image_N[rows]
    starts = np.flatnonzero(np.concatenate(([True], images[1:] != images[:-1])))
    trials_I_J = np.add.reduceat(block_N_J, starts, axis=0, dtype=np.int32)
    wrongs_I_J = np.add.reduceat(block_N_J & half.wrong_N[rows][:, None], starts, axis=0, dtype=np.int32)
    sums = Sums.of(wrongs_I_J, trials_I_J)
    enough_J = sums.images_K >= settings.min_images
    table_J_7 = np.stack(
        [
            sums.trials_K,
            sums.successes_K,
            sums.images_K,
            sums.successes_squared_K,
            sums.products_K,
            sums.trials_squared_K,
            np.count_nonzero(wrongs_I_J, axis=0),
        ],
        axis=1,
    )[enough_J]
    block_N_J, candidates = block_N_J[:, enough_J], candidates[enough_J]
    padding = (-1,) * (settings.max_items - len(prefix) - 1)
    found.itemsets.extend((*prefix, int(item), *padding) for item in candidates)
    found.sums.append(table_J_7)
    if len(prefix) + 1 == settings.max_items:
        return
    for j, item in enumerate(candidates):
        later = candidates[j + 1 :]
        later = later[half.may_join_K_K[item, later]]
        if len(later):
            _extend(half, rows[block_N_J[:, j]], (*prefix, int(item)), later, settings, found)


def _tested(itemset_M_3: Whole, sums_M_7: Floats, wrong_N: Flags, image_N: Whole) -> Tested:
    n_M, wrong_M, images_M, squared_M, products_M, trials_squared_M, wrong_images_M = sums_M_7.T
    if not len(n_M):
        nothing = np.zeros(0)
        return Tested(itemset_M_3, *[nothing] * 9)
    effect_M, _ = design_effects(Sums(wrong_M, n_M, images_M, squared_M, products_M, trials_squared_M))
    # An itemset's own effect is measured on few images and may come out low by chance; the correlation of all probes
    # about one image is measured on many: 1 + (mean cluster size - 1) · correlation (Kish, Survey Sampling, 1965).
    effect_M = np.maximum(effect_M, 1 + (trials_squared_M / n_M - 1) * _likeness(wrong_N, image_N))
    p_M, z_M = tail_within(n_M, wrong_M, effect_M, len(wrong_N), int(wrong_N.sum()))
    q_M = false_discovery_control(p_M, method="bh")
    rate, share_M = float(wrong_N.mean()), n_M / len(wrong_N)
    excess_M = (wrong_M / n_M - rate) / np.maximum(1 - share_M, 1e-9)  # r - (p - share · r) / (1 - share)
    return Tested(itemset_M_3, n_M, wrong_M, images_M, wrong_images_M, effect_M, p_M, q_M, z_M, excess_M)


def _likeness(wrong_N: Flags, image_N: Whole) -> float:
    """The correlation of verdicts on one image, 0 to 1: the analysis-of-variance estimator for clusters of different
    sizes (Ridout, Demétrio & Firth, Biometrics 55, 1999)."""
    n_I = np.bincount(image_N)
    wrong_I = np.bincount(image_N, weights=wrong_N)[n_I > 0]
    n_I = n_I[n_I > 0]
    n, clusters = int(n_I.sum()), len(n_I)
    if clusters < 2 or n <= clusters:
        return 0.0
    rate_I = wrong_I / n_I
    between = float((n_I * (rate_I - wrong_N.mean()) ** 2).sum()) / (clusters - 1)
    within = float((wrong_I * (1 - rate_I)).sum()) / (n - clusters)
    size = (n - float((n_I**2).sum()) / n) / (clusters - 1)
    total = between + (size - 1) * within
    return min(1.0, max(0.0, (between - within) / total)) if total > 0 else 0.0


def _redundant(tested: Tested, chosen_M: Flags, n_items: int) -> Flags:
    """Which of the chosen itemsets are not reliably worse than what a smaller itemset holds besides them."""
    redundant_M = np.zeros(len(chosen_M), dtype=np.bool_)
    if not chosen_M.any():
        return redundant_M
    size = tested.itemset_M_3.shape[1]
    weights = (n_items + 1) ** np.arange(size)[::-1]
    code_M = (tested.itemset_M_3 + 1) @ weights  # 0 for no item, so that codes differ wherever the itemsets do
    by_code = np.argsort(code_M)
    for left_out in range(size):
        rows = np.flatnonzero(chosen_M & (tested.itemset_M_3[:, 1] >= 0) & (tested.itemset_M_3[:, left_out] >= 0))
        smaller = np.delete(tested.itemset_M_3[rows], left_out, axis=1)
        smaller = np.concatenate([smaller, np.full((len(rows), 1), -1)], axis=1)
        wanted = (smaller + 1) @ weights
        at = by_code[np.searchsorted(code_M[by_code], wanted)]
        assert (code_M[at] == wanted).all(), "what a supported itemset holds is supported"
        p, _ = tail_within(
            tested.n_M[rows], tested.wrong_M[rows], tested.effect_M[rows], tested.n_M[at], tested.wrong_M[at]
        )
        redundant_M[rows] |= p > REDUNDANT
    return redundant_M


def _distinct(
    holds_N_K: Flags,
    wrong_N: Flags,
    items: tuple[str, ...],
    tested: Tested,
    given: list[int],
    candidates: Whole,
    settings: MiningSettings,
) -> tuple[list[int], Flags]:
    """(The itemsets that each explain failures of their own, strongest first; which probes any of them holds.)

    Those `given` are taken as they are. Then one after another the strongest is; every probe is expected to fail at the
    highest rate of those taken that hold it, or else at the rate of the probes that none holds, and the others must
    beat that (the weighted covering of Lavrač et al., JMLR 5, 2004, with expected rates for weights). So neither a part
    of a mode nor a mixture of a mode with harmless probes is taken for another one; a worse part of a mode, or what is
    left of a mixture, is.

    Whether yes or no is right (`LATE`) comes after all else.

    The strongest may be a mixture itself, of several modes with harmless probes, since it has more failures than each
    of them. Then the worst of its parts is taken in its place (`mixtures.py`).

    False discoveries are controlled anew at each step, over all itemsets tested. The first control rejects thousands of
    itemsets because they overlap with a mode; their number would raise its bound, and what is false among the few that
    are kept would be far more than 5%. Against what the modes taken explain, the overlaps are no discoveries any
    more."""
    covered_N = np.zeros(len(wrong_N), dtype=np.bool_)
    candidates = np.concatenate([np.array(given, dtype=np.int64), candidates[~np.isin(candidates, given)]])
    if not len(candidates):
        return [], covered_N
    rows_of = [np.flatnonzero(holds_N_K[:, _columns(tested, m)].all(axis=1)) for m in candidates]
    groups = Groups(rows_of, tested.effect_M[candidates], len(wrong_N), settings.min_probes, settings.min_excess)
    n, wrong, effect = tested.n_M[candidates], tested.wrong_M[candidates], tested.effect_M[candidates]
    expected_N = np.full(len(wrong_N), wrong_N.mean())
    left = np.ones(len(candidates), dtype=np.bool_)
    kept: list[int] = []
    p, z = tested.p_M[candidates], tested.z_M[candidates]
    named = [[items[k] for k in _columns(tested, m)] for m in candidates]
    simplicity = [_complexity(some) for some in named]
    early = np.array([not any(item.startswith(LATE) for item in some) for some in named])

    def take(best: int) -> None:
        kept.append(int(candidates[best]))
        left[best] = False
        members = rows_of[best]
        raised = members[expected_N[members] < wrong_N[members].mean()]
        if len(raised):
            expected_N[raised] = np.maximum(expected_N[raised], wrong_N[raised].mean())
        covered_N[members] = True
        expected_N[~covered_N] = wrong_N[~covered_N].mean() if not covered_N.all() else 0.0

    for best in range(len(given)):
        take(best)
    while len(kept) < settings.max_finds:
        expected = groups.sums(expected_N)
        if kept:
            p, z = tail(n, wrong, effect, np.clip(expected / n, 1e-9, 1 - 1e-9))
        excess = (wrong - expected) / n
        eligible = left & (excess >= settings.min_excess * (1 if kept else 1 - n / len(wrong_N)))
        eligible &= p <= _threshold(p[eligible], len(kept), len(tested.n_M), settings.false_discovery_rate)
        if not eligible.any():
            break
        first = eligible & early
        best = int(np.argmax(np.where(first if first.any() else eligible, z, -np.inf)))
        while (part := groups.in_place_of(best, eligible, wrong_N, expected_N)) is not None:
            best = part
        same = np.flatnonzero(eligible & groups.same(best))
        take(min((int(i) for i in same), key=lambda i: (simplicity[i], i)))
    return kept, covered_N


def _threshold(p: Floats, n_kept: int, n_tested: int, false_discovery_rate: float) -> float:
    """The largest of the p-values that Benjamini and Hochberg's rule rejects, the kept ones counted as rejected before
    them and those of `n_tested` that are not given as 1; below 0 where none is."""
    ranked = np.sort(p)
    bounds = false_discovery_rate * (n_kept + 1 + np.arange(len(ranked))) / n_tested
    return float(ranked[ranked <= bounds].max(initial=-1.0))


def _complexity(items: list[str]) -> tuple[int, list[int], list[str]]:
    """Fewer items first; skills before concepts, answers and images; then by name."""
    return len(items), sorted(KINDS.index(kind_of(item)) for item in items), sorted(items)


def _columns(tested: Tested, m: int) -> list[int]:
    return [int(k) for k in tested.itemset_M_3[m] if k >= 0]


def _find(tested: Tested, m: int, matched: Difference | None) -> Find:
    return Find(
        columns=tuple(_columns(tested, m)),
        n=int(tested.n_M[m]),
        wrong=int(tested.wrong_M[m]),
        images=int(tested.images_M[m]),
        wrong_images=int(tested.wrong_images_M[m]),
        q=float(tested.q_M[m]) if matched is None else matched.q,
        matched=None if matched is None else matched.excess,
    )
