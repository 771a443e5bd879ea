"""Is a heatmap true to the model? Measured against random maps and random weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image

from hf_cushing.heatmaps.inputs import on_loan, resize, to_input
from hf_cushing.heatmaps.methods import Heatmap, explain_many
from hf_cushing.heatmaps.perturbation import score_masked
from hf_cushing.heatmaps.store import Store
from hf_cushing.models.build import Classifier
from hf_cushing.models.score import class_number, input_pixels, stored_side

BLOBS = 8
"""Cells along a side of the random heatmap: as coarse as what the methods find."""

JUDGED_CELLS = 16
"""Cells along a side at which all maps are judged. Pixel by pixel, a fine map would win by single
pixels that flip the network, which says little about regions of a face."""

COMPARED_SIDE = 32
"""Side in pixels at which two heatmaps are compared."""

SANITY_PHOTOS, SANITY_SEEDS = 8, 3
"""Photos, and networks of random weights, for the check of sanity."""


@dataclass(frozen=True)
class Faithfulness:
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


@dataclass(frozen=True)
class CurveAreas:
    """Areas under the curves of the label's probability, both in [0, 1].

    Attributes
    ----------
    deletion : float
        While the photo is blurred from the most to the least attributed pixel: low is good.
    insertion : float
        While the blurred photo gets sharp in the same order: high is good.
    """

    deletion: float
    insertion: float

    @property
    def gain(self) -> float:
        """Insertion minus deletion, in [-1, 1]."""
        return self.insertion - self.deletion


def measure_faithfulness(
    classifier: Classifier, label: str, methods: Sequence[str], store: Store, *, count: int
) -> dict[str, Faithfulness]:
    """Compare each method with random maps and random weights, on the first `count` photos."""
    others = [randomised(classifier, seed) for seed in range(SANITY_SEEDS)]
    measured = {}
    for method in methods:
        measure = partial(_measure, classifier, others, label, method)
        kind, title = f"faithful-{JUDGED_CELLS}-{method}", f"Judging {method}"
        measured[method] = store.get(kind, measure, count, title=title)
    return {method: Faithfulness(**values) for method, values in measured.items()}


def _measure(
    classifier: Classifier,
    others: Sequence[Classifier],
    label: str,
    method: str,
    crops: list[Image.Image],
    part: slice,
) -> dict[str, np.ndarray]:
    maps = explain_many(classifier, crops, method, label=label)
    noise = [
        random_heatmap(len(heatmap.values), label, seed=number)
        for number, heatmap in enumerate(maps, part.start)
    ]
    sanity = np.full(len(crops), np.nan)
    if part.start < SANITY_PHOTOS:
        drawn = [explain_many(other, crops, method, label=label) for other in others]
        sanity = np.array(
            [
                _mean_known([sanity_correlation(heatmap, other) for other in same_photo])
                for heatmap, same_photo in zip(maps, zip(*drawn, strict=True), strict=True)
            ]
        )
    return {
        "gain": _gains(classifier, crops, maps),
        "random": _gains(classifier, crops, noise),
        "sanity": sanity,
    }


def _gains(
    classifier: Classifier, crops: Sequence[Image.Image], maps: Sequence[Heatmap]
) -> np.ndarray:
    pairs = zip(crops, maps, strict=True)
    return np.array([deletion_insertion(classifier, c, _in_cells(m)).gain for c, m in pairs])


def _in_cells(heatmap: Heatmap) -> Heatmap:
    cells = _coarse(heatmap.values, JUDGED_CELLS)
    return replace(heatmap, values=functional.interpolate(cells, len(heatmap.values))[0, 0].numpy())


def _coarse(values: np.ndarray, side: int) -> torch.Tensor:
    """Mean values in cells: shape (1, 1, side, side)."""
    return functional.adaptive_avg_pool2d(torch.from_numpy(values)[None, None], side)


def _mean_known(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def deletion_insertion(
    classifier: Classifier, photo: Image.Image, heatmap: Heatmap, *, steps: int = 20
) -> CurveAreas:
    """Blur a photo in the order of its heatmap, and sharpen it in the same order.

    The areas are those of Petsiuk et al. (BMVC 2018), by the trapezoid rule over the share of
    pixels changed; both start from the blurred photo where they remove, not from black. Compare
    them with those of `random_heatmap`.

    Parameters
    ----------
    classifier : Classifier
        The model explained; it comes back as it was.
    photo : PIL.Image.Image
        The photo explained.
    heatmap : Heatmap
        Its heatmap; a signed one is followed from the most positive to the most negative.
    steps : int
        Parts into which the pixels are divided, at least 1.

    Raises
    ------
    ValueError
        The heatmap has another size than the photo's centre square, or no step.
    UsageError
        The model lacks the heatmap's label.
    """
    side = stored_side(photo)
    if heatmap.values.shape != (side, side) or steps < 1:
        raise ValueError(
            f"a heatmap of shape {heatmap.values.shape} and {steps} steps for a photo of {side} "
            "pixels; give the photo's own heatmap and at least 1 step"
        )
    index = class_number(classifier.model, heatmap.label)
    pixels = input_pixels([photo], classifier)[0]
    values = to_input(torch.tensor(heatmap.values), pixels.shape[-1], classifier.processor)
    kept = _masks_in_order(values.numpy(), steps).to(pixels)
    with on_loan(classifier.model) as model:
        odds = score_masked(model, pixels, torch.cat([kept, 1 - kept]), index)
    curves = torch.sigmoid(odds.double()).reshape(2, steps + 1).cpu().numpy()
    deletion, insertion = ((curves[:, 1:] + curves[:, :-1]) / 2).mean(axis=1)
    return CurveAreas(float(deletion), float(insertion))


def random_heatmap(side: int, label: str, seed: int) -> Heatmap:
    """Draw a heatmap that knows nothing: the yardstick of `deletion_insertion`.

    It has smooth blobs: single random pixels would wear the whole photo out evenly, which is
    another thing than hiding a part of it.

    >>> random_heatmap(64, "cushing", seed=0).values.shape
    (64, 64)
    """
    generator = torch.Generator().manual_seed(seed)
    values = resize(torch.rand(BLOBS, BLOBS, generator=generator), side).numpy()
    return Heatmap((values / values.sum()).astype(np.float32), False, "random", label)


def randomised(classifier: Classifier, seed: int) -> Classifier:
    """Copy a classifier and draw all its weights anew (Adebayo et al., NeurIPS 2018).

    Each tensor is drawn from a normal distribution with its own mean and spread: what was learnt
    is gone, and signals keep a size that a deep network can carry. Tensors of one value stay.
    """
    generator = torch.Generator().manual_seed(seed)
    model = copy.deepcopy(classifier.model)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator).to(weight)
            weight.copy_(weight.mean() + weight.std(correction=0) * noise)
            weight.grad = None
    return Classifier(model, classifier.processor)


def sanity_correlation(heatmap: Heatmap, heatmap_randomised: Heatmap) -> float:
    """Spearman's correlation of two heatmaps' absolute values, in [-1, 1].

    Near 0 against the heatmap of the `randomised` model is good: the map depends on what the
    model learnt. Near 1, it shows the photo only. Both are averaged to 32 x 32 pixels first.
    NaN if one of them is constant, as Grad-CAM's is when all features speak against the label:
    take several seeds.
    """
    from scipy.stats import spearmanr

    first, second = (
        _coarse(np.abs(each.values), COMPARED_SIDE).numpy().ravel()
        for each in (heatmap, heatmap_randomised)
    )
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(spearmanr(first, second).statistic)


def _masks_in_order(values: np.ndarray, steps: int) -> torch.Tensor:
    """Masks (steps + 1, s, s) that hide ever more of the highest values: from none to all.

    Ties fall by chance: by place, the top of the photo would always go first.
    """
    chance = np.random.default_rng(0).random(values.size)
    order = np.lexsort((chance, -values.ravel()))
    rank = np.empty(values.size)
    rank[order] = np.arange(values.size)
    hidden = np.round(np.linspace(0, values.size, steps + 1))
    masks = rank[None, :] >= hidden[:, None]
    return torch.from_numpy(masks.reshape(steps + 1, *values.shape).astype(np.float32))
