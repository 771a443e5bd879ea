"""Draw one parametric face. Invented persons only; no photograph goes in.

Coordinates: the face is drawn in face units, x to the viewer's right and y down, with the eyes
at y = -0.12, the face's half-width about 1 and its half-height about 1.3. `Canvas` maps
them to pixels by scale, roll and yaw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

SIDE = 256
"""Side of a drawn photo in pixels."""

Color = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Person:
    """Lasting traits of one invented person; lengths in face units, colours in 0..1 sRGB."""

    sex: str
    skin: Color
    hair: Color
    eye: Color
    hair_length: float
    hairline: float
    jaw: float
    roundness: float
    ruddiness: float
    spots: int
    stubble: float
    brow_weight: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip: float
    eye_distance: float
    eye_size: float
    chin: float
    wrinkles: float
    spot_seed: int


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What differs from photo to photo of one person, and what the camera adds.

    Attributes
    ----------
    scale : float
        Face half-width over the photo's side.
    shift : tuple of float
        Of the face's centre, in shares of the side.
    roll : float
        Radians.
    yaw : float
        Shift of the inner features against the outline, face units.
    light : float
        Side light, -1 (from the left) to 1.
    mouth_open, smile : float
        0..1.
    exposure : float
        Factor on linear brightness.
    warmth : float
        White balance, -1..1.
    blur : float
        Radius in pixels.
    noise : float
        Standard deviation of sensor noise, 0..1 scale.
    background, clothes : tuple of float
    seed : int
        For the noise and the background.
    """

    scale: float
    shift: tuple[float, float]
    roll: float
    yaw: float
    light: float
    mouth_open: float
    smile: float
    exposure: float
    warmth: float
    blur: float
    noise: float
    background: Color
    clothes: Color
    seed: int


@dataclass(frozen=True)
class Signs:
    """Severity of the signs of disease, 0 (none) to 1 each."""

    cushing: float = 0.0
    acromegaly: float = 0.0


def affected(person: Person, signs: Signs) -> Person:
    """The person as the disease changes them.

    Cushing's: rounder and wider lower face, redder cheeks, spots, and hair on women's chin and
    lip. Acromegaly: heavier brow, broader and longer nose, fuller lips, longer and wider jaw.
    """
    c, a = signs.cushing, signs.acromegaly
    return replace(
        person,
        roundness=person.roundness + 1.1 * c,
        jaw=person.jaw + 0.13 * c + 0.07 * a,
        ruddiness=person.ruddiness + 0.65 * c,
        spots=person.spots + round(8 * c),
        stubble=person.stubble + (0.22 * c if person.sex == "female" else 0.0),
        brow_weight=person.brow_weight + 0.9 * a,
        nose_width=person.nose_width + 0.11 * a,
        nose_length=person.nose_length + 0.05 * a,
        lip=person.lip + 0.05 * a,
        chin=person.chin + 0.16 * a,
    )


def draw(person: Person, shot: Shot, signs: Signs) -> tuple[np.ndarray, np.ndarray]:
    """Draw a photo and the mask of what the disease changed in it.

    Returns
    -------
    photo : numpy.ndarray
        uint8, shape (`SIDE`, `SIDE`, 3).
    mask : numpy.ndarray
        bool, shape (`SIDE`, `SIDE`): where the same scene drawn without signs has another
        colour, by more than 3 of 255 levels. Noise and blur of the camera are not in it.
    """
    scene = _scene(affected(person, signs), shot)
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    if signs != Signs():
        mask = np.abs(scene - _scene(person, shot)).max(axis=2) > 3 / 255
    return _camera(scene, shot), mask


