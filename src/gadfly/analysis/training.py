"""How a training went: rates and reward terms over windows of steps. Knows records only, not what was optimised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from gadfly.analysis.rates import FDR, UNDECIDED_RATE, VALID_RATE, Rate, image_key, rate
from gadfly.analysis.statistics import LEVEL, Whole
from gadfly.records import Probe


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over n numbers; None without data, and without an interval where all came from one image or step."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Window:
    """A run of steps, first and last included, with what its probes showed. `terms` are unweighted.

    Equal (images, question) pairs count once within a window, not over windows: a curve shows what was asked then.
    Means of terms and reward, and wordings, are over all probes, as the trainer saw them."""

    first_step: int
    last_step: int
    n_probes: int
    fdr: Rate
    valid: Rate
    undecided: Rate
    wordings: Mean
    reward: Mean
    terms: Mapping[str, Mean]


def curves(probes: Iterable[Probe], window_steps: int, rng: np.random.Generator) -> list[Window]:
    """Windows of `window_steps` steps, in order, from step 0 on; a window without probes is left out."""
    assert window_steps > 0
    windows: defaultdict[int, list[Probe]] = defaultdict(list)
    for probe in probes:
        windows[probe.key.step // window_steps].append(probe)
    return [_window(windows[number], number * window_steps, window_steps, rng) for number in sorted(windows)]


def window_size(last_step: int, points: int = 25) -> int:
    """How many steps a window should have for a curve of about `points` points."""
    return max(1, -(-(last_step + 1) // points))


def clustered_mean(values_by_cluster: Sequence[Sequence[float]], level: float = LEVEL) -> Mean:
    """The mean of all values, with mean ± t · s, where s is the linearised standard error of a ratio of sums over
    clusters (Cochran, Sampling Techniques, 1977, section 9A.1) and t has clusters - 1 degrees of freedom."""
    clusters = [values for values in values_by_cluster if values]
    sums_I = np.array([sum(values) for values in clusters])
    sizes_I = np.array([len(values) for values in clusters], dtype=np.float64)
    n, n_clusters = int(sizes_I.sum()), len(clusters)
    if n == 0:
        return Mean(None, None, None, 0)
    value = float(sums_I.sum() / n)
    if n_clusters < 2:
        return Mean(value, None, None, n)
    variance = n_clusters / (n_clusters - 1) * float(((sums_I - value * sizes_I) ** 2).sum()) / n**2
    half_width = float(stdtrit(n_clusters - 1, 0.5 + level / 2)) * variance**0.5
    return Mean(value, value - half_width, value + half_width, n)


def different_wordings(step_N: Whole, question_N: Whole) -> Mean:
    """The share of a step's questions that are left when each wording is counted once: 1 where no two are worded alike,
    1/n where all n are. The mean over steps, its interval over steps too, held within 0 and 1.

    A questioner that asks one question of every image can have the best of rates; this shows it. N: the probes, their
    steps and a number for each one's text, equal for equal texts. Without probes there is no mean."""
    asked_S = np.unique(step_N, return_counts=True)[1]
    different_S = np.unique(np.unique(np.stack([step_N, question_N]), axis=1)[0], return_counts=True)[1]
    mean = clustered_mean([[share] for share in (different_S / asked_S).tolist()])
    if mean.low is None or mean.high is None:
        return mean
    return Mean(mean.value, max(0.0, mean.low), min(1.0, mean.high), mean.n)


def _window(probes: list[Probe], first_step: int, window_steps: int, rng: np.random.Generator) -> Window:
    names = sorted({name for probe in probes for name in probe.terms})
    texts = {text: number for number, text in enumerate({probe.question for probe in probes})}
    return Window(
        first_step=first_step,
        last_step=first_step + window_steps - 1,
        n_probes=len(probes),
        fdr=rate(probes, FDR, rng),
        valid=rate(probes, VALID_RATE, rng),
        undecided=rate(probes, UNDECIDED_RATE, rng),
        wordings=different_wordings(
            np.array([probe.key.step for probe in probes]), np.array([texts[probe.question] for probe in probes])
        ),
        reward=_mean_over_images([(probe, probe.reward) for probe in probes]),
        terms={name: _mean_over_images([(probe, probe.terms.get(name)) for probe in probes]) for name in names},
    )


def _mean_over_images(numbers: Iterable[tuple[Probe, float | None]]) -> Mean:
    clusters: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    for probe, number in numbers:
        if number is not None:
            clusters[image_key(probe)].append(number)
    return clustered_mean([clusters[image] for image in sorted(clusters)])
