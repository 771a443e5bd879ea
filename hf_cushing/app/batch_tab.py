"""Several photos or a zip file of them: a table and a CSV file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace

import gradio as gr

from hf_cushing.app import pictures, texts
from hf_cushing.app.page import Page, Words, limits_of
from hf_cushing.app.served_model import ServedModel
from hf_cushing.faces.uploads import MAX_PHOTOS, ArchiveError, is_archive, unpack
from hf_cushing.predict.batch import PhotoSource, Row, rows_of, rows_to_csv


def batch_tab(page: Page) -> None:
    """Lay the tab out."""
    page.say(gr.Markdown(), value=lambda words: limits_of(words, "batch_info", MAX_PHOTOS))
    sex = page.sex_choice()
    files = page.say(gr.File(file_count="multiple", height=180, elem_id="photos"), label="photos")
    result = page.result("batch_result")

    def judge(uploads: Sequence[PhotoSource], words: Words, progress: gr.Progress) -> str:
        photos, rows = gather(uploads), []
        for row in rows_of(page.model.predictor, photos):
            rows.append(row)
            progress((len(rows), len(photos)))
        return batch_page(page.model, rows, words)

    page.on_upload(files, judge, [sex], result, queue="batch")


def gather(files: Sequence[PhotoSource]) -> list[PhotoSource]:
    """The photos of several files; archives are unpacked.

    Raises
    ------
    ArchiveError
        Also for more than `MAX_PHOTOS` photos in all.
    """
    photos: list[PhotoSource] = []
    for file in files:
        if isinstance(file.photo, bytes) and is_archive(file.photo):
            photos += [replace(file, name=name, photo=data) for name, data in unpack(file.photo)]
        else:
            photos.append(file)
        if len(photos) > MAX_PHOTOS:
            raise ArchiveError("too_many", f"more than {MAX_PHOTOS} photos; send fewer at once")
    return photos


def batch_page(model: ServedModel, rows: Sequence[Row], words: Words) -> str:
    """How many were scored, the CSV as a link that holds it, and the table."""
    diseases = model.run.diseases
    header = [words["name"], words["answer"]]
    header += [words["p_of"].format(disease=texts.disease_name(x, words)) for x in diseases]
    header.append(words["remark"])
    body = [_cells(row, diseases, words) for row in rows]
    scored = sum(row.answer is not None for row in rows)
    done = words["batch_done"].format(good=scored, count=len(rows))
    link = pictures.data_uri(rows_to_csv(model.run, rows).encode("utf-8-sig"), "text/csv")
    return (
        f'<div class="reading"><p role="status">{done}</p>'
        f'<p><a class="download" download="results.csv" href="{link}">{words["download"]}</a></p>'
        f"{pictures.table(header, body, caption=words['batch_tab'])}</div>"
    )


def _cells(row: Row, diseases: Sequence[str], words: Words) -> list[str]:
    answer = row.answer
    if answer is None:
        label, values, remark = "–", ["–"] * len(diseases), words[row.reason]
    else:
        label = texts.disease_name(answer.label, words)
        values = [texts.percent(answer.probabilities[x]) for x in diseases]
        remark = " ".join(texts.remark_text(r, answer.sex, words) for r in answer.warnings)
    remark = f'<span class="remark">{html.escape(remark)}</span>' if remark else ""
    return [html.escape(row.name), html.escape(label), *values, remark]
