"""What is said of one photo: the answer, whom it was measured on, and the rest folded."""

from __future__ import annotations

import html
from collections.abc import Iterator

import numpy as np

from hf_cushing.app import pictures, texts
from hf_cushing.app.page import Words
from hf_cushing.app.seen import Seen
from hf_cushing.evaluation.at_prevalence import percent_text, predictive_values, shifted_probability
from hf_cushing.evaluation.subgroups import SubgroupReport, Value
from hf_cushing.predict.answer import Answer
from hf_cushing.predict.decision import UNCERTAIN
from hf_cushing.run import ERROR_RATE, Run
from hf_cushing.schema import CONTROL, KNOWN_SEXES

EVERYTHING = (0.0, 1.0)
"""A band that leaves no answer: said in words, not drawn."""

MOST = 0.5
"""Share of the heatmap off the face from which the page warns."""


def photo_page(seen: Seen, sex: str, *, heatmap: bool, share: float | None, words: Words) -> str:
    """All about one photo, as HTML.

    Parameters
    ----------
    seen : Seen
    sex : str
        ``unknown`` gives the answer for a woman and that for a man, side by side.
    heatmap : bool
    share : float or None
        Per cent who have the disease among those to be asked about; None leaves it out.
    words : dict
    """
    sexes = KNOWN_SEXES if sex == "unknown" else (sex,)
    answers = [seen.model.predictor.for_sex(seen.answer, each) for each in sexes]
    both = len(answers) > 1
    cards = "".join(_card(seen, answer, share, words, headed=both) for answer in answers)
    meanings = "".join(_meaning(seen.model.run, answer, words, headed=both) for answer in answers)
    parts = [
        f"<p>{html.escape(words['both'])}</p>" if both else "",
        f'<div class="sides" role="status">{cards}</div>',
        *_warnings(seen, words, heatmap=heatmap),
        _pictures(seen, words, heatmap=heatmap),
        pictures.fold(words["means"], meanings),
        pictures.fold(words["regions"], _regions(seen, words)) if heatmap else "",
    ]
    return f'<div class="reading">{"".join(parts)}</div>'


def _kind(answer: Answer) -> str:
    """``uncertain``, ``control`` or ``called``."""
    return answer.label if answer.label in (UNCERTAIN, CONTROL) else "called"


def _title(answer: Answer, words: Words, *, headed: bool) -> str:
    return f"<h2>{html.escape(words[f'for_{answer.sex}'])}</h2>" if headed else ""


def _card(seen: Seen, answer: Answer, share: float | None, words: Words, *, headed: bool) -> str:
    """The answer, its scales, and on whom it was measured."""
    kind = _kind(answer)
    text = words[f"answer_{kind}"].format(disease=texts.disease_name(answer.label, words))
    lines = [_reason(answer, words)] if kind == UNCERTAIN else []
    lines += _measured(seen, answer, share, words)
    lines += _shifted(seen.model.run, answer, share, words)
    return (
        f"<section>{_title(answer, words, headed=headed)}"
        f'<p class="answer {kind}">{html.escape(text)}</p>'
        f"{''.join(_probability(answer, label, words) for label in answer.thresholds)}"
        f"{''.join(f'<p>{_unbroken(line)}</p>' for line in lines)}</section>"
    )


def _unbroken(line: str) -> str:
    return html.escape(line).replace(" %", "&nbsp;%")


def _reason(answer: Answer, words: Words) -> str:
    """Why there is no answer, and what the threshold alone would say."""
    called = answer.called or (CONTROL,)
    names = ", ".join(texts.disease_name(label, words) for label in called)
    few = answer.few_patients and answer.band in (None, EVERYTHING)
    why = _few(answer, words) if few else words["means_uncertain"]
    return f"{why} {words['threshold_alone'].format(answer=names)}"


def _few(answer: Answer, words: Words) -> str:
    return texts.few_patients_text(answer.limit_patients, answer.sex, words)


def _probability(answer: Answer, label: str, words: Words) -> str:
    """Sentence, scale and legend of one disease."""
    value, threshold = answer.probabilities[label], answer.thresholds[label]
    low, high = answer.band or (0.0, 0.0)
    banded = high > low and answer.band != EVERYTHING
    shown = {
        "value": texts.percent(value),
        "threshold": texts.percent(threshold),
        "low": texts.percent(low),
        "high": texts.percent(high),
    }
    legend = [("value", words["legend_value"])]
    legend.append(("point", words["legend_threshold"].format(**shown)))
    legend += [("band", words["legend_band"].format(**shown))] if banded else []
    band = words["gauge_band"].format(**shown) if banded else ""
    scale = words["gauge"].format(band=band, **shown)
    sentence = words["probability"].format(
        disease=html.escape(texts.disease_name(label, words)), value=f"<b>{shown['value']}</b>"
    )
    spans = "".join(f'<span class="{kind}">{html.escape(text)}</span>' for kind, text in legend)
    gauge = pictures.gauge(value, threshold, (low, high) if banded else None, scale)
    return f'<div><p>{sentence}</p>{gauge}<div class="legend">{spans}</div></div>'


