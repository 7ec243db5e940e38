"""How far a verifier can be believed: its verdicts against labels, rates corrected for its errors. Knows records only.

A labeller sees a sample, drawn in equal parts from what the judge called RIGHT, WRONG and INVALID. Each part stands for
all that the judge called so: joint_3_3, the share of probes with this judge's verdict (rows) and this true one
(columns), is (share judged j) · (share of those labelled l). Its column sums are the true shares (double sampling with
a fallible classifier: Tenenbein, J. American Statistical Association 65, 1970; here stratified by its verdict).

Suffixes: 3 the verdicts of VERDICTS in their order, rows the judge's and columns the labeller's; I images, R draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, zip_longest
from typing import Any, Final

import numpy as np

from gadfly.analysis.confusion import (
    VERDICTS,
    as_tuple,
    given_truth,
    joint,
    kappa,
    ratio,
    sensitivity,
    solve,
    specificity,
    true_shares,
    within_simplex,
)
from gadfly.analysis.rates import distinct, image_key, images_of
from gadfly.analysis.statistics import LEVEL, Estimate, Floats, Whole, effective_trials, resample
from gadfly.records import Probe, ProbeKey, Verdict

MIN_LABELS: Final = 5
"""Labels that each of the judge's verdicts needs, unless there are fewer probes of it: with 5 labels all alike the 95%
interval of an error still reaches from 0 to about a half, with fewer it says nothing."""

MAX_CONDITION: Final = 10.0
"""Of the matrix that is inverted to correct other probes: beyond it an error of 1 point in what the judge says can
become one of 10 points in what is true."""

TOLERANCE: Final = 0.05
"""How far below 0 a corrected share may fall, by chance, before the labels are said not to fit the probes."""

_PRIOR = 1 / 3  # a label's worth, spread evenly over the three (Perks, J. Institute of Actuaries 73, 1947)
_DRAWS_EACH = 4  # draws of the cells for each bootstrap replicate: tail quantiles need more than variances do

Labels = Mapping[ProbeKey, Verdict]


@dataclass(frozen=True, slots=True)
class Detection:
    """One verdict against the rest. Sensitivity: of the probes that truly are so, the share that the judge calls so.
    Specificity: of those that are not, the share that it does not."""

    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class Corrected:
    """The rates as they would be if the labeller had judged all probes."""

    fdr: Estimate
    valid: Estimate
    failure: Estimate

    @classmethod
    def refused(cls, reason: str) -> Corrected:
        missing = Estimate.missing(reason)
        return cls(missing, missing, missing)


@dataclass(frozen=True, slots=True)
class Audit:
    """What labels say of a judge.

    `counts_3_3` are the labels given, `judged_3` all distinct probes by the judge's verdict, `settled` those that were
    INVALID without a judge, `cannot_tell` the labels that are none. `agreement` is the share of probes judged as
    labelled, `kappa` Cohen's.
    """

    counts_3_3: tuple[tuple[int, ...], ...]
    judged_3: tuple[int, ...]
    settled: int
    cannot_tell: int
    agreement: Estimate
    kappa: Estimate
    detection: Mapping[str, Detection]
    corrected: Corrected


def draw(probes: Iterable[Probe], n: int, seed: int, settled: Callable[[Probe], bool]) -> list[Probe]:
    """The n probes to label, in the order to do so: in turn one that was called RIGHT, WRONG and INVALID, as long as
    there are any.

    Each probe's place follows from a hash of its key and the seed. So the first m of a larger sample are the sample of
    m, a labelling that is broken off is a fair sample too, and several labellers get the same probes.
    """

    def place(probe: Probe) -> bytes:
        key = probe.key
        return sha256(f"{seed}/{key.phase}/{key.attempt}/{key.step}/{key.index}".encode()).digest()

    judged = [probe for probe in distinct(probes) if not settled(probe)]
    strata = [sorted((p for p in judged if p.verdict is verdict), key=place) for verdict in VERDICTS]
    return [probe for probe in chain.from_iterable(zip_longest(*strata)) if probe is not None][:n]


def audit(
    probes: Iterable[Probe],
    labels: Labels,
    rng: np.random.Generator,
    settled: Callable[[Probe], bool],
    level: float = LEVEL,
) -> Audit:
    """The judge of these probes against labels of a sample of them, as `draw` gives it.

    Intervals: images are bootstrapped for the shares of the judge's verdicts; for each replicate the labels' shares are
    drawn from a Dirichlet distribution with the counts, brought down to the effective number of independent labels as
    in `clustered_interval`, plus a prior of one label. A plain bootstrap would put no interval at all round a judge of
    whom the sample shows no error. Where labels are too few, or there are none, everything is refused for that reason.
    """
    fit = _fit(probes, labels, rng, settled)
    kept = (as_tuple(fit.counts_3_3), tuple(int(n) for n in fit.judged_3), fit.settled, fit.cannot_tell)
    if fit.reason is not None:
        missing = Estimate.missing(fit.reason)
        detection = {verdict.value: Detection(missing, missing) for verdict in VERDICTS}
        return Audit(*kept, missing, missing, detection, Corrected.refused(fit.reason))

    def estimate(measure: Callable[[Floats], Floats], reason: str) -> Estimate:
        return _estimate(measure(fit.joint_3_3), measure(fit.draws_R_3_3), level, reason)

    detection = {
        verdict.value: Detection(
            estimate(lambda joint, k=k: sensitivity(joint, k), f"no probe is labelled {verdict}"),  # type: ignore[misc]
            estimate(lambda joint, k=k: specificity(joint, k), f"all probes are labelled {verdict}"),  # type: ignore[misc]
        )
        for k, verdict in enumerate(VERDICTS)
    }
    truth_3 = _with_settled(true_shares(fit.joint_3_3), fit.settled_share)
    truth_R_3 = _with_settled(true_shares(fit.draws_R_3_3), fit.settled_share_R)
    return Audit(
        *kept,
        agreement=estimate(lambda joint: np.trace(joint, axis1=-2, axis2=-1), ""),
        kappa=estimate(kappa, "judge and labeller both give one verdict only"),
        detection=detection,
        corrected=_rates(truth_3, truth_R_3, level),
    )


def corrected_elsewhere(
    probes: Iterable[Probe],
    labels: Labels,
    others: Iterable[Probe],
    rng: np.random.Generator,
    settled: Callable[[Probe], bool],
    level: float = LEVEL,
) -> Corrected:
    """The rates of other probes of the same judge, none of which need be labelled, corrected by what it makes of each
    true verdict here. It must err there as it does here.

    The shares judged are M times the true shares, with M_3_3 the share judged j of those that truly are l; solving for
    the true ones generalises Rogan & Gladen (American J. Epidemiology 107, 1978) to three classes. For the audited
    probes themselves it gives what `audit` does. Refused where M is ill-conditioned, where a verdict has no label that
    would say what the judge makes of it, and where the result falls below 0 by more than chance would have it.
    """
    fit = _fit(probes, labels, rng, settled)
    if fit.reason is not None:
        return Corrected.refused(fit.reason)
    judged_I_4 = _judged(distinct(others), settled)
    total_4 = judged_I_4.sum(axis=0)
    if not total_4[:3].sum():
        return Corrected.refused("no probe was decided")
    seen_3 = (fit.joint_3_3.sum(axis=0) > 0) | (total_4[:3] > 0) | (fit.judged_3 > 0)
    if unseen := [
        str(v) for v, seen, n in zip(VERDICTS, seen_3, fit.counts_3_3.sum(axis=0), strict=True) if seen and not n
    ]:
        return Corrected.refused(f"no probe is labelled {' or '.join(unseen)}: what the judge makes of one is unknown")
    some = np.flatnonzero(seen_3)
    condition = float(np.linalg.cond(given_truth(fit.joint_3_3)[np.ix_(some, some)]))
    if condition > MAX_CONDITION:
        return Corrected.refused(
            "the judge does not tell the verdicts apart well enough to be corrected: "
            f"condition number {condition:.0f}, at most {MAX_CONDITION:.0f}"
        )
    truth_3 = solve(fit.joint_3_3, total_4[:3] / total_4[:3].sum(), some)
    if truth_3.min() < -TOLERANCE:
        return Corrected.refused(
            f"the labels do not fit these probes: the share of {VERDICTS[int(truth_3.argmin())]} would be "
            f"{truth_3.min():.0%}; the judge errs differently here, so label some of them"
        )
    total_R_4 = np.repeat(resample(len(judged_I_4), rng) @ judged_I_4, _DRAWS_EACH, axis=0)
    judged_R_3 = total_R_4[:, :3] / np.maximum(total_R_4[:, :3].sum(axis=1, keepdims=True), 1)
    truth_R_3 = solve(fit.draws_R_3_3, judged_R_3, some)
    settled_R = total_R_4[:, 3] / np.maximum(total_R_4.sum(axis=1), 1)
    return _rates(
        _with_settled(within_simplex(truth_3), total_4[3] / total_4.sum()),
        _with_settled(within_simplex(truth_R_3), settled_R),
        level,
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """Labels weighted for how they were drawn, draws of what they might have been, and `reason` where they are too
    few."""

    counts_3_3: Whole
    judged_3: Whole
    settled: int
    cannot_tell: int
    joint_3_3: Floats
    draws_R_3_3: Floats
    settled_share: float
    settled_share_R: Floats
    reason: str | None


def _fit(probes: Iterable[Probe], labels: Labels, rng: np.random.Generator, settled: Callable[[Probe], bool]) -> _Fit:
    kept = distinct(probes)
    judged_I_4 = _judged(kept, settled)
    *judged_3, n_settled = map(int, judged_I_4.sum(axis=0))
    judged = [p for p in kept if p.verdict.decided and not settled(p) and p.key in labels]
    labelled = [p for p in judged if labels[p.key].decided]
    counts_3_3 = np.array(
        [[sum(p.verdict is a and labels[p.key] is b for p in labelled) for b in VERDICTS] for a in VERDICTS]
    )
    cannot_tell = len(judged) - len(labelled)
    reason = _too_few(counts_3_3.sum(axis=1), np.array(judged_3))
    if reason is not None:
        nothing = np.zeros((3, 3))
        return _Fit(
            counts_3_3, np.array(judged_3), n_settled, cannot_tell, nothing, nothing[None], 0.0, np.zeros(1), reason
        )
    total_R_4 = np.repeat(resample(len(judged_I_4), rng) @ judged_I_4, _DRAWS_EACH, axis=0)
    cells_R_3_3 = np.zeros((len(total_R_4), 3, 3))
    for j, verdict in enumerate(VERDICTS):
        if counts_3_3[j].any():
            mine = [p for p in labelled if p.verdict is verdict]
            scale = _effective_labels(mine, labels, rng) / len(mine)
            cells_R_3_3[:, j] = rng.dirichlet(counts_3_3[j] * scale + _PRIOR, len(total_R_4))
    judged_R = np.maximum(total_R_4[:, :3].sum(axis=1), 1)
    draws_R_3_3 = cells_R_3_3 * (total_R_4[:, :3] / judged_R[:, None])[:, :, None]
    settled_share_R = total_R_4[:, 3] / np.maximum(total_R_4.sum(axis=1), 1)
    shares = (n_settled / judged_I_4.sum(), settled_share_R)
    values = joint(counts_3_3, np.array(judged_3))
    return _Fit(counts_3_3, np.array(judged_3), n_settled, cannot_tell, values, draws_R_3_3, *shares, None)


def _too_few(labelled_3: Whole, judged_3: Whole) -> str | None:
    """Why these labels are not enough; None where they are."""
    if not judged_3.sum():
        return "no probe was decided by the judge"
    if not labelled_3.sum():
        return "no label"
    short = [
        f"{labelled} of the {judged} probes judged {verdict}"
        for verdict, labelled, judged in zip(VERDICTS, labelled_3, judged_3, strict=True)
        if labelled < min(MIN_LABELS, judged)
    ]
    return f"labels for only {' and '.join(short)}; at least {MIN_LABELS} of each are needed" if short else None


def _effective_labels(probes: Sequence[Probe], labels: Labels, rng: np.random.Generator) -> float:
    """How many independent labels say as much as these, of which several may be about one image."""
    trials: Counter[Any] = Counter(image_key(p) for p in probes)
    agreed = Counter(image_key(p) for p in probes if labels[p.key] is p.verdict)
    images = sorted(trials)
    successes_I = np.array([float(agreed[image]) for image in images])
    return effective_trials(successes_I, np.array([float(trials[image]) for image in images]), rng)[0]


def _judged(probes: Sequence[Probe], settled: Callable[[Probe], bool]) -> Floats:
    """How many of an image's probes were judged RIGHT, WRONG, INVALID, and how many settled without a judge: I_4."""
    place = {image: i for i, image in enumerate(images_of(probes))}
    judged_I_4 = np.zeros((len(place), 4))
    for probe in probes:
        if probe.verdict.decided:
            judged_I_4[place[image_key(probe)], 3 if settled(probe) else VERDICTS.index(probe.verdict)] += 1
    return judged_I_4


def _with_settled(truth_3: Floats, settled_share: float | Floats) -> Floats:
    share = np.asarray(settled_share)[..., None]
    found: Floats = truth_3 * (1 - share) + share * np.array([0.0, 0.0, 1.0])
    return found


def _rates(truth_3: Floats, truth_R_3: Floats, level: float) -> Corrected:
    def estimate(measure: Callable[[Floats], Floats], reason: str = "") -> Estimate:
        return _estimate(measure(truth_3), measure(truth_R_3), level, reason)

    return Corrected(
        fdr=estimate(lambda t: t[..., 1]),
        valid=estimate(lambda t: t[..., 0] + t[..., 1]),
        failure=estimate(lambda t: ratio(t[..., 1], t[..., 0] + t[..., 1]), "no question is valid"),
    )


def _estimate(value: Floats, draws_R: Floats, level: float, reason: str) -> Estimate:
    """A number with the quantiles of its draws. The interval always holds the value: the prior may have moved it."""
    number, finite_R = float(value), draws_R[np.isfinite(draws_R)]
    if np.isnan(number):
        return Estimate.missing(reason)
    low, high = np.quantile(finite_R, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(number, min(float(low), number), max(float(high), number))
