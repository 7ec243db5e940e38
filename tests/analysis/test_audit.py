"""The audit's arithmetic: a matrix by hand, what must hold for any, and how often intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadfly.analysis.audit import MIN_LABELS, Audit, audit, corrected_elsewhere, draw
from gadfly.analysis.confusion import VERDICTS, agreement, joint, kappa, sensitivity, solve, specificity, true_shares
from gadfly.records import Probe, ProbeKey, Verdict
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe

COUNTS = np.array([[9, 1, 0], [2, 8, 0], [1, 1, 3]])
JUDGED = np.array([60, 30, 10])


def never(probe: Probe) -> bool:
    return False


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def made(counts: np.ndarray, judged: np.ndarray, start: int = 0) -> tuple[list[Probe], dict[ProbeKey, Verdict]]:
    """Probes with these judgements, one an image, and labels of the first of each as counted."""
    probes, labels = [], {}
    for verdict, row, n in zip(VERDICTS, counts, judged, strict=True):
        said = [label for label, times in zip(VERDICTS, row, strict=True) for _ in range(times)]
        for i in range(n):
            probe = make_probe(verdict, f"{verdict} {start + i}", step=start + i, attempt=VERDICTS.index(verdict))
            probes.append(probe)
            if i < len(said):
                labels[probe.key] = said[i]
    return probes, labels


def test_a_matrix_by_hand() -> None:
    # Rows: 0.6 · (0.9, 0.1, 0), 0.3 · (0.2, 0.8, 0), 0.1 · (0.2, 0.2, 0.6).
    found = joint(COUNTS, JUDGED)
    assert found == pytest.approx(np.array([[0.54, 0.06, 0], [0.06, 0.24, 0], [0.02, 0.02, 0.06]]))
    assert true_shares(found) == pytest.approx([0.62, 0.32, 0.06])
    assert sensitivity(found, 1) == pytest.approx(0.24 / 0.32)
    assert specificity(found, 1) == pytest.approx(1 - 0.06 / 0.68)
    assert sensitivity(found, 2) == pytest.approx(1.0)
    assert specificity(found, 2) == pytest.approx(1 - 0.04 / 0.94)
    # By chance 0.6 · 0.62 + 0.3 · 0.32 + 0.1 · 0.06 = 0.474; kappa (0.84 - 0.474) / (1 - 0.474).
    assert kappa(found) == pytest.approx(0.366 / 0.526)


def test_an_audit_by_hand() -> None:
    found = audit(*made(COUNTS, JUDGED), rng(), never)
    assert found.counts_3_3 == ((9, 1, 0), (2, 8, 0), (1, 1, 3))
    assert (found.judged_3, found.settled, found.cannot_tell) == ((60, 30, 10), 0, 0)
    assert found.agreement.value == pytest.approx(0.84)
    assert found.kappa.value == pytest.approx(0.366 / 0.526)
    assert found.detection["WRONG"].sensitivity.value == pytest.approx(0.75)
    # The judge's own are 0.30, 0.90 and 0.333.
    assert found.corrected.fdr.value == pytest.approx(0.32)
    assert found.corrected.valid.value == pytest.approx(0.94)
    assert found.corrected.failure.value == pytest.approx(0.32 / 0.94)


def test_what_was_settled_without_a_judge_is_invalid_for_certain() -> None:
    probes, labels = made(COUNTS, JUDGED)
    unparsable = [make_probe(INVALID, f"u{i}", step=900 + i) for i in range(100)]
    found = audit([*probes, *unparsable], labels, rng(), lambda probe: probe.key.step >= 900)
    # Half of the 200 probes: the shares of the others are halved, and the judge's own figures stay what they were.
    assert found.settled == 100
    assert found.corrected.fdr.value == pytest.approx(0.16)
    assert found.corrected.valid.value == pytest.approx(0.47)
    assert found.corrected.failure.value == pytest.approx(0.32 / 0.94)
    assert found.agreement.value == pytest.approx(0.84)


def test_labels_that_are_none_and_probes_that_are_undecided_count_nowhere() -> None:
    probes, labels = made(COUNTS, JUDGED)
    labels[probes[59].key] = UNDECIDED  # the last of the 60 judged RIGHT, not labelled yet
    undecided = make_probe(UNDECIDED, "u", step=999)
    labels[undecided.key] = WRONG
    found = audit([*probes, undecided], labels, rng(), never)
    assert found.cannot_tell == 1 and found.counts_3_3 == ((9, 1, 0), (2, 8, 0), (1, 1, 3))


def test_equal_questions_count_once() -> None:
    probes, labels = made(COUNTS, JUDGED)
    again = [make_probe(p.verdict, p.images[0].id, 1, step=p.key.step, attempt=9, question=p.question) for p in probes]
    assert audit([*probes, *again], labels, rng(), never) == audit(probes, labels, rng(), never)


def test_a_judge_without_a_fault_still_has_an_interval() -> None:
    """20 labels of each, none of which differs: a plain bootstrap would say 0.30 (0.30 to 0.30) for each share within
    its row. One-sided, 20 of 20 still allow an error of 1 - 0.025^(1/20) = 17%."""
    found = audit(*made(np.diag([20, 20, 20]), np.array([600, 300, 100])), rng(), never)
    assert found.agreement.value == pytest.approx(1)
    assert found.agreement.low is not None and 0.83 < found.agreement.low < 0.99
    sensitive = found.detection["WRONG"].sensitivity
    assert sensitive.value == 1.0 and sensitive.low is not None and 0.6 < sensitive.low < 0.95


def test_few_labels_are_refused_with_the_reason() -> None:
    probes, labels = made(np.array([[3, 0, 0], [0, 5, 0], [0, 0, 2]]), np.array([60, 30, 2]))
    found = audit(probes, labels, rng(), never)
    # All of the two judged INVALID are labelled: more cannot be had.
    assert (
        found.corrected.fdr.reason
        == f"labels for only 3 of the 60 probes judged RIGHT; at least {MIN_LABELS} of each are needed"
    )
    assert found.kappa.value is None and found.detection["WRONG"].sensitivity.value is None
    assert audit(probes, {}, rng(), never).corrected.fdr.reason == "no label"
    assert audit([], {}, rng(), never).corrected.fdr.reason == "no probe was decided by the judge"


def test_other_probes_by_hand() -> None:
    # P(judged | true), columns: RIGHT (54, 6, 2)/62, WRONG (6, 24, 2)/32, INVALID (0, 0, 1). Of 1,000 others that are
    # truly 310 RIGHT, 640 WRONG, 50 INVALID the judge calls 310·54/62 + 640·6/32 = 390 RIGHT,
    # 310·6/62 + 640·24/32 = 510 WRONG, 310·2/62 + 640·2/32 + 50 = 100 INVALID.
    probes, labels = made(COUNTS, JUDGED)
    others, _ = made(np.zeros((3, 3), int), np.array([390, 510, 100]), start=1000)
    found = corrected_elsewhere(probes, labels, others, rng(), never)
    assert found.fdr.value == pytest.approx(0.64) and found.valid.value == pytest.approx(0.95)
    assert found.failure.value == pytest.approx(640 / 950)
    assert found.fdr.low is not None and found.fdr.high is not None and found.fdr.low < 0.64 < found.fdr.high


def test_an_ill_conditioned_matrix_is_refused() -> None:
    # Judged WRONG or RIGHT, the truth is nearly the same: ((21, 19), (19, 21))/40 has the condition number 40/2 = 20.
    probes, labels = made(np.array([[21, 19, 0], [19, 21, 0], [0, 0, 20]]), np.array([100, 100, 100]))
    found = corrected_elsewhere(probes, labels, probes, rng(), never)
    assert found.fdr.value is None and "condition number 20, at most 10" in (found.fdr.reason or "")
    assert audit(probes, labels, rng(), never).corrected.fdr.value is not None  # these need no inversion
    # Nothing is labelled INVALID, so nothing is known of what the judge makes of it.
    blind, said = made(np.array([[9, 1, 0], [1, 9, 0], [3, 3, 0]]), np.array([100, 100, 100]))
    assert "no probe is labelled INVALID" in (corrected_elsewhere(blind, said, blind, rng(), never).fdr.reason or "")
    # A judge that calls 10% of what is RIGHT WRONG cannot call 0% of other probes so.
    probes, labels = made(np.array([[18, 2, 0], [6, 14, 0], [0, 0, 9]]), np.array([50, 50, 0]))
    others, _ = made(np.zeros((3, 3), int), np.array([100, 0, 0]), start=1000)
    assert "do not fit these probes" in (corrected_elsewhere(probes, labels, others, rng(), never).fdr.reason or "")


cells = st.integers(0, 20)
matrices = st.lists(st.lists(cells, min_size=3, max_size=3), min_size=3, max_size=3).map(np.array)


@given(matrices, st.lists(st.integers(1, 500), min_size=3, max_size=3).map(np.array))
def test_inverting_gives_the_audited_probes_their_own_shares_back(counts: np.ndarray, judged: np.ndarray) -> None:
    """M · (column sums) = (row sums), whatever the labels are: for what was audited both ways of correcting are one."""
    counts = counts + np.diag([30, 30, 30])  # well conditioned
    found = joint(counts, judged)
    assert found.sum() == pytest.approx(1)
    assert found.sum(axis=1) == pytest.approx(judged / judged.sum())
    assert solve(found, judged / judged.sum(), np.arange(3)) == pytest.approx(true_shares(found))
    for k in range(3):
        assert 0 <= sensitivity(found, k) <= 1 and 0 <= specificity(found, k) <= 1
    assert -1 <= kappa(found) <= 1
    assert kappa(found) == pytest.approx(float(kappa(found.T)))


def everything(found: Audit) -> list[tuple[float | None, float | None, float | None]]:
    all_ = [found.agreement, found.kappa, found.corrected.fdr, found.corrected.valid, found.corrected.failure]
    all_ += [estimate for one in found.detection.values() for estimate in (one.sensitivity, one.specificity)]
    return [(one.low, one.value, one.high) for one in all_]


@given(matrices, st.lists(st.integers(0, 40), min_size=3, max_size=3).map(np.array))
@settings(max_examples=15)
def test_every_number_has_an_interval_that_holds_it_or_a_reason(counts: np.ndarray, more: np.ndarray) -> None:
    found = audit(*made(counts, counts.sum(axis=1) + more), rng(), never)
    for low, value, high in everything(found):
        assert (low is None) == (value is None) == (high is None)
        if low is not None and value is not None and high is not None:
            assert -1 - 1e-9 <= low <= value <= high <= 1 + 1e-9
    assert audit(*made(counts, counts.sum(axis=1) + more), rng(), never) == found  # the same labels, the same numbers


def test_the_sample_is_even_nested_and_the_same_for_everybody() -> None:
    probes, _ = made(COUNTS, np.array([60, 30, 4]))
    first = draw(probes, 24, 0, never)
    assert [sum(p.verdict is verdict for p in first) for verdict in VERDICTS] == [10, 10, 4]
    assert draw(probes[::-1], 40, 0, never)[:24] == first
    assert draw(probes, 24, 1, never) != first
    assert len(draw(probes, 1000, 0, never)) == 94
    assert [p.verdict for p in draw(probes, 3, 0, never)] == [RIGHT, WRONG, INVALID]
    assert not draw(probes, 9, 0, lambda probe: True)


def test_the_agreement_of_two_labellers() -> None:
    # On 4 things both spoke: agree on 3. By chance 2/4 · 3/4 + 2/4 · 1/4 = 1/2; kappa (3/4 - 1/2) / (1/2).
    ann = {1: RIGHT, 2: RIGHT, 3: WRONG, 4: WRONG, 5: INVALID}
    bob = {1: RIGHT, 2: RIGHT, 3: RIGHT, 4: WRONG, 6: INVALID}
    found = agreement(ann, bob)
    assert found.n == 4 and found.kappa == pytest.approx(0.5)
    assert found.counts_4_4 == ((2, 0, 0, 0), (1, 1, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0))
    assert agreement({1: RIGHT}, {1: RIGHT}).kappa is None
    assert agreement({1: RIGHT}, {2: RIGHT}) == agreement({}, {})


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """120 runs of 150 images with 3 probes each, 30% truly WRONG and more alike on one image than between images; 90
    labels; the judge errs in 10 to 15%. 95% intervals that held the truth in fewer than 88%, or that had no width,
    would show a fault; chance alone takes a true 95% below 88% once in some 2,000 times."""
    random = np.random.default_rng(5)
    held = 0
    for _ in range(120):
        hard_I = random.beta(0.9, 2.1, 150)  # mean 0.3
        probes, truth = [], {}
        for i in range(150):
            for j in range(3):
                true = INVALID if random.random() < 0.1 else WRONG if random.random() < hard_I[i] else RIGHT
                slips = random.random() < (0.10 if true is RIGHT else 0.15)
                judged = true if not slips else {RIGHT: WRONG, WRONG: RIGHT, INVALID: RIGHT}[true]
                probe = make_probe(judged, f"{i}", j, step=i)
                probes.append(probe)
                truth[probe.key] = true
        sample = draw(probes, 90, 0, never)
        fdr = audit(probes, {p.key: truth[p.key] for p in sample}, random, never).corrected.fdr
        assert fdr.low is not None and fdr.high is not None
        held += fdr.low <= 0.9 * 0.3 <= fdr.high
        assert 0.05 < fdr.high - fdr.low < 0.35
    assert held / 120 >= 0.88, held
