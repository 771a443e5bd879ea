"""How far readers agree with each other, with themselves and with the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from hf_cushing.schema import UserError
from hf_cushing.stats.intervals import LEVEL, Ratio, clustered_ratio
from hf_cushing.stats.resampling import Patients
from hf_cushing.stats.significance import McNemar, mcnemar

NAN = math.nan

WEIGHTS = (None, "linear", "quadratic")

ALL_ALIKE = "all answers are the same, so that agreement by chance is complete"
NO_SPREAD = "all photos show the same, so that there is no error to be seen"


@dataclass(frozen=True, kw_only=True)
class Kappa:
    """Agreement beyond chance; NaN where undefined.

    Attributes
    ----------
    estimate, error, low, high : float
        At most 1, 0 by chance; standard error, and the interval, cut at -1 and 1.
    observed, expected : float
        Agreement that is seen, and that chance would bring, 0..1 (weighted if kappa is).
    photos, patients : int
    reason : str
        Why something is undefined.
    """

    estimate: float
    error: float
    low: float
    high: float
    observed: float
    expected: float
    photos: int
    patients: int
    reason: str = ""


def cohen_kappa(
    first: np.ndarray,
    second: np.ndarray,
    weights: str | None = None,
    *,
    scale: Sequence | None = None,
    patients: np.ndarray | None = None,
) -> Kappa:
    """Agreement of two readers (Cohen 1960, Educ Psychol Meas 20:37; weighted 1968).

    The error is that of Fleiss, Cohen and Everitt (1969, Psychol Bull 72:323). It is the spread
    of what each photo adds to kappa; with `patients` these are summed by patient first, and the
    interval takes Student's t.

    Parameters
    ----------
    first, second : numpy.ndarray
        Shape (n,): the answers, of any type that sorts.
    weights : str, optional
        ``linear`` or ``quadratic`` in the steps of the scale: near misses count in part.
    scale : sequence, optional
        All answers in order; left out, those that were given, sorted. Name it where a step that
        nobody chose should count as one.
    patients : numpy.ndarray, optional
        Shape (n,).

    Examples
    --------
    >>> found = cohen_kappa(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]))
    >>> found.estimate, found.observed, found.expected
    (0.5, 0.75, 0.5)
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.ndim != 1 or first.shape != second.shape or weights not in WEIGHTS:
        raise UserError(
            f"expected two lists of one length and weights of {WEIGHTS}; "
            f"found {first.shape}, {second.shape}, {weights!r}"
        )
    steps = np.unique(np.concatenate([first, second])) if scale is None else np.asarray(scale)
    a, b = (_places(answers, steps) for answers in (first, second))
    credit = _credit(len(steps), weights)
    shares = [np.bincount(side, minlength=len(steps)) / max(len(a), 1) for side in (a, b)]
    expected = float(shares[0] @ credit @ shares[1]) if len(a) else NAN
    by_chance = (credit @ shares[1])[a] + (shares[0] @ credit)[b]
    return _kappa(credit[a, b], by_chance, expected=expected, patients=patients)


def _places(answers: np.ndarray, steps: np.ndarray) -> np.ndarray:
    equal = answers[:, None] == steps
    if not equal.any(1).all():
        odd = answers[~equal.any(1)][0]
        raise UserError(f"answer {odd!r} is not on the scale {steps.tolist()}")
    return equal.argmax(1) if len(steps) else np.zeros(0, int)


def _credit(steps: int, weights: str | None) -> np.ndarray:
    distance = np.abs(np.arange(steps)[:, None] - np.arange(steps)) / max(steps - 1, 1)
    return 1 - {None: distance > 0, "linear": distance, "quadratic": distance**2}[weights]


def _kappa(
    agree: np.ndarray,
    by_chance: np.ndarray,
    *,
    expected: float,
    patients: np.ndarray | None,
) -> Kappa:
    """Kappa from each photo's agreement, and from twice what it adds to that by chance."""
    count = len(agree)
    who = np.arange(count) if patients is None else np.unique(patients, return_inverse=True)[1]
    if len(who) != count:
        raise UserError(f"patients: expected {count} values, found {len(who)}")
    people = len(np.unique(who))
    observed = float(agree.mean()) if count else NAN
    known = {
        "observed": observed, "expected": expected, "photos": count, "patients": people
    }  # fmt: skip
    if not count or 1 - expected < 1e-12:
        reason = ALL_ALIKE if count else "no photos"
        return Kappa(estimate=NAN, error=NAN, low=NAN, high=NAN, reason=reason, **known)
    kappa = (observed - expected) / (1 - expected)
    pull = agree - by_chance * (1 - kappa)
    sums = np.bincount(who, pull - pull.mean()) / (count * (1 - expected))
    widen, tail = 1.0, 0.5 + LEVEL / 2
    z = float(ndtri(tail))
    if patients is not None and people > 1:
        widen, z = people / (people - 1), float(stdtrit(people - 1, tail))
    error = math.sqrt(widen * float(sums @ sums))
    if error < 1e-12 or people < 2:
        reason = NO_SPREAD if people > 1 else "one patient only"
        return Kappa(estimate=kappa, error=NAN, low=NAN, high=NAN, reason=reason, **known)
    low, high = max(-1.0, kappa - z * error), min(1.0, kappa + z * error)
    return Kappa(estimate=kappa, error=error, low=low, high=high, **known)


