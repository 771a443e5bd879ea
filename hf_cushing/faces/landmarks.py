"""Face detection and the 68 landmarks, by dlib's bundled models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, get_args

import numpy as np
from PIL import Image

from hf_cushing.faces.photo import PhotoError
from hf_cushing.schema import Several, UsageError, UserError

DETECTION_SIDE = 1000
"""Longest side, in pixels, of the copy on which faces are searched: the smallest face that
dlib's detector knows is 80 px, a twelfth of it."""

PYRAMID_STEP = 1.2
"""Ratio of neighbouring sizes at which dlib's detector looks."""

HUGE, HUGE_SIDE = 24_000_000, 3000
"""Pixels of a photo above which faces are searched on one that is reduced by a whole number, and
the longest side, about, of that: each turn of so large a photo takes as long as the search."""

FINER = 4
"""Steps by which the copy is larger where no face was found: about twice the side."""

CLEAR = 1.0
"""Score of dlib's detector below which a face is doubtful: the photo is turned to see whether
another way is better, and a face that needs a turn must reach it. On LFW all but one in twenty
upright faces do, and no upside-down one (`benchmarks/refusals.py`)."""

TURNS = {
    180: Image.Transpose.ROTATE_180,
    90: Image.Transpose.ROTATE_270,
    270: Image.Transpose.ROTATE_90,
}
"""Degrees clockwise, in the order of trying, to Pillow's name, which counts the other way."""

EDGE = 0.15
"""Width, over the photo's shorter side, of what is mirrored beyond its edges to find a face that
they cut."""

DOMINANCE = 4.0
"""A face is the sitter's when its box has at least this many times the area of any other."""

MIN_FACE = 32
"""Smallest side of a face's box in pixels of the original: below it is a thumbnail."""

TOO_SMALL = f"the face is under {MIN_FACE} pixels wide; use the original photo, not a thumbnail"

CUT_OFF = "the edge of the photo cuts the face; use a photo that shows it whole"

MAX_OUTSIDE = 0.05
"""Largest part of the landmarks' box, over its side, that may lie beyond an edge of the photo."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Face:
    """One detected face, in pixels of the photo turned upright.

    Attributes
    ----------
    box : tuple of int
    landmarks : numpy.ndarray
        float32, shape (68, 2), x and y in the iBUG 300-W order.
    other_boxes : tuple of tuple of int
        Further faces that were passed over.
    turn : int
        Degrees clockwise by which the photo had to be turned: 0, 90, 180 or 270.
    """

    box: Box
    landmarks: np.ndarray
    other_boxes: tuple[Box, ...] = ()
    turn: int = 0

    def upright(self, photo: Image.Image) -> Image.Image:
        """The photo, as it was given, turned so that the face stands upright."""
        return photo.transpose(TURNS[self.turn]) if self.turn else photo


def dlib_model(name: str) -> Path:
    """Path of a dlib model file inside the package `face_recognition_models`.

    The 68-point model was trained on iBUG 300-W, whose licence forbids commercial use.
    The package isn't imported, since its import needs the retired `pkg_resources`.
    """
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise UserError("dlib's models are missing: run `pip install face-recognition-models`")
    return Path(spec.origin).parent / "models" / name


def find_face(photo: Image.Image, on_several: Several = "refuse") -> Face:
    """Find the one face of a photo and its landmarks; where that is doubtful, turn the photo.

    Parameters
    ----------
    photo : PIL.Image.Image
        Mode RGB.
    on_several : str
        Of `Several`.

    Raises
    ------
    PhotoError
        ``no_face``; ``several_faces`` where none of them dominates; ``too_small``; ``cut_off``.
    UsageError
        Another word for `on_several`.
    """
    if on_several not in get_args(Several):
        raise UsageError(f"on_several {on_several}: give {' or '.join(get_args(Several))}")
    if min(photo.size) < MIN_FACE:
        raise PhotoError("too_small", TOO_SMALL)
    factor = max(photo.size) // HUGE_SIDE if photo.width * photo.height > HUGE else 1
    small = photo.reduce(factor) if factor > 1 else photo
    boxes, turn = _upright_boxes(small)
    if not boxes:
        raise _no_face(small)
    boxes = [tuple(factor * value for value in box) for box in boxes]
    if turn:
        photo = photo.transpose(TURNS[turn])
    box = _choose(boxes, photo.size, on_several)
    if box[2] - box[0] < MIN_FACE:
        raise PhotoError("too_small", TOO_SMALL)
    landmarks = _landmarks(photo, box)
    if outside_share(landmarks, photo.size) > MAX_OUTSIDE:
        raise PhotoError("cut_off", CUT_OFF)
    return Face(box, landmarks, tuple(other for other in boxes if other is not box), turn)


def _choose(boxes: list[Box], size: tuple[int, int], on_several: Several) -> Box:
    """The sitter's box. A face that another dominates is a bystander's under every rule."""
    largest = max(boxes, key=_area)
    rivals = [box for box in boxes if _area(largest) < DOMINANCE * _area(box)]
    if len(rivals) > 1 and on_several == "refuse":
        raise PhotoError(
            "several_faces", f"{len(boxes)} faces were found; crop the photo to one person"
        )
    if on_several != "central":
        return largest
    width, height = size
    return min(
        rivals,
        key=lambda b: math.hypot((b[0] + b[2] - width) / 2, (b[1] + b[3] - height) / 2),
    )


def _upright_boxes(photo: Image.Image) -> tuple[list[Box], int]:
    """Boxes of the faces, and the turn of the photo (`Face.turn`) in which they are clearest.

    dlib takes a third of the upside-down faces for upright ones, with a low score.
    """
    for finer in (0, FINER):
        upright = detect_boxes(photo, finer)
        best, turn = upright, 0
        if _clearest(upright) < CLEAR and (upright or not finer):
            for degrees, way in TURNS.items():
                turned = detect_boxes(photo.transpose(way), finer)
                if _clearest(turned) > _clearest(best):
                    best, turn = turned, degrees
        if best and (not turn or _clearest(best) >= CLEAR):
            return list(best), turn
        if upright:
            break
    return [], 0


def _clearest(found: dict[Box, float]) -> float:
    return max(found.values(), default=-math.inf)


def _no_face(photo: Image.Image) -> PhotoError:
    """Tell a photo without a face from one whose edge cuts it, where dlib sees it once there is
    something beyond."""
    small = photo.copy()
    small.thumbnail((DETECTION_SIDE // 2, DETECTION_SIDE // 2))
    more = max(1, round(EDGE * min(small.size)))
    wider = np.pad(np.asarray(small), [(more, more), (more, more), (0, 0)], mode="symmetric")
    for left, top, right, bottom in detect_boxes(Image.fromarray(wider)):
        if min(left, top) < more or right > small.width + more or bottom > small.height + more:
            return PhotoError("cut_off", CUT_OFF)
    return PhotoError(
        "no_face",
        "no face was found, whichever way the photo is turned; use an upright, frontal photo in "
        "which the whole face is seen",
    )


def detect_boxes(photo: Image.Image, finer: int = 0) -> dict[Box, float]:
    """Boxes of the upright faces, in pixels of `photo`, with the detector's score.

    The search runs on a copy of at most `DETECTION_SIDE` pixels. The copy's side is the photo's,
    doubled, over a power of `PYRAMID_STEP`: so the detector looks at the very face sizes at which
    it would in the full photo upsampled once, the boxes agree, and with them the landmarks
    (`benchmarks/prepare.py`).

    Parameters
    ----------
    photo : PIL.Image.Image
        Mode RGB.
    finer : int
        Steps of the pyramid by which the copy is larger, for small faces.
    """
    longest = 2 * max(photo.size)
    steps = max(0, math.ceil(math.log(longest / DETECTION_SIDE, PYRAMID_STEP)))
    scale = 2 * PYRAMID_STEP ** (finer - steps)
    size = tuple(max(1, round(length * scale)) for length in photo.size)
    copy = np.asarray(photo.resize(size, Image.Resampling.BILINEAR))
    areas, scores, _ = _detect(copy)
    boxes = [tuple(round(v / scale) for v in (r.left(), r.top(), r.right(), r.bottom()))
             for r in areas]  # fmt: skip
    return dict(zip(boxes, scores, strict=True))


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def load_dlib() -> Any:
    """The module dlib.

    Raises
    ------
    UserError
        It isn't installed.
    """
    try:
        import dlib
    except ImportError:
        raise UserError(
            "dlib, which finds the face, is missing: run `pip install dlib-bin`"
        ) from None
    return dlib


_FREE: SimpleQueue[Any] = SimpleQueue()
"""Detectors that nobody uses: one can't serve two threads at once, and takes long to make."""


