"""``hf-cushing followup``: from a run and dated photos to a report folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from hf_cushing.data.options import Progress
from hf_cushing.data.table import SUFFIXES
from hf_cushing.evaluation.command import origin_of_runs
from hf_cushing.files import check_report_folder, replace_folder
from hf_cushing.followup.camera import measure_photos
from hf_cushing.followup.options import FollowupOptions
from hf_cushing.followup.photos import align_table, read_dataset
from hf_cushing.followup.regions import measure_shares
from hf_cushing.followup.report import write_report
from hf_cushing.followup.results import Followup
from hf_cushing.followup.trend import require_statsmodels
from hf_cushing.followup.visits import DatedCohort
from hf_cushing.models.score import class_number
from hf_cushing.predict.answer import Predictor
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError

BATCH = 32
"""Crops in memory at once."""


def run_followup(
    run: Run, dataset: str, out: Path, options: FollowupOptions, *, progress: Progress
) -> Followup:
    """Follow up (see `follow_up`) and write the report in one go.

    What takes long is kept beside `out` until the report is there, so that a stopped call goes
    on. An existing `out` is replaced only if this command made it.
    """
    check_report_folder(out, "followup.json")
    if out.exists() and any(out.iterdir()) and not (out / "followup.json").is_file():
        raise UserError(f"{out} exists and was not made by `followup`; choose another --out")
    work = work_folder(out)
    followup = follow_up(run, dataset, work, options, progress)
    new = work / "report"
    shutil.rmtree(new, ignore_errors=True)
    origin = origin_of_runs([run], dataset)
    write_report(new, followup, origin=origin, thumbnails=options.thumbnails, progress=progress)
    replace_folder(new, out)
    shutil.rmtree(work, ignore_errors=True)
    return followup


def work_folder(out: Path) -> Path:
    """Where unfinished work lies."""
    return out.with_name(f".{out.name}.partial")


def follow_up(
    run: Run, dataset: str, work: Path, options: FollowupOptions, progress: Progress
) -> Followup:
    """Score every dated photo, and measure what changed.

    Parameters
    ----------
    run : Run
    dataset : str
        Dataset folder or Hub id, or a table of file_name, patient_id and date.
    work : Path
        Folder for what takes long; what is there is not done again.

    Raises
    ------
    UserError
        Problems of the dates, row by row; photos that trained the model; one visit a patient
        only.
    """
    require_statsmodels()
    predictor = Predictor(run, cpu=options.cpu)
    index = class_number(run.classifier.model, options.label)
    cohort = _cohort(run, dataset, work, options, progress)
    run.check_not_seen(
        cohort.crops["photo_id"],
        "follow up patients that it has not seen: of a dataset its test photos (--split test), of "
        "a table other rows",
    )
    cohort.check_comparable()
    log_odds = _score(predictor, cohort, progress)[:, index]
    advance = progress("Measuring camera, light and pose", len(cohort.photos))
    measures = measure_photos(cohort.crops, advance)
    label, shares = run.labels[index], None
    if options.regions:
        shares = measure_shares(
            run.classifier, cohort, work=work, log_odds=log_odds, label=label, progress=progress
        )
    return Followup(run=run, label=label, cohort=cohort, log_odds=log_odds, measures=measures,
                    shares=shares)  # fmt: skip


def _cohort(
    run: Run, dataset: str, work: Path, options: FollowupOptions, progress: Progress
) -> DatedCohort:
    if Path(dataset).suffix not in SUFFIXES:
        return read_dataset(run, dataset, split=options.split, visits=options.visits)
    if options.visits:
        raise UsageError(f"--visits is for a prepared dataset; {dataset} is a table with dates")
    num_proc = options.num_proc or os.cpu_count() or 1
    return align_table(Path(dataset), work, num_proc=num_proc, progress=progress)


def _score(predictor: Predictor, cohort: DatedCohort, progress: Progress) -> np.ndarray:
    """Log-odds of each class against all others, shape (photos, classes)."""
    advance, parts = progress("Scoring", len(cohort.photos)), []
    for rows in cohort.crops.select_columns("image").iter(BATCH):
        crops = [image.convert("RGB") for image in rows["image"]]
        parts.append(predictor.score(crops)[1])
        advance(len(crops))
    return np.concatenate(parts)
