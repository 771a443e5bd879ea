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

from hf_cushing.app.texts import percent
from hf_cushing.faces.landmarks import Face
from hf_cushing.heatmaps.regions import above_mean

SHOWN_SIDE = 640
BOX, POINT = "#ffb000", "#40e0ff"

STYLE = Path(__file__).with_name("space.css")


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture(image: Image.Image, text: str, caption: str) -> str:
    """An image as a figure; see `figure`."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return figure(data_uri(buffer.getvalue(), "image/jpeg"), text, caption)


def figure(source: str, text: str, caption: str) -> str:
    """A figure with alternative text and caption."""
    return (
        f'<figure><img src="{source}" alt="{html.escape(text)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


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
    from matplotlib import colormaps

    grey = np.asarray(crop.convert("L"), np.float32)[:, :, None]
    strength = above_mean(heat)
    colour = colormaps["inferno"](0.25 + 0.75 * strength)[:, :, :3] * 255
    share = (0.75 * np.sqrt(strength))[:, :, None]
    return Image.fromarray((grey * (1 - share) + colour * share).astype(np.uint8))


def gauge(value: float, threshold: float, band: tuple[float, float], text: str) -> str:
    """A scale from 0 to 1 with a value, a threshold and the band between `band`."""
    low, high, at, limit = (20 + 520 * x for x in (*band, value, threshold))
    ticks = "".join(
        f'<text x="{20 + 5.2 * x:.0f}" y="52" text-anchor="middle">{x}</text>'
        for x in (0, 25, 50, 75, 100)
    )
    return (
        f'<svg class="gauge" viewBox="0 0 560 58" role="img" aria-label="{html.escape(text)}">'
        f'<rect x="{low:.1f}" y="14" width="{high - low:.1f}" height="20" fill="#98a2b3" '
        'opacity="0.6"/><rect class="track" x="20" y="14" width="520" height="20" rx="3"/>'
        f'<path class="tick" stroke-width="3" d="M{limit:.1f} 8v32"/>'
        f'<circle cx="{at:.1f}" cy="24" r="9" fill="#e8590c" stroke="#fff" stroke-width="2"/>'
        f"{ticks}</svg>"
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


def course(
    days: Sequence[int], values: Sequence[float], photos: Sequence[tuple[int, float]], text: str
) -> str:
    """Values over days as a line, and single photos as rings.

    Parameters
    ----------
    days : sequence of int
        Ascending.
    photos : sequence of (int, float)
        Day and value.
    """
    every = [value for _, value in photos]
    low, high = min(every), max(every)
    margin = 0.1 * (high - low) or 0.5
    low, high = low - margin, high + margin
    span = max(1, days[-1] - days[0])

    def place(day: int, value: float) -> tuple[float, float]:
        return 60 + 550 * (day - days[0]) / span, 20 + 180 * (high - value) / (high - low)

    points = [place(*pair) for pair in zip(days, values, strict=True)]
    ends = zip((days[0], days[-1]), (points[0][0], points[-1][0]), ("start", "end"), strict=True)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>' for x, y in points)
    rings = "".join(
        f'<circle class="one" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'
        for x, y in (place(*pair) for pair in photos)
    )
    labels = "".join(
        f'<text x="44" y="{place(days[0], v)[1] + 4:.1f}" text-anchor="end">{v:+.1f}</text>'
        for v in (low + margin, high - margin)
    )
    labels += "".join(
        f'<text x="{x:.0f}" y="218" text-anchor="{side}">{date.fromordinal(day)}</text>'
        for day, x, side in ends
    )
    return (
        f'<svg class="course" viewBox="0 0 640 224" role="img" aria-label="{html.escape(text)}">'
        f'<path class="axis" d="M60 20v180h550" fill="none"/>{labels}{rings}'
        f'<polyline class="line" points="{line}"/>{dots}</svg>'
    )
