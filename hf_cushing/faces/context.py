"""The wide view: a face with its real surroundings, unrotated, as people photograph it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from hf_cushing.faces.landmarks import Box, Face

CONTEXT_SIDE = 400
"""Largest shorter side of a wide view, pixels."""

CONTEXT_FACES = 5
"""The view is the whole photo unless the face's box goes more often than this into its shorter
side; then it is a square of this many face sides around the face."""

LONGEST = 2
"""Largest ratio of the sides of a view: panoramas are cut."""

HEAD = 0.5
"""What is added on each side of another person's box, over its side: it ends at brows and chin."""


@dataclass(frozen=True)
class WideView:
    """A part of the photo, or all of it, shrunk.

    Attributes
    ----------
    image : PIL.Image.Image
        RGB; pixels of the photo alone, save that other faces found there have one colour.
    box : tuple of int
        Left, top, right, bottom of the face in pixels of the view; may reach over its edge.
    share : float
        Of the photo's area that the view shows, above 0, at most 1.
    """

    image: Image.Image
    box: Box
    share: float


def wide_view(photo: Image.Image, face: Face) -> WideView:
    """Cut the view of a photo around a face that was found in it.

    Parameters
    ----------
    photo : PIL.Image.Image
        RGB.
    face : Face
        As it was found in `photo`.
    """
    photo = face.upright(photo)
    corner, lengths = _window(np.array(photo.size), np.array(face.box))
    scale = min(1.0, CONTEXT_SIDE / lengths.min())
    size = np.rint(lengths * scale).astype(int)
    image = photo.resize(
        tuple(size.tolist()),
        Image.Resampling.BICUBIC,
        box=(*corner.tolist(), *(corner + lengths).tolist()),
        reducing_gap=1.5,
    )

    def in_view(box: Box, more: float = 0.0) -> Box:
        low, high = np.array(box[:2]), np.array(box[2:])
        edge = more * (high - low)
        ends = np.concatenate([low - edge - corner, high + edge - corner])
        return tuple(np.rint(ends * np.tile(size / lengths, 2)).astype(int).tolist())

    own, others = in_view(face.box), [in_view(box, HEAD) for box in face.other_boxes]
    share = float(lengths.prod() / np.prod(photo.size))
    return WideView(_hide(image, others, own) if others else image, own, share)


def _window(size: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left top corner and lengths (x, y) of the view in the photo, whole pixels."""
    side = (box[2:] - box[:2]).max()
    whole = CONTEXT_FACES * side >= size.min()
    lengths = np.minimum(size, LONGEST * size.min() if whole else CONTEXT_FACES * side)
    middle = (box[:2] + box[2:]) / 2
    corner = np.clip(np.rint(middle - lengths / 2).astype(int), 0, size - lengths)
    return corner, lengths


def _hide(image: Image.Image, boxes: list[Box], own: Box) -> Image.Image:
    """Fill each box with its mean colour; the sitter's own box stays."""
    pixels = np.array(image)
    kept = _inside(pixels, own)
    face = kept.copy()
    for box in boxes:
        part = _inside(pixels, box)
        if part.size:
            part[:] = part.mean((0, 1))
    kept[:] = face
    return Image.fromarray(pixels)


def _inside(pixels: np.ndarray, box: Box) -> np.ndarray:
    """The part of `pixels` in a box, which may reach over the edges; shares their memory."""
    left, top, right, bottom = np.maximum(box, 0)
    return pixels[top:bottom, left:right]
