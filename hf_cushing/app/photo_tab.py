"""One photo: the found face, the answer with its band, what it means, and where the model looks."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator
from typing import Any

import gradio as gr

from hf_cushing.app import pictures, texts
from hf_cushing.app.model_report import tested
from hf_cushing.app.page import AT_ONCE, Page, Upload, Words, fault, opened
from hf_cushing.evaluation.operating_points import RULES
from hf_cushing.evaluation.subgroups import SubgroupReport
from hf_cushing.faces.photo import PhotoError
from hf_cushing.predict.answer import (
    UNCERTAIN,
    Look,
    Reading,
    look,
    patients_behind,
    read_photos,
    uncertain_band,
)
from hf_cushing.predict.model import ERROR_RATE, Service
from hf_cushing.schema import CONTROL

WHO = {"female": "women", "male": "men"}


def photo_tab(page: Page, accepted: gr.State, language: gr.Radio) -> None:
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
        sent: Any, sex: str, heatmap: bool, accepted: bool, language: str
    ) -> tuple[None, str]:
        files = page.uploads(sent)
        words = texts.LANGUAGES[language]
        if not accepted:
            return None, fault(words["refused"])
        return None, photo_page(page.service, files[0], sex=sex, heatmap=heatmap, words=words)

    photo.upload(
        judge,
        [photo, sex, heatmap, accepted, language],
        [photo, result],
        preprocess=False,
        api_visibility="private",
        concurrency_id="photo",
        concurrency_limit=AT_ONCE,
        show_progress_on=[result],
    )


def photo_page(service: Service, file: Upload, *, sex: str, heatmap: bool, words: Words) -> str:
    """All about one photo, or why it can't be judged."""
    photo = opened(file)
    reading = next(read_photos(service, [photo], [sex]))
    if isinstance(reading, PhotoError):
        return fault(words[reading.reason])
    seen = look(service, reading) if heatmap else None
    parts = [
        _answer(reading, words),
        *(_probability(service, reading, label, words) for label in service.diseases),
        _pictures(pictures.marked_photo(photo, reading.face), reading, seen, words),
        f"<h2>{words['means']}</h2>",
        _list(_meaning(service, reading, words)),
    ]
    parts += [_regions(service, reading, seen, words)] if seen else []
    return f'<div class="reading">{"".join(parts)}</div>'


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def _answer(reading: Reading, words: Words) -> str:
    kind = {UNCERTAIN: "uncertain", CONTROL: "control"}.get(reading.answer, "called")
    text = words[f"answer_{kind}"].format(disease=texts.disease_name(reading.answer, words))
    return f'<p class="answer {kind}" role="status">{html.escape(text)}</p>'


def _probability(service: Service, reading: Reading, label: str, words: Words) -> str:
    """Sentence, scale and legend of one disease."""
    value, threshold = reading.probabilities[label], reading.thresholds[label]
    low, high = 0.0, 0.0
    if len(service.labels) == 2:
        low, high = uncertain_band(service, label, reading.sex)
    shown = {
        "value": texts.percent(value),
        "threshold": texts.percent(threshold),
        "low": texts.percent(low),
        "high": texts.percent(high),
    }
    band = words["gauge_band"].format(**shown) if high > low else ""
    scale = words["gauge"].format(band=band, **shown)
    legend = [("value", words["legend_value"])]
    legend.append(("point", words["legend_threshold"].format(**shown)))
    legend += [("band", words["legend_band"].format(**shown))] if high > low else []
    sentence = words["probability"].format(
        disease=html.escape(texts.disease_name(label, words)), value=f"<b>{shown['value']}</b>"
    )
    spans = "".join(f'<span class="{kind}">{html.escape(text)}</span>' for kind, text in legend)
    return (
        f"<div><p>{sentence}</p>{pictures.gauge(value, threshold, (low, high), scale)}"
        f'<div class="legend">{spans}</div></div>'
    )


