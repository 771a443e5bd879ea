"""Letting a model say "uncertain", at a stated rate of error: split conformal prediction.

Mondrian by class × sex (Vovk 2012, PMLR 25:475): for each class and sex a limit is set on
validation such that the true class of a new patient's photos is inside the set of plausible
classes with probability of at least 1 - alpha, if patients are exchangeable. A set of one class
is an answer; any other is "uncertain", an empty one too: no class looks like the known patients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.schema import KNOWN_SEXES, UsageError, UserError
from hf_cushing.stats.intervals import clustered_ratio
from hf_cushing.stats.resampling import Patients, sex_masks, strata_of


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

    def behind(self, label: str, sex: str, model: str | None = None) -> list[Limit]:
        """The limits that decide on a class: of this sex, or of both where it isn't one of them."""
        sexes = (sex,) if sex in KNOWN_SEXES else KNOWN_SEXES
        return [
            limit
            for limit in self.limits
            if limit.label == label and limit.sex in sexes and model in (None, limit.model_revision)
        ]

    def limit(self, label: str, sex: str, model: str | None = None) -> float:
        """Largest 1 - probability at which a class stays plausible.

        For an unknown sex the wider limit of the two, so that the guarantee holds whichever sex
        it is.
        """
        return max(limit.limit for limit in self.behind(label, sex, model))


@dataclass(frozen=True, kw_only=True)
class AbstentionRow:
    """What abstaining does in one group of photos.

    Attributes
    ----------
    subgroup : str
        ``all``, ``female`` or ``male``.
    photos, certain, empty : int
        All, those with a set of exactly one class, and those with a set of none.
    error, error_low, error_high : float
        Share of the certain ones that are wrong, with its 95 % interval; NaN if none is certain.
    coverage : dict
        Class to the share of its photos whose set holds it; NaN without photos.
    of_class : dict
        Class to the number of its photos: what `coverage` is a share of.
    patients : dict
        Class to the number of validation patients behind the limits, the smallest of the models.
    reason : str
    """

    subgroup: str
    photos: int
    certain: int
    empty: int
    error: float
    error_low: float
    error_high: float
    coverage: dict[str, float]
    of_class: dict[str, int]
    patients: dict[str, int]
    reason: str = ""


def fit_conformal(validation: Predictions, alpha: float) -> Conformal:
    """Set the limits on validation photos; each model (fold) has its own.

    A patient with several photos counts once, with the least plausible of them, so that all the
    photos of a new patient are covered together.

    Parameters
    ----------
    validation : Predictions
        Photos that the model was not fitted on; those that chose its epoch or its calibration
        are not quite exchangeable with new ones.
    alpha : float
        Error rate, above 0 and below 1.

    Raises
    ------
    UserError
        Rows of the test split, or an error rate outside 0..1.

    Examples
    --------
    Nine women without the disease; two in ten of such women may be ruled out wrongly:

    >>> women = Predictions(
    ...     photo_id=np.arange(9).astype(str), patient_id=np.arange(9).astype(str),
    ...     label=np.full(9, "control"), sex=np.full(9, "female"), split=np.full(9, "validation"),
    ...     fold=np.zeros(9, int), seed=np.zeros(9, int), labels=("control", "cushing"),
    ...     probabilities=np.linspace([0.9, 0.1], [0.1, 0.9], 9), model_revision="m",
    ...     dataset_revision="d")
    >>> for limit in fit_conformal(women, 0.2).limits:
    ...     print(limit.label, limit.sex, limit.patients, round(limit.limit, 2))
    control female 9 0.8
    control male 0 inf
    cushing female 0 inf
    cushing male 0 inf
    """
    if not 0 < alpha < 1:
        raise UsageError(f"error rate {alpha}: give a number between 0 and 1, as 0.1")
    if (validation.split == "test").any():
        raise UserError("limits chosen on the test split are not honest; use validation")
    limits = []
    for model in sorted(set(validation.model_revision.tolist())):
        for label in validation.labels:
            own = (validation.model_revision == model) & (validation.label == label)
            for sex in KNOWN_SEXES:
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

    Raises
    ------
    UserError
        Photos of a model or a class without limits.
    """
    for kind, known, asked in (
        ("model", {x.model_revision for x in conformal.limits}, predictions.model_revision),
        ("class", {x.label for x in conformal.limits}, predictions.labels),
    ):
        for name in asked:
            if name not in known:
                raise UserError(
                    f"no abstention limits are known for {kind} {name}; fit them on its own "
                    "validation photos"
                )
    pairs = list(zip(predictions.sex.tolist(), predictions.model_revision.tolist(), strict=True))
    sets = np.empty(predictions.probabilities.shape, bool)
    for column, label in enumerate(predictions.labels):
        limits = {pair: conformal.limit(label, *pair) for pair in set(pairs)}
        widest = np.array([limits[pair] for pair in pairs])
        sets[:, column] = 1 - predictions.probabilities[:, column] <= widest + 1e-12
    return sets


def abstention_table(conformal: Conformal, scored: Predictions) -> list[AbstentionRow]:
    """For all, women and men: how many get an answer, and how often it is wrong.

    Raises
    ------
    UserError
        Photos of a model or a class without limits.
    """
    sets = plausible_sets(conformal, scored)
    masks = sex_masks(scored.sex).items()
    return [_row(conformal, scored, sets, subgroup=name, mask=mask) for name, mask in masks]


def _row(
    conformal: Conformal, scored: Predictions, sets: np.ndarray, *, subgroup: str, mask: np.ndarray
) -> AbstentionRow:
    of_label = {label: mask & (scored.label == label) for label in scored.labels}
    truth = [scored.labels.index(label) for label in scored.label.tolist()]
    held = sets[np.arange(len(scored)), truth]
    answered = mask & (sets.sum(1) == 1)
    strata = strata_of(scored.label, scored.sex)
    ratio = clustered_ratio(answered & ~held, answered, Patients(scored.patient_id, strata))
    low, high = ratio.interval()
    return AbstentionRow(
        subgroup=subgroup,
        photos=int(mask.sum()),
        certain=int(answered.sum()),
        empty=int((mask & ~sets.any(1)).sum()),
        error=ratio.estimate,
        error_low=low,
        error_high=high,
        coverage={name: _share(held, own) for name, own in of_label.items()},
        of_class={name: int(own.sum()) for name, own in of_label.items()},
        patients={
            name: min(limit.patients for limit in conformal.behind(name, subgroup))
            for name in scored.labels
        },
        reason="" if answered.any() else "nobody gets an answer",
    )


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    """Of the photos in `whole`, the share that is in `part`; NaN without photos."""
    return float(part[whole].mean()) if whole.any() else math.nan


def _worst_of_patients(rows: Predictions, label: str) -> np.ndarray:
    """The largest 1 - probability of the true class among each patient's photos."""
    value = 1 - rows.score(label)
    return np.array([value[rows.patient_id == p].max() for p in np.unique(rows.patient_id)])
