"""Readers' answers beside the truth and the model, as arrays; and who judged what in full."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hf_cushing.evaluation.command import evaluate_runs, origin_of_runs, pooled_predictions
from hf_cushing.evaluation.operating_points import (
    OperatingPoint,
    choose_operating_points,
    decisions_of,
)
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.origin import Origin
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.readers.kit import LEVELS
from hf_cushing.readers.options import AnalysisOptions, chosen_disease
from hf_cushing.readers.read_answers import AnswerRow, read_answers
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from hf_cushing.stats.decisions import Decisions
from hf_cushing.stats.intervals import size_word
from hf_cushing.stats.metrics import auroc
from hf_cushing.stats.resampling import Patients, strata_of

ALL_READERS = "all readers"

READS = {1: "alone", 2: "with the model"}

MOST_UNREAD = 0.5
"""A reader who left more of the photos unread than this share does not take part where every
reader must have judged every photo: one who stopped early would cost the others their photos."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReaderStudy:
    """A reader study; arrays of answers are float, NaN where there is none.

    Attributes
    ----------
    label : str
        The disease.
    split : str
    readers, levels : tuple of str
        By level, then name.
    photos : Predictions
        The photos that somebody read, by photo_id.
    model : Decisions
        Of these photos: truth, the model's score, and its threshold.
    points : tuple of OperatingPoint
        Where the threshold comes from.
    calls, scores, seconds : numpy.ndarray
        Shape (readers, 2 reads, 2 occurrences, photos).
    answers : tuple of AnswerRow
    origin : Origin
        Of the model.
    """

    label: str
    split: str
    readers: tuple[str, ...]
    levels: tuple[str, ...]
    photos: Predictions
    model: Decisions
    points: tuple[OperatingPoint, ...]
    calls: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray
    answers: tuple[AnswerRow, ...]
    origin: Origin = field(default_factory=Origin)

    @property
    def truth(self) -> np.ndarray:
        """bool, shape (photos,)."""
        return self.model.truth

    @property
    def patients(self) -> np.ndarray:
        """Shape (photos,)."""
        return self.photos.patient_id

    @property
    def reads(self) -> list[int]:
        """1, 2 or both."""
        return [read for read in READS if np.isfinite(self.calls[:, read - 1]).any()]

    def groups(self) -> dict[str, np.ndarray]:
        """Numbers of `ALL_READERS`, then those of each level that has two or more."""
        levels = np.array(self.levels)
        by_level = {level: np.flatnonzero(levels == level) for level in LEVELS}
        everybody = np.arange(len(levels))
        parts = {k: part for k, part in by_level.items() if 1 < len(part) < len(everybody)}
        return {ALL_READERS: everybody} | parts

    def patients_by_class(self, photos: np.ndarray) -> tuple[int, int]:
        """How many patients with and without the disease these photos (numbers) show."""
        truth, patients = self.truth[photos], self.patients[photos]
        return len(np.unique(patients[truth])), len(np.unique(patients[~truth]))

    def size(self, photos: np.ndarray) -> str:
        """What these photos (numbers) allow: ``insufficient``, ``wide`` or ``ok``."""
        return size_word(min(self.patients_by_class(photos)))

    def clusters(self, photos: np.ndarray) -> Patients:
        """The patients of some photos (numbers), by class and sex."""
        strata = strata_of(self.photos.label, self.photos.sex)
        return Patients(self.patients[photos], strata[photos])


@dataclass(frozen=True, eq=False)
class CrossedDesign:
    """Readers who all judged the same photos.

    Attributes
    ----------
    readers, photos : numpy.ndarray
        Numbers of both.
    left_out : str
        Which readers and how many photos do not take part; empty if all do.
    """

    readers: np.ndarray
    photos: np.ndarray
    left_out: str


def fully_crossed(study: ReaderStudy, values: np.ndarray, readers: np.ndarray) -> CrossedDesign:
    """The readers who judged enough, and the photos that all of these judged.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (all readers, reads, photos): NaN where something is missing.
    readers : numpy.ndarray
        Numbers of those who may take part.
    """
    judged = np.isfinite(values).all(1)[readers]
    wanted = judged.any(0)
    counts = judged.sum(1)
    kept = counts >= (1 - MOST_UNREAD) * wanted.sum()
    photos = np.flatnonzero(judged[kept].all(0) & wanted) if kept.any() else np.zeros(0, int)
    parts = [
        f"without reader {study.readers[reader]} ({count} of {wanted.sum()} photos)"
        for reader, count in zip(readers[~kept], counts[~kept], strict=True)
    ]
    if fewer := wanted.sum() - len(photos):
        parts.append(f"without {fewer} photos that not all of the readers judged")
    return CrossedDesign(readers[kept], photos, ", ".join(parts))