def _pictures(marked: Any, reading: Reading, seen: Look | None, words: Words) -> str:
    caption = words["seen_short"]
    if reading.face.others:
        caption += ". " + words["other_faces"].format(count=reading.face.others)
    figures = pictures.picture(marked, words["seen"], caption)
    if seen:
        heated = pictures.heated(reading.crop, seen.heat)
        figures += pictures.picture(heated, words["heat"], words["heat_short"])
    return f'<div class="pictures">{figures}</div>'


def _meaning(service: Service, reading: Reading, words: Words) -> Iterator[str]:
    """What the answer means and what it does not."""
    label = reading.disease if reading.answer in (UNCERTAIN, CONTROL) else reading.answer
    disease = html.escape(texts.disease_name(label, words))
    kind = {UNCERTAIN: "uncertain", CONTROL: "control"}.get(reading.answer, "called")
    threshold = texts.percent(reading.thresholds[label])
    yield words[f"means_{kind}"].format(threshold=threshold)
    point = service.point(label, reading.sex)
    if point:
        rule = RULES.get(point.rule) or point.rule.replace(":", " ")
        facts = {"rule": rule, "code": point.rule, "split": point.split}
        yield html.escape(words["point_from"].format(**facts))
    else:
        yield words["no_point"]
    yield _band_sentence(service, reading, words)
    yield from _rates(service, reading, label, words)
    if label in service.shares:
        share = texts.percent(service.shares[label])
        yield words["prevalence"].format(share=share, disease=disease)
    if not service.calibrated:
        yield words["uncalibrated"]


def _band_sentence(service: Service, reading: Reading, words: Words) -> str:
    if service.limits is None:
        return words["band_none"]
    patients = patients_behind(service, reading.sex)
    few = patients < math.ceil(1 / ERROR_RATE - 1 - 1e-9)
    told = words["band_few" if few else "band_from"].format(
        patients=patients, share=texts.percent(1 - ERROR_RATE)
    )
    return f"{told} {words['state_sex']}" if few and reading.sex not in WHO else told


def _rates(service: Service, reading: Reading, label: str, words: Words) -> Iterator[str]:
    """How often the model was right on test photos of this sex; nothing where that isn't known."""
    report = tested(service.folder)
    group = reading.sex if reading.sex in WHO else "all"
    rows: list[SubgroupReport] = report.subgroups if report else []
    row = next((r for r in rows if (r.label, r.subgroup, r.unit) == (label, group, "photo")), None)
    if row is None:
        return
    who = words[WHO.get(group, "all")]
    if row.size == "insufficient":
        yield words["rate_few"].format(who=who)
        return
    values = {name: row.values[name] for name in ("recall", "specificity")}
    shown = {name: texts.percent(v.estimate) for name, v in values.items()}
    shown |= {
        f"{name}_range": f"{texts.percent(v.low)} – {texts.percent(v.high)}"
        for name, v in values.items()
    }
    yield words["rate"].format(count=row.positives, others=row.negatives, who=who, **shown)


def _regions(service: Service, reading: Reading, seen: Look, words: Words) -> str:
    title = f"<h2>{words['regions']}</h2>"
    if not seen.shares:
        return f"{title}<p>{words['no_regions']}</p>"
    names = texts.region_names(words)
    full = max(*seen.shares.values(), *seen.areas.values()) or 1.0
    order = sorted(seen.shares, key=lambda name: -seen.shares[name])
    body = [
        [
            html.escape(names[name]),
            pictures.bar(seen.shares[name], seen.areas[name], full),
            texts.percent(seen.areas[name]),
        ]
        for name in order
    ]
    header = [words["region"], words["share"], words["area"]]
    disease = html.escape(texts.disease_name(reading.disease, words))
    note = words["region_note"].format(method=service.method, disease=disease)
    note += " " + words["judged" if service.judged else "not_judged"]
    return f"{title}{pictures.table(header, body, caption=words['regions'])}<p>{note}</p>"
