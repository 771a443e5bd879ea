"""The number by which the best epoch is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from hf_cushing.evaluation.subgroup_metric import f1_by_group
from hf_cushing.stats.grade_metrics import concordance
from hf_cushing.stats.metrics import mean_auroc


def framed_metrics(
    logits: np.ndarray, labels: np.ndarray, sexes: np.ndarray, **options: Any
) -> dict[str, float]:
    """`validation_metrics` of photos that were scored as aligned crops, and maybe as wide views.

    Parameters
    ----------
    logits, labels : numpy.ndarray
        Of all crops, then of all wide views in the same order, if these were scored too.
    sexes : numpy.ndarray
        Words, shape (photos,).
    **options
        Of `validation_metrics`.

    Returns
    -------
    dict
        Those of the crops, and with ``plain_`` before the name those of the wide views; the
        epoch is chosen by the mean of both.
    """
    count = len(sexes)
    aligned, *plain = (
        validation_metrics(logits[i : i + count], labels[i : i + count], sexes, **options)
        for i in range(0, len(labels), count)
    )
    for other in plain:
        aligned["selection"] = (aligned["selection"] + other["selection"]) / 2
        aligned |= {f"plain_{k}": v for k, v in other.items() if k != "selection"}
    return aligned


def validation_metrics(
    logits: np.ndarray,
    labels: np.ndarray,
    sexes: np.ndarray,
    *,
    worst_first: bool = False,
    places: np.ndarray | None = None,
) -> dict:
    """AUROC of all, of each sex, and the number by which the best epoch is chosen.

    Parameters
    ----------
    logits : numpy.ndarray
        Shape (n, classes).
    labels : numpy.ndarray
        Class numbers, shape (n,).
    sexes : numpy.ndarray
        Words, shape (n,).
    worst_first : bool
        The worse sex's AUROC chooses the epoch, as GroupDRO asks.
    places : numpy.ndarray, optional
        Of the classes on the scale, where they are grades: the concordance of the expected with
        the true place then chooses in place of the AUROC.

    Returns
    -------
    dict
        ``auroc``, ``auroc_female``, ``auroc_male`` (NaN where undefined), of two classes also
        ``f1`` and ``f1_<sex>`` at 0.5, of grades also
        ``concordance…``, and ``selection``: the AUROC or concordance of all, where epochs tie
        the worse sex decides; or the other way round.
    """
    scores = softmax(logits.astype("float64"), axis=1)
    parts = {"": np.full(len(labels), True)}
    parts |= {f"_{sex}": sexes == sex for sex in ("female", "male")}
    metrics = {f"auroc{end}": mean_auroc(scores[part], labels[part]) for end, part in parts.items()}
    chosen_by = list(metrics.values())
    if scores.shape[1] == 2:
        whole, by_sex, _ = f1_by_group(labels == 1, scores[:, 1] > 0.5, sexes)
        metrics |= {"f1": whole} | {
            f"f1_{sex}": f1 if (labels[sexes == sex] == 1).any() else np.nan
            for sex, f1 in by_sex.items()
        }
    if places is not None:
        chosen_by = [concordance(scores[p] @ places, places[labels[p]]) for p in parts.values()]
        metrics |= {f"concordance{end}": v for end, v in zip(parts, chosen_by, strict=True)}
    worst = min((v for v in chosen_by if not np.isnan(v)), default=0.0)
    first, second = (worst, chosen_by[0]) if worst_first else (chosen_by[0], worst)
    return metrics | {"selection": first + 1e-6 * second}
