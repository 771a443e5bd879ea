"""Visits of dated photos, and each later visit against its patient's baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.followup.table import DatedPhoto
from hf_cushing.schema import UserError
from hf_cushing.stats.reliable_change import (
    Change,
    Visits,
    baseline_row,
    make_visits,
    reliable_change,
    repeatability,
)

MONTH = 365.25 / 12
"""Days."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Every visit after a patient's baseline, against it.

    Attributes
    ----------
    first, second : numpy.ndarray
        int, shape (pairs,): rows of the visits.
    last : numpy.ndarray
        bool: the patient's last visit.
    """

    first: np.ndarray
    second: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def dated_visits(photos: Sequence[DatedPhoto]) -> Visits:
    """Photos of a patient and day are a visit."""
    return make_visits(
        np.array([photo.patient_id for photo in photos]),
        np.array([photo.day.toordinal() for photo in photos]),
        np.array([photo.period for photo in photos]),
    )


def months_of(photos: Sequence[DatedPhoto], visits: Visits) -> tuple[np.ndarray, np.ndarray]:
    """Months of each visit since treatment, or the first visit of a patient without; who had one.

    Returns
    -------
    months : numpy.ndarray
        float, shape (visits,); negative before treatment.
    treated : numpy.ndarray
        bool, shape (visits,).
    """
    when = {p.patient_id: p.treatment for p in photos}
    start = {p.patient_id: p.day for p in sorted(photos, key=lambda p: p.day, reverse=True)}
    origin = [(when[name] or start[name]).toordinal() for name in visits.patient.tolist()]
    treated = np.array([when[name] is not None for name in visits.patient.tolist()])
    return (visits.day - np.array(origin)) / MONTH, treated


def pairs_of(photos: Sequence[DatedPhoto], visits: Visits) -> Pairs:
    """Each patient's visits after the baseline (see `baseline_row`), against it.

    Raises
    ------
    UserError
        No patient has two visits.
    """
    treated = {photo.patient_id: photo.treatment for photo in photos}
    first, second, last = [], [], []
    for patient in np.unique(visits.patient).tolist():
        rows = np.flatnonzero(visits.patient == patient)
        when = treated[patient]
        base = baseline_row(visits.day[rows], when.toordinal() if when else None)
        for row in rows[base + 1 :].tolist():
            first.append(int(rows[base]))
            second.append(row)
            last.append(row == rows[-1])
    if not first:
        raise UserError(
            "no patient has two visits: there is no change to measure; give the photos of a "
            "second visit, and check that the dates of the visits differ"
        )
    return Pairs(first=np.array(first), second=np.array(second), last=np.array(last))


def change_of(values: np.ndarray, visits: Visits, pairs: Pairs) -> Change:
    """Change of one value a photo, shape (pairs,), or of several, shape (pairs, values)."""
    if values.ndim == 2:
        columns = [change_of(column, visits, pairs) for column in values.T]
        names = Change.__dataclass_fields__
        return Change(**{n: np.stack([getattr(c, n) for c in columns], 1) for n in names})
    means, photos = visits.means(values), visits.photos
    return reliable_change(
        means[pairs.first],
        means[pairs.second],
        photos=(photos[pairs.first], photos[pairs.second]),
        measured=repeatability(values, visits),
    )
