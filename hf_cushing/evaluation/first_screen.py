"""What a report says first, in this order: what was evaluated; is it better than chance; what it
does to people; women and men; what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hf_cushing.config import BASELINES
from hf_cushing.evaluation.at_prevalence import prevalence_sentence
from hf_cushing.evaluation.gaps import Gap
from hf_cushing.evaluation.grades import GRADES, GradeRow
from hf_cushing.evaluation.origin import Origin
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.repeatability import repeatability_verdicts
from hf_cushing.evaluation.subgroup_f1.f1_formula import f1_score
from hf_cushing.evaluation.subgroups import MACRO, SubgroupReport, Value
from hf_cushing.evaluation.wording import expectation, format_value, own_verdict, title_of
from hf_cushing.reports.screen import Section
from hf_cushing.reports.style import STYLES
from hf_cushing.reports.table import interval_text, p_text
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.grade_metrics import ERROR, KAPPA
from hf_cushing.stats.intervals import INSUFFICIENT, wilson
from hf_cushing.stats.paired_metrics import SIGNIFICANT

FEW = f"fewer than {INSUFFICIENT} patients with or without the disease"
ALIKE = 0.95
"""Share of people called the same, from which a threshold decides nothing."""


def first_screen(report: Report) -> list[Section]:
    """Titled sentences that answer first; figures by patient where patients have several photos."""
    sections = [
        Section("What", tuple(_what(report))),
        Section("Chance", tuple(_chance(report))),
        Section("People", tuple(_people(report))),
        Section("Women, men", tuple(_sexes(report))),
        Section("Next", tuple(_next(report))),
    ]
    return [section for section in sections if section.lines]


def diseases_of(report: Report) -> list[str]:
    """All labels but the mean over them; none where the labels are grades."""
    return [] if report.grading else [label for label in report.labels if label != MACRO]


def _what(report: Report) -> Iterator[str]:
    origin = report.origin or Origin()
    method = f", {origin.method}" if origin.method else ""
    yield (
        f"{origin.model}{method}, run {origin.runs or 'not recorded'}; dataset {origin.dataset} "
        f"({origin.dataset_revision or 'revision not recorded'}); day {origin.date}."
    )
    if report.drawn:
        yield "The faces are drawn: they are nobody's, and no figure says anything about patients."
    row = report.subgroups[0]
    counts = "; ".join(
        f"{r.positive_patients} with and {r.negative_patients} without {label}"
        for label in report.labels
        if label != MACRO
        for r in [report.find(label, "all")]
    )
    if report.grading:
        held = _grades(report).grade_patients
        counts = ", ".join(f"{count} {grade}" for grade, count in held.items())
    unit = " Figures by patient, the mean of the photos." if report.units[1:] else ""
    yield f"{row.rows} {report.split} photos of {row.patients} patients: {counts}.{unit}"


def _main(report: Report, label: str, subgroup: str = "all") -> SubgroupReport:
    return report.find(label, subgroup, report.units[-1])


def _chance(report: Report) -> Iterator[str]:
    if report.grading:
        yield _grading_chance(report)
    for label in diseases_of(report):
        row = _main(report, label)
        area, f1 = row.values["auroc"], row.values["f1"]
        if row.size == "insufficient":
            yield f"{label}: not to be told ({FEW}); AUROC {format_value(area, 2)}."
            continue
        better = "better than chance (0.5)" if area.low > 0.5 else (
            "not shown to be better than chance (0.5)"
        )  # fmt: skip
        share = row.positives / row.rows
        constant = float(f1_score(share, 1))
        if area.high < 0.5:
            better = "worse than chance (0.5), the scores run against the truth"
        beaten = "which calling everybody ill does not reach" if f1.low > constant else (
            "which is not shown to be more than calling everybody ill"
        )  # fmt: skip
        yield (
            f"{label}: {better}: AUROC {format_value(area, 2)}. F1 {format_value(f1, 2)}, {beaten} "
            f"({constant:.2f})."
        )
    for row in report.plain.subgroups if report.plain and not report.grading else ():
        if row.subgroup == "all":
            area = format_value(row.values["auroc"], 2)
            yield f"{row.label}, photos as they are, without alignment: AUROC {area} (by photo)."
    for comparison in report.comparisons:
        found = comparison.differences[comparison.primary]
        text = interval_text(found.difference, found.low, found.high)
        yield (
            f"{comparison.label}, by photo, this minus {comparison.other}: "
            f"{title_of(comparison.primary)} {text}: {own_verdict(found)} (p {p_text(found.p)})."
        )
    if report.origin and report.origin.model in BASELINES:
        yield "This is a baseline without a network: what a network must beat."
    elif not report.comparisons:
        yield "Baselines (age and sex, colour, geometry) were not compared here."


def _grading_chance(report: Report) -> str:
    grading, row = report.grading, _grades(report)
    kappa, error = row.values[KAPPA], row.values[ERROR]
    if row.size == "insufficient":
        return f"Not to be told (fewer than {INSUFFICIENT} patients of a grade)."
    better = "Better than chance" if kappa.low > 0 else "Not shown to be better than chance"
    return (
        f"{better} (0): quadratic kappa {format_value(kappa, 2)}. Mean error "
        f"{format_value(error, 2)} grades; calling everybody “{grading.constant}”: "
        f"{grading.constant_error:.2f}."
    )


def _grades(report: Report, subgroup: str = "all") -> GradeRow:
    rows = [row for row in report.grading.rows if row.subgroup == subgroup]
    return rows[-1]


def _people(report: Report) -> Iterator[str]:
    if report.grading:
        row = _grades(report)
        right = sum(row.pairs[n][n] for n in range(len(row.pairs)))
        near = sum(
            count for n, line in enumerate(row.pairs) for m, count in enumerate(line)
            if abs(n - m) <= 1
        )  # fmt: skip
        whole = max(1, sum(map(sum, row.pairs)))
        who = "patients" if row.unit == "patient" else "photos"
        exact, about = (_of_hundred(count / whole, *wilson(count / whole, whole))
                        for count in (right, near))  # fmt: skip
        yield (
            f"Of 100 {who}, {exact} get their grade, {about} their grade or a neighbour (of "
            f"{whole}; by the median grade)."
        )
    for label in diseases_of(report):
        for subgroup in ("all", *KNOWN_SEXES):
            several = len(diseases_of(report)) > 1
            yield people_sentence(_main(report, label, subgroup), label, several=several)
        if report.prevalence:
            yield prevalence_sentence(report, label)


def _of_hundred(share: float, low: float, high: float) -> str:
    return f"{100 * share:.0f} ({100 * low:.0f}–{100 * high:.0f})"


def people_sentence(row: SubgroupReport, label: str, *, several: bool = False) -> str:
    """Of 100 with the disease so many are found, of 100 without so many are called ill.

    With several diseases, who is without this one may well be ill, so it is said otherwise.
    """
    called_ill = "said to have it" if several else "called ill"
    name = STYLES[row.subgroup].name if row.subgroup in KNOWN_SEXES else "people"
    parts = []
    found, right = row.values["recall"], row.values["specificity"]
    for whose, value in (("with", found), ("without", right)):
        if math.isnan(value.estimate):
            parts.append(f"{name} {whose} {label}: none here")
            continue
        called = value if whose == "with" else Value(
            estimate=1 - value.estimate, low=1 - value.high, high=1 - value.low
        )  # fmt: skip
        word = "found" if whose == "with" else called_ill
        whom = f"{name} with {label}" if whose == "with" else "without"
        count = _of_hundred(called.estimate, called.low, called.high)
        parts.append(f"of 100 {whom}, {count} {word}")
    text = "; ".join(parts)
    if row.size == "insufficient":
        text += f": insufficient (fewer than {INSUFFICIENT} with or without it)"
    return f"{text[0].upper()}{text[1:]}."


def _sexes(report: Report) -> Iterator[str]:
    if report.grading:
        gaps = [gap for gap in report.grading.gaps if gap.metric == KAPPA]
        yield from (_sentence(gap, report) for gap in gaps[-1:])
        if not gaps:
            yield "Not to be told: one sex only."
    for label in diseases_of(report):
        gaps = {gap.metric: gap for gap in report.gaps_of(label, report.units[-1])}
        if not gaps:
            yield f"{label}: not to be told: one sex only."
        more = ("recall", "specificity") if len(diseases_of(report)) == 1 else ()
        for metric in dict.fromkeys((report.primary, *more)):
            if metric in gaps:
                text = _sentence(gaps[metric], report)
                yield text if len(report.labels) == 1 else f"{label}, {text}"


def _sentence(gap: Gap, report: Report) -> str:
    return sex_sentence(gap, margin=report.margin, primary=report.primary)


def sex_sentence(gap: Gap, *, margin: float, primary: str) -> str:
    """Whether a difference of women and men is shown, absent (equivalent), or not to be told."""
    holm = gap.metric != primary
    name = "sensitivity" if gap.metric == "recall" else title_of(gap.metric).split(" (")[0]
    name += ", secondary" if holm and gap.label != GRADES else ""
    if math.isnan(gap.gap) or math.isnan(gap.low) or gap.size == "insufficient":
        reason = gap.reason or f"{FEW} in a sex"
        return f"{name}: not to be told ({reason.removeprefix('no interval: ')})."
    text = f"women minus men {interval_text(gap.gap, gap.low, gap.high, 2)}"
    if math.isfinite(gap.beyond):
        beyond = interval_text(gap.beyond, gap.beyond_low, gap.beyond_high, 2)
        text += f", beyond {expectation(gap.label)[1]} {beyond}"
    shown = gap.p_holm < SIGNIFICANT and bool(gap.worse)
    if shown:
        corrected = ", corrected for several metrics" if holm else ""
        return (
            f"{name}: a difference is shown, worse for {STYLES[gap.worse].name}: {text} "
            f"(p {p_text(gap.p_holm)}{corrected})."
        )
    if -margin < gap.low and gap.high < margin:
        return f"{name}: no difference of {margin:g} or more: {text}."
    if gap.worse:
        corrected = f", {p_text(gap.p_holm)} corrected for several metrics" if holm else ""
        return f"{name}: not to be told: {text}, p {p_text(gap.p)}{corrected}."
    detectable = f"; a sample like this finds gaps from {gap.detectable:.2f}"
    return f"{name}: not to be told: {text}{detectable}."


def _next(report: Report) -> Iterator[str]:
    if report.repeatability:
        yield from repeatability_verdicts(report.repeatability)
    rows = [_main(report, label) for label in diseases_of(report)]
    sizes = [row.size for row in rows] or [_grades(report).size]
    pooled = len({point.model_revision for point in report.operating_points}) > 1
    if any(point.split == report.split for point in report.operating_points):
        yield "The threshold was chosen on these very photos, so the figures are too good."
    if "ok" not in sizes and not pooled:
        yield "Test every patient once: train --fold all trains all folds and pools them."
    elif "ok" not in sizes:
        yield "More patients: read the intervals, not the figures."
    for row in rows:
        share = row.values["selection_rate"].estimate
        who, side = ("everybody", "specificity") if share >= ALIKE else ("nobody", "recall")
        # where the disease is rare, or common, such a share may be right
        if (share >= ALIKE or share <= 1 - ALIKE) and row.values[side].estimate < 0.5:
            better = row.values["auroc"].low > 0.5
            remedy = ": choose the threshold by another --threshold-rule" if better else ""
            yield f"Nearly {who} is said to have {row.label}{remedy}."
    learned = [row for row in rows if row.values["auroc"].low > 0.5] if rows else [
        row for row in [_grades(report)] if row.values[KAPPA].low > 0
    ]  # fmt: skip
    if learned:
        yield (
            "What it adds to baselines: hf-cushing compare. Where it looks: hf-cushing explain. "
            "Another clinic: hf-cushing evaluate --dataset."
        )
    elif "insufficient" not in sizes:
        yield "Nothing to interpret yet: see hf-cushing audit, then try another model or recipe."