class Canvas:
    """An RGB picture with soft shapes painted over one another in face units."""

    def __init__(self, shot: Shot):
        rng = np.random.default_rng(shot.seed)
        y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
        slope = rng.normal(0, 0.25, 2).tolist()
        shade = 1 + slope[0] * (x - 0.5) + slope[1] * (y - 0.5)
        self.picture = np.float32(shot.background) * np.float32(shade)[..., None]
        x, y = (x - 0.5 - shot.shift[0]) / shot.scale, (y - 0.5 - shot.shift[1]) / shot.scale
        cos, sin = math.cos(shot.roll), math.sin(shot.roll)
        self.x, self.y = cos * x + sin * y, -sin * x + cos * y

    def paint(self, alpha: np.ndarray, color: Color | np.ndarray) -> None:
        """Blend `color` over the picture; `alpha` has shape (`SIDE`, `SIDE`), 0..1."""
        area = _touched(alpha)
        alpha = np.clip(alpha[area], 0, 1).astype(np.float32)[..., None]
        color = np.asarray(color, np.float32)
        color = color[area] if color.ndim == 3 else color
        self.picture[area] += alpha * (color - self.picture[area])

    def shade(self, alpha: np.ndarray, factor: float) -> None:
        """Darken (factor < 1) or lighten what is there."""
        area = _touched(alpha)
        alpha = np.clip(alpha[area], 0, 1).astype(np.float32)[..., None]
        self.picture[area] *= 1 + (float(factor) - 1) * alpha

    def ellipse(
        self, center: tuple[float, float], radius: tuple[float, float], soft: float = 0.15
    ) -> np.ndarray:
        """Alpha of an ellipse whose edge falls from 1 to 0 over `soft` of its radius."""
        dx, dy = (self.x - center[0]) / radius[0], (self.y - center[1]) / radius[1]
        return np.clip((1 - np.sqrt(dx * dx + dy * dy)) / soft + 0.5, 0, 1)

    def glow(self, center: tuple[float, float], radius: tuple[float, float]) -> np.ndarray:
        """Alpha of a Gaussian spot, 1 in its middle."""
        dx, dy = (self.x - center[0]) / radius[0], (self.y - center[1]) / radius[1]
        return np.exp(-(dx * dx + dy * dy))


