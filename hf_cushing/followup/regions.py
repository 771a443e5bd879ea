"""How the heatmaps' shares of the regions of the face change between visits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hf_cushing.data.options import Progress
from hf_cushing.faces.regions import region_labels
from hf_cushing.followup.visits import DatedCohort
from hf_cushing.heatmaps.methods import explain_many, methods_for
from hf_cushing.heatmaps.regions import group_sums, region_sums
from hf_cushing.heatmaps.store import Store, key_of
from hf_cushing.models.build import Classifier
from hf_cushing.schema import UserError
from hf_cushing.stats.reliable_change import Change

BATCH = 8


@dataclass(frozen=True, kw_only=True)
class RegionShares:
    """Heatmaps by region.

    Attributes
    ----------
    method : str
        Of the heatmaps.
    cohort : DatedCohort
        The photos whose regions are known.
    shares : numpy.ndarray
        float64, shape (photos, groups of regions): rows sum to 1.
    left_out : dict
        The other photos, with the reason.
    """

    method: str
    cohort: DatedCohort
    shares: np.ndarray
    left_out: dict[str, str]

    @cached_property
    def means(self) -> np.ndarray:
        """Shares of each visit, shape (visits, groups)."""
        return np.stack([self.cohort.visits.means(column) for column in self.shares.T], 1)

    @cached_property
    def change(self) -> Change:
        """Change of the shares, shape (pairs, groups)."""
        return self.cohort.change(self.shares)


def measure_shares(
    classifier: Classifier,
    cohort: DatedCohort,
    *,
    work: Path,
    log_odds: np.ndarray,
    label: str,
    progress: Progress,
) -> RegionShares:
    """Share of each group of regions in the heatmaps of a label.

    Parameters
    ----------
    work : Path
        Folder for finished batches; what is there is not done again.
    log_odds : numpy.ndarray
        Shape (photos,): they stand for the weights where finished batches are looked up.

    Raises
    ------
    UserError
        No photo has landmarks inside its crop, or too few to measure a change.
    """
    known, regions, left_out = _regions(cohort)
    cohort = cohort.select(known)
    cohort.check_comparable()
    method = methods_for(classifier.model)[0]

    def shares(crops: list, part: slice) -> dict[str, np.ndarray]:
        maps = explain_many(classifier, crops, method, label=label)
        pairs = zip(maps, regions[part], strict=True)
        return {"shares": group_sums(np.stack([region_sums(m.values, r) for m, r in pairs]))}

    key = key_of([cohort.crops["photo_id"][:], log_odds.tolist(), label])
    store = Store(work / f"maps-{key}", cohort.crops, BATCH, progress)
    values = np.asarray(store.get(method, shares, title=f"Heatmaps, {method}")["shares"])
    return RegionShares(method=method, cohort=cohort, shares=values, left_out=left_out)


def _regions(cohort: DatedCohort) -> tuple[list[int], list[np.ndarray], dict[str, str]]:
    """Places of the photos whose regions can be drawn, their regions, and the others' reasons."""
    known, regions, left_out = [], [], {}
    for place, row in enumerate(cohort.crops.select_columns(["image", "landmarks", "photo_id"])):
        points = np.array(row["landmarks"], np.float32).reshape(68, 2)
        try:
            regions.append(region_labels(points, row["image"].width))
            known.append(place)
        except UserError as error:
            left_out[f"regions of photo {row['photo_id']}"] = str(error)
    if not known:
        raise UserError("--regions: no photo has landmarks inside its crop; leave --regions out")
    return known, regions, left_out