def _detect(pixels: np.ndarray) -> tuple[Any, Any, Any]:
    """Rectangles, scores and sub-detectors of dlib's detector, which lets other threads run."""
    try:
        detector = _FREE.get_nowait()
    except Empty:
        detector = load_dlib().get_frontal_face_detector()
    try:
        return detector.run(pixels, 0, 0.0)
    finally:
        _FREE.put(detector)


@cache
def _predictor() -> Any:
    path = dlib_model("shape_predictor_68_face_landmarks.dat")
    return load_dlib().shape_predictor(str(path))


def _landmarks(photo: Image.Image, box: Box) -> np.ndarray:
    """Points in a photo whose edge goes on for ever.

    dlib takes what lies outside as black, and pulls the points of a missing chin to the edge; on
    a repeated edge they stay where the rest of the face puts them.
    """
    sides = np.subtract(box[2:], box[:2])
    window = (*np.subtract(box[:2], sides).tolist(), *np.add(box[2:], sides).tolist())
    inner = load_dlib().rectangle(*sides.tolist(), *(2 * sides).tolist())
    shape = _predictor()(np.asarray(part_of(photo, window)), inner)
    return np.array([(p.x, p.y) for p in shape.parts()], np.float32) + np.float32(window[:2])


def outside_share(landmarks: np.ndarray, size: tuple[int, int]) -> float:
    """How far landmarks reach over an edge of a photo, over the side of their box."""
    low, high = landmarks.min(0), landmarks.max(0)
    return float((np.maximum(-low, high - size) / (high - low)).max())


def part_of(photo: Image.Image, box: Box) -> Image.Image:
    """The pixels of a box; where it reaches beyond the photo, the photo's edge is repeated."""
    (width, height), (left, top, right, bottom) = photo.size, box
    before = max(0, -left), max(0, -top)
    after = max(0, right - width), max(0, bottom - height)
    inner = photo.crop((max(0, left), max(0, top), min(width, right), min(height, bottom)))
    if not any(before + after):
        return inner
    sides = [(before[1], after[1]), (before[0], after[0]), (0, 0)]
    return Image.fromarray(np.pad(np.asarray(inner), sides, mode="edge"))
