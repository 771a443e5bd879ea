"""Several dated photos of one person: the score over time, and whether a change can be told."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import gradio as gr
import numpy as np
from scipy.special import expit

from hf_cushing.app import pictures, texts
from hf_cushing.app.batch_table import gather
from hf_cushing.app.page import (
    FORGET,
    QUEUES,
    Page,
    Words,
    archive_fault,
    fault,
    limits_of,
    show_result,
    waiting,
)
from hf_cushing.app.served_model import ServedModel
from hf_cushing.faces.uploads import ArchiveError
from hf_cushing.predict.batch import PhotoSource, Row, rows_of
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.reliable_change import (
    FELL,
    ROSE,
    STABLE,
    Change,
    Repeatability,
    make_visits,
    reliable_change,
)

MOST = 12
"""Photos of one person."""

DATED = re.compile(r"(?<!\d)(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})(?!\d)")


@dataclass(frozen=True)
class Scored:
    """A photo's name, log-odds by label and date, if known; the photo itself is gone."""

    name: str
    log_odds: dict[str, float]
    date: str = ""


@dataclass(frozen=True, kw_only=True)
class Course:
    """One disease over a person's visits.

    Attributes
    ----------
    label : str
    days : list of date
        Of the visits, ascending.
    photos : list of int
        At each visit.
    values : list of float
        Mean log-odds of each visit.
    single : list of (date, float)
        Each photo.
    change : Change or None
        Of every later visit against the first; None where repeatability is not known.
    """

    label: str
    days: list[date]
    photos: list[int]
    values: list[float]
    single: list[tuple[date, float]]
    change: Change | None


def followup_tab(page: Page) -> None:
    """Lay the tab out."""
    page.say(gr.Markdown(), value=lambda words: limits_of(words, "follow_info", MOST))
    files = gr.File(file_count="multiple", height=160, elem_id="visits")
    page.say(files, label="photos_followup")
    notes = gr.HTML(padding=False)
    scored = gr.State([], time_to_live=FORGET)
    dates = [gr.Textbox(visible=False, max_lines=1, elem_classes="date") for _ in range(MOST)]
    compare = page.say(gr.Button(variant="primary", elem_id="compare"), value="compare")
    result = page.result("followup_result")

    def score(sent: Any, accepted: bool, language: str) -> list[Any]:
        words = texts.space_words(language)
        photos, faults = _score(page.model, page.uploads(sent), accepted, words)
        fields = [_date_field(photo, words) for photo in photos]
        hidden = [gr.update(visible=False, value="")] * (MOST - len(photos))
        return [None, photos, faults, *fields, *hidden]

    def show(scored: list[Scored], language: str, *dates: str) -> str:
        return followup_page(page.model, scored, dates, texts.space_words(language))

    def reword(scored: list[Scored], language: str, *dates: str) -> list[Any]:
        complete = scored and all(dates[: len(scored)])
        words = texts.space_words(language)
        page = show(scored, language, *dates) if complete else waiting(words)
        return [page, *_relabelled(scored, words)]

    limits = {"api_visibility": "private", **QUEUES["batch"]}
    files.upload(
        score,
        [files, page.accepted, page.language],
        [files, scored, notes, *dates],
        preprocess=False,
        show_progress_on=[notes],
        **limits,
    )
    shown = compare.click(show, [scored, page.language, *dates], [result], **limits)
    show_result(shown, result)
    known, hidden = [scored, page.language, *dates], {"show_progress": "hidden"}
    page.language.change(reword, known, [result, *dates], **hidden, **limits)


def _score(
    model: ServedModel, uploads: Sequence[PhotoSource], accepted: bool, words: Words
) -> tuple[list[Scored], str]:
    """The scores, and what could not be scored."""
    if not accepted:
        return [], fault(words["refused"])
    try:
        photos = gather(uploads)
    except ArchiveError as error:
        return [], archive_fault(error, words)
    if len(photos) > MOST:
        return [], fault(words["too_many"].format(count=MOST))
    rows = list(rows_of(model.predictor, photos))
    faults = [fault(f"{row.name}: {words[row.reason]}") for row in rows if row.answer is None]
    return scored_of(rows), "".join(faults)


def _relabelled(scored: Sequence[Scored], words: Words) -> list[Any]:
    """Updates of all fields for dates to another language."""
    labels = [gr.update(label=words["date_of"].format(name=photo.name)) for photo in scored]
    return labels + [gr.skip()] * (MOST - len(scored))


def _date_field(photo: Scored, words: Words) -> dict[str, Any]:
    """The field for the date of a photo, filled in from a table or its name."""
    label = words["date_of"].format(name=photo.name)
    return gr.update(visible=True, value=photo.date, label=label, placeholder="2025-03-31")


def scored_of(rows: Sequence[Row]) -> list[Scored]:
    """The scores of the photos that have one."""
    return [
        Scored(row.name, row.answer.log_odds, date_in(row.date) or row.date or date_in(row.name))
        for row in rows
        if row.answer
    ]


