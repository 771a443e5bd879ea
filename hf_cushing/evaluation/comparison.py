"""Two models on the same photos.

Nothing here says "no difference": a difference is shown, or is shown to be small (equivalent), or
the sample leaves it undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.options import MARGIN, PRIMARY
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.subgroups import TOO_FEW
from hf_cushing.schema import UserError
from hf_cushing.stats import DRAWS
from hf_cushing.stats.intervals import INSUFFICIENT, size_word
from hf_cushing.stats.paired_metrics import Difference, paired_differences
from hf_cushing.stats.resampling import Patients
from hf_cushing.stats.significance import McNemar, check_margin, mcnemar


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the same photos of one split.

    Attributes
    ----------
    label, split, first_model, second_model : str
        Models by their revisions.
    subgroup : str
        ``all``.
    photos, patients, positive_patients, negative_patients : int
    size : str
        ``insufficient``, ``wide`` or ``ok``, as in `SubgroupReport`.
    margin : float
        Differences smaller than this don't matter.
    primary : str
        The metric whose p stands as it is.
    first_rule, second_rule : str
        By which the thresholds of each were chosen.
    differences : dict
        Metric name to `Difference`, in the order of `METRICS`.
    by_photo, by_patient : McNemar
        The same if each patient has one photo; else only `by_patient` is honest.
    other : str
        What a sentence calls the second model.
    """

    label: str
    split: str
    subgroup: str = "all"
    first_model: str
    second_model: str
    photos: int
    patients: int
    positive_patients: int
    negative_patients: int
    size: str
    margin: float
    primary: str
    first_rule: str
    second_rule: str
    differences: dict[str, Difference]
    by_photo: McNemar
    by_patient: McNemar
    other: str = "the other"


def compare_models(
    first: Predictions,
    second: Predictions,
    *,
    label: str,
    points: tuple[Sequence[OperatingPoint], Sequence[OperatingPoint]],
    split: str = "test",
    draws: int = DRAWS,
    margin: float = MARGIN,
    primary: str = PRIMARY,
) -> Comparison:
    """Compare two models' calls and scores of one disease, photo by photo.

    Parameters
    ----------
    first, second : Predictions
        Of the same photos, in any order.
    label : str
        The disease.
    points : tuple of sequences of OperatingPoint
        The thresholds of the first model, and of the second.
    draws : int
        Draws of patients within the labels, the same for both models.
    margin : float
        Above 0: differences smaller than this don't matter. To be chosen before looking.
    primary : str
        The metric whose p is not adjusted. To be chosen before looking, too.

    Raises
    ------
    UserError
        A photo is there twice, or for one model only, or with another label, patient or sex.

    Examples
    --------
    >>> from hf_cushing.evaluation.operating_points import choose_operating_points
    >>> n = np.arange(120)
    >>> def model(score):
    ...     return Predictions(
    ...         photo_id=n.astype(str), patient_id=n.astype(str), fold=0 * n, seed=0 * n,
    ...         label=np.where(n % 2, "cushing", "control"), sex=np.full(120, "female"),
    ...         split=np.where(n < 60, "validation", "test"), labels=("control", "cushing"),
    ...         probabilities=np.stack([1 - score, score], 1),
    ...         model_revision="m", dataset_revision="d")
    >>> models = [model(0.3 + 0.4 * (n % 2)), model(n * 7 % 100 / 100)]
    >>> points = [choose_operating_points(m) for m in models]
    >>> found = compare_models(*models, label="cushing", points=points, draws=200)
    >>> found.differences["auroc"].verdict
    'first better'
    """
    check_margin(margin)
    one, two = _aligned(first, second, label, split)
    who = Patients(one.patient_id, one.label)
    both = zip((one, two), points, strict=True)
    pair = [decisions_of(model, label, own) for model, own in both]
    sides = [who.count_in(side) for side in (pair[0].truth, ~pair[0].truth)]
    right = [decisions.called == decisions.truth for decisions in pair]
    return Comparison(
        label=label,
        split=split,
        first_model=", ".join(sorted(set(one.model_revision.tolist()))),
        second_model=", ".join(sorted(set(two.model_revision.tolist()))),
        photos=len(one),
        patients=who.count,
        positive_patients=sides[0],
        negative_patients=sides[1],
        size=size_word(min(sides)),
        margin=margin,
        primary=primary,
        first_rule=points[0][0].rule,
        second_rule=points[1][0].rule,
        differences=paired_differences(
            pair,
            who,
            draws=draws,
            margin=margin,
            primary=primary,
            few=TOO_FEW if min(sides) < INSUFFICIENT else "",
        ),
        by_photo=mcnemar(*right),
        by_patient=mcnemar(*right, who.of_photo),
    )


def _aligned(
    first: Predictions, second: Predictions, label: str, split: str
) -> tuple[Predictions, Predictions]:
    """The rows of the split in order of photo_id, refused if they don't pair up."""
    pair = []
    for which, predictions in (("first", first), ("second", second)):
        if label not in predictions.positive_labels:
            known = ", ".join(predictions.positive_labels)
            raise UserError(f"the {which} model has no disease '{label}' (it has: {known})")
        part = predictions.of_split(split)
        part = part.select(np.argsort(part.photo_id, kind="stable"))
        twice = part.photo_id[1:][part.photo_id[1:] == part.photo_id[:-1]]
        _refuse(twice, f"scored more than once by the {which} model", "compare one run of each")
        pair.append(part)
    one, two = pair
    remedy = f"evaluate both models on the same {split} photos"
    _refuse(np.setdiff1d(one.photo_id, two.photo_id), "missing from the second model", remedy)
    _refuse(np.setdiff1d(two.photo_id, one.photo_id), "missing from the first model", remedy)
    remedy = "evaluate both models on the same revision of the dataset"
    for column in ("label", "patient_id", "sex"):
        differ = getattr(one, column) != getattr(two, column)
        _refuse(one.photo_id[differ], f"given another {column} by the second model", remedy)
    return one, two


def _refuse(photos: np.ndarray, fault: str, remedy: str) -> None:
    names = np.unique(photos).tolist()
    if names:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise UserError(f"photos are {fault} ({len(names)}: {shown}); {remedy}")
