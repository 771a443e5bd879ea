"""How good the model is for women and men, and what can't be said."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import gradio as gr

from hf_cushing.app import pictures
from hf_cushing.app.page import Page, Words
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.tables import subgroup_table
from hf_cushing.evaluation.wording import gap_sentence
from hf_cushing.reports.page import embed
from hf_cushing.run import Run
from hf_cushing.stats.metrics import shown_in

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


def about_tab(page: Page) -> None:
    """Lay the tab out."""
    run, report = page.model.run, page.model.report

    def summary(words: Words) -> str:
        labels, split = ", ".join(run.labels), report.split if report else "–"
        text = words["about"].format(name=run.title, labels=labels, split=split)
        return text if report else f"{text}\n\n{words['about_none']}"

    def body(words: Words) -> str:
        parts = [*_results(report, words), _figures(run, words)]
        return f'<div class="reading">{"".join(parts)}</div>'

    def limits(words: Words) -> str:
        notice = html.escape(words["notice"])
        return f"## {words['about_limits']}\n\n{words['limits']}\n\n**{notice}**"

    page.say(gr.Markdown(), value=summary)
    if report:
        page.say(gr.HTML(padding=False), value=body)
    page.say(gr.Markdown(), value=limits)
    card = run.file("README.md")
    if card:
        with gr.Accordion(open=False) as fold:
            text = FRONT_MATTER.sub("", card.read_text(encoding="utf-8"))
            gr.Markdown(PICTURE.sub("", text), elem_id="card")
        page.say(fold, label="about_card")


def _results(report: Report, words: Words) -> Iterator[str]:
    """Tables for all, women and men, with what must be said about them."""
    yield f"<h2>{html.escape(words['about_results'])}</h2>"
    for label in report.labels:
        table = subgroup_table(report, label, metrics=shown_in("space"))
        body = [[html.escape(cell) for cell in line] for line in table.body]
        header, title = [words["measure"], *table.header[1:]], table.title
        yield f"<h3>{html.escape(title)}</h3>{pictures.table(header, body, caption=title)}"
        gaps = [gap for gap in report.gaps_of(label) if gap.metric in shown_in("sentence")]
        notes = [*table.notes, *map(gap_sentence, gaps)]
        yield pictures.bullets(map(html.escape, notes), lang="en")


def _figures(run: Run, words: Words) -> str:
    """The run's figures, within the page."""
    files = sorted([*run.folder.glob("*.png"), *run.folder.glob("figures/*.png")])
    if not files:
        return ""
    parts = []
    for name, path in {path.stem: path for path in files}.items():
        text = words["figure"].format(name=name.replace("_", " "))
        parts.append(pictures.figure(embed(path), text, text))
    return f'<h2>{words["about_figures"]}</h2><div class="pictures">{"".join(parts)}</div>'