def date_in(name: str) -> str:
    """A date in a file's name, as year-month-day; empty where there is none.

    >>> date_in("visit 2025-03-31.jpg"), date_in("IMG_20240102_1.jpg"), date_in("99999999.jpg")
    ('2025-03-31', '2024-01-02', '')
    """
    for match in DATED.finditer(name):
        try:
            return date(*map(int, match.groups())).isoformat()
        except ValueError:
            continue
    return ""


def courses_of(model: ServedModel, scored: Sequence[Scored], days: Sequence[date]) -> list[Course]:
    """Each disease's course: photos of one day joined to a visit, and the change of the score."""
    numbers, nobody = np.array([day.toordinal() for day in days]), np.full(len(days), "")
    visits = make_visits(nobody, numbers, nobody)
    courses = []
    for label in model.run.diseases:
        values = np.array([photo.log_odds[label] for photo in scored])
        means = visits.means(values)
        courses.append(
            Course(
                label=label,
                days=[date.fromordinal(int(day)) for day in visits.day],
                photos=visits.photos.tolist(),
                values=means.tolist(),
                single=list(zip(days, values.tolist(), strict=True)),
                change=_change(means, visits.photos, model.repeatability.get(label)),
            )
        )
    return courses


def _change(means: np.ndarray, photos: np.ndarray, measured: Repeatability | None) -> Change | None:
    """Of every later visit against the first; None where that can't be judged."""
    if measured is None or len(means) < 2:
        return None
    first = np.full(len(means) - 1, means[0])
    counts = (np.full(len(means) - 1, photos[0]), photos[1:])
    return reliable_change(first, means[1:], photos=counts, measured=measured)


def followup_page(
    model: ServedModel, scored: Sequence[Scored], dates: Sequence[str], words: Words
) -> str:
    """Chart, table and what may be said; or what is missing."""
    if not scored:
        return fault(words["no_photos"])
    days = []
    for photo, text in zip(scored, dates, strict=False):
        try:
            days.append(date.fromisoformat((text or "").strip()))
        except ValueError:
            return fault(words["bad_date"].format(name=photo.name))
    if len(set(days)) < 2:
        return fault(words["two_visits"])
    parts = [_course_part(model, course, words) for course in courses_of(model, scored, days)]
    notes = (words["not_activity"], words["same_person"])
    parts.append(pictures.bullets(map(html.escape, notes)))
    return f'<div class="reading">{"".join(parts)}</div>'


def _course_part(model: ServedModel, course: Course, words: Words) -> str:
    days = [day.toordinal() for day in course.days]
    single = [(day.toordinal(), value) for day, value in course.single]
    title = words["course"].format(
        disease=texts.disease_name(course.label, words),
        first=course.days[0],
        last=course.days[-1],
    )
    chart = pictures.course(days, course.values, single, title)
    header = [words["date"], words["count"]]
    header.append(words["p_of"].format(disease=texts.disease_name(course.label, words)))
    header.append(words["log_odds"])
    header += [words["change"]] if course.change else []
    body = [_visit(course, row) for row in range(len(days))]
    sentences = "".join(f"<p>{s}</p>" for s in _verdicts(model, course, words))
    table = pictures.table(header, body, caption=title)
    axis = f'<p class="axis">{html.escape(words["axis"])}</p>'
    return f"<h2>{html.escape(title)}</h2>{sentences}{chart}{axis}{table}"


def _visit(course: Course, row: int) -> list[str]:
    value = course.values[row]
    cells = [str(course.days[row]), str(course.photos[row])]
    cells += [texts.percent(float(expit(value))), f"{value:+.2f}"]
    if course.change:
        cells.append(_change_text(course.change, row - 1) if row else "–")
    return cells


def _change_text(change: Change, row: int) -> str:
    value, low, high = (x[row] for x in (change.change, change.low, change.high))
    return f"{value:+.2f} ({low:+.2f} – {high:+.2f})"


def _verdicts(model: ServedModel, course: Course, words: Words) -> list[str]:
    """The verdict on the last visit, or why there is none."""
    if course.change is None:
        return [html.escape(words["no_spread"]).replace("`", "")]
    measured, change = model.repeatability[course.label], course.change
    word = {FELL: "verdict_fell", ROSE: "verdict_rose"}.get(str(change.verdict()[-1]))
    sentences = [
        words["spread"].format(
            first=course.days[0],
            last=course.days[-1],
            change=f"{change.change[-1]:+.2f}",
            low=f"{change.low[-1]:+.2f}",
            high=f"{change.high[-1]:+.2f}",
            verdict=words[word or "verdict_none"],
            patients=measured.patients,
            source=words[measured.source],
        )
    ]
    if measured.patients < INSUFFICIENT:
        sentences.append(words["spread_few"].format(few=INSUFFICIENT))
    if measured.source != STABLE:
        sentences.append(words["spread_day"])
    return [html.escape(sentence) for sentence in sentences]