def _touched(alpha: np.ndarray) -> tuple[slice, slice]:
    """Smallest rectangle that holds all of `alpha` above 1/1000; saves most of the blending."""
    rows, columns = (np.flatnonzero((alpha > 1e-3).any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _scene(person: Person, shot: Shot) -> np.ndarray:
    canvas = Canvas(shot)
    face = _outline(canvas, person)
    _behind(canvas, person, shot)
    _skin(canvas, person, shot, face)
    for side in (-1, 1):
        _eye(canvas, person, side, shot.yaw)
    _nose(canvas, person, shot.yaw)
    _mouth(canvas, person, shot)
    _front_hair(canvas, person, face)
    return np.clip(canvas.picture, 0, 1)


def _outline(canvas: Canvas, person: Person) -> np.ndarray:
    """Alpha of the face: an ellipse above, a jaw below whose fullness is `roundness`."""
    chin = 1.22 + person.chin
    down = np.clip(canvas.y / chin, 0, 1)
    power = 1.75 + 1.1 * person.roundness
    width_below = person.jaw * (1 - down**power) ** 0.62 + (1 - person.jaw) * (1 - down) ** 2
    width_above = np.sqrt(np.clip(1 - (canvas.y / 1.3) ** 2, 0, 1))
    width = np.where(canvas.y > 0, width_below, width_above)
    inside = np.clip((width - np.abs(canvas.x)) / 0.05 + 0.5, 0, 1)
    return inside * (canvas.y < chin) * (canvas.y > -1.3)


def _behind(canvas: Canvas, person: Person, shot: Shot) -> None:
    skin = np.asarray(person.skin)
    if person.hair_length > 0.3:
        back = canvas.ellipse(
            (0, -0.1 + person.hair_length / 2), (1.22, 1.25 + person.hair_length / 2)
        )
        canvas.paint(back, person.hair)
    neck = np.clip((0.58 - np.abs(canvas.x)) / 0.08, 0, 1) * (canvas.y > 0.3) * (canvas.y < 2.1)
    canvas.paint(neck, tuple(skin * 0.78))
    canvas.paint(canvas.ellipse((0, 3.0), (2.3, 1.35), 0.06), shot.clothes)
    for side in (-1, 1):
        canvas.paint(canvas.ellipse((side * 1.02, 0.05), (0.13, 0.27)), tuple(skin * 0.85))


def _skin(canvas: Canvas, person: Person, shot: Shot, face: np.ndarray) -> None:
    canvas.paint(face, person.skin)
    edge = np.clip(np.abs(canvas.x) ** 3 * 0.28 + np.clip(canvas.y - 0.6, 0, 1) * 0.12, 0, 0.4)
    canvas.shade(face * edge / 0.4, 0.72)
    canvas.shade(face * np.clip(0.5 + 0.5 * shot.light * canvas.x, 0, 1), 0.86)
    canvas.shade(canvas.glow((0, -0.7), (0.6, 0.3)) * face, 1.08)
    for side in (-1, 1):
        cheek = canvas.glow((side * 0.55 + shot.yaw / 2, 0.32), (0.28, 0.25)) * face
        canvas.shade(cheek, 1.06)
        red = np.asarray(person.skin) * (1.0, 0.55, 0.52)
        canvas.paint(cheek * np.clip(person.ruddiness, 0, 1) * 0.8, tuple(red))
        fold = canvas.ellipse((side * 0.42 + shot.yaw, 0.52), (0.03, 0.22), 0.8)
        canvas.shade(fold * face, 1 - 0.3 * person.wrinkles)
    for y in (-0.62, -0.74):
        line = np.exp(-(((canvas.y - y) / 0.018) ** 2)) * (np.abs(canvas.x) < 0.45)
        canvas.shade(line * face, 1 - 0.25 * person.wrinkles)
    _beard_and_spots(canvas, person, face)


def _beard_and_spots(canvas: Canvas, person: Person, face: np.ndarray) -> None:
    beard = canvas.ellipse((0, 0.85), (0.62, 0.5), 0.7) + canvas.glow((0, 0.5), (0.26, 0.06))
    canvas.paint(np.clip(beard, 0, 1) * face * np.clip(person.stubble, 0, 0.6), person.hair)
    rng = np.random.default_rng(person.spot_seed)
    for _ in range(person.spots):
        center = (
            rng.uniform(-0.65, 0.65),
            rng.choice([rng.uniform(-0.85, -0.5), rng.uniform(0.2, 0.9)]),
        )
        spot = canvas.ellipse(center, (rng.uniform(0.02, 0.04),) * 2, 0.8)
        canvas.paint(spot * face * 0.7, tuple(np.asarray(person.skin) * (0.85, 0.45, 0.42)))


def _eye(canvas: Canvas, person: Person, side: int, yaw: float) -> None:
    x, y, size = side * person.eye_distance + yaw, -0.12, person.eye_size
    canvas.shade(canvas.glow((x, y - 0.02), (0.25, 0.15)), 0.66)
    canvas.paint(canvas.ellipse((x, y), (0.19 * size, 0.085 * size), 0.25), (0.9, 0.89, 0.87))
    canvas.paint(canvas.ellipse((x, y), (0.085 * size, 0.085 * size), 0.25), person.eye)
    canvas.paint(canvas.ellipse((x, y), (0.04, 0.04), 0.3), (0.04, 0.04, 0.04))
    lid = canvas.ellipse((x, y - 0.055 * size), (0.21 * size, 0.035), 0.5)
    canvas.paint(lid, tuple(np.asarray(person.skin) * 0.3))
    weight = person.brow_weight
    brow = canvas.ellipse((x + side * 0.02, y - 0.27), (0.27, 0.05 + 0.025 * weight), 0.6)
    canvas.paint(brow * 0.9, tuple(np.asarray(person.hair) * 0.8))
    ridge = canvas.glow((x, y - 0.2), (0.3, 0.09))
    canvas.shade(ridge, 1 - 0.28 * np.clip(weight, 0, 1.2))


def _nose(canvas: Canvas, person: Person, yaw: float) -> None:
    skin, width, tip = np.asarray(person.skin), person.nose_width, 0.28 + person.nose_length
    canvas.shade(canvas.glow((yaw * 1.3, 0.05), (0.055, 0.3)), 1.12)
    for side in (-1, 1):
        flank = canvas.glow((side * width * 0.62 + yaw, 0.02), (0.06, 0.26))
        canvas.shade(flank, 0.84)
        wing = canvas.ellipse((side * width + yaw * 1.2, tip), (0.065, 0.075), 0.7)
        canvas.paint(wing * 0.55, tuple(skin * 0.72))
        nostril = canvas.ellipse((side * width * 0.55 + yaw * 1.3, tip + 0.05), (0.055, 0.028), 0.5)
        canvas.paint(nostril, tuple(skin * 0.28))
    canvas.shade(canvas.glow((yaw * 1.2, tip + 0.09), (width * 1.1, 0.045)), 0.72)


def _mouth(canvas: Canvas, person: Person, shot: Shot) -> None:
    y, width = 0.66, person.mouth_width * (1 + 0.15 * shot.smile)
    bend = canvas.y + shot.smile * 0.25 * (canvas.x - shot.yaw) ** 2
    lips = np.asarray(person.skin) * (0.88, 0.5, 0.5)
    original, canvas.y = canvas.y, bend
    gap = 0.06 * shot.mouth_open
    upper = canvas.ellipse((shot.yaw, y - 0.035 - gap / 2), (width, 0.05 + person.lip / 2), 0.35)
    lower = canvas.ellipse((shot.yaw, y + 0.045 + gap / 2), (width * 0.85, 0.06 + person.lip), 0.35)
    canvas.paint(np.maximum(upper, lower), tuple(lips))
    line = canvas.ellipse((shot.yaw, y), (width, 0.018 + gap), 0.5)
    canvas.paint(line, tuple(lips * 0.3))
    canvas.y = original
    canvas.shade(canvas.glow((shot.yaw, y + 0.2), (0.22, 0.05)), 0.82)


def _front_hair(canvas: Canvas, person: Person, face: np.ndarray) -> None:
    top = canvas.ellipse((0, -0.35), (1.14, 1.12), 0.06)
    line = -0.82 + person.hairline + 0.35 * canvas.x**2 * (1 if person.sex == "male" else 1.3)
    cap = np.clip((line - canvas.y) / 0.07 + 0.5, 0, 1)
    outside = np.clip(1 - face, 0, 1) * np.clip((-0.05 - canvas.y) / 0.1, 0, 1)
    strands = 1 + 0.08 * np.sin(canvas.x * 40 + 6 * canvas.y)
    canvas.paint(top * np.maximum(cap, outside), np.asarray(person.hair) * strands[..., None])


def _camera(scene: np.ndarray, shot: Shot) -> np.ndarray:
    """Exposure, white balance, blur and noise of the camera."""
    from PIL import Image, ImageFilter

    balance = np.array([1 + 0.06 * shot.warmth, 1.0, 1 - 0.06 * shot.warmth])
    picture = np.clip(scene * balance, 0, 1) ** 2.2 * shot.exposure
    picture = np.clip(picture, 0, 1) ** (1 / 2.2)
    image = Image.fromarray((picture * 255).astype(np.uint8))
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(shot.blur)), dtype=np.float32)
    noise = np.random.default_rng(shot.seed + 1).normal(0, shot.noise * 255, blurred.shape)
    return np.clip(blurred + noise, 0, 255).astype(np.uint8)
