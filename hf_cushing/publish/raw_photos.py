"""Raw photographs through both pipelines: the one that aligns the face, and the plain one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report, points_from_json
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.subgroups import MACRO
from hf_cushing.evaluation.wording import NAMES, format_value
from hf_cushing.faces.photo import PhotoError
from hf_cushing.files import read_json
from hf_cushing.publish.clean_process import clean_scores
from hf_cushing.reports.table import Table
from hf_cushing.schema import UserError

MOST_PHOTOS = 200
"""Test photos that are scored; of more, so many are taken evenly."""

MEASURED = ("auroc", "f1", "recall", "specificity")


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


def measure_raw(
    run: Path, predictions: Predictions, *, raw: Path, dataset: Path, timeout: float
) -> RawFigures:
    """Score the clinic's original photos of the test split in both ways.

    Parameters
    ----------
    run : Path
    predictions : Predictions
        Of the run.
    raw : Path
        The clinic folder that `dataset` was prepared from.
    dataset : Path
        Prepared dataset, whose account knows the files.
    timeout : float
        Seconds for the plain pipeline.

    Raises
    ------
    UserError
        The dataset's account or a photo is missing.
    """
    test = predictions.of_split("test")
    chosen = np.linspace(0, len(test) - 1, min(MOST_PHOTOS, len(test))).astype(int)
    test = test.select(chosen)
    files = _originals(dataset, raw)
    missing = [p for p in test.photo_id.tolist() if not files.get(p, Path("-")).is_file()]
    if missing:
        raise UserError(
            f"{raw} lacks {len(missing)} photos of the test split (such as photo {missing[0]}); "
            "give the clinic folder that the dataset was prepared from"
        )
    aligned, kept = _aligned_scores(run, [files[p] for p in test.photo_id.tolist()], test.labels)
    rows = test.select(kept)
    with tempfile.TemporaryDirectory(prefix="hf-cushing-raw-") as work:
        scores = clean_scores(
            run,
            [files[p] for p in rows.photo_id.tolist()],
            backends=["default"],
            work=Path(work),
            timeout=timeout,
        )["default"]
    plain = np.array([[row[label] for label in rows.labels] for row in scores])
    points = points_from_json(read_json(run / "metrics.json"))
    reports = [
        evaluate(replace(rows, probabilities=p), EvaluationOptions(), operating_points=points)
        for p in (aligned, plain)
    ]
    return RawFigures(*reports, photos=len(rows), refused=int((~kept).sum()))


def raw_table(figures: RawFigures) -> Table:
    """Both pipelines side by side, for all, women and men."""
    body = []
    for row in figures.aligned.subgroups:
        if row.unit == "photo" and row.label != MACRO:
            other = figures.plain.find(row.label, row.subgroup)
            small = " (insufficient)" if row.size == "insufficient" else ""
            for metric in MEASURED:
                values = [format_value(r.values[metric]) for r in (row, other)]
                who = f"{row.label}, {row.subgroup}{small}"
                body.append([who, NAMES.get(metric, metric), *values])
    refused = f"{figures.refused} more were" if figures.refused else "none was"
    notes = [
        f"{figures.photos} original photos of the test split, the same for both; {refused} refused "
        "by `hf_cushing.pipeline` (no face, or several)."
    ]
    header = ["", "metric", "hf_cushing.pipeline", "plain pipeline"]
    return Table("raw", "Aligned against raw photographs", header, body, notes)


def _originals(dataset: Path, raw: Path) -> dict[str, Path]:
    """Photo to the clinic's own file."""
    rows = read_json(dataset / "intake.json")["rows"]
    kept = [row for row in rows if row["status"] == "kept" and not row["public"]]
    return {row["columns"]["photo_id"]: raw / row["file_name"] for row in kept}


def _aligned_scores(
    run: Path, paths: list[Path], labels: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the photos with a face, and which those are."""
    from hf_cushing.predict.pipeline import pipeline

    classify = pipeline(str(run), device="cpu", top_k=None)
    rows, kept = [], np.full(len(paths), False)
    for number, path in enumerate(paths):
        try:
            found = {entry["label"]: entry["score"] for entry in classify(str(path))}
        except PhotoError:
            continue
        rows.append([found[label] for label in labels])
        kept[number] = True
    if not kept.any():
        raise UserError("no face was found in any original photo; is this the right folder?")
    return np.array(rows), kept
