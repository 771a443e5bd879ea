"""Letting a model say "uncertain", at a stated rate of error: split conformal prediction.

Mondrian by class × sex (Vovk 2012, PMLR 25:475): for each class and sex a limit is set on
validation such that the true class of a new patient's photos is inside the set of plausible
classes with probability of at least 1 - alpha, if patients are exchangeable. A set of one class
is an answer; any other is "uncertain".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.intervals import clustered_ratio, wilson
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.resampling import Patients
from hf_cushing.schema import UsageError, UserError

SEXED = ("female", "male")


@dataclass(frozen=True)
class Limit:
    """How implausible a class may be and still belong to the set.

    Attributes
    ----------
    model_revision, label, sex : str
    patients : int
        Of this class and sex in validation.
    limit : float
        Of 1 - probability; infinite where patients are too few: then nobody of that sex is
        ever sure not to be of that class.
    """

    model_revision: str
    label: str
    sex: str
    patients: int
    limit: float


@dataclass(frozen=True)
class Conformal:
    """Limits of every model, class and sex.

    Attributes
    ----------
    alpha : float
        Error rate, 0..1.
    limits : tuple of Limit
    """

    alpha: float
    limits: tuple[Limit, ...]


@dataclass(frozen=True, kw_only=True)
class AbstentionRow:
    """What abstaining does in one group of photos.

    Attributes
    ----------
    subgroup : str
        ``all``, ``female`` or ``male``.
    photos, certain : int
        All, and those with a set of exactly one class.
    error, error_low, error_high : float
        Share of the certain ones that are wrong, with its 95 % interval; NaN if none is certain.
    coverage : dict
        Class to the share of its photos whose set holds it; NaN without photos.
    patients : dict
        Class to the number of validation patients behind the limits, the smallest of the models.
    reason : str
    """

    subgroup: str
    photos: int
    certain: int
    error: float
    error_low: float
    error_high: float
    coverage: dict[str, float]
    patients: dict[str, int]
    reason: str = ""


def fit_conformal(validation: Predictions, alpha: float) -> Conformal:
    """Set the limits on validation photos; each model (fold) has its own.

    A patient with several photos counts once, with the least plausible of them, so that all the
    photos of a new patient are covered together.

    Raises
    ------
    UserError
        Rows of the test split, or an error rate outside 0..1.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"error rate {alpha}: give a number between 0 and 1, as 0.1")
    if (validation.split == "test").any():
        raise UserError("limits chosen on the test split are not honest; use validation")
    limits = []
    for model in sorted(set(validation.model_revision.tolist())):
        for label in validation.labels:
            own = (validation.model_revision == model) & (validation.label == label)
            for sex in SEXED:
                worst = _worst_of_patients(validation.select(own & (validation.sex == sex)), label)
                limits.append(Limit(model, label, sex, len(worst), conformal_limit(worst, alpha)))
    return Conformal(alpha, tuple(limits))


def conformal_limit(values: np.ndarray, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest of n values; infinite if there are too few.

    >>> conformal_limit(np.arange(1.0, 10.0), 0.1), conformal_limit(np.arange(8.0), 0.1)
    (9.0, inf)
    """
    place = math.ceil((len(values) + 1) * (1 - alpha) - 1e-9)
    return float(np.sort(values)[place - 1]) if place <= len(values) else math.inf


def plausible_sets(conformal: Conformal, predictions: Predictions) -> np.ndarray:
    """Which classes are plausible for each photo: bool, shape (n, classes).

    Who is of unknown sex has the wider limit of the two.
    """
    known = {(x.model_revision, x.label, x.sex): x.limit for x in conformal.limits}
    sets = np.empty(predictions.probabilities.shape, bool)
    for column, label in enumerate(predictions.labels):
        limits = [
            max(known[model, label, word] for word in ((sex,) if sex in SEXED else SEXED))
            for model, sex in zip(
                predictions.model_revision.tolist(), predictions.sex.tolist(), strict=True
            )
        ]
        sets[:, column] = 1 - predictions.probabilities[:, column] <= np.array(limits) + 1e-12
    return sets


def abstention_table(conformal: Conformal, scored: Predictions) -> list[AbstentionRow]:
    """For all, women and men: how many get an answer, and how often it is wrong."""
    sets = plausible_sets(conformal, scored)
    columns = np.array([scored.labels.index(label) for label in scored.label.tolist()], int)
    held = sets[np.arange(len(scored)), columns]
    certain = sets.sum(1) == 1
    masks = {"all": np.full(len(scored), True)} | {sex: scored.sex == sex for sex in SEXED}
    return [_row(conformal, scored, name, mask, held, certain) for name, mask in masks.items()]


def _row(
    conformal: Conformal,
    scored: Predictions,
    name: str,
    mask: np.ndarray,
    held: np.ndarray,
    certain: np.ndarray,
) -> AbstentionRow:
    answered = mask & certain
    strata = np.char.add(np.char.add(scored.label, "/"), scored.sex)
    ratio = clustered_ratio(answered & ~held, answered, Patients(scored.patient_id, strata))
    low, high = wilson(ratio.estimate, ratio.effective)
    sexes = SEXED if name == "all" else (name,)
    coverage, patients = {}, {}
    for label in scored.labels:
        own = mask & (scored.label == label)
        coverage[label] = float(held[own].mean()) if own.any() else math.nan
        patients[label] = min(
            x.patients for x in conformal.limits if x.label == label and x.sex in sexes
        )
    return AbstentionRow(
        subgroup=name,
        photos=int(mask.sum()),
        certain=int(answered.sum()),
        error=ratio.estimate,
        error_low=low,
        error_high=high,
        coverage=coverage,
        patients=patients,
        reason="" if answered.any() else "nobody gets an answer",
    )


def _worst_of_patients(rows: Predictions, label: str) -> np.ndarray:
    """The largest 1 - probability of the true class among each patient's photos."""
    value = 1 - rows.score(label)
    return np.array([value[rows.patient_id == p].max() for p in np.unique(rows.patient_id)])
