"""Persons under several ids: found by the face, and as a person decided who looked at pairs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cushing.data.intake import row_name
from hf_cushing.data.pairs import IDENTITY_RATIO, LOOK_RATIO, same_person_pairs
from hf_cushing.schema import FacePhoto, UserError

SHOWN_PAIRS = 100
"""Pairs that are left to a person to look at: the nearest."""

WORDS = ("same", "different")

Decisions = tuple[tuple[str, str, str], ...]
"""Two photo_ids and one of `WORDS`."""


@dataclass(frozen=True)
class Alike:
    """Two photos under two patient ids that may show one person.

    Attributes
    ----------
    photo_ids, patient_ids, rows : tuple of (str, str)
    ratio : float
        Of the faces' distance to that of strangers; NaN where faces were not compared.
    state : str
        ``same`` or ``different`` if a person decided, ``found`` if the faces did, ``unsure`` if
        neither.
    """

    photo_ids: tuple[str, str]
    patient_ids: tuple[str, str]
    rows: tuple[str, str]
    ratio: float
    state: str


def read_decisions(path: Path | None) -> Decisions:
    """Read the decisions of a filled-in ``pairs.csv``; rows without one are passed over.

    Raises
    ------
    UserError
        No such table, a column missing, or another word than same and different.
    """
    decisions = []
    for row, cells in enumerate(_pairs_table(path) if path else (), start=2):
        photo_ids = sorted(cells.get(name, "") for name in ("photo_id_1", "photo_id_2"))
        word = cells.get("decision", "").lower()
        if not all(photo_ids) or (word and word not in WORDS):
            raise UserError(
                f"{path}, row {row}: give photo_id_1, photo_id_2, and as decision same, "
                "different or nothing"
            )
        if word:
            decisions.append((*photo_ids, word))
    return tuple(sorted(set(decisions)))


def _pairs_table(path: Path) -> list[dict[str, str]]:
    """Rows of ``pairs.csv``, which may be none, as the page or a spreadsheet saved it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError):
        raise UserError(f"{path} can't be read; give the pairs.csv beside pairs.html") from None
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [{name: (cell or "").strip() for name, cell in row.items() if name} for row in rows]


def decided(
    photo_ids: Sequence[str], patients: Sequence[str], decisions: Decisions
) -> dict[tuple[str, str], str]:
    """What was decided of two patient ids (in order), from decisions on their photos.

    Raises
    ------
    UserError
        Both words for one pair of ids.
    """
    patient = dict(zip(photo_ids, patients, strict=True))
    said: dict[tuple[str, str], str] = {}
    for one, other, word in decisions:
        if one in patient and other in patient and patient[one] != patient[other]:
            pair = tuple(sorted((patient[one], patient[other])))
            if said.setdefault(pair, word) != word:
                raise UserError(
                    f"--decisions: patients {pair[0]} and {pair[1]} are called the same and "
                    "different; correct one of the rows"
                )
    return said


def find_alike(
    photos: Sequence[FacePhoto], descriptors: np.ndarray | None, decisions: Decisions
) -> list[Alike]:
    """Pairs of ids that are or may be one person, each by its nearest photos, nearest first.

    Parameters
    ----------
    photos : sequence of FacePhoto
    descriptors : numpy.ndarray or None
        float32, shape (n, 128); None where faces are not compared.
    decisions : Decisions
    """
    patients = [photo.patient_id for photo in photos]
    photo_ids = [photo.photo_id for photo in photos]
    said = decided(photo_ids, patients, decisions)
    alike: dict[tuple[str, str], Alike] = {}
    unsure = 0

    def add(i: int, j: int, ratio: float, state: str) -> None:
        i, j = sorted((i, j), key=lambda place: patients[place])
        alike.setdefault((patients[i], patients[j]), Alike(
            (photo_ids[i], photo_ids[j]),
            (patients[i], patients[j]),
            (row_name(photos[i].row, photos[i].public), row_name(photos[j].row, photos[j].public)),
            ratio,
            state,
        ))  # fmt: skip

    if descriptors is not None:
        pairs = same_person_pairs(descriptors, np.array(patients), LOOK_RATIO)
        columns = (column.tolist() for column in (pairs.first, pairs.second, pairs.ratio))
        for i, j, ratio in zip(*columns, strict=True):
            pair = tuple(sorted((patients[i], patients[j])))
            if patients[i] == patients[j] or pair in alike:
                continue
            state = said.get(pair) or ("found" if ratio <= IDENTITY_RATIO else "unsure")
            unsure += state == "unsure"
            if state != "unsure" or unsure <= SHOWN_PAIRS:
                add(i, j, ratio, state)
    place = {name: number for number, name in enumerate(photo_ids)}
    for one, other, word in decisions:
        if one in place and other in place and patients[place[one]] != patients[place[other]]:
            add(place[one], place[other], math.nan, word)
    return list(alike.values())
