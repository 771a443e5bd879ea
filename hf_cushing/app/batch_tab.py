"""Several photos or a zip file of them: a table, answers first, and a CSV file."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import gradio as gr
from PIL import Image

from hf_cushing.app import pictures, texts
from hf_cushing.app.batch_table import gather
from hf_cushing.app.page import FORGET, Page, Words, limits_of
from hf_cushing.app.served_model import ServedModel
from hf_cushing.faces.uploads import MAX_PHOTOS
from hf_cushing.predict.answer import Answer
from hf_cushing.predict.batch import PhotoSource, Row, rows_of, rows_to_csv
from hf_cushing.schema import KNOWN_SEXES


def batch_tab(page: Page) -> None:
    """Lay the tab out."""
    page.say(gr.Markdown(), value=lambda words: limits_of(words, "batch_info", MAX_PHOTOS))
    files = page.say(gr.File(file_count="multiple", height=150, elem_id="photos"), label="photos")
    sex = page.sex_choice("batch_sex")
    result = page.result("batch_result")
    kept = gr.State(None, time_to_live=FORGET)

    def judge(
        uploads: Sequence[PhotoSource], words: Words, progress: gr.Progress, sex: str
    ) -> tuple[list[Row], str]:
        photos, rows = gather(uploads), []
        for row in rows_of(page.model.predictor, photos):
            rows.append(_without_face(row))
            progress((len(rows), len(photos)))
        return rows, draw(rows, words, sex)

    def draw(rows: Sequence[Row], words: Words, sex: str) -> str:
        return batch_page(page.model, rows, words, sex)

    page.on_upload(files, judge, [sex], kept, result, queue="batch")
    page.on_choice(draw, kept, [sex], result, queue="batch")


def _without_face(row: Row) -> Row:
    """The row without the picture, which isn't shown and needn't be kept."""
    if row.answer is None:
        return row
    face = replace(row.answer.face, image=Image.new("RGB", (1, 1)))
    return replace(row, answer=replace(row.answer, face=face))


def batch_page(model: ServedModel, rows: Sequence[Row], words: Words, sex: str = "unknown") -> str:
    """How many got which answer, the table, and the CSV as a link that holds it.

    Parameters
    ----------
    sex : str
        Of everybody whose sex isn't stated.
    """
    rows = [_for_sex(model, row, sex) for row in rows]
    diseases = model.run.diseases
    header = [words["name"], words["answer"]]
    header += [words["p_of"].format(disease=texts.disease_name(x, words)) for x in diseases]
    told = [_answers(model, row.answer, words) if row.answer else [] for row in rows]
    body = [_cells(row, answers, diseases, words) for row, answers in zip(rows, told, strict=True)]
    link = pictures.data_uri(rows_to_csv(model.run, rows).encode("utf-8-sig"), "text/csv")
    return (
        f'<div class="reading"><p class="answer" role="status">{_summary(told, words)}</p>'
        f"{pictures.table(header, body, caption=words['batch_tab'])}"
        f'<p><a class="download" download="results.csv" href="{link}">{words["download"]}</a></p>'
        "</div>"
    )


def _for_sex(model: ServedModel, row: Row, sex: str) -> Row:
    """The row with the answer for a sex that the table doesn't state."""
    if sex == "unknown" or row.answer is None or row.answer.sex != "unknown":
        return row
    return replace(row, answer=model.predictor.for_sex(row.answer, sex))


def _answers(model: ServedModel, answer: Answer, words: Words) -> list[str]:
    """The answer; without a sex that for a woman and that for a man, where they differ."""
    sexes = KNOWN_SEXES if answer.sex == "unknown" else (answer.sex,)
    found = {sex: model.predictor.for_sex(answer, sex).label for sex in sexes}
    names = {sex: texts.disease_name(label, words) for sex, label in found.items()}
    if len(set(names.values())) == 1:
        return list(names.values())[:1]
    return [f"{words[f'for_{sex}']}: {name}" for sex, name in names.items()]


def _summary(told: Iterable[Sequence[str]], words: Words) -> str:
    """How many were scored, and how often each answer was given."""
    told = list(told)
    counts = Counter(words["by_sex"] if len(x) > 1 else x[0] for x in told if x)
    done = words["batch_done"].format(good=counts.total(), count=len(told))
    found = " · ".join(f"{count} {name}" for name, count in counts.most_common())
    return html.escape(f"{done} {found}")


def _cells(row: Row, answers: Sequence[str], diseases: Sequence[str], words: Words) -> list[str]:
    """Name with sex and date, answer with remarks, probabilities."""
    answer = row.answer
    facts = ([words[answer.sex]] if answer else []) + ([row.date] if row.date else [])
    values = [texts.percent(answer.probabilities[x]) if answer else "–" for x in diseases]
    remarks = [texts.remark_text(r, answer.sex, words) for r in answer.warnings] if answer else []
    remarks = remarks if answer else [words[row.reason]]
    told = "<br>".join(f"<b>{html.escape(text)}</b>" for text in answers)
    return [
        f"{html.escape(row.name)}{_small(' · '.join(facts))}",
        f"{told}{_small(' '.join(remarks))}",
        *values,
    ]


def _small(text: str) -> str:
    return f"<small>{html.escape(text)}</small>" if text else ""
