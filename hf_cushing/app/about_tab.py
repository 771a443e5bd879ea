"""How good the model is for women and men, and what can't be said."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator

import gradio as gr

from hf_cushing.app import pictures, texts
from hf_cushing.app.page import Page, Words
from hf_cushing.app.texts import GROUPS_OF_SEX
from hf_cushing.evaluation.gaps import Gap
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.subgroups import SubgroupReport, Value
from hf_cushing.reports.page import embed
from hf_cushing.run import Run
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.metrics import shown_in

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


def about_tab(page: Page) -> None:
    """Lay the tab out."""
    run, report = page.model.run, page.model.report

    def summary(words: Words) -> str:
        split = texts.split_name(report.split, words) if report else "–"
        text = words["about"].format(name=run.title, diseases=page.diseases(words), split=split)
        return text if report else f"{text}\n\n{words['about_none']}"

    def limits(words: Words) -> str:
        notice = html.escape(words["notice"])
        return f"## {words['about_limits']}\n\n{words['limits']}\n\n**{notice}**"

    page.say(gr.Markdown(), value=summary)
    if report:
        page.say(gr.HTML(padding=False), value=lambda words: results_page(run, report, words))
    page.say(gr.Markdown(), value=limits)
    card = run.file("README.md")
    if card:
        with gr.Accordion(open=False) as fold:
            text = FRONT_MATTER.sub("", card.read_text(encoding="utf-8"))
            gr.Markdown(PICTURE.sub("", text), elem_id="card")
        page.say(fold, label="about_card")


def results_page(run: Run, report: Report, words: Words) -> str:
    """Tables for all, women and men, and the run's figures, as HTML."""
    parts = [*_results(report, words), _figures(run, words)]
    return f'<div class="reading">{"".join(parts)}</div>'


def _results(report: Report, words: Words) -> Iterator[str]:
    """Tables for all, women and men, with what must be said about them."""
    yield f"<h2>{html.escape(words['about_results'])}</h2>"
    for label in report.labels:
        title = texts.disease_name(label, words)
        rows = [row for row in report.rows(label) if row.subgroup in ("all", *KNOWN_SEXES)]
        header = [words["measure"], *(words[GROUPS_OF_SEX[row.subgroup]] for row in rows)]
        table = pictures.table(header, list(_body(rows, words)), caption=title)
        yield f"<h3>{html.escape(title)}</h3><div class='numbers'>{table}</div>"
        yield pictures.bullets(map(html.escape, _notes(report, label, rows, words)))


def _body(rows: list[SubgroupReport], words: Words) -> Iterator[list[str]]:
    """Counts, then metrics, a column a subgroup; those that nobody has are left out."""
    yield [words["patients"], *(f"{r.positive_patients} / {r.negative_patients}" for r in rows)]
    yield [words["photos_of"], *(f"{row.positives} / {row.negatives}" for row in rows)]
    yield [words["sample"], *(words["sizes"][row.size] for row in rows)]
    for name in shown_in("space"):
        values = [row.values[name] for row in rows if name in row.values]
        if values and not all(math.isnan(value.estimate) for value in values):
            yield [words["metrics"][name], *(_figure(value, words) for value in values)]


def _figure(value: Value, words: Words) -> str:
    """An estimate, and its interval or reference below it."""
    if math.isnan(value.estimate):
        return "–"
    below = "" if math.isnan(value.low) else f"{value.low:.2f}–{value.high:.2f}"
    if not math.isnan(value.reference):
        below = words["if_calibrated"].format(value=f"{value.reference:.2f}")
    return f"{value.estimate:.2f}<small>{html.escape(below)}</small>"


def _notes(report: Report, label: str, rows: list[SubgroupReport], words: Words) -> Iterator[str]:
    for point in report.operating_points:
        if point.label == label:
            yield texts.point_text(point, words)
    few = [words[GROUPS_OF_SEX[row.subgroup]] for row in rows if row.size == "insufficient"]
    if few:
        yield words["too_few_of"].format(who=", ".join(few))
    for gap in report.gaps_of(label):
        if gap.metric in shown_in("sentence"):
            yield _gap_text(gap, words)
    yield words["intervals"]


def _gap_text(gap: Gap, words: Words) -> str:
    """Women minus men with the interval, unless patients are too few for one."""
    measure = words["metrics"][gap.metric]
    if gap.size == "insufficient" or math.isnan(gap.low):
        return words["no_gap"].format(measure=measure)
    ends = {"gap": gap.gap, "low": gap.low, "high": gap.high}
    return words["gap"].format(measure=measure, **{k: f"{v:+.2f}" for k, v in ends.items()})


def _figures(run: Run, words: Words) -> str:
    """The run's figures, within the page."""
    files = sorted([*run.folder.glob("*.png"), *run.folder.glob("figures/*.png")])
    if not files:
        return ""
    parts = []
    for name, path in {path.stem: path for path in files}.items():
        text = _caption(name, words)
        parts.append(pictures.figure(embed(path), text, text))
    return f'<h2>{words["about_figures"]}</h2><div class="pictures">{"".join(parts)}</div>'


def _caption(name: str, words: Words) -> str:
    """What a figure of this file name shows: ``roc``, or ``forest_LABEL``."""
    known = words["figures"]
    kind, _, label = name.partition("_")
    if name in known or kind not in known:
        return known.get(name, words["figure"])
    return f"{known[kind]}: {texts.disease_name(label, words)}"
