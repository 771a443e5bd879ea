"""One photo: the found face, the answer with its band, what it means, and where the model looks."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import gradio as gr
import numpy as np

from hf_cushing.app import pictures, texts
from hf_cushing.app.page import Page, Words, fault
from hf_cushing.app.served_model import ServedModel
from hf_cushing.evaluation.operating_points import RULES
from hf_cushing.explain.photo import PhotoHeatmap, photo_heatmap
from hf_cushing.faces.photo import PhotoError
from hf_cushing.faces.uploads import open_upload
from hf_cushing.predict.answer import Answer
from hf_cushing.predict.batch import PhotoSource
from hf_cushing.predict.decision import UNCERTAIN
from hf_cushing.run import ERROR_RATE
from hf_cushing.schema import CONTROL

GROUPS_OF_SEX = {"female": "women", "male": "men", "unknown": "all"}
"""Whose test results a photo is told: a key of the texts."""


def photo_tab(page: Page) -> None:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column(min_width=300):
            sex = page.sex_choice()
            heatmap = page.say(gr.Checkbox(value=True), label="heatmap")
            photo = gr.Image(
                sources=["upload", "webcam", "clipboard"],
                type="filepath",
                height=300,
                elem_id="photo",
                buttons=[],
            )
            page.say(photo, label="photo", placeholder="photo_drop")
        with gr.Column(min_width=300):
            result = page.result("photo_result")

    def judge(
        uploads: Sequence[PhotoSource], words: Words, progress: gr.Progress, heatmap: bool
    ) -> str:
        return photo_page(page.model, uploads[0], heatmap=heatmap, words=words)

    page.on_upload(photo, judge, [sex, heatmap], result, queue="photo")


def photo_page(model: ServedModel, source: PhotoSource, *, heatmap: bool, words: Words) -> str:
    """All about one photo, or why it can't be judged."""
    try:
        answer = model.predictor(source.photo, source.sex)
    except PhotoError as error:
        return fault(words[error.reason])
    heat = photo_heatmap(model.predictor, answer, model.method) if heatmap else None
    warnings = [
        texts.remark_text(remark, answer.sex, words)
        for remark in answer.warnings
        if remark.reason != "few_patients"  # the meaning says so
    ]
    parts = [
        _answer(answer, words),
        *(f'<p class="warning" role="note">{html.escape(text)}</p>' for text in warnings),
        *(_probability(answer, label, words) for label in answer.thresholds),
        _pictures(source, answer, heat, words),
        f"<h2>{words['means']}</h2>",
        pictures.bullets(_meaning(model, answer, words)),
    ]
    parts += [_regions(model, answer, heat, words)] if heat else []
    return f'<div class="reading">{"".join(parts)}</div>'


def _kind(answer: Answer) -> str:
    """``uncertain``, ``control`` or ``called``."""
    return answer.label if answer.label in (UNCERTAIN, CONTROL) else "called"


def _answer(answer: Answer, words: Words) -> str:
    kind = _kind(answer)
    text = words[f"answer_{kind}"].format(disease=texts.disease_name(answer.label, words))
    return f'<p class="answer {kind}" role="status">{html.escape(text)}</p>'


def _probability(answer: Answer, label: str, words: Words) -> str:
    """Sentence, scale and legend of one disease."""
    value, threshold = answer.probabilities[label], answer.thresholds[label]
    low, high = answer.band or (0.0, 0.0)
    shown = {
        "value": texts.percent(value),
        "threshold": texts.percent(threshold),
        "low": texts.percent(low),
        "high": texts.percent(high),
    }
    legend = [("value", words["legend_value"])]
    legend.append(("point", words["legend_threshold"].format(**shown)))
    legend += [("band", words["legend_band"].format(**shown))] if high > low else []
    band = words["gauge_band"].format(**shown) if high > low else ""
    scale = words["gauge"].format(band=band, **shown)
    sentence = words["probability"].format(
        disease=html.escape(texts.disease_name(label, words)), value=f"<b>{shown['value']}</b>"
    )
    spans = "".join(f'<span class="{kind}">{html.escape(text)}</span>' for kind, text in legend)
    return (
        f"<div><p>{sentence}</p>{pictures.gauge(value, threshold, (low, high), scale)}"
        f'<div class="legend">{spans}</div></div>'
    )


