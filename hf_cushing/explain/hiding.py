"""Hide regions of a face and see what the model then says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import scipy.sparse
from PIL import Image, ImageFilter
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from hf_cushing.faces.regions import GROUPS, REGIONS, SKIN
from hf_cushing.schema import UsageError

HOW = ("blur", "mean_skin", "inpaint")
"""What takes a region's place: a strong blur of the crop (keeps colour and coarse form, hides
detail), the mean colour of the skin (hides both), or colours that run on from the region's border
(hides both, leaves no edge)."""

BLUR = 1 / 16
"""Standard deviation of the blur, over the crop's side."""

FEATHER = 1 / 64
"""Width of the soft edge, over the crop's side. It lies outside the region, so that nothing of
the region stays visible."""

COARSE = 64
"""Side of the grid on which colours run on; they are smooth, so a fine grid adds nothing."""


def replace_region(crop: Image.Image, mask: np.ndarray, how: str, skin: np.ndarray) -> Image.Image:
    """Hide a region behind something plausible, with a soft edge.

    Parameters
    ----------
    crop : PIL.Image.Image
        RGB square.
    mask : numpy.ndarray
        bool, shape (side, side): the pixels to hide; no pixel of them shows through.
    how : str
        One of `HOW`.
    skin : numpy.ndarray
        bool, shape (side, side): skin of the face, for the mean colour. Those within `mask` are
        left out unless there are no others.

    Raises
    ------
    UsageError
        For an unknown `how`.
    ValueError
        Where mask and crop differ in size.
    """
    if how not in HOW:
        raise UsageError(f"unknown replacement '{how}'; known: {', '.join(HOW)}")
    if mask.shape != crop.size[::-1]:
        raise ValueError(f"the mask has shape {mask.shape}, the crop {crop.size[::-1]}")
    if not mask.any():
        return crop.copy()
    if how == "blur":
        filling = _pixels(crop.filter(ImageFilter.GaussianBlur(BLUR * crop.width)))
    elif how == "mean_skin":
        filling = _mean_skin(_pixels(crop), mask, skin)
    else:
        filling = _inpainted(_pixels(crop), mask)
    return _blend(crop, mask, filling)


def region_only(crop: Image.Image, mask: np.ndarray, how: str, skin: np.ndarray) -> Image.Image:
    """Hide everything but a region; parameters as for `replace_region`.

    The mean colour is that of all the skin here, seen or not: of the region alone it would paint
    the field with what the region is meant to be compared with. Running colours on does so.
    """
    if how != "mean_skin":
        return replace_region(crop, ~mask, how, skin)
    return _blend(crop, ~mask, _mean_skin(_pixels(crop), np.zeros_like(mask), skin))


def _blend(crop: Image.Image, mask: np.ndarray, filling: np.ndarray) -> Image.Image:
    soft = _soft_edged(mask)[..., None]
    return Image.fromarray(np.rint(soft * filling + (1 - soft) * _pixels(crop)).astype(np.uint8))


def _pixels(crop: Image.Image) -> np.ndarray:
    return np.asarray(crop, np.float32)


def _soft_edged(mask: np.ndarray) -> np.ndarray:
    """1 on the mask, falling to 0 outside it."""
    radius = FEATHER * len(mask)
    blurred = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(radius))
    return np.maximum(mask, np.minimum(_pixels(blurred) * (2 / 255), 1))


def _mean_skin(pixels: np.ndarray, mask: np.ndarray, skin: np.ndarray) -> np.ndarray:
    for chosen in (skin & ~mask, skin, ~mask):
        if chosen.any():
            return np.broadcast_to(pixels[chosen].mean(0), pixels.shape)
    return np.broadcast_to(pixels.mean((0, 1)), pixels.shape)