def answer_counts(answers: np.ndarray, scale: Sequence | None = None) -> np.ndarray:
    """How many readers gave each answer.

    Parameters
    ----------
    answers : numpy.ndarray
        Shape (readers, photos).
    scale : sequence, optional
        All answers; left out, those that were given.

    Returns
    -------
    numpy.ndarray
        int, shape (photos, answers): for `fleiss_kappa`.

    Examples
    --------
    >>> answer_counts(np.array([[1, 0], [1, 1], [1, 0]])).tolist()
    [[0, 3], [2, 1]]
    """
    steps = np.unique(answers) if scale is None else np.asarray(scale)
    places = np.stack([_places(row, steps) for row in np.asarray(answers)])
    return np.stack([(places == step).sum(0) for step in range(len(steps))], axis=1)


def fleiss_kappa(counts: np.ndarray, *, patients: np.ndarray | None = None) -> Kappa:
    """Agreement of several readers (Fleiss 1971, Psychol Bull 76:378).

    The error is for photos drawn anew, whatever kappa is: the spread of what each adds to it.
    Fleiss's own error holds only if there is no agreement, and serves no interval.

    Parameters
    ----------
    counts : numpy.ndarray
        int, shape (photos, answers): how many readers gave each; see `answer_counts`.
    patients : numpy.ndarray, optional
        Shape (photos,).

    Raises
    ------
    UserError
        The photos were not all judged by the same number of readers, of at least two.
    """
    counts = np.asarray(counts)
    readers = counts.sum(1)
    if not len(counts) or readers.min() != readers.max() or readers[0] < 2:
        found = sorted(set(readers.tolist()))
        raise UserError(f"each photo needs the same number of readers, 2 or more; found {found}")
    shares = counts / readers[0]
    agree = (counts * (counts - 1)).sum(1) / (readers[0] * (readers[0] - 1))
    overall = shares.mean(0)
    expected = float(overall @ overall)
    return _kappa(agree, 2 * shares @ overall, expected=expected, patients=patients)


@dataclass(frozen=True, kw_only=True)
class IntraReader:
    """A reader who judged the same photos twice.

    Attributes
    ----------
    same : Ratio
        Share of photos with the same answer both times.
    low, high : float
        Wilson's interval on the effective number of photos.
    kappa : Kappa
    """

    same: Ratio
    low: float
    high: float
    kappa: Kappa


def intra_reader(
    first: np.ndarray, second: np.ndarray, *, patients: np.ndarray | None = None
) -> IntraReader:
    """Agreement of a reader's first and second judgement; arguments as in `cohen_kappa`.

    Examples
    --------
    >>> found = intra_reader(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]))
    >>> found.same.estimate, found.kappa.estimate
    (0.75, 0.5)
    """
    kappa = cohen_kappa(first, second, patients=patients)
    alike = np.asarray(first) == np.asarray(second)
    ids = np.arange(len(alike)) if patients is None else patients
    same = clustered_ratio(alike, np.full(len(alike), True), Patients(ids, np.zeros(len(alike))))
    low, high = same.interval()
    return IntraReader(same=same, low=low, high=high, kappa=kappa)


def majority_vote(decisions: np.ndarray) -> np.ndarray:
    """Majority of the readers' calls; a tie stays open.

    Parameters
    ----------
    decisions : numpy.ndarray
        bool, shape (readers, photos).

    Returns
    -------
    numpy.ndarray
        float, shape (photos,): 1, 0, or NaN where as many say yes as no.

    Examples
    --------
    >>> majority_vote(np.array([[True, True], [True, False]])).tolist()
    [1.0, nan]
    """
    decisions = np.asarray(decisions)
    if decisions.ndim != 2 or decisions.dtype != bool or not len(decisions):
        raise UserError(
            "decisions must be bool with the axes (readers, photos), "
            f"not {decisions.dtype} of shape {decisions.shape}"
        )
    lead = 2 * decisions.sum(0) - len(decisions)
    return np.where(lead == 0, NAN, lead > 0)


def error_overlap(
    truth: np.ndarray,
    reader: np.ndarray,
    model: np.ndarray,
    *,
    patients: np.ndarray | None = None,
) -> dict[str, McNemar]:
    """Photos that both, one or neither of reader (first) and model (second) call right.

    Parameters
    ----------
    truth, reader, model : numpy.ndarray
        bool, shape (n,): has the disease; is called diseased by each.
    patients : numpy.ndarray, optional
        Shape (n,): swapped as a whole in the test.

    Returns
    -------
    dict
        Of the ``diseased``, the ``healthy`` and ``everyone``.

    Examples
    --------
    >>> truth = np.array([True, True, False])
    >>> found = error_overlap(truth, np.array([True, False, False]), np.array([True, True, True]))
    >>> found["diseased"].second_only, found["healthy"].first_only
    (1, 1)
    """
    for name, calls in (("reader", reader), ("model", model), ("truth", truth)):
        if calls.dtype != bool or calls.shape != truth.shape:
            raise UserError(
                f"{name}: expected bool of shape {truth.shape}, found {calls.dtype} {calls.shape}"
            )
    parts = {"diseased": truth, "healthy": ~truth, "everyone": np.full(len(truth), True)}
    return {
        name: mcnemar(
            (reader == truth)[inside],
            (model == truth)[inside],
            None if patients is None else patients[inside],
        )
        for name, inside in parts.items()
    }
