"""A face as people photograph it: windows of the wide view that `prepare` keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from hf_cushing.schema import ALIGNED, ANY, PLAIN

ALIGNED_SHARE, WHOLE_SHARE = 0.4, 1 / 3
"""Of ``any``: how often the crop is shown, and how often, of the other times, the whole view."""

SMALLEST = 0.4
"""Smallest side of a window over the view's shorter side; it is never smaller than the face."""


def columns_of(framing: str) -> list[str]:
    """Columns of a dataset that a framing needs."""
    aligned, plain = ["image"], ["context"]
    return {ALIGNED: aligned, PLAIN: plain}.get(framing, [*aligned, *plain, "context_box"])


def show(row: dict[str, Any], framing: str, rng: np.random.Generator) -> tuple[Image.Image, bool]:
    """What a network is shown of a photo, before augmentation.

    Parameters
    ----------
    row : dict
        Of a prepared dataset, with the columns of the framing.
    framing : str
        ``aligned``, ``plain`` or ``any``.
    rng : numpy.random.Generator
        Used by ``any`` alone.

    Returns
    -------
    image : PIL.Image.Image
        RGB; a square unless ``plain``.
    aligned : bool
        It is the crop.
    """
    if framing == ALIGNED or (framing == ANY and rng.random() < ALIGNED_SHARE):
        return row["image"].convert("RGB"), True
    view = row["context"].convert("RGB")
    if framing == PLAIN:
        return view, False
    whole = rng.random() < WHOLE_SHARE
    window = centre_square(view.size) if whole else free_window(view.size, row["context_box"], rng)
    side = row["image"].width
    return view.resize((side, side), Image.Resampling.BICUBIC, box=window), False


def centre_square(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the largest centre square: what a processor sees of a photo.

    >>> centre_square((300, 200))
    (50.0, 0.0, 250.0, 200.0)
    """
    side = min(size)
    left, top = (size[0] - side) / 2, (size[1] - side) / 2
    return left, top, left + side, top + side


def free_window(
    size: tuple[int, int], box: Sequence[int], rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Draw a square with the face in it, anywhere.

    Parameters
    ----------
    size : tuple of int
        Width and height of the view, pixels.
    box : sequence of int
        Left, top, right, bottom of the face in it.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of float
        Left, top, right, bottom, inside the view. Its side is drawn evenly on a logarithmic
        scale; where the view is too narrow for the whole face, it is cut.

    Examples
    --------
    >>> window = free_window((300, 200), (100, 50, 180, 130), np.random.default_rng(0))
    >>> [round(edge) for edge in window]
    [54, 2, 197, 145]
    """
    most, face = min(size), max(box[2] - box[0], box[3] - box[1])
    least = min(most, max(SMALLEST * most, face))
    side = math.exp(rng.uniform(math.log(least), math.log(most)))
    low = [_first_edge(box[i], box[i + 2], side, size[i], rng) for i in (0, 1)]
    return low[0], low[1], low[0] + side, low[1] + side


def _first_edge(start: int, end: int, side: float, length: int, rng: np.random.Generator) -> float:
    """Where a window begins along one axis, so that it holds the face and stays inside."""
    lowest, highest = max(0.0, end - side), min(length - side, start)
    if lowest >= highest:  # one place alone, or a face that reaches over the edge of the view
        lowest = highest = min(max(0.0, (start + end - side) / 2), length - side)
    return rng.uniform(lowest, highest)