@dataclass(frozen=True)
class Omissions:
    """What could not be computed or only in part; each analysis adds its own.

    Attributes
    ----------
    missing : dict
        Analysis to why there is none.
    narrowed : dict
        Which readers and photos were left out, to the analyses that they were left out of.
    """

    missing: dict[str, str] = field(default_factory=dict)
    narrowed: dict[str, list[str]] = field(default_factory=dict)

    def narrow(self, analysis: str, design: CrossedDesign) -> None:
        """Note what `design` leaves out of an analysis."""
        if design.left_out:
            self.narrowed.setdefault(design.left_out, []).append(analysis)

    def notes(self) -> Iterator[str]:
        """What was left out, and of which analyses."""
        return (f"{left_out}: {'; '.join(of)}" for left_out, of in self.narrowed.items())


def load_study(source: Path, runs: Sequence[Run], options: AnalysisOptions) -> ReaderStudy:
    """Read the answers and what the model said of the same photos.

    Parameters
    ----------
    source : Path
        Kit folder or table, see `read_answers`.
    runs : sequence of Run
        With recorded predictions; the folds of one model are pooled.
    options : AnalysisOptions

    Raises
    ------
    UserError
        Answers that can't be right, or photos that the model did not score.
    """
    split = options.split
    if options.dataset is None:
        predictions = pooled_predictions(runs)
        points, origin = _recorded_points(runs, predictions), origin_of_runs(runs)
    else:
        evaluation = EvaluationOptions(split=split, by=(), draws=100, repeatability=0)
        report, predictions = evaluate_runs(
            runs, evaluation, dataset=options.dataset, cpu=options.cpu
        )
        points, origin = report.operating_points, report.origin
    label = chosen_disease(predictions.labels, options.label)
    predictions.of_split(split)
    answers = read_answers(source, predictions, label=label, split=split, key=options.key)
    study = make_study(answers, predictions, points, label=label, split=split)
    return replace(study, origin=origin)


def _recorded_points(runs: Sequence[Run], predictions: Predictions) -> list[OperatingPoint]:
    """The thresholds chosen with these predictions; chosen anew where not all are recorded."""
    points = [point for run in runs for point in run.operating_points]
    known = {point.model_revision for point in points}
    complete = set(predictions.model_revision.tolist()) <= known
    return points if complete else choose_operating_points(predictions)


def make_study(
    answers: Sequence[AnswerRow],
    predictions: Predictions,
    points: Sequence[OperatingPoint],
    *,
    label: str,
    split: str,
) -> ReaderStudy:
    """Put checked answers beside the predictions of the photos that were read."""
    rows = predictions.of_split(split)
    rows = rows.select(np.isin(rows.photo_id, [answer.photo_id for answer in answers]))
    rows = rows.select(np.argsort(rows.photo_id, kind="stable"))
    ids = rows.photo_id.tolist()
    if twice := sorted(photo for photo, count in Counter(ids).items() if count > 1):
        raise UserError(
            f"photo {twice[0]} was scored twice ({len(twice)} photos were); give one run, or the "
            "folds of one model"
        )
    level = {answer.reader: answer.level for answer in answers}
    readers = sorted(level, key=lambda reader: (LEVELS.index(level[reader]), reader))
    arrays = _arrays(answers, readers, ids)
    _check_direction(arrays["calls"], arrays["scores"], readers)
    return ReaderStudy(
        label=label,
        split=split,
        readers=tuple(readers),
        levels=tuple(level[reader] for reader in readers),
        photos=rows,
        model=decisions_of(rows, label, points),
        points=tuple(point for point in points if point.label == label),
        answers=tuple(answers),
        **arrays,
    )


def _arrays(
    answers: Sequence[AnswerRow], readers: Sequence[str], ids: Sequence[str]
) -> dict[str, np.ndarray]:
    reader_number = {reader: number for number, reader in enumerate(readers)}
    photo_number = {photo: number for number, photo in enumerate(ids)}
    shape = (len(readers), 2, 2, len(ids))
    arrays = {name: np.full(shape, math.nan) for name in ("calls", "scores", "seconds")}
    for one in answers:
        at = (reader_number[one.reader], one.read - 1, one.occurrence - 1,
              photo_number[one.photo_id])  # fmt: skip
        for values, value in zip(arrays.values(), (one.call, one.score, one.seconds), strict=True):
            values[at] = value
    return arrays


def _check_direction(calls: np.ndarray, scores: np.ndarray, readers: Sequence[str]) -> None:
    """Refuse scores that fall where their own reader calls disease."""
    for number, reader in enumerate(readers):
        known = np.isfinite(scores[number])
        said, score = calls[number][known] == 1, scores[number][known]
        if 0 < said.sum() < len(said) and auroc(said, score) < 0.5:
            raise UserError(
                f"reader {reader} gives lower scores where they call disease: a score must be the "
                "higher, the surer of disease (not of the call); turn it round, or leave it empty"
            )
