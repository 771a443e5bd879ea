"""What is drawn: the found face, the heatmap, scales and bars. All of it lies within the page.

Pictures are data in the page itself, so that no file of them is ever served or kept.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.special import logit

from hf_cushing.app.texts import percent
from hf_cushing.faces.landmarks import Face
from hf_cushing.heatmaps.regions import above_mean

SHOWN_SIDE = 640
BOX, POINT = "#ffb000", "#40e0ff"

MARKS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Probabilities on the axis of a course."""

STYLE = Path(__file__).with_name("space.css")


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def jpeg_uri(image: Image.Image) -> str:
    """A picture as an address that holds it."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return data_uri(buffer.getvalue(), "image/jpeg")


def figure(source: str, text: str, caption: str, scale: str = "") -> str:
    """A figure with alternative text, caption and, as HTML, a scale of its colours."""
    return (
        f'<figure><img src="{source}" alt="{html.escape(text)}">{scale}'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def fold(title: str, inside: str) -> str:
    """A part of which the title alone is seen until it is opened; `inside` is HTML already."""
    return f"<details><summary>{html.escape(title)}</summary><div>{inside}</div></details>"


def marked_photo(photo: Image.Image, face: Face) -> Image.Image:
    """A small copy of the photo, turned upright, with the face's box and landmarks."""
    photo = face.upright(photo)
    scale = min(1.0, SHOWN_SIDE / max(photo.size))
    size = tuple(max(1, round(length * scale)) for length in photo.size)
    small = photo.resize(size, Image.Resampling.BOX)
    pen = ImageDraw.Draw(small)
    line = max(1, round(max(size) / 250))
    pen.rectangle([value * scale for value in face.box], outline=BOX, width=line + 1)
    for x, y in (face.landmarks * scale).tolist():
        pen.ellipse([x - line, y - line, x + line, y + line], fill=POINT)
    return small


def heated(crop: Image.Image, heat: np.ndarray) -> Image.Image:
    """The face in grey, with the heat above its mean in colour."""
    grey = np.asarray(crop.convert("L"), np.float32)[:, :, None]
    return Image.fromarray(_coloured(grey, above_mean(heat)).astype(np.uint8))


def _coloured(grey: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Grey (0..255) under the colours of `strength` (0..1)."""
    from matplotlib import colormaps

    colour = colormaps["inferno"](0.25 + 0.75 * strength)[..., :3] * 255
    share = (0.75 * np.sqrt(strength))[..., None]
    return grey * (1 - share) + colour * share


def heat_scale(least: str, most: str) -> str:
    """The colours of `heated` on a middle grey, from no heat above the mean to the most."""
    steps = _coloured(np.full((9, 1), 128.0), np.linspace(0, 1, 9)).astype(int).tolist()
    colours = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in steps)
    return (
        f'<div class="heat"><i style="background: linear-gradient(to right, {colours})"></i>'
        f"<span>{html.escape(least)}</span><span>{html.escape(most)}</span></div>"
    )


def gauge(value: float, threshold: float, band: tuple[float, float] | None, text: str) -> str:
    """A scale from 0 to 1 with a value, a threshold and the band of no answer, if any."""
    low, high = band or (0.0, 0.0)
    between = f'<i class="band" style="left: {100 * low:.1f}%; width: {100 * (high - low):.1f}%">'
    return (
        f'<div class="gauge" role="img" aria-label="{html.escape(text)}">'
        f"{between + '</i>' if band else ''}"
        f'<i class="point" style="left: {100 * threshold:.1f}%"></i>'
        f'<i class="value" style="left: {100 * value:.1f}%"></i></div>'
        '<div class="ticks" aria-hidden="true">'
        "<span>0</span><span>50</span><span>100 %</span></div>"
    )


def bar(share: float, mark: float, full: float) -> str:
    """A bar of `share` with a mark; `full` is the share that fills it."""
    length, place = (100 * min(1.0, x / full) for x in (share, mark))
    return (
        f'<span class="bar" aria-hidden="true"><i style="width: {length:.1f}%"></i>'
        f'<b style="left: {place:.1f}%"></b></span>{percent(share)}'
    )


def bullets(lines: Iterable[str], lang: str = "") -> str:
    """A list; lines are HTML already."""
    start = f'<ul lang="{lang}">' if lang else "<ul>"
    return start + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def table(header: Sequence[str], body: Sequence[Sequence[str]], *, caption: str) -> str:
    """A table that scrolls by itself where the page is narrow; cells are HTML already."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
    rows = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in body
    )
    label = html.escape(caption)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _mark(share: float, height: float) -> str:
    """A line across a course at a probability."""
    return (
        f'<path class="mark" d="M64 {height:.1f}h542"/>'
        f'<text x="58" y="{height + 4:.1f}" text-anchor="end">{share:.0%}</text>'
    )


def course(
    days: Sequence[int], values: Sequence[float], photos: Sequence[tuple[int, float]], text: str
) -> str:
    """Log-odds over days as a line and single photos as rings, on an axis that is always the same.

    It goes from a probability of 1 % to 99 %, further only where a photo lies there, and is marked
    in probabilities.

    Parameters
    ----------
    days : sequence of int
        Ascending.
    photos : sequence of (int, float)
        Day and log-odds.
    """
    every = [float(logit(MARKS[0])), float(logit(MARKS[-1])), *(value for _, value in photos)]
    low, high = min(every) - 0.3, max(every) + 0.3
    span = max(1, days[-1] - days[0])

    def place(day: int, value: float) -> tuple[float, float]:
        return 70 + 530 * (day - days[0]) / span, 10 + 230 * (high - value) / (high - low)

    points = [place(*pair) for pair in zip(days, values, strict=True)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>' for x, y in points)
    rings = "".join(
        f'<circle class="one" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'
        for x, y in (place(*pair) for pair in photos)
    )
    marks = "".join(_mark(share, place(days[0], float(logit(share)))[1]) for share in MARKS)
    ends = zip((days[0], days[-1]), (points[0][0], points[-1][0]), ("start", "end"), strict=True)
    labels = "".join(
        f'<text x="{x:.0f}" y="262" text-anchor="{side}">{date.fromordinal(day)}</text>'
        for day, x, side in ends
    )
    return (
        f'<svg class="course" viewBox="0 0 640 270" role="img" aria-label="{html.escape(text)}">'
        f'{marks}<path class="axis" d="M64 10v230h542" fill="none"/>{labels}{rings}'
        f'<polyline class="line" points="{line}"/>{dots}</svg>'
    )
