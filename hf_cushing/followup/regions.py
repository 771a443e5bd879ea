"""How the heatmaps' shares of the regions of the face change between visits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cushing.data.options import Progress
from hf_cushing.faces.regions import GROUPS, REGIONS, region_labels
from hf_cushing.followup.pairs import Pairs, change_of, dated_visits, pairs_of
from hf_cushing.followup.photos import Followed, key_of
from hf_cushing.heatmaps.methods import explain_many, methods_for
from hf_cushing.heatmaps.store import Store
from hf_cushing.models.build import Classifier
from hf_cushing.models.score import labels_of
from hf_cushing.schema import UserError
from hf_cushing.stats.reliable_change import Change, Visits

BATCH = 8


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Heatmaps by region.

    Attributes
    ----------
    method : str
        Of the heatmaps.
    visits, pairs : Visits, Pairs
        Of the photos whose regions are known; the others are named in `left_out`.
    means : numpy.ndarray
        float64, shape (visits, groups of regions): shares, rows sum to 1.
    change : Change
        Of the shares, shape (pairs, groups).
    left_out : dict
    """

    method: str
    visits: Visits
    pairs: Pairs
    means: np.ndarray
    change: Change
    left_out: dict[str, str]


def share_changes(
    classifier: Classifier,
    followed: Followed,
    *,
    work: Path,
    odds: np.ndarray,
    index: int,
    progress: Progress,
) -> Shares:
    """Share of each group of regions in the heatmaps, and how it changed."""
    known, areas, left_out = _regions(followed)
    label, method = labels_of(classifier.model)[index], methods_for(classifier.model)[0]
    joined = np.array([[name in names for name in REGIONS] for names in GROUPS.values()], float)

    def shares(crops: list, part: slice) -> dict[str, np.ndarray]:
        maps = explain_many(classifier, crops, method, label=label)
        sums = [
            np.bincount(area.ravel(), np.abs(found.values).ravel(), minlength=len(REGIONS))
            for area, found in zip(areas[part], maps, strict=True)
        ]
        return {"shares": np.stack(sums) @ joined.T}

    crops = followed.crops.select(known)
    key = key_of([crops["photo_id"][:], odds.tolist(), label])  # the scores stand for the weights
    store = Store(work / f"maps-{key}", crops, BATCH, progress)
    values = np.asarray(store.get(method, shares)["shares"])
    photos = [followed.photos[place] for place in known]
    visits = dated_visits(photos)
    pairs = pairs_of(photos, visits)
    means = np.stack([visits.means(column) for column in values.T], 1)
    return Shares(
        method=method,
        visits=visits,
        pairs=pairs,
        means=means,
        change=change_of(values, visits, pairs),
        left_out=left_out,
    )


def _regions(followed: Followed) -> tuple[list[int], list[np.ndarray], dict[str, str]]:
    """Places of the photos whose regions can be drawn, their regions, and the others' reasons."""
    known, areas, left_out = [], [], {}
    for place, row in enumerate(followed.crops.select_columns(["image", "landmarks", "photo_id"])):
        points = np.array(row["landmarks"], np.float32).reshape(68, 2)
        try:
            areas.append(region_labels(points, row["image"].width))
            known.append(place)
        except UserError as error:
            left_out[f"regions of photo {row['photo_id']}"] = str(error)
    if not known:
        raise UserError("--regions: no photo has landmarks inside its crop; leave --regions out")
    return known, areas, left_out
