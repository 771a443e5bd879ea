"""The Space's interface for programs: typed endpoints, for `gradio_client` or plain HTTP."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Literal, TypedDict, get_origin, get_type_hints

import gradio as gr
from scipy.special import expit

from hf_cushing.app.batch_table import gather
from hf_cushing.app.followup_tab import MOST, Course, courses_of, scored_of
from hf_cushing.app.page import QUEUES, Page
from hf_cushing.explain.photo import photo_heatmap
from hf_cushing.faces.uploads import ArchiveError
from hf_cushing.files import plain
from hf_cushing.predict.batch import Row, rows_of, rows_to_csv
from hf_cushing.run import ERROR_RATE
from hf_cushing.schema import RESEARCH_NOTICE, SEXES
from hf_cushing.stats.metrics import shown_in

Sex = Literal["female", "male", "unknown"]

UNKNOWN = "repeatability is not known"
"""Verdict of a follow-up without it."""

NOT_ACCEPTED = f"call with accept_notice=True to accept this: {RESEARCH_NOTICE}"


class BatchPhoto(TypedDict):
    """What the model makes of one photo; `error` is empty, or says why there is nothing else."""

    photo: str
    date: str
    error: str
    message: str
    answer: str
    probabilities: dict[str, float]
    thresholds: dict[str, float]
    threshold_sex: dict[str, str]
    threshold_rule: dict[str, str]
    plausible: list[str]
    uncertain_band: list[float]
    sex: str
    face_box: list[int]
    warnings: list[str]
    model: str


class PhotoResult(BatchPhoto):
    """The same with the landmarks, and the share of the heatmap in each region."""

    landmarks: list[list[float]]
    regions: dict[str, float]
    heatmap_method: str
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
    offered = Endpoints(page)
    gr.api(offered.photo, api_name="photo", **QUEUES["photo"])
    gr.api(offered.batch, api_name="batch", **QUEUES["batch"])
    gr.api(offered.followup, api_name="followup", **QUEUES["batch"])
    gr.api(offered.about, api_name="about", queue=False)


class Endpoints:
    """The functions behind the endpoints; their signatures and docstrings are the interface.

    What was uploaded is forgotten even where a call is refused.

    Parameters
    ----------
    page : Page
    """

    def __init__(self, page: Page):
        self.uploads, self.model = page.uploads, page.model

    def photo(
        self,
        photo_file: gr.FileData,
        sex: Sex = "unknown",
        heatmap: bool = False,
        accept_notice: bool = False,
    ) -> PhotoResult:
        """Find the face of a photo and score it."""
        uploads = self.uploads([photo_file or {}], sex)
        facts: dict[str, Any] = {"heatmap_method": self.model.method}
        refusal = _refusal(accept_notice, sex)
        if refusal:
            return _result(PhotoResult, refusal | facts | {"model": self.model.run.title})
        (row,) = rows_of(self.model.predictor, uploads)
        if row.answer:
            facts["landmarks"] = row.answer.face.face.landmarks
            if heatmap:
                heat = photo_heatmap(self.model.predictor, row.answer, self.model.method)
                facts["regions"] = heat.shares
        return _result(PhotoResult, self._facts_of(row) | facts)

    def batch(
        self, photo_files: list[gr.FileData], sex: Sex = "unknown", accept_notice: bool = False
    ) -> BatchResult:
        """Score several photos, or zip files of photos; a CSV table may state sex and date."""
        uploads = self.uploads(photo_files, sex)
        refusal = _refusal(accept_notice, sex)
        if refusal:
            return _result(BatchResult, refusal)
        try:
            rows = list(rows_of(self.model.predictor, gather(uploads)))
        except ArchiveError as error:
            return _result(BatchResult, _fault(f"archive_{error.reason}", str(error)))
        photos = [_result(BatchPhoto, self._facts_of(row)) for row in rows]
        csv = rows_to_csv(self.model.run, rows) if rows else ""
        return _result(BatchResult, {"photos": photos, "csv": csv})

    def followup(
        self, photo_files: list[gr.FileData], dates: list[str], accept_notice: bool = False
    ) -> FollowupResult:
        """Score dated photos of one person; dates as year-month-day, in the photos' order."""
        uploads = self.uploads(photo_files)
        refusal = _refusal(accept_notice) or _date_refusal(len(uploads), dates)
        if refusal:
            return _result(FollowupResult, refusal)
        rows = list(rows_of(self.model.predictor, uploads))
        for row in rows:
            if row.answer is None:
                fault = _fault(row.reason, f"{row.name}: {row.message}")
                return _result(FollowupResult, fault)
        days = [date.fromisoformat(day) for day in dates]
        courses = courses_of(self.model, scored_of(rows), days)
        return _result(FollowupResult, {"courses": [_course(course) for course in courses]})

    def about(self) -> AboutResult:
        """What is known of the model."""
        run, report = self.model.run, self.model.report
        results = [
            {
                "label": row.label,
                "subgroup": row.subgroup,
                "sample": row.size,
                "patients_with": row.positive_patients,
                "patients_without": row.negative_patients,
                **{m: asdict(v) for m, v in row.values.items() if m in shown_in("space")},
            }
            for row in (report.subgroups if report else ())
            if row.unit == "photo"
        ]
        facts = {
            "model": run.title,
            "labels": run.labels,
            "operating_points": [asdict(point) for point in run.operating_points],
            "error_rate_of_the_band": ERROR_RATE,
            "heatmap_method": self.model.method,
            "results": results,
        }
        return _result(AboutResult, facts)

    def _facts_of(self, row: Row) -> dict[str, Any]:
        return row.to_json() | {"model": self.model.run.title}


def _result(kind: type, facts: dict[str, Any]) -> Any:
    """A result of all its keys; those without facts are empty."""
    hints = get_type_hints(kind)
    empty = {name: (get_origin(hint) or hint)() for name, hint in hints.items()}
    if "notice" in empty:
        empty["notice"] = RESEARCH_NOTICE
    return plain(empty | facts)


def _fault(error: str, message: str) -> dict[str, str]:
    return {"error": error, "message": message}


def _refusal(accepted: bool, sex: str = "unknown") -> dict[str, str]:
    """Why a call can't be served; empty where it can."""
    if accepted is not True:
        return _fault("not_accepted", NOT_ACCEPTED)
    if sex not in SEXES:
        return _fault("sex", f"sex: choose {', '.join(SEXES)}")
    return {}


def _date_refusal(count: int, dates: Sequence[str]) -> dict[str, str]:
    if not isinstance(dates, list) or count != len(dates) or not 1 < count <= MOST:
        return _fault("dates", f"give 2 to {MOST} photos and as many dates")
    try:
        days = {date.fromisoformat(day) for day in dates}
    except (TypeError, ValueError):
        return _fault("dates", "write dates as year-month-day")
    return {} if len(days) > 1 else _fault("dates", "photos of two days at least are needed")


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
    return {"disease": course.label, "verdict": verdict, "visits": visits}
