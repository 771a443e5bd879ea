"""What a model loses without a part of the face, and what it can do with that part alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hf_cushing.stats import DRAWS
from hf_cushing.stats.metrics import weighted_auroc
from hf_cushing.stats.region_shares import RegionRow, group_sizes, ratio, region_rows
from hf_cushing.stats.resampling import Patients, sex_masks, strata_of

NOTHING = "nothing hidden"

HIDDEN_MEASURES = {
    "effect": "fall of the log-odds when the region is hidden, mean over photos of the disease",
    "separation": "fall of the log-odds when the region is hidden, mean over photos of the disease "
    "minus that over photos without",
    "auroc_absent": "AUROC with the region hidden",
    "auroc_lost": "AUROC with nothing hidden minus AUROC with the region hidden",
    "auroc_only": "AUROC of what the region alone adds to a face that is hidden altogether",
}
"""What each measure is, for tables."""


def hidden_table(
    absent: np.ndarray,
    only: np.ndarray,
    log_odds: np.ndarray,
    *,
    truth: np.ndarray,
    patients: np.ndarray,
    sexes: np.ndarray,
    names: Sequence[str],
    draws: int = DRAWS,
) -> list[RegionRow]:
    """All of `HIDDEN_MEASURES` for all, women, men and their difference.

    Parameters
    ----------
    absent, only : numpy.ndarray
        Shape (n, regions), as `hiding_effects` gives them; NaN where a photo lacks the region.
    log_odds : numpy.ndarray
        Shape (n,), of the whole photo.
    truth : numpy.ndarray
        bool, shape (n,): has the disease.
    patients, sexes : numpy.ndarray
        Shape (n,); patients are drawn within class × sex.
    names : sequence of str
        Of the regions.

    Returns
    -------
    list of RegionRow
        By region, measure, group; the first are the AUROC with `NOTHING` hidden.

    Raises
    ------
    ValueError
        Where shapes do not fit.
    """
    if not absent.shape == only.shape == (len(log_odds), len(names)) or not len(names):
        raise ValueError(f"{absent.shape}, {only.shape}: not {len(log_odds)} × {len(names)}")
    who = Patients(patients, strata_of(truth, sexes))
    weights, masks = who.weights(draws), sex_masks(sexes)
    whole = {g: weighted_auroc(truth[m], log_odds[m], weights[:, m]) for g, m in masks.items()}
    rows = list(region_rows(NOTHING, "auroc", whole, group_sizes(who, masks, (truth, ~truth))))
    for number, name in enumerate(names):
        known = np.isfinite(absent[:, number]) & np.isfinite(only[:, number])
        parts = {group: mask & known for group, mask in masks.items()}
        columns = absent[:, number], only[:, number], log_odds, truth
        measured = {
            group: _measures(weights[:, mask], *(column[mask] for column in columns))
            for group, mask in parts.items()
        }
        for measure in HIDDEN_MEASURES:
            classes = (truth,) if measure == "effect" else (truth, ~truth)
            values = {group: measured[group][measure] for group in parts}
            rows += region_rows(name, measure, values, group_sizes(who, parts, classes))
    return rows


def _measures(
    weights: np.ndarray,
    absent: np.ndarray,
    only: np.ndarray,
    log_odds: np.ndarray,
    truth: np.ndarray,
) -> dict[str, np.ndarray]:
    """`HIDDEN_MEASURES` in the sample (first) and in every draw."""
    ill, well = (
        ratio(weights[:, part] @ absent[part], weights[:, part].sum(1)) for part in (truth, ~truth)
    )
    without = weighted_auroc(truth, log_odds - absent, weights)
    return {
        "effect": ill,
        "separation": ill - well,
        "auroc_absent": without,
        "auroc_lost": weighted_auroc(truth, log_odds, weights) - without,
        "auroc_only": weighted_auroc(truth, only, weights),
    }


def excludes_zero(row: RegionRow) -> bool:
    """Whether the interval lies on one side of 0; never where there is none."""
    return row.low > 0 or row.high < 0
