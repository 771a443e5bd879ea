"""Readers' answers beside the truth and the model, as arrays; and who judged what in full."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cushing.evaluation.operating_points import (
    OperatingPoint,
    choose_operating_points,
    decisions_of,
)
from hf_cushing.evaluation.predictions import Predictions, concatenate, load_predictions
from hf_cushing.evaluation.record import points_from_json
from hf_cushing.evaluation.report import EvaluationOptions
from hf_cushing.evaluation.subgroups import size_word
from hf_cushing.files import read_json
from hf_cushing.readers.table import LEVELS, Answer, read_answers
from hf_cushing.schema import SPLITS, UsageError, UserError
from hf_cushing.stats.metrics import Decisions, auroc
from hf_cushing.stats.resampling import Patients, strata_of

MOST_STEPS = 11
"""Whole-number scores of at most so many steps (0 to 10) are an ordinal scale."""

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
    answers : tuple of Answer
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
    answers: tuple[Answer, ...]

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
        return [read for read in (1, 2) if np.isfinite(self.calls[:, read - 1]).any()]

    def groups(self) -> dict[str, np.ndarray]:
        """Numbers of all readers, and of those of each level: ``all readers`` first."""
        found = {"all readers": np.arange(len(self.readers))}
        for level in LEVELS:
            inside = np.flatnonzero(np.array(self.levels) == level)
            if len(inside) and len(inside) < len(self.readers):
                found[level] = inside
        return found

    def size(self, photos: np.ndarray) -> str:
        """What these photos allow: ``insufficient``, ``wide`` or ``ok``."""
        sides = (photos[self.truth[photos]], photos[~self.truth[photos]])
        return size_word(min(len(np.unique(self.patients[side])) for side in sides))

    def who(self, photos: np.ndarray) -> Patients:
        """The patients of some photos, by class and sex."""
        strata = strata_of(self.photos.label, self.photos.sex)
        return Patients(self.patients[photos], strata[photos])


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossed:
    """Readers who all judged the same photos.

    Attributes
    ----------
    readers, photos : numpy.ndarray
        Numbers of both.
    left_out : dict
        Reader to how much they judged.
    fewer : int
        Photos that not all of these readers judged, and that are left out.
    """

    readers: np.ndarray
    photos: np.ndarray
    left_out: dict[str, str]
    fewer: int

    @property
    def told(self) -> str:
        """What was left out; empty if nothing was."""
        parts = [f"without reader {name} ({said})" for name, said in self.left_out.items()]
        if self.fewer:
            parts.append(f"without {self.fewer} photos that not all of the readers judged")
        return ", ".join(parts)


def crossed(study: ReaderStudy, values: np.ndarray, readers: np.ndarray | None = None) -> Crossed:
    """The readers who judged enough, and the photos that all of these judged.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (all readers, reads, photos): NaN where something is missing.
    readers : numpy.ndarray, optional
        Numbers of those who may take part.
    """
    readers = np.arange(len(study.readers)) if readers is None else readers
    judged = np.isfinite(values).all(1)[readers]
    wanted = judged.any(0)
    share = judged.sum(1) / max(wanted.sum(), 1)
    kept = share >= 1 - MOST_UNREAD
    photos = np.flatnonzero(judged[kept].all(0) & wanted)
    left_out = {
        study.readers[reader]: f"{count} of {wanted.sum()} photos"
        for reader, count, stays in zip(readers, judged.sum(1), kept, strict=True)
        if not stays
    }
    return Crossed(
        readers=readers[kept],
        photos=photos if kept.any() else photos[:0],
        left_out=left_out,
        fewer=int(wanted.sum()) - len(photos),
    )


def load_study(
    source: Path,
    runs: Sequence[str],
    *,
    dataset: str | None = None,
    split: str = "test",
    label: str | None = None,
    key: Path | None = None,
    cpu: bool = False,
) -> ReaderStudy:
    """Read the answers and what the model said of the same photos.

    Parameters
    ----------
    source : Path
        Kit folder or table, see `read_answers`.
    runs : sequence of str
        Run or report folders with ``predictions.parquet``; the folds of one model are pooled.
    dataset : str, optional
        Score this dataset with the model; without it the recorded predictions are taken.
    split : str
    label : str, optional
        The disease; needed if the model knows several.
    key : Path, optional
        The kit's ``key.csv``, if it was moved out of the kit.
    cpu : bool

    Raises
    ------
    UserError
        Answers that can't be right, or photos that the model did not score.
    """
    if split not in SPLITS:
        raise UsageError(f"--split {split}: choose {', '.join(SPLITS)}")
    if dataset is None:
        predictions, points = _recorded(runs)
    else:
        from hf_cushing.evaluation.command import evaluate_runs

        options = EvaluationOptions(split=split, by=(), draws=100)
        report, predictions = evaluate_runs(runs, options, dataset=dataset, cpu=cpu)
        points = report.operating_points
    label = _label(predictions, label)
    predictions.of_split(split)
    answers = read_answers(source, predictions, label=label, split=split, key=key)
    return make_study(answers, predictions, points, label=label, split=split)


def _recorded(runs: Sequence[str]) -> tuple[Predictions, list[OperatingPoint]]:
    """Predictions and the thresholds chosen with them; chosen anew where none are recorded."""
    predictions = concatenate([load_predictions(Path(run)) for run in runs])
    records = [Path(run) / "metrics.json" for run in runs]
    points = [p for path in records if path.is_file() for p in points_from_json(read_json(path))]
    known = {point.model_revision for point in points}
    if not set(predictions.model_revision.tolist()) <= known:
        points = choose_operating_points(predictions)
    return predictions, points


def _label(predictions: Predictions, label: str | None) -> str:
    known = predictions.positive_labels
    if label is None and len(known) > 1:
        raise UsageError(f"the model knows {', '.join(known)}: say which with --label")
    if label is not None and label not in known:
        raise UsageError(f"--label {label}: the model knows {', '.join(known)}")
    return label or known[0]


def make_study(
    answers: Sequence[Answer],
    predictions: Predictions,
    points: Sequence[OperatingPoint],
    *,
    label: str,
    split: str,
) -> ReaderStudy:
    """Put checked answers beside the predictions of the photos that were read."""
    rows = predictions.of_split(split)
    rows = rows.select(np.isin(rows.photo_id, [one.photo_id for one in answers]))
    rows = rows.select(np.argsort(rows.photo_id, kind="stable"))
    ids = rows.photo_id.tolist()
    if twice := sorted(one for one, count in Counter(ids).items() if count > 1):
        raise UserError(
            f"photo {twice[0]} was scored twice ({len(twice)} photos were); give one run, or the "
            "folds of one model"
        )
    level = {one.reader: one.level for one in answers}
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
    answers: Sequence[Answer], readers: Sequence[str], ids: Sequence[str]
) -> dict[str, np.ndarray]:
    place = {reader: number for number, reader in enumerate(readers)}
    column = {photo: number for number, photo in enumerate(ids)}
    shape = (len(readers), 2, 2, len(ids))
    found = {name: np.full(shape, math.nan) for name in ("calls", "scores", "seconds")}
    for one in answers:
        at = (place[one.reader], one.read - 1, one.occurrence - 1, column[one.photo_id])
        found["calls"][at] = one.call
        found["scores"][at] = one.score
        found["seconds"][at] = one.seconds
    return found


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


def ordinal_scale(scores: np.ndarray) -> np.ndarray | None:
    """The steps of whole-number scores of at most `MOST_STEPS` steps; else None."""
    known = scores[np.isfinite(scores)]
    if not len(known) or (known != np.rint(known)).any() or np.ptp(known) >= MOST_STEPS:
        return None
    scale = np.arange(known.min(), known.max() + 1)
    return scale if len(scale) > 2 else None
