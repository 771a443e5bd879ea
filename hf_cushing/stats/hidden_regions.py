"""What a model loses without a part of the face, and what it can do with that part alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from hf_cushing.stats.metrics import Decisions, weighted_metrics
from hf_cushing.stats.region_agreement import interval_of, ratio
from hf_cushing.stats.region_shares import DIFFERENCE, RegionRow
from hf_cushing.stats.resampling import DRAWS, Patients, strata_of

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
    seed: int = 0,
) -> list[RegionRow]:
    """All of `HIDDEN_MEASURES` for all, women, men and their difference.

    Parameters
    ----------
    absent, only : numpy.ndarray
        Shape (n, regions), as `occlusion_effects` gives them; NaN where a photo lacks the region.
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
    strata = strata_of(truth, sexes)
    who = Patients(patients, strata)
    weights = np.concatenate(
        [np.ones((1, len(truth))), who.draws(draws, np.random.default_rng(seed))]
    )
    groups = {"all": np.full(len(truth), True)} | {s: sexes == s for s in ("female", "male")}
    rows = [
        row
        for measure, values in _auroc_alone(weights, log_odds, truth, groups)
        for row in _rows(NOTHING, measure, values, groups, who, truth)
    ]
    for number, name in enumerate(names):
        known = np.isfinite(absent[:, number]) & np.isfinite(only[:, number])
        parts = {group: mask & known for group, mask in groups.items()}
        found: dict[str, dict[str, np.ndarray]] = {}
        for group, mask in parts.items():
            measured = _measures(
                weights[:, mask], absent[mask, number], only[mask, number], log_odds[mask],
                truth[mask],
            )  # fmt: skip
            for measure, values in measured.items():
                found.setdefault(measure, {})[group] = values
        for measure, values in found.items():
            rows += _rows(name, measure, values, parts, who, truth)
    return rows


def _auroc_alone(
    weights: np.ndarray, log_odds: np.ndarray, truth: np.ndarray, groups: dict[str, np.ndarray]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    yield "auroc", {g: _auroc(weights[:, m], log_odds[m], truth[m]) for g, m in groups.items()}


def _measures(
    weights: np.ndarray,
    absent: np.ndarray,
    only: np.ndarray,
    log_odds: np.ndarray,
    truth: np.ndarray,
) -> dict[str, np.ndarray]:
    """In the sample (first) and in every draw."""
    ill, well = (_mean(weights[:, part], absent[part]) for part in (truth, ~truth))
    without = _auroc(weights, log_odds - absent, truth)
    return {
        "effect": ill,
        "separation": ill - well,
        "auroc_absent": without,
        "auroc_lost": _auroc(weights, log_odds, truth) - without,
        "auroc_only": _auroc(weights, only, truth),
    }


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    return ratio(weights @ values, weights.sum(1))


def _auroc(weights: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    decisions = Decisions(truth, scores, np.zeros(len(scores)))
    return weighted_metrics(decisions, weights, ("auroc",))["auroc"]


def _rows(
    region: str,
    measure: str,
    values: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
    who: Patients,
    truth: np.ndarray,
) -> Iterator[RegionRow]:
    """One row a group; a comparison of classes is as small as its smaller class."""
    parts = {group: who.select(np.flatnonzero(mask)) for group, mask in groups.items()}
    classes = (truth,) if measure == "effect" else (truth, ~truth)
    fewest = {
        group: min(who.select(np.flatnonzero(mask & part)).count for part in classes)
        for group, mask in groups.items()
    }
    levels = {group: part.level() if part.count else 0.95 for group, part in parts.items()}
    people = {group: part.count for group, part in parts.items()}
    photos = {group: int(mask.sum()) for group, mask in groups.items()}
    sexes = ("female", "male")
    fewest[DIFFERENCE] = min(fewest[sex] for sex in sexes)
    levels[DIFFERENCE] = max(levels[sex] for sex in sexes)
    people[DIFFERENCE] = sum(people[sex] for sex in sexes)
    photos[DIFFERENCE] = sum(photos[sex] for sex in sexes)
    values = values | {DIFFERENCE: values["female"] - values["male"]}
    for group, series in values.items():
        estimate, low, high, reason = interval_of(series, fewest[group], levels[group])
        yield RegionRow(
            region=region, measure=measure, group=group, estimate=estimate, low=low, high=high,
            patients=people[group], photos=photos[group], reason=reason,
        )  # fmt: skip


def excludes_zero(row: RegionRow) -> bool:
    """Whether the interval lies on one side of 0; never where there is none."""
    return math.isfinite(row.low) and (row.low > 0 or row.high < 0)
