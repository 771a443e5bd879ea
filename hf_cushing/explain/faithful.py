"""Is a heatmap true to the model, and does it lie where it should?"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from hf_cushing.heatmaps.inputs import on_loan, resize, to_input
from hf_cushing.heatmaps.methods import Heatmap
from hf_cushing.heatmaps.perturbation import score_masked
from hf_cushing.models.build import Classifier
from hf_cushing.models.score import class_number, input_pixels, stored_side
from hf_cushing.stats.region_agreement import mask_agreement

BLOBS = 8
"""Cells along a side of the random heatmap: as coarse as what the methods find."""

COMPARED_SIDE = 32
"""Side in pixels at which two heatmaps are compared."""


@dataclass(frozen=True)
class Faithfulness:
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


@dataclass(frozen=True)
class Localisation:
    """How well a heatmap finds a region.

    Attributes
    ----------
    auroc : float
        Chance that a pixel inside has a higher value than one outside, ties half; NaN if the
        region holds no pixel or all.
    pointing : bool
        Whether the highest value lies inside, or within the tolerance of it. If several pixels
        share it, all must; False for a heatmap without a positive value.
    mass : float
        Share of the positive values inside, in [0, 1]; NaN if there are none.
    share : float
        Share of the region in the photo: what mass and pointing come to by chance.
    """

    auroc: float
    pointing: bool
    mass: float
    share: float


def deletion_insertion(
    classifier: Classifier, photo: Image.Image, heatmap: Heatmap, *, steps: int = 20
) -> Faithfulness:
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
    return Faithfulness(float(deletion), float(insertion))


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

    first, second = (_coarse(each) for each in (heatmap, heatmap_randomised))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(spearmanr(first, second).statistic)


def localisation(heatmap: Heatmap, mask: np.ndarray, *, tolerance: float = 0) -> Localisation:
    """Compare the positive values of a heatmap with a region of the face.

    Parameters
    ----------
    heatmap : Heatmap
        Negative values of a signed one count as 0.
    mask : numpy.ndarray
        bool, of the heatmap's shape: True inside the region.
    tolerance : float
        Pixels by which the highest value may miss the region (Zhang et al., ECCV 2016, took 15).

    Raises
    ------
    ValueError
        The mask is not boolean or has another shape.

    Examples
    --------
    >>> values = np.array([[0.75, 0], [0.25, 0]], np.float32)
    >>> heatmap = Heatmap(values, signed=False, method="rise", label="cushing")
    >>> localisation(heatmap, np.array([[True, False], [False, False]]))
    Localisation(auroc=1.0, pointing=True, mass=0.75, share=0.25)
    """
    if mask.dtype != bool or mask.shape != heatmap.values.shape:
        raise ValueError(
            f"the mask is {mask.dtype} of shape {mask.shape}; give bool of shape "
            f"{heatmap.values.shape}"
        )
    values = np.clip(heatmap.values.astype(np.float64), 0, None)
    total = values.sum()
    mass = float(values[mask].sum() / total) if total > 0 else math.nan
    return Localisation(
        auroc=mask_agreement(values, mask).auroc,
        pointing=_points_inside(values, mask, tolerance),
        mass=mass,
        share=float(mask.mean()),
    )


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


def _coarse(heatmap: Heatmap) -> np.ndarray:
    values = torch.tensor(np.abs(heatmap.values))[None, None]
    return F.adaptive_avg_pool2d(values, COMPARED_SIDE).numpy().ravel()


def _points_inside(values: np.ndarray, mask: np.ndarray, tolerance: float) -> bool:
    from scipy.ndimage import distance_transform_edt

    if not mask.any() or values.max() <= 0:
        return False
    distance = distance_transform_edt(~mask)
    return bool((distance[values == values.max()] <= tolerance).all())