def _measured(seen: Seen, answer: Answer, share: float | None, words: Words) -> Iterator[str]:
    """How often the threshold was right on test photos of this sex, and what a call is worth."""
    label = answer.label if _kind(answer) == "called" else answer.disease
    known, report = (label, answer.sex, "photo"), seen.model.report
    rows = report.subgroups if report else []
    row = next((r for r in rows if (r.label, r.subgroup, r.unit) == known), None)
    if row is None:
        yield words["rate_none"]
        return
    who = {
        "who": words[texts.GROUPS_OF_SEX[answer.sex]],
        "split": texts.split_name(report.split, words),
        "count": row.positive_patients,
        "others": row.negative_patients,
    }
    if row.size == "insufficient":
        yield words["rate_few"].format(**who)
        return
    shown = {}
    for name in ("recall", "specificity"):
        value = row.values[name]
        shown[name] = texts.percent(value.estimate)
        shown[f"{name}_range"] = texts.interval(value.low, value.high)
    yield words["rate"].format(**who, **shown)
    if share and 0 < share < 100:
        yield _worth(row, share, words)


def _shifted(run: Run, answer: Answer, share: float | None, words: Words) -> Iterator[str]:
    """The photo's probability where `share` per cent have the disease; it must be calibrated."""
    if not share or not 0 < share < 100 or not run.calibrated or len(run.diseases) > 1:
        return
    (label,) = run.diseases
    own = float(np.mean(run.validation.label == label)) if run.validation else 0.0
    if 0 < own < 1:
        value = shifted_probability(answer.probabilities[label], own=own, share=share / 100)
        yield words["shifted"].format(share=f"{share:g} %", value=texts.percent(value))


def _worth(row: SubgroupReport, share: float, words: Words) -> str:
    """Of those called and of those not, how many have the disease where `share` per cent do."""
    ppv, npv = predictive_values(row, share / 100)
    missed = Value(estimate=1 - npv.estimate, low=1 - npv.high, high=1 - npv.low)
    shares = {"ppv": percent_text(ppv, 2), "missed": percent_text(missed, 2)}
    return words["worth"].format(share=f"{share:g} %", **shares)


def _warnings(seen: Seen, words: Words, *, heatmap: bool) -> Iterator[str]:
    remarks = seen.answer.warnings
    lines = [words["example_shown"]] if seen.drawn else []
    # that patients are few, the card says
    lines += [
        texts.remark_text(r, seen.answer.sex, words) for r in remarks if r.reason != "few_patients"
    ]
    off = seen.heat.shares.get("outside", 0.0) if heatmap else 0.0
    lines += [words["heat_off"].format(share=texts.percent(off))] if off > MOST else []
    return (f'<p class="warning" role="note">{html.escape(line)}</p>' for line in lines)


def _pictures(seen: Seen, words: Words, *, heatmap: bool) -> str:
    crop = seen.answer.face.image
    figures = pictures.figure(seen.photo, words["seen"], words["seen_short"])
    figures += pictures.figure(pictures.jpeg_uri(crop), words["crop"], words["crop_short"])
    if heatmap:
        heated = pictures.jpeg_uri(pictures.heated(crop, seen.heat.heat))
        found = seen.heat.heat.any()
        scale = pictures.heat_scale(words["heat_least"], words["heat_most"]) if found else ""
        caption = _heat_caption(seen, words) if found else words["heat_none"]
        figures += pictures.figure(heated, words["heat"], caption, scale)
    return f'<div class="pictures">{figures}</div>'


def _heat_caption(seen: Seen, words: Words) -> str:
    judged = words["judged" if seen.model.judged else "not_judged"]
    return f"{words['heat_short']} {judged}"


def _meaning(run: Run, answer: Answer, words: Words, *, headed: bool) -> str:
    """What the answer means and what it does not."""
    kind = _kind(answer)
    label = answer.label if kind == "called" else answer.disease
    lines = []
    if kind != UNCERTAIN:
        threshold = texts.percent(answer.thresholds[label])
        lines.append(words[f"means_{kind}"].format(threshold=threshold))
    lines.append(texts.point_text(answer.operating_points[label], words))
    lines.append(_band_sentence(answer, words))
    lines.append(words["rate_note"])
    if run.validation:
        share = texts.percent(float(np.mean(run.validation.label == label)))
        disease = texts.disease_name(label, words)
        lines.append(words["prevalence"].format(share=share, disease=disease))
    lines += [] if run.calibrated else [words["uncalibrated"]]
    return _title(answer, words, headed=headed) + pictures.bullets(map(html.escape, lines))


def _band_sentence(answer: Answer, words: Words) -> str:
    if answer.plausible is None:
        return words["band_none"]
    if answer.few_patients:
        return _few(answer, words)
    share = texts.percent(1 - ERROR_RATE)
    return words["band_from"].format(patients=answer.limit_patients, share=share)


def _regions(seen: Seen, words: Words) -> str:
    heat, model = seen.heat, seen.model
    if not heat.shares:
        return f"<p>{words['no_regions']}</p>"
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
    method = words["methods"].get(model.method, model.method)
    disease = texts.disease_name(seen.answer.disease, words)
    note = html.escape(words["region_note"].format(method=method, disease=disease))
    return f"{pictures.table(header, body, caption=words['regions'])}<p>{note}</p>"
