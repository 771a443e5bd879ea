"""The Space's interface for programs: typed endpoints, for `gradio_client` or plain HTTP."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from itertools import repeat
from typing import Any, Literal, TypedDict

import gradio as gr
from scipy.special import expit

from hf_cushing.app import model_report
from hf_cushing.app.batch_tab import batch_csv, gather
from hf_cushing.app.followup_tab import MOST, Course, course_of, scored_of
from hf_cushing.app.page import AT_ONCE, Page, Row, Upload
from hf_cushing.faces.uploads import ArchiveError
from hf_cushing.files import plain
from hf_cushing.predict.answer import Reading, look, uncertain_band
from hf_cushing.predict.model import ERROR_RATE, Service
from hf_cushing.schema import RESEARCH_NOTICE, SEXES

Sex = Literal["female", "male", "unknown"]

UNKNOWN = "repeatability is not known"
"""Verdict of a follow-up without it."""

NOT_ACCEPTED = f"call with accept_notice=True to accept this: {RESEARCH_NOTICE}"


class PhotoResult(TypedDict):
    """What the model makes of one photo; `error` is empty, or says why there is nothing else."""

    error: str
    message: str
    answer: str
    probabilities: dict[str, float]
    thresholds: dict[str, float]
    plausible: list[str]
    uncertain_band: list[float]
    face_box: list[int]
    landmarks: list[list[float]]
    regions: dict[str, float]
    heatmap_method: str
    model: str
    notice: str


class BatchResult(TypedDict):
    """Results by photo, and all of them as CSV."""

    error: str
    message: str
    photos: list[dict[str, Any]]
    csv: str
    notice: str


class FollowupResult(TypedDict):
    """Visits by disease; change and verdict only where repeatability is known."""

    error: str
    message: str
    courses: list[dict[str, Any]]
    notice: str


class AboutResult(TypedDict):
    """What is known of the model."""

    model: str
    labels: list[str]
    operating_points: list[dict[str, Any]]
    error_rate_of_the_band: float
    heatmap_method: str
    results: list[dict[str, Any]]
    notice: str


def add_endpoints(page: Page) -> None:
    """Register the endpoints; to be called within the Blocks."""

    def photo(
        photo_file: gr.FileData,
        sex: Sex = "unknown",
        heatmap: bool = False,
        accept_notice: bool = False,
    ) -> PhotoResult:
        """Find the face of a photo and score it."""
        return photo_result(page, photo_file, sex, heatmap=heatmap, accepted=accept_notice)

    def batch(
        photo_files: list[gr.FileData], sex: Sex = "unknown", accept_notice: bool = False
    ) -> BatchResult:
        """Score several photos, or zip files of photos."""
        return batch_result(page, photo_files, sex, accept_notice)

    def followup(
        photo_files: list[gr.FileData], dates: list[str], accept_notice: bool = False
    ) -> FollowupResult:
        """Score dated photos of one person; dates as year-month-day, in the photos' order."""
        return followup_result(page, photo_files, dates, accept_notice)

    def about() -> AboutResult:
        """What is known of the model."""
        return about_result(page.service)

    gr.api(photo, api_name="photo", concurrency_id="photo", concurrency_limit=AT_ONCE)
    gr.api(batch, api_name="batch", concurrency_id="batch", concurrency_limit=1)
    gr.api(followup, api_name="followup", concurrency_id="batch", concurrency_limit=1)
    gr.api(about, api_name="about", queue=False)


def photo_result(
    page: Page, file: dict[str, Any], sex: str, *, heatmap: bool, accepted: bool
) -> PhotoResult:
    """The result of one photo."""
    uploads = page.uploads(file or {})
    refusal = _refusal(accepted, sex)
    if refusal:
        return _photo(page.service, None, *refusal)
    (row,) = page.rows(uploads, [sex])
    result = _photo(page.service, row.reading, row.reason, row.message)
    if row.reading and heatmap:
        result["regions"] = look(page.service, row.reading).shares
    return result


def _refusal(accepted: bool, sex: str = "unknown") -> tuple[str, str] | None:
    """Reason and message where a call can't be served."""
    if accepted is not True:
        return "not_accepted", NOT_ACCEPTED
    if sex not in SEXES:
        return "sex", f"sex: choose {', '.join(SEXES)}"
    return None


