"""Replace regions of a face and see what the model then says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import scipy.sparse
from PIL import Image, ImageFilter
from scipy.sparse.linalg import splu

from hf_cushing.faces.regions import GROUPS, REGIONS, SKIN
from hf_cushing.schema import UsageError

HOW = ("blur", "mean_skin", "inpaint")
"""What takes a region's place: a strong blur of the crop (keeps colour and coarse form, hides
detail), the mean colour of the skin (hides both), or colours that run on from the region's border
(hides both, leaves no edge)."""

MODES = ("absent", "only")

BLUR = 1 / 16
"""Standard deviation of the blur, over the crop's side."""

FEATHER = 1 / 64
"""Width of the soft edge, over the crop's side. It lies outside the region, so that nothing of
the region stays visible."""

COARSE = 64
"""Side of the grid on which colours are run on; they are smooth, so a fine grid adds nothing."""

Score = Callable[[list[Image.Image]], np.ndarray]


def mask_of(labels: np.ndarray, names: Iterable[str]) -> np.ndarray:
    """Pixels of some regions.

    Parameters
    ----------
    labels : numpy.ndarray
        uint8, as `region_labels` returns.
    names : iterable of str
        Of `REGIONS`.

    Returns
    -------
    numpy.ndarray
        bool, the shape of `labels`.

    Examples
    --------
    >>> mask_of(np.array([[0, 6], [15, 6]], np.uint8), ["nose"]).tolist()
    [[False, True], [False, True]]
    """
    return np.isin(labels, [_number(name) for name in names])


def _number(name: str) -> int:
    if name not in REGIONS:
        raise UsageError(f"unknown region '{name}'; known: {', '.join(REGIONS)}")
    return REGIONS.index(name)


def replace_region(
    crop: Image.Image, mask: np.ndarray, how: str = "blur", *, skin: np.ndarray | None = None
) -> Image.Image:
    """Hide a region behind something plausible, with a soft edge.

    Parameters
    ----------
    crop : PIL.Image.Image
        RGB square.
    mask : numpy.ndarray
        bool, shape (side, side): the pixels to hide; no pixel of them shows through.
    how : str
        One of `HOW`.
    skin : numpy.ndarray, optional
        bool, shape (side, side): skin of the face, for the mean colour. Those within `mask` are
        left out unless there are no others. Default: an ellipse in the crop's middle.

    Raises
    ------
    UsageError
        For an unknown `how`.
    ValueError
        Where mask and crop differ in size.
    """
    if how not in HOW:
        raise UsageError(f"unknown replacement '{how}'; known: {', '.join(HOW)}")
    mask = np.asarray(mask, bool)
    if mask.shape != crop.size[::-1]:
        raise ValueError(f"the mask has shape {mask.shape}, the crop {crop.size[::-1]}")
    if not mask.any():
        return crop.copy()
    if how == "blur":
        filling = _floats(crop.filter(ImageFilter.GaussianBlur(BLUR * crop.width)))
    elif how == "mean_skin":
        filling = _mean_skin(_floats(crop), mask, skin)
    else:
        filling = _run_on(_floats(crop), mask)
    return _blend(crop, mask, filling)


def region_only(
    crop: Image.Image, mask: np.ndarray, how: str = "blur", *, skin: np.ndarray | None = None
) -> Image.Image:
    """Hide everything but a region; parameters as for `replace_region`.

    The mean colour is that of all the skin here, seen or not: of the region alone it would paint
    the field with what the region is meant to be compared with. Running colours on does so.
    """
    mask = np.asarray(mask, bool)
    if how != "mean_skin" or mask.shape != crop.size[::-1]:
        return replace_region(crop, ~mask, how, skin=skin)
    return _blend(crop, ~mask, _mean_skin(_floats(crop), np.zeros_like(mask), skin))


def _blend(crop: Image.Image, mask: np.ndarray, filling: np.ndarray) -> Image.Image:
    soft = _soft(mask)[..., None]
    return Image.fromarray(np.rint(soft * filling + (1 - soft) * _floats(crop)).astype(np.uint8))


def _floats(crop: Image.Image) -> np.ndarray:
    return np.asarray(crop, np.float32)


def _soft(mask: np.ndarray) -> np.ndarray:
    """1 on the mask, falling to 0 outside it."""
    radius = FEATHER * len(mask)
    blurred = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(radius))
    return np.maximum(mask, np.minimum(_floats(blurred) * (2 / 255), 1))


