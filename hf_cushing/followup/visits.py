"""Dated photos as visits, and each later visit beside its patient's baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.followup.visits_table import DatedPhoto
from hf_cushing.schema import UserError
from hf_cushing.stats.reliable_change import (
    Change,
    Visits,
    baseline_row,
    make_visits,
    reliable_change,
    repeatability,
)

if TYPE_CHECKING:
    from datasets import Dataset

MONTH = 365.25 / 12
"""Days."""


@dataclass(frozen=True)
class DatedCohort:
    """Photos of patients over dated visits, with their crops.

    Attributes
    ----------
    photos : list of DatedPhoto
    crops : datasets.Dataset
        Of each photo, with the columns image, photo_id, landmarks and face_box.
    left_out : dict
        What is not followed, to the reason.
    """

    photos: list[DatedPhoto]
    crops: Dataset
    left_out: dict[str, str] = field(default_factory=dict)

    def select(self, places: Sequence[int]) -> DatedCohort:
        """Some of the photos, by number."""
        photos = [self.photos[place] for place in places]
        return replace(self, photos=photos, crops=self.crops.select(places))

    def in_order(self) -> DatedCohort:
        """The same, by patient and date."""
        keys = [(photo.patient_id, photo.day, photo.row) for photo in self.photos]
        return self.select(sorted(range(len(keys)), key=keys.__getitem__))

    @cached_property
    def visits(self) -> Visits:
        """Photos of a patient and day are a visit."""
        return make_visits(
            np.array([photo.patient_id for photo in self.photos]),
            np.array([photo.day.toordinal() for photo in self.photos]),
            np.array([photo.stable for photo in self.photos]),
        )

    @cached_property
    def patients(self) -> dict[str, DatedPhoto]:
        """Patients by name, each with the first photo: all tell the same sex and treatment."""
        first = {photo.patient_id: photo for photo in reversed(self.photos)}
        return {name: first[name] for name in self.visits.patient.tolist()}

    @cached_property
    def facts(self) -> list[DatedPhoto]:
        """For each visit a photo that tells the patient's sex and treatment."""
        return [self.patients[name] for name in self.visits.patient.tolist()]

    @cached_property
    def treated(self) -> np.ndarray:
        """Whether the patient of each visit has a date of treatment: bool, shape (visits,)."""
        return np.array([photo.treatment_date is not None for photo in self.facts])

    @cached_property
    def months(self) -> np.ndarray:
        """Months of each visit since treatment, or since the first visit of a patient without.

        Negative before treatment; float, shape (visits,).
        """
        start = dict(zip(self.visits.patient[::-1].tolist(), self.visits.day[::-1], strict=True))
        origin = [
            photo.treatment_date.toordinal() if photo.treatment_date else start[photo.patient_id]
            for photo in self.facts
        ]
        return (self.visits.day - np.array(origin)) / MONTH

    def day(self, visit: int) -> date:
        """Date of a visit, by its row."""
        return date.fromordinal(int(self.visits.day[visit]))

    def rows(self, patient: str) -> np.ndarray:
        """Rows of a patient's visits, in order of date."""
        return np.flatnonzero(self.visits.patient == patient)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Baselines, and the visits after them (see `baseline_row`): rows, int, shape (pairs,)."""
        baselines, later = [], []
        for patient, photo in self.patients.items():
            rows, treatment = self.rows(patient), photo.treatment_date
            base = baseline_row(self.visits.day[rows], treatment and treatment.toordinal())
            later += rows[base + 1 :].tolist()
            baselines += rows[[base] * (len(rows) - base - 1)].tolist()
        return np.array(baselines, int), np.array(later, int)

    def check_comparable(self) -> None:
        """Refuse photos of which no change can be seen.

        Raises
        ------
        UserError
            No patient has two visits.
        """
        if not len(self.pairs[1]):
            raise UserError(
                "no patient has two visits: there is no change to measure; give the photos of a "
                "second visit, and check that the dates of the visits differ"
            )

    def change(self, values: np.ndarray) -> Change:
        """Change of one value a photo, shape (pairs,), or of several, shape (pairs, values)."""
        if values.ndim == 2:
            columns = [self.change(column) for column in values.T]
            names = [item.name for item in fields(Change)]
            return Change(**{n: np.stack([getattr(c, n) for c in columns], 1) for n in names})
        means, photos = self.visits.means(values), self.visits.photos
        first, second = self.pairs
        return reliable_change(
            means[first],
            means[second],
            photos=(photos[first], photos[second]),
            measured=repeatability(values, self.visits),
        )