def _photo(service: Service, reading: Reading | None, error: str, message: str) -> PhotoResult:
    known = reading is not None
    band = known and len(service.labels) == 2 and service.limits is not None
    return plain(
        PhotoResult(
            error=error,
            message=message,
            answer=reading.answer if known else "",
            probabilities=reading.probabilities if known else {},
            thresholds=reading.thresholds if known else {},
            plausible=list(reading.plausible or ()) if known else [],
            uncertain_band=uncertain_band(service, reading.disease, reading.sex) if band else [],
            face_box=reading.face.box if known else [],
            landmarks=reading.face.landmarks if known else [],
            regions={},
            heatmap_method=service.method,
            model=service.name,
            notice=RESEARCH_NOTICE,
        )
    )


def batch_result(
    page: Page, files: Sequence[dict[str, Any]], sex: str, accepted: bool
) -> BatchResult:
    """Every photo's result, and the CSV."""
    uploads = page.uploads(list(files))
    error, message = _refusal(accepted, sex) or ("", "")
    rows: list[Row] = []
    if not error:
        try:
            rows = list(page.rows(gather(uploads), repeat(sex)))
        except ArchiveError as fault:
            error, message = f"archive_{fault.reason}", str(fault)
    photos = [
        {"photo": r.name} | _photo(page.service, r.reading, r.reason, r.message) for r in rows
    ]
    for photo in photos:
        del photo["landmarks"], photo["regions"], photo["heatmap_method"], photo["notice"]
    return BatchResult(
        error=error,
        message=message,
        photos=photos,
        csv=batch_csv(page.service, rows) if rows else "",
        notice=RESEARCH_NOTICE,
    )


def followup_result(
    page: Page, files: Sequence[dict[str, Any]], dates: Sequence[str], accepted: bool
) -> FollowupResult:
    """The course of each disease; all photos must have a face and a date."""
    uploads = page.uploads(list(files))
    refusal = _refusal(accepted) or _date_refusal(uploads, dates)
    if refusal:
        return _followup([], *refusal)
    rows = list(page.rows(uploads, repeat("unknown")))
    for row in rows:
        if row.reading is None:
            return _followup([], row.reason, f"{row.name}: {row.message}")
    days = [date.fromisoformat(day) for day in dates]
    scored, service = scored_of(rows), page.service
    courses = [course_of(service, label, scored, days) for label in service.diseases]
    return _followup([_course(course) for course in courses])


def _date_refusal(uploads: Sequence[Upload], dates: Sequence[str]) -> tuple[str, str] | None:
    if len(uploads) != len(dates) or not 1 < len(uploads) <= MOST:
        return "dates", f"give 2 to {MOST} photos and as many dates"
    try:
        days = {date.fromisoformat(day) for day in dates}
    except (TypeError, ValueError):
        return "dates", "write dates as year-month-day"
    return None if len(days) > 1 else ("dates", "photos of two days at least are needed")


def _followup(courses: list[dict[str, Any]], error: str = "", message: str = "") -> FollowupResult:
    return FollowupResult(error=error, message=message, courses=courses, notice=RESEARCH_NOTICE)


def _course(course: Course) -> dict[str, Any]:
    visits = [
        {"date": str(day), "photos": count, "log_odds": value, "probability": float(expit(value))}
        for day, count, value in zip(course.days, course.photos, course.values, strict=True)
    ]
    change, verdict = course.change, UNKNOWN
    if change is not None:
        verdict = str(change.verdict()[-1])
        for row, visit in enumerate(visits[1:]):
            visit |= {name: getattr(change, name)[row] for name in ("change", "low", "high")}
    return plain({"disease": course.label, "verdict": verdict, "visits": visits})


def about_result(service: Service) -> AboutResult:
    """Operating points, and the tables of results as rows of words."""
    report = model_report.tested(service.folder)
    rows = [row for row in report.subgroups if row.unit == "photo"] if report else []
    results = [
        {
            "label": row.label,
            "subgroup": row.subgroup,
            "sample": row.size,
            "patients_with": row.positive_patients,
            "patients_without": row.negative_patients,
            **{name: asdict(row.values[name]) for name in model_report.SHOWN},
        }
        for row in rows
    ]
    return plain(
        AboutResult(
            model=service.name,
            labels=list(service.labels),
            operating_points=[asdict(point) for point in service.points],
            error_rate_of_the_band=ERROR_RATE,
            heatmap_method=service.method,
            results=results,
            notice=RESEARCH_NOTICE,
        )
    )