def _mean_skin(pixels: np.ndarray, mask: np.ndarray, skin: np.ndarray | None) -> np.ndarray:
    if skin is None:
        y, x = np.ogrid[-1 : 1 : mask.shape[0] * 1j, -1 : 1 : mask.shape[1] * 1j]
        skin = (x / 0.5) ** 2 + (y / 0.6) ** 2 < 1
    for chosen in (skin & ~mask, skin, ~mask):
        if chosen.any():
            return np.broadcast_to(pixels[chosen].mean(0), pixels.shape)
    return np.broadcast_to(pixels.mean((0, 1)), pixels.shape)


def _run_on(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
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
    return _floats(small.resize((side, side), Image.Resampling.BICUBIC))


def _solve_laplace(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Colours of the unknown cells, shape (unknown, 3): each the mean of its neighbours."""
    size = known.size
    cells = np.arange(size).reshape(known.shape)
    pairs = [(cells[1:], cells[:-1]), (cells[:, 1:], cells[:, :-1])]
    one = np.concatenate([a.ravel() for a, _ in pairs])
    two = np.concatenate([b.ravel() for _, b in pairs])
    links = scipy.sparse.coo_array((np.ones(len(one)), (one, two)), (size, size)).tocsr()
    links = links + links.T
    laplace = (scipy.sparse.diags_array(links.sum(1)) - links).tocsr()[np.flatnonzero(~known)]
    inside = laplace[:, np.flatnonzero(~known)].tocsc()
    border = laplace[:, np.flatnonzero(known)] @ colours[known]
    return splu(inside).solve(-border)


def occlusion_effects(
    score: Score,
    crops: Iterable[Image.Image],
    labels: Iterable[np.ndarray],
    *,
    how: str = "blur",
    mode: str = "absent",
    regions: Mapping[str, Sequence[str]] = GROUPS,
    batch_size: int = 32,
    advance: Callable[[int], object] | None = None,
) -> np.ndarray:
    """How far each region moves the model's log-odds.

    Parameters
    ----------
    score : callable
        Takes a list of RGB pictures, returns their log-odds, shape (pictures,).
    crops, labels : iterable
        RGB squares and their `region_labels`; read once, a batch at a time.
    how : str
        One of `HOW`.
    mode : str
        ``absent``: log-odds of the crop minus those with the region hidden; positive where the
        region speaks for the disease. ``only``: log-odds with all but the region hidden minus
        those with all hidden.
    regions : mapping
        Name of a column to the regions that are hidden together.
    batch_size : int
        Pictures a call of `score`.
    advance : callable, optional
        Called with 1 after each photo.

    Returns
    -------
    numpy.ndarray
        float64, shape (photos, regions); NaN where a photo has no pixel of a region.

    Raises
    ------
    UsageError
        For an unknown `how`, `mode` or region.
    ValueError
        Where `score` returns another number of values than pictures, or crops and labels differ
        in number.
    """
    if how not in HOW or mode not in MODES:
        raise UsageError(f"unknown how '{how}' ({', '.join(HOW)}) or mode '{mode}' ({MODES})")
    for names in regions.values():
        mask_of(np.zeros((1, 1), np.uint8), names)  # a wrong name fails before any work
    pictures = (
        picture
        for crop, number in zip(crops, labels, strict=True)
        for picture in _variants(crop, number, how=how, mode=mode, regions=regions)
    )
    rows, row = [], []
    for value in _scored(score, pictures, batch_size):
        row.append(value)
        if len(row) == len(regions) + 1:
            rows.append(row)
            row = []
            if advance is not None:
                advance(1)
    values = np.array(rows, np.float64).reshape(-1, len(regions) + 1)
    change = values[:, :1] - values[:, 1:]
    return change if mode == "absent" else -change


def _variants(
    crop: Image.Image,
    labels: np.ndarray,
    *,
    how: str,
    mode: str,
    regions: Mapping[str, Sequence[str]],
) -> Iterator[Image.Image | None]:
    """The reference, then one picture a region; None for a region without pixels."""
    skin = mask_of(labels, SKIN)
    everything = np.ones(labels.shape, bool)
    yield crop if mode == "absent" else replace_region(crop, everything, how, skin=skin)
    change = replace_region if mode == "absent" else region_only
    for names in regions.values():
        mask = mask_of(labels, names)
        yield change(crop, mask, how, skin=skin) if mask.any() else None


def _scored(
    score: Score, pictures: Iterator[Image.Image | None], batch_size: int
) -> Iterator[float]:
    while batch := list(islice(pictures, batch_size)):
        real = [picture for picture in batch if picture is not None]
        values = np.asarray(score(real) if real else [], np.float64)
        if values.shape != (len(real),):
            raise ValueError(f"score returned shape {values.shape} for {len(real)} pictures")
        known = iter(values.tolist())
        yield from (float("nan") if picture is None else next(known) for picture in batch)
