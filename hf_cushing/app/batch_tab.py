"""Several photos or a zip file of them: a table and a CSV file."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import gradio as gr

from hf_cushing.app import pictures, texts
from hf_cushing.app.page import Page, Row, Upload, Words, archive_fault, fault, limits_of
from hf_cushing.faces.uploads import MAX_PHOTOS, ArchiveError, is_archive, unpack
from hf_cushing.predict.model import Service
from hf_cushing.schema import PROBABILITY_PREFIX, RESEARCH_NOTICE

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Starts of a cell that a spreadsheet would compute."""


def batch_tab(page: Page, accepted: gr.State, language: gr.Radio) -> None:
    """Lay the tab out."""
    page.say(gr.Markdown(), value=lambda words: limits_of(words, "batch_info", MAX_PHOTOS))
    sex = page.sex_choice()
    files = gr.File(file_count="multiple", height=180, elem_id="photos")
    page.say(files, label="photos")
    result = page.result("batch_result")

    def judge(
        sent: Any,
        sex: str,
        accepted: bool,
        language: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[None, str]:
        words = texts.LANGUAGES[language]
        if not accepted:
            return None, fault(words["refused"])
        try:
            photos = gather(page.uploads(sent))
        except ArchiveError as error:
            return None, archive_fault(error, words)
        rows = []
        for row in page.rows(photos, repeat(sex)):
            rows.append(row)
            progress((len(rows), len(photos)))
        return None, batch_page(page.service, rows, words)

    files.upload(
        judge,
        [files, sex, accepted, language],
        [files, result],
        preprocess=False,
        api_visibility="private",
        concurrency_id="batch",
        concurrency_limit=1,
        show_progress_on=[result],
    )


def gather(files: Sequence[Upload]) -> list[Upload]:
    """The photos of several files; archives are unpacked.

    Raises
    ------
    ArchiveError
        Also for more than `MAX_PHOTOS` photos in all.
    """
    found: list[Upload] = []
    for file in files:
        if file.data and is_archive(file.data):
            found += [Upload(name, data) for name, data in unpack(file.data)]
        else:
            found.append(file)
        if len(found) > MAX_PHOTOS:
            raise ArchiveError("too_many", f"more than {MAX_PHOTOS} photos; send fewer at once")
    return found


def batch_page(service: Service, rows: Sequence[Row], words: Words) -> str:
    """How many were scored, the CSV as a link that holds it, and the table."""
    good = sum(row.reading is not None for row in rows)
    header = [words["name"], words["answer"]]
    header += [words["p_of"].format(disease=texts.disease_name(x, words)) for x in service.diseases]
    header.append(words["remark"])
    body = [_cells(service, row, words) for row in rows]
    done = words["batch_done"].format(good=good, count=len(rows))
    link = pictures.data_uri(batch_csv(service, rows).encode("utf-8-sig"), "text/csv")
    return (
        f'<div class="reading"><p role="status">{done}</p>'
        f'<p><a class="download" download="results.csv" href="{link}">{words["download"]}</a></p>'
        f"{pictures.table(header, body, caption=words['batch_tab'])}</div>"
    )


def _cells(service: Service, row: Row, words: Words) -> list[str]:
    name = html.escape(row.name)
    if row.reading is None:
        return [name, "–", *("–" for _ in service.diseases), _remark(words[row.reason])]
    values = [texts.percent(row.reading.probabilities[x]) for x in service.diseases]
    others = row.reading.face.others
    remark = words["other_faces"].format(count=others) if others else ""
    answer = texts.answer_name(row.reading.answer, words)
    return [name, html.escape(answer), *values, _remark(remark)]


def _remark(text: str) -> str:
    return f'<span class="remark">{html.escape(text)}</span>' if text else ""


def batch_csv(service: Service, rows: Sequence[Row]) -> str:
    """All numbers, one row a photo; words are English whatever the page's language."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    probabilities = [PROBABILITY_PREFIX + label for label in service.labels]
    thresholds = [f"threshold_{label}" for label in service.diseases]
    writer.writerow(
        ["photo", "answer", *probabilities, *thresholds, "plausible", "error", "model", "notice"]
    )
    for row in rows:
        name = f"'{row.name}" if row.name.startswith(FORMULA) else row.name
        writer.writerow([name, *_numbers(service, row), service.name, RESEARCH_NOTICE])
    return text.getvalue()


def _numbers(service: Service, row: Row) -> list[str]:
    reading = row.reading
    if reading is None:
        empty = [""] * (len(service.labels) + len(service.diseases) + 2)
        return [*empty, row.message]
    return [
        reading.answer,
        *(f"{reading.probabilities[label]:.6f}" for label in service.labels),
        *(f"{reading.thresholds[label]:.6f}" for label in service.diseases),
        "" if reading.plausible is None else " ".join(reading.plausible),
        "",
    ]
