"""Pairs of ids that may be one person, for a person to look at: ``pairs.html``, ``pairs.csv``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from hf_cushing.data.audit_photos import AuditPhotos
from hf_cushing.data.audit_report import thumbnail
from hf_cushing.data.persons import WORDS, Alike
from hf_cushing.data.table import write_csv
from hf_cushing.files import PageHead, render_page, write_text

FACE_SIDE = 192
"""Side of a face on the page, pixels."""

SHOWN_SETTLED = 200
"""Pairs already found or decided that the page shows; ``pairs.csv`` has all."""

COLUMNS = (
    "decision", "photo_id_1", "photo_id_2", "patient_id_1", "patient_id_2", "row_1", "row_2",
    "ratio",
)  # fmt: skip


def write_pairs(
    out: Path, alike: Sequence[Alike], photos: AuditPhotos, *, head: PageHead, thumbnails: bool
) -> None:
    """Write the table to be filled in, and a page with the faces side by side.

    The page has two buttons a pair and saves the same table; it loads nothing and sends nothing.

    Parameters
    ----------
    alike : sequence of Alike
        Nearest first.
    photos : AuditPhotos
        Of the same crops.
    head : PageHead
        Of `dataset_head`.
    thumbnails : bool
        Without them there is no page.
    """
    rows = [_row(pair) for pair in alike]
    write_csv(out / "pairs.csv", rows, COLUMNS)
    if not thumbnails or not alike:
        return
    numbered = list(zip(alike, rows, strict=True))
    settled = [row for pair, row in numbered if pair.state != "unsure"][:SHOWN_SETTLED]
    unsure = [row for pair, row in numbered if pair.state == "unsure"]
    shown = {row[name] for row in settled + unsure for name in COLUMNS[1:3]}
    place = {name: n for n, name in enumerate(photos.columns["photo_id"].tolist())}
    pictures = photos.pictures(sorted(place[name] for name in shown))
    names = {number: name for name, number in place.items()}
    faces = {names[n]: thumbnail(image, FACE_SIDE) for n, image in pictures.items()}
    parts = (
        ("Not put together: are these one person?", unsure),
        ("Put together by their faces, or decided earlier", settled),
    )
    text = render_page(
        "pairs.html.jinja", title="One person or two?", head=head, parts=parts, faces=faces,
        rows=rows, columns=COLUMNS, words=WORDS,
    )  # fmt: skip
    write_text(out / "pairs.html", text)


def _row(pair: Alike) -> dict[str, str]:
    values = [pair.state if pair.state in WORDS else ""]
    values += [*pair.photo_ids, *pair.patient_ids, *pair.rows]
    values += ["" if math.isnan(pair.ratio) else f"{pair.ratio:.2f}"]
    return dict(zip(COLUMNS, values, strict=True))
