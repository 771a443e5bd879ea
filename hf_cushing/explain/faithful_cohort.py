"""Are a model's heatmaps faithful? Measured on photos of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image

from hf_cushing.explain.faithful import (
    deletion_insertion,
    random_heatmap,
    randomised,
    sanity_correlation,
)
from hf_cushing.heatmaps.methods import Heatmap, explain_many
from hf_cushing.heatmaps.store import Store
from hf_cushing.models.build import Classifier

SANITY_PHOTOS, SANITY_SEEDS = 8, 3
"""Photos, and networks of random weights, for the check of sanity."""


GRAIN = 16
"""Cells along a side at which all maps are judged."""


@dataclass(frozen=True)
class Faithful:
    """How a method fares against a random map, one value a photo.

    Attributes
    ----------
    gain : numpy.ndarray
        Insertion minus deletion, shape (photos,).
    random : numpy.ndarray
        The same of a random map.
    sanity : numpy.ndarray
        Correlation with the maps of the same network with random weights; NaN where a map is
        empty. Near 1 the method shows the photo, not the model (Adebayo et al. 2018).
    """

    gain: np.ndarray
    random: np.ndarray
    sanity: np.ndarray


def measure_faithful(
    classifier: Classifier, label: str, methods: Sequence[str], store: Store, *, count: int
) -> dict[str, Faithful]:
    """Compare each method with random maps and random weights, on the first `count` photos."""
    others = [randomised(classifier, seed) for seed in range(SANITY_SEEDS)]
    return {
        method: Faithful(
            **store.get(
                f"faithful-{GRAIN}-{method}",
                lambda crops, part, method=method: _faithful(
                    classifier, others, crops, label, method, part
                ),
                count,
            )
        )
        for method in methods
    }


def _faithful(
    classifier: Classifier,
    others: Sequence[Classifier],
    crops: list[Image.Image],
    label: str,
    method: str,
    part: slice,
) -> dict[str, np.ndarray]:
    maps = explain_many(classifier, crops, method, label=label)
    gain, random = [], []
    for number, (crop, heatmap) in enumerate(zip(crops, maps, strict=True), part.start):
        noise = random_heatmap(len(heatmap.values), label, seed=number)
        for found, shown in ((gain, heatmap), (random, noise)):
            areas = deletion_insertion(classifier, crop, _grained(shown))
            found.append(areas.insertion - areas.deletion)
    sanity = np.full(len(crops), np.nan)
    if part.start < SANITY_PHOTOS:
        drawn = [explain_many(other, crops, method, label=label) for other in others]
        pairs = zip(maps, zip(*drawn, strict=True), strict=True)
        with np.errstate(all="ignore"):
            sanity = np.array(
                [_mean([sanity_correlation(m, o) for o in rest]) for m, rest in pairs]
            )
    return {"gain": np.array(gain), "random": np.array(random), "sanity": sanity}


def _grained(heatmap: Heatmap) -> Heatmap:
    """The map in cells of one size: pixel by pixel, a fine map would win by single pixels that
    flip the network, which says little about regions of a face."""
    side = len(heatmap.values)
    cells = functional.adaptive_avg_pool2d(torch.from_numpy(heatmap.values)[None, None], GRAIN)
    return replace(heatmap, values=functional.interpolate(cells, side)[0, 0].numpy())


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
