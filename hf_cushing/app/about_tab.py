"""How good the model is for women and men, and what can't be said."""

from __future__ import annotations

import html

import gradio as gr

from hf_cushing.app import model_report
from hf_cushing.app.page import Page, Words


def about_tab(page: Page) -> None:
    """Lay the tab out."""
    service = page.service
    report = model_report.tested(service.folder)

    def summary(words: Words) -> str:
        labels = ", ".join(service.labels)
        text = words["about"].format(
            name=service.name, labels=labels, split=report.split if report else "–"
        )
        return text if report else f"{text}\n\n{words['about_none']}"

    page.say(gr.Markdown(), value=summary)
    if report:
        page.say(gr.HTML(padding=False), value=lambda words: _body(page, words))
    page.say(
        gr.Markdown(),
        value=lambda words: (
            f"## {words['about_limits']}\n\n{words['limits']}\n\n**{html.escape(words['notice'])}**"
        ),
    )
    card = model_report.card(service.folder)
    if card:
        with gr.Accordion(open=False) as fold:
            gr.Markdown(card, elem_id="card")
        page.say(fold, label="about_card")


def _body(page: Page, words: Words) -> str:
    report = model_report.tested(page.service.folder)
    parts = model_report.results(report, words) + model_report.figures(page.service.folder, words)
    return f'<div class="reading">{parts}</div>'