def _inpainted(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill the mask by the solution of Laplace's equation with the colours around it.

    Cells of the coarse grid hold the mean of their visible pixels only; at the crop's edge the
    colours run on level. Where nothing is visible the result is the mean of all.
    """
    side = len(mask)
    coarse = min(COARSE, side)
    cell = np.arange(side) * coarse // side
    spread = scipy.sparse.csr_array((np.ones(side), (cell, np.arange(side))), (coarse, side))
    count = spread @ (~mask).astype(float) @ spread.T
    known = count > 0
    if not known.any():
        return np.broadcast_to(pixels.mean((0, 1)), pixels.shape)
    visible = pixels * ~mask[..., None]
    sums = np.stack([spread @ visible[..., channel] @ spread.T for channel in range(3)], 2)
    colours = sums / np.maximum(count, 1)[..., None]
    if not known.all():
        colours[~known] = _solve_laplace(colours, known)
    small = Image.fromarray(np.rint(np.clip(colours, 0, 255)).astype(np.uint8))
    return _pixels(small.resize((side, side), Image.Resampling.BICUBIC))


def _solve_laplace(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Colours of the unknown cells, shape (unknown, 3): each the mean of its neighbours."""
    side = len(known)
    ones = np.ones(side - 1)
    row = csgraph.laplacian(scipy.sparse.diags_array((ones, ones), offsets=(-1, 1)))
    laplace = scipy.sparse.kronsum(row, row).tocsr()[np.flatnonzero(~known)]
    inside = laplace[:, np.flatnonzero(~known)].tocsc()
    border = laplace[:, np.flatnonzero(known)] @ colours[known]
    return splu(inside).solve(-border)


def hiding_effects(
    score: Callable[[list[Image.Image]], np.ndarray],
    crops: Iterable[Image.Image],
    regions: Iterable[np.ndarray],
    *,
    how: str = "blur",
    alone: bool = False,
) -> np.ndarray:
    """How far each group of regions moves the model's log-odds.

    Parameters
    ----------
    score : callable
        Takes a list of RGB pictures, returns their log-odds, shape (pictures,).
    crops, regions : iterable
        RGB squares and their `region_labels`; read once.
    how : str
        One of `HOW`.
    alone : bool
        Without: log-odds of the crop minus those with the region hidden; positive where the
        region speaks for the disease. With: log-odds with all but the region hidden minus those
        with all hidden.

    Returns
    -------
    numpy.ndarray
        float64, shape (photos, len(GROUPS)); NaN where a photo has no pixel of a region.

    Raises
    ------
    UsageError
        For an unknown `how`.
    ValueError
        Where `score` returns another number of values than pictures, or crops and regions differ
        in number.
    """
    rows = []
    for crop, numbers in zip(crops, regions, strict=True):
        pictures = list(_variants(crop, numbers, how=how, alone=alone))
        known = [picture for picture in pictures if picture is not None]
        scores = np.asarray(score(known), np.float64)
        if scores.shape != (len(known),):
            raise ValueError(f"score returned shape {scores.shape} for {len(known)} pictures")
        values = np.full(len(pictures), np.nan)
        values[[picture is not None for picture in pictures]] = scores
        rows.append(values[1:] - values[0] if alone else values[0] - values[1:])
    return np.array(rows, np.float64).reshape(-1, len(GROUPS))


def _variants(
    crop: Image.Image, regions: np.ndarray, *, how: str, alone: bool
) -> Iterator[Image.Image | None]:
    """The reference, then one picture a group; None for a group without pixels."""
    skin = _mask_of(regions, SKIN)
    whole = np.full(regions.shape, True)
    yield replace_region(crop, whole, how, skin) if alone else crop
    change = region_only if alone else replace_region
    for names in GROUPS.values():
        mask = _mask_of(regions, names)
        yield change(crop, mask, how, skin) if mask.any() else None


def _mask_of(regions: np.ndarray, names: Sequence[str]) -> np.ndarray:
    return np.isin(regions, [REGIONS.index(name) for name in names])
