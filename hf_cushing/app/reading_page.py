"""What the reading room's page is made of: words in two languages, the face map, keys, colours."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path

import contourpy
import numpy as np

from hf_cushing.app.texts import disease_name, region_names
from hf_cushing.faces.regions import GROUPS, REGIONS, region_labels
from hf_cushing.readers.kit import Kit, ModelAnswer
from hf_cushing.schema import CONTROL

KEYS = dict(zip(GROUPS, "fgbeomupcjx", strict=True))
"""The key that ticks each region; y, n, 1 to 5 and Enter do the rest."""


def call_choices(kit: Kit, words: dict) -> list[tuple[str, str]]:
    """Answers to be had: no and yes, or one for each label; the rated disease comes second."""
    others = [label for label in kit.labels if label not in (CONTROL, kit.disease)]
    if not others:
        return [(words["no"], CONTROL), (words["yes"], kit.disease)]
    rated = f"{disease_name(kit.disease, words).capitalize()} (Y)"
    rest = [(disease_name(label, words).capitalize(), label) for label in others]
    return [(words["none"], CONTROL), (rated, kit.disease), *rest]


def region_choices(words: dict) -> list[tuple[str, str]]:
    """Regions with the key that ticks them."""
    named = region_names(words)
    return [(f"{named[region]} ({key.upper()})", region) for region, key in KEYS.items()]


def photo_html(picture: bytes, words: dict) -> str:
    """The picture within the page itself, so that no file of it is ever served or cached."""
    content = base64.b64encode(picture).decode()
    return f'<img class="photo" alt="{words["photo"]}" src="data:image/png;base64,{content}">'


def model_html(answer: ModelAnswer, kit: Kit, words: dict) -> str:
    """What the model says, its score with the threshold, and a bar."""
    disease = html.escape(disease_name(kit.disease, words))
    text = words["score"].format(disease=disease, score=round(100 * answer.probability))
    if answer.threshold is not None:
        text += "; " + words["threshold"].format(threshold=round(100 * answer.threshold))
    if answer.label is not None:
        label = html.escape(disease_name(answer.label, words))
        text = f"{words['says'].format(label=label)}<br>{text}"
    return f'<div class="model">{text}{bar_html(answer.probability)}</div>'


def bar_html(share: float) -> str:
    """A bar filled to a share, 0..1."""
    return f'<div class="bar"><div style="width: {share:.1%}"></div></div>'


def map_html(kit: Kit, words: dict) -> str:
    """The regions drawn on the mean face of the kit; a click ticks the checkbox of that name."""
    labels = region_labels(kit.landmarks, kit.side)
    rows, columns = np.nonzero(labels != REGIONS.index("outside"))
    edge = kit.side // 12
    left, top = columns.min() - edge, rows.min() - edge
    width, height = np.ptp(columns) + 2 * edge, np.ptp(rows) + 2 * edge
    corner = (left + edge / 2, top + height - edge / 2)
    parts = []
    named = region_names(words)
    for region, key in KEYS.items():
        masks = [labels == REGIONS.index(member) for member in GROUPS[region]]
        outline = _outline(np.any(masks, axis=0))
        letters = "".join(_letter(mask, key, corner) for mask in masks)
        parts.append(
            f'<g data-region="{region}"><title>{named[region]} ({key.upper()})</title>'
            f'<path fill-rule="evenodd" d="{outline}"/>{letters}</g>'
        )
    return (
        f'<svg id="map" viewBox="{left} {top} {width} {height}" role="img" '
        f'aria-label="{words["map"]}">{"".join(parts)}</svg>'
    )


def _outline(mask: np.ndarray) -> str:
    """Outline of a mask as an SVG path."""
    padded = np.pad(mask.astype(float), 1)
    lines = contourpy.contour_generator(z=padded).lines(0.5)
    rings = (" ".join(f"{x - 0.5:.1f},{y - 0.5:.1f}" for x, y in line[::2]) for line in lines)
    return " ".join(f"M{ring}z" for ring in rings)


def _letter(mask: np.ndarray, key: str, corner: tuple[float, float]) -> str:
    """The key in the middle of a region; that of the outside in the corner."""
    rows, columns = np.nonzero(mask)
    x, y = columns.mean(), rows.mean()
    if key == KEYS["outside"]:
        x, y = corner
    return f'<text x="{x:.1f}" y="{y:.1f}">{key.upper()}</text>'


STYLE = Path(__file__).with_name("reading_room.css")

TICKED = "\n".join(
    f'body:has(#regions input[name="{region}"]:checked) #map g[data-region="{region}"] path'
    " { fill: #f79009; }"
    for region in KEYS
)

SCRIPT = Path(__file__).with_name("reading_room.js")


def head() -> str:
    """The page's script, which knows the keys that tick regions."""
    keys = json.dumps({key: region for region, key in KEYS.items()})
    return (
        f"<script>window.readingRoomKeys = {keys};\n{SCRIPT.read_text(encoding='utf-8')}</script>"
    )


def style() -> str:
    """The page's style; a ticked region is filled on the map."""
    return f"{STYLE.read_text(encoding='utf-8')}\n{TICKED}"