def _pictures(source: PhotoSource, answer: Answer, heat: PhotoHeatmap | None, words: Words) -> str:
    marked = pictures.marked_photo(open_upload(source.photo), answer.face.face)
    figures = pictures.picture(marked, words["seen"], words["seen_short"])
    if heat:
        heated = pictures.heated(answer.face.image, heat.heat)
        figures += pictures.picture(heated, words["heat"], words["heat_short"])
    return f'<div class="pictures">{figures}</div>'


def _meaning(model: ServedModel, answer: Answer, words: Words) -> Iterator[str]:
    """What the answer means and what it does not."""
    run, kind = model.run, _kind(answer)
    label = answer.label if kind == "called" else answer.disease
    yield words[f"means_{kind}"].format(threshold=texts.percent(answer.thresholds[label]))
    point = answer.operating_points[label]
    if point:
        rule = RULES.get(point.rule) or point.rule.replace(":", " ")
        facts = {"rule": rule, "code": point.rule, "split": point.split}
        yield html.escape(words["point_from"].format(**facts))
    else:
        yield words["no_point"]
    yield _band_sentence(answer, words)
    yield from _rates(model, answer, label, words)
    if run.validation:
        share = texts.percent(float(np.mean(run.validation.label == label)))
        disease = html.escape(texts.disease_name(label, words))
        yield words["prevalence"].format(share=share, disease=disease)
    if not run.calibrated:
        yield words["uncalibrated"]


def _band_sentence(answer: Answer, words: Words) -> str:
    if answer.plausible is None:
        return words["band_none"]
    if answer.few_patients:
        return texts.few_patients_text(answer.limit_patients, answer.sex, words)
    share = texts.percent(1 - ERROR_RATE)
    return words["band_from"].format(patients=answer.limit_patients, share=share)


def _rates(model: ServedModel, answer: Answer, label: str, words: Words) -> Iterator[str]:
    """How often the model was right on test photos of this sex; nothing where that isn't known."""
    group = "all" if answer.sex == "unknown" else answer.sex
    known = (label, group, "photo")
    rows = model.report.subgroups if model.report else []
    row = next((r for r in rows if (r.label, r.subgroup, r.unit) == known), None)
    if row is None:
        return
    who = words[GROUPS_OF_SEX[answer.sex]]
    if row.size == "insufficient":
        yield words["rate_few"].format(who=who)
        return
    shown = {}
    for name in ("recall", "specificity"):
        value = row.values[name]
        shown[name] = texts.percent(value.estimate)
        shown[f"{name}_range"] = f"{texts.percent(value.low)} – {texts.percent(value.high)}"
    yield words["rate"].format(count=row.positives, others=row.negatives, who=who, **shown)


def _regions(model: ServedModel, answer: Answer, heat: PhotoHeatmap, words: Words) -> str:
    title = f"<h2>{words['regions']}</h2>"
    if not heat.shares:
        return f"{title}<p>{words['no_regions']}</p>"
    names = texts.region_names(words)
    full = max(*heat.shares.values(), *heat.areas.values()) or 1.0
    body = [
        [
            html.escape(names[name]),
            pictures.bar(share, heat.areas[name], full),
            texts.percent(heat.areas[name]),
        ]
        for name, share in sorted(heat.shares.items(), key=lambda item: -item[1])
    ]
    header = [words["region"], words["share"], words["area"]]
    disease = html.escape(texts.disease_name(answer.disease, words))
    note = words["region_note"].format(method=model.method, disease=disease)
    note += " " + words["judged" if model.judged else "not_judged"]
    return f"{title}{pictures.table(header, body, caption=words['regions'])}<p>{note}</p>"
