"""Face-safe augmentation: roundness and redness are signs, so neither is touched."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from hf_cushing.faces.align import warp


@dataclass(frozen=True)
class Jitter:
    """How far a crop is moved.

    Attributes
    ----------
    turn : float
        Largest rotation, degrees.
    shift : float
        Largest shift, as share of the side.
    zoom_in : float
        Smallest field seen over the crop's side; 0.9 shows 0.8 of the area.
    """

    turn: float
    shift: float
    zoom_in: float


STRENGTHS = {"light": Jitter(4, 0.015, 0.95), "strong": Jitter(10, 0.04, 0.9)}
"""Alignment leaves errors about as large as `light`; larger jitter cost accuracy on real
photographs (docs/choices.md)."""

BLUR_SHARE, MAX_BLUR = 0.25, 1 / 256
"""How many photos are softened, and up to which Gaussian radius, as share of the side."""

MAX_EXPOSURE = 0.05
"""Levels are multiplied by 1 plus or minus this: about a sixth of a stop. It scales redness
(a* in CIELAB) by as little."""

VIEW_SEED = 20_250_112
"""Seed of the fixed views, the same for every run, so that their features are shared."""


def augment(
    image: Image.Image, rng: np.random.Generator, *, strength: str, zoom_out: float = 1.0
) -> Image.Image:
    """Mirror, turn, zoom, shift, soften and expose a crop a little; one resampling.

    One scale for both axes, so that a face keeps its proportions, and one factor for all
    colours, so that it keeps its hue.

    Parameters
    ----------
    image : PIL.Image.Image
        Square RGB crop.
    rng : numpy.random.Generator
    strength : str
        A name of `STRENGTHS`.
    zoom_out : float
        Largest field seen over the crop's side, 1 or more.

    Examples
    --------
    >>> image = Image.new("RGB", (64, 64), (180, 120, 100))
    >>> augment(image, np.random.default_rng(0), strength="light").size
    (64, 64)
    """
    jitter, side = STRENGTHS[strength], image.width
    mirror = -1 if rng.random() < 0.5 else 1
    turn = math.radians(rng.uniform(-jitter.turn, jitter.turn))
    step = math.exp(rng.uniform(math.log(jitter.zoom_in), math.log(zoom_out)))
    shift = rng.uniform(-jitter.shift, jitter.shift, 2) * side
    matrix = step * np.array(
        [[mirror * math.cos(turn), -math.sin(turn)], [mirror * math.sin(turn), math.cos(turn)]]
    )
    offset = side / 2 + shift - matrix @ (side / 2, side / 2)
    image = warp(image, np.hstack([matrix, offset[:, None]]), side, Image.Resampling.BILINEAR)
    soften, radius = rng.random() < BLUR_SHARE, rng.uniform(0, MAX_BLUR * side)
    if soften:
        image = image.filter(ImageFilter.GaussianBlur(radius))
    exposure = rng.uniform(1 - MAX_EXPOSURE, 1 + MAX_EXPOSURE)
    levels = [min(255, round(level * exposure)) for level in range(256)]
    return image.point(levels * 3)
