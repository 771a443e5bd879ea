"""Raw photographs through both pipelines: the one that aligns the face, and the plain one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hf_cushing.data.intake_report import original_files
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.subgroups import MACRO
from hf_cushing.evaluation.wording import format_value, title_of
from hf_cushing.predict.answer import Answer, Predictor
from hf_cushing.publish.clean_process import clean_scores
from hf_cushing.reports.table import Table
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from hf_cushing.stats.metrics import shown_in

MOST_PHOTOS = 200
"""Test photos that are scored; of more, so many are taken evenly."""


@dataclass(frozen=True)
class RawFigures:
    """What raw photographs of the test split come to.

    Attributes
    ----------
    aligned, plain : Report
        By `hf_cushing.pipeline` and by transformers' own, on the same photos and at the run's
        thresholds.
    photos : int
    refused : int
        Photos without one clear face: the aligning pipeline gives no score, so they are in
        neither report.
    """

    aligned: Report
    plain: Report
    photos: int
    refused: int


def measure_raw(run: Run, *, raw: Path, dataset: Path) -> RawFigures:
    """Score the clinic's original photos of the test split in both ways.

    Parameters
    ----------
    run : Run
    raw : Path
        The clinic folder that `dataset` was prepared from.
    dataset : Path
        Prepared dataset, whose intake report knows the files.

    Raises
    ------
    UserError
        The dataset's intake report or a photo is missing.
    """
    test = run.recorded_predictions.of_split("test").spread(MOST_PHOTOS)
    files = original_files(dataset, raw, test.photo_id.tolist())
    answers = list(Predictor(run, cpu=True).answers(files))
    kept = np.array([isinstance(answer, Answer) for answer in answers])
    if not kept.any():
        raise UserError("no face was found in any original photo; is this the right folder?")
    aligned = [answer.probabilities for answer in answers if isinstance(answer, Answer)]
    with tempfile.TemporaryDirectory(prefix="hf-cushing-raw-") as work:
        faces = [file for file, there in zip(files, kept, strict=True) if there]
        plain = clean_scores(run.folder, faces, backends=["default"], work=Path(work))["default"]
    rows = test.select(kept)
    reports = []
    for scores in (aligned, plain):
        table = np.array([[row[label] for label in rows.labels] for row in scores])
        scored = replace(rows, probabilities=table, plain=None)
        points = list(run.operating_points)
        reports.append(evaluate(scored, EvaluationOptions(), operating_points=points))
    return RawFigures(*reports, photos=len(rows), refused=int((~kept).sum()))


def raw_table(figures: RawFigures) -> Table:
    """Both pipelines side by side, for all, women and men."""
    body = []
    for row in figures.aligned.subgroups:
        if row.unit == "photo" and row.label != MACRO:
            other = figures.plain.find(row.label, row.subgroup)
            small = " (insufficient)" if row.size == "insufficient" else ""
            for metric in shown_in("brief"):
                values = [format_value(r.values[metric]) for r in (row, other)]
                who = f"{row.label}, {row.subgroup}{small}"
                body.append([who, title_of(metric), *values])
    refused = f"{figures.refused} more were" if figures.refused else "none was"
    notes = [
        f"{figures.photos} original photos of the test split, the same for both; {refused} refused "
        "by `hf_cushing.pipeline` (no face, or several)."
    ]
    header = ["", "metric", "hf_cushing.pipeline", "plain pipeline"]
    return Table("raw", "Aligned against raw photographs", header, body, notes)
