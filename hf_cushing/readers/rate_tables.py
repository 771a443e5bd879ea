"""Tables of a reader study: how often right, on average, by sex, and beside the model."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hf_cushing.evaluation.subgroups import Value
from hf_cushing.readers.effects import MEAN, Effect
from hf_cushing.readers.rates import (
    GAPS,
    GROUP,
    MAJORITY,
    METRIC_NAMES,
    MODEL,
    READER,
    SHOWN,
    Rates,
    SexGap,
)
from hf_cushing.readers.report import ReaderReport
from hf_cushing.readers.table import READS
from hf_cushing.readers.verdicts import ALL
from hf_cushing.reports.table import Table, interval_text, number_text, p_text
from hf_cushing.stats.intervals import INSUFFICIENT, WIDE
from hf_cushing.stats.mrmc import FIXED_READERS, RANDOM
from hf_cushing.stats.reader_scores import FIGURES, MatchedPoint

ABOUT = {RANDOM: "other readers", FIXED_READERS: "these readers"}
"""Whom an analysis is about, in the words of the tables; other patients in both."""

ORDER = (MODEL, MAJORITY, GROUP, READER)


def _sorted(report: ReaderReport, read: int, subgroup: str = "all") -> list[Rates]:
    """The model and everybody in one read."""
    rows = [row for row in report.rates if row.subgroup == subgroup and row.read in (0, read)]
    return sorted(rows, key=lambda row: ORDER.index(row.kind))


def read_word(read: int) -> str:
    """``alone``, ``with the model``, or a dash for the model itself."""
    return READS.get(read, "–")


def value_text(value: Value) -> str:
    """Two digits and the interval; a dash where undefined."""
    if math.isnan(value.estimate):
        return "–"
    return interval_text(value.estimate, value.low, value.high, 2)


def performance_table(report: ReaderReport, read: int) -> Table:
    """Everybody in one read, and the model."""
    body = [
        [row.name, row.level or "–",
         f"{row.positive_patients} / {row.negative_patients}", row.size,
         *(value_text(row.values[metric]) for metric in SHOWN)]
        for row in _sorted(report, read)
    ]  # fmt: skip
    header = ["who", "level", "patients (+ / −)", "sample",
              *(METRIC_NAMES.get(metric, metric) for metric in SHOWN)]  # fmt: skip
    thresholds = ", ".join(f"{p.threshold:.3f} ({p.rule} on {p.split})" for p in report.points)
    notes = [
        "95 % intervals, by patient (Wilson on the effective number of answers; AUROC by DeLong, "
        "clustered): for these readers and other patients. For other readers too, see the averages "
        "below. Levels were not tested against each other.",
        f"Model's threshold {thresholds}. Accuracy and F1 depend on the share of sick people among "
        "the photos read, which is not that of a clinic.",
        f"Insufficient: fewer than {INSUFFICIENT} patients with or without {report.label}, no "
        f"statement is supported; wide: fewer than {WIDE}. All readers and levels: all their "
        "answers together. Repeats count only in agreement.",
        *_tie_notes(report, read),
    ]
    title = f"{report.label}: how often right, readers {read_word(read)}"
    return Table(f"performance_{read}", title, header, body, notes)


def _tie_notes(report: ReaderReport, read: int) -> Iterator[str]:
    rows = [row for row in _sorted(report, read) if row.kind == MAJORITY]
    if rows:
        ties = "; ".join(f"{row.name}: {row.tied}" for row in rows)
        yield f"A tie is no majority, and is left out rather than decided for a side. Ties: {ties}."


def sexes_table(report: ReaderReport) -> Table:
    """Sensitivity and specificity by sex of the patient, with the difference; first read."""
    first = report.reads[0]
    gaps = {(gap.kind, gap.name, gap.read, gap.metric): gap for gap in report.gaps}
    body = []
    for row in _sorted(report, first, "female"):
        pair = [gaps.get((row.kind, row.name, row.read, metric)) for metric in GAPS]
        cells = [cell for gap in pair for cell in _gap_cells(gap)]
        body.append([row.name, pair[0].size if pair[0] else "insufficient", *cells])
    names = [name for metric in map(METRIC_NAMES.get, GAPS, GAPS) for name in
             (f"{metric}, women", "men", "women − men")]  # fmt: skip
    notes = [
        "By sex of the patient. 95 % intervals, by patient; of the difference from both (Zou and "
        "Donner), women and men being different people. Many intervals, none corrected: one in "
        "twenty excludes 0 by chance.",
        "tables/rates.csv has every figure, of both reads.",
    ]
    title = f"{report.label}: women and men, readers {read_word(first)}"
    return Table("by_sex", title, ["who", "sample", *names], body, notes)


def _gap_cells(gap: SexGap | None) -> list[str]:
    if gap is None:
        return ["–", "–", "–"]
    told = interval_text(gap.gap, gap.low, gap.high, 2)
    return [value_text(gap.women), value_text(gap.men), told]


def sexes_counted_table(report: ReaderReport) -> Table:
    """What depends on the share of the sick, by sex: groups, their majorities and the model."""
    first = report.reads[0]
    men = {(row.kind, row.name): row for row in _sorted(report, first, "male")}
    body = []
    for row in _sorted(report, first, "female"):
        if row.kind == READER and len(report.readers) > 1:
            continue
        other = men.get((row.kind, row.name))
        cells = [
            "–" if side is None else value_text(side.values[metric])
            for metric in ("accuracy", "f1")
            for side in (row, other)
        ]
        sizes = [f"{side.positive_patients} / {side.negative_patients}" if side else "–"
                 for side in (row, other)]  # fmt: skip
        body.append([row.name, *sizes, *cells])
    names = [name for metric in ("accuracy", "F1") for name in (f"{metric}, women", "men")]
    header = ["who", "women (+ / −)", "men (+ / −)", *names]
    notes = [
        "Accuracy and F1 of women and men differ already where the share of the sick does; compare "
        "sensitivity and specificity. Single readers: tables/rates.csv."
    ]
    title = f"{report.label}: women and men, accuracy and F1, readers {read_word(first)}"
    return Table("by_sex_more", title, header, body, notes)


def rates_table(report: ReaderReport) -> Table:
    """Every figure of everybody in both reads, one a line."""
    body = [
        [row.kind, row.name, row.level, read_word(row.read), row.subgroup, str(row.answers),
         str(row.positive_patients), str(row.negative_patients), row.size, metric,
         *(_plain(value) for value in (found.estimate, found.low, found.high)), found.reason]
        for row in report.rates
        for metric, found in row.values.items()
    ]  # fmt: skip
    header = ["kind", "who", "level", "read", "subgroup", "answers", "positive_patients",
              "negative_patients", "sample", "metric", "estimate", "low", "high",
              "reason"]  # fmt: skip
    return Table("rates", "All rates", header, body, [])


def _plain(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def means_table(report: ReaderReport) -> Table:
    """Averages over readers: a line for each group, read and analysis."""
    lines: dict[tuple[str, str, str], dict[str, Effect]] = {}
    for row in _shown(report):
        if row.question == MEAN:
            lines.setdefault((row.group, row.read, row.analysis), {})[row.metric] = row
    body = [
        [group, read, ABOUT[analysis], _counts(rows), next(iter(rows.values())).size,
         *(_effect_text(rows[metric]) if metric in rows else "–" for metric in FIGURES)]
        for (group, read, analysis), rows in lines.items()
    ]  # fmt: skip
    header = ["readers", "read", "about", "readers × photos", "sample",
              *(METRIC_NAMES.get(metric, metric) for metric in FIGURES)]  # fmt: skip
    notes = [
        "Mean over readers by Obuchowski and Rockette with Hillis's degrees of freedom; 95 % "
        "interval on the log-odds. About other readers and other patients like these, or about "
        "these readers and other patients. Only photos that all of these readers judged.",
    ]
    return Table("means", "Readers on average (multi-reader multi-case)", header, body, notes)


def _shown(report: ReaderReport) -> list[Effect]:
    """Of levels only what is about other readers."""
    return [row for row in report.effects.rows if row.group == ALL or row.analysis == RANDOM]


def _counts(rows: dict[str, Effect]) -> str:
    """Readers and photos; twice where fewer have scores than calls."""
    sizes = {metric: f"{row.readers} × {row.photos}" for metric, row in rows.items()}
    scored, called = sizes.pop("auroc", None), next(iter(sizes.values()), None)
    if scored and called and scored != called:
        return f"{called} (AUROC {scored})"
    return called or scored or "–"


def _effect_text(row: Effect) -> str:
    found = row.estimate
    if not math.isfinite(found.low):
        return f"{found.estimate:.3f} (no interval: {found.reason})"
    return interval_text(found.estimate, found.low, found.high, 3)


def differences_table(report: ReaderReport) -> Table:
    """Readers against the model, and with the model against alone."""
    body = [
        [row.question, row.group, METRIC_NAMES.get(row.metric, row.metric), ABOUT[row.analysis],
         f"{row.readers} × {row.photos}", row.size, number_text(row.first),
         number_text(row.second), _effect_text(row), p_text(row.estimate.p), p_text(row.p_holm)]
        for row in _shown(report)
        if row.question != MEAN
    ]  # fmt: skip
    header = ["question", "readers", "metric", "about", "n × photos", "sample", "first", "second",
              "difference", "p", "p (Holm)"]  # fmt: skip
    notes = [
        "Paired: the same readers on the same photos. Holm over the four metrics of one question, "
        "group and analysis; groups are not corrected for. The model is fixed at its threshold.",
        "With the model: the second read came after the first, so a change may come from looking "
        "twice.",
    ]
    title = "Readers against the model, and alone against with the model"
    return Table("differences", title, header, body, notes)


def matched_table(report: ReaderReport) -> Table:
    """Readers as points beside the model's ROC."""

    def point(found: MatchedPoint, name: str) -> str:
        return interval_text(getattr(found, name), found.low, found.high, 2)

    body = [
        [row.name, row.level or "–", str(row.photos), f"{row.sensitivity:.2f}",
         f"{row.specificity:.2f}", point(row.as_specific, "sensitivity"),
         point(row.as_sensitive, "specificity")]
        for row in report.matched
    ]  # fmt: skip
    header = ["who", "level", "photos", "sensitivity", "specificity",
              "model's sensitivity, as specific", "model's specificity, as sensitive"]  # fmt: skip
    above = sum(row.sensitivity > row.as_specific.sensitivity for row in report.matched)
    notes = [
        f"{read_word(report.reads[0]).capitalize()}. {above} of {len(report.matched)} lie above "
        "the model's curve in this sample. The interval is the model's, for other patients; it "
        "takes the reader's figure for known, so it is no test of the reader.",
    ]
    return Table("matched", "The model at each reader's point", header, body, notes)
