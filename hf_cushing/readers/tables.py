"""The tables of a reader study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import fmean

from hf_cushing.evaluation.subgroups import Value
from hf_cushing.readers.agreement import WEIGHTS
from hf_cushing.readers.descriptions import Case
from hf_cushing.readers.multi_reader import MEAN, Effect
from hf_cushing.readers.rates import GAPS, MAJORITY, METRIC_NAMES, READER, SHOWN, Rates
from hf_cushing.readers.report import ReaderReport
from hf_cushing.readers.study import ALL_READERS, READS
from hf_cushing.reports.table import Table, interval_text, number_text, p_text
from hf_cushing.stats.agreement import ALL_ALIKE, Kappa
from hf_cushing.stats.intervals import INSUFFICIENT, WIDE
from hf_cushing.stats.mrmc import FIXED_READERS, RANDOM
from hf_cushing.stats.reader_scores import FIGURES

ABOUT = {RANDOM: "other readers", FIXED_READERS: "these readers"}
"""Whom an analysis is about, in the words of the tables; other patients in both."""

READ_WORDS = READS | {0: "–"}
"""The model itself has 0."""

HARDEST = 20
"""Photos shown in the table of those that most readers misjudge; the file has all."""


def page_tables(report: ReaderReport) -> list[Table]:
    """The tables of the page; none that is empty."""
    tables = [_performance(report, read) for read in report.reads]
    tables += [
        _by_sex(report), _by_sex_more(report), _means(report), _differences(report),
        _matched(report), _overlap(report), _hardest(report), _agreement(report), _intra(report),
        _times(report), _regions(report),
    ]  # fmt: skip
    return [table for table in tables if table.body]


def full_tables(report: ReaderReport) -> list[Table]:
    """Tables too long for the page: every figure, every pair of readers, every photo."""
    return [_rates(report), _pairs(report), _photos("cases", "All photos", report.cases)]


def _interval(value: Value | Effect | Kappa) -> str:
    return interval_text(value.estimate, value.low, value.high, 2)


def _patients(row: Rates) -> str:
    return f"{row.positive_patients} / {row.negative_patients}"


def _performance(report: ReaderReport, read: int) -> Table:
    """Everybody in one read, and the model."""
    rows = report.rates_in(read)
    body = [
        [row.name, row.level or "–", _patients(row), row.size,
         *(_interval(row.values[metric]) for metric in SHOWN)]
        for row in rows
    ]  # fmt: skip
    header = ["who", "level", "patients (+ / −)", "sample", *(METRIC_NAMES[m] for m in SHOWN)]
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
    ]
    ties = "; ".join(f"{row.name}: {row.tied}" for row in rows if row.kind == MAJORITY)
    about = "A tie is no majority, and is left out rather than decided for a side. Ties"
    notes += [f"{about}: {ties}."] if ties else []
    title = f"{report.label}: how often right, readers {READ_WORDS[read]}"
    return Table(f"performance_{read}", title, header, body, notes)


def _by_sex(report: ReaderReport) -> Table:
    """Sensitivity and specificity by sex of the patient, with the difference; first read."""
    gaps = [gap for gap in report.gaps if gap.read in (0, report.reads[0])]
    body = [
        [pair[0].name, pair[0].size, *(
            text for gap in pair for text in
            (_interval(gap.women), _interval(gap.men), interval_text(gap.gap, gap.low, gap.high, 2))
        )]
        for pair in zip(gaps[::2], gaps[1::2], strict=True)  # one for each of `GAPS`
    ]  # fmt: skip
    header = ["who", "sample", *(name for metric in GAPS for name in
              (f"{METRIC_NAMES[metric]}, women", "men", "women − men"))]  # fmt: skip
    notes = [
        "By sex of the patient. 95 % intervals, by patient; of the difference from both (Zou and "
        "Donner), women and men being different people. Many intervals, none corrected: one in "
        "twenty excludes 0 by chance.",
        "tables/rates.csv has every figure, of both reads.",
    ]
    title = f"{report.label}: women and men, readers {READ_WORDS[report.reads[0]]}"
    return Table("by_sex", title, header, body, notes)


def _by_sex_more(report: ReaderReport) -> Table:
    """What depends on the share of the sick, by sex: groups, their majorities and the model."""
    first = report.reads[0]
    women, men = (
        {(row.kind, row.name): row for row in report.rates_in(first, subgroup=sex)
         if row.kind != READER or len(report.readers) == 1}
        for sex in ("female", "male")
    )  # fmt: skip
    body = [
        [women[who].name, _patients(women[who]), _patients(men[who]),
         *(_interval(sex[who].values[metric]) for metric in ("accuracy", "f1")
           for sex in (women, men))]
        for who in women if who in men
    ]  # fmt: skip
    header = ["who", "women (+ / −)", "men (+ / −)", "accuracy, women", "men", "F1, women", "men"]
    notes = [
        "Accuracy and F1 of women and men differ already where the share of the sick does; compare "
        "sensitivity and specificity. Single readers: tables/rates.csv."
    ]
    title = f"{report.label}: women and men, accuracy and F1, readers {READ_WORDS[first]}"
    return Table("by_sex_more", title, header, body, notes)


def _rates(report: ReaderReport) -> Table:
    """Every figure of everybody in both reads, one a line."""
    body = [
        [row.kind, row.name, row.level, READ_WORDS[row.read], row.subgroup, str(row.answers),
         str(row.positive_patients), str(row.negative_patients), row.size, metric,
         *(f"{number:.6g}" if math.isfinite(number) else ""
           for number in (value.estimate, value.low, value.high)), value.reason]
        for row in report.rates
        for metric, value in row.values.items()
    ]  # fmt: skip
    header = ["kind", "who", "level", "read", "subgroup", "answers", "positive_patients",
              "negative_patients", "sample", "metric", "estimate", "low", "high",
              "reason"]  # fmt: skip
    return Table("rates", "All rates", header, body, [])


def _shown_effects(report: ReaderReport) -> Iterator[Effect]:
    """Of levels only what is about other readers."""
    return (row for row in report.effects if row.group == ALL_READERS or row.analysis == RANDOM)


def _means(report: ReaderReport) -> Table:
    """Averages over readers: a line for each group, read and analysis."""
    lines: dict[tuple[str, str, str], dict[str, Effect]] = {}
    for row in _shown_effects(report):
        if row.question == MEAN:
            lines.setdefault((row.group, row.read, row.analysis), {})[row.metric] = row
    body = [
        [group, read, ABOUT[analysis],
         ", ".join(dict.fromkeys(f"{row.readers} × {row.photos}" for row in rows.values())),
         next(iter(rows.values())).size,
         *(_effect_text(rows[metric]) if metric in rows else "–" for metric in FIGURES)]
        for (group, read, analysis), rows in lines.items()
    ]  # fmt: skip
    header = ["readers", "read", "about", "readers × photos", "sample",
              *(METRIC_NAMES[metric] for metric in FIGURES)]  # fmt: skip
    notes = [
        "Mean over readers by Obuchowski and Rockette with Hillis's degrees of freedom; 95 % "
        "interval on the log-odds. About other readers and other patients like these, or about "
        "these readers and other patients. Only photos that all of these readers judged; two "
        "counts where fewer have scores than calls.",
    ]
    return Table("means", "Readers on average (multi-reader multi-case)", header, body, notes)


def _effect_text(row: Effect) -> str:
    estimate = row.estimate
    if not math.isfinite(estimate.low):
        return f"{estimate.estimate:.3f} (no interval: {estimate.reason})"
    return interval_text(estimate.estimate, estimate.low, estimate.high)


def _differences(report: ReaderReport) -> Table:
    """Readers against the model, and with the model against alone."""
    body = [
        [row.question, row.group, METRIC_NAMES[row.metric], ABOUT[row.analysis],
         f"{row.readers} × {row.photos}", row.size, number_text(row.first),
         number_text(row.second), _effect_text(row), p_text(row.estimate.p), p_text(row.p_holm)]
        for row in _shown_effects(report)
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


def _matched(report: ReaderReport) -> Table:
    """Readers as points beside the model's ROC."""
    body = []
    for row in report.matched:
        one, other = row.as_specific, row.as_sensitive
        body.append([row.name, row.level or "–", str(row.photos), f"{row.sensitivity:.2f}",
                     f"{row.specificity:.2f}",
                     interval_text(one.sensitivity, one.low, one.high, 2),
                     interval_text(other.specificity, other.low, other.high, 2)])  # fmt: skip
    header = ["who", "level", "photos", "sensitivity", "specificity",
              "model's sensitivity, as specific", "model's specificity, as sensitive"]  # fmt: skip
    above = sum(row.sensitivity > row.as_specific.sensitivity for row in report.matched)
    notes = [
        f"{READ_WORDS[report.reads[0]].capitalize()}. {above} of {len(report.matched)} lie above "
        "the model's curve in this sample. The interval is the model's, for other patients; it "
        "takes the reader's figure for known, so it is no test of the reader.",
    ]
    return Table("matched", "The model at each reader's point", header, body, notes)


def _overlap(report: ReaderReport) -> Table:
    """Readers against the model, photo by photo."""
    body = []
    for row in report.overlaps:
        one, sick, well = (row.errors[part] for part in ("everyone", "diseased", "healthy"))
        body.append([
            row.name, row.level or "–", str(row.photos), str(one.both_right), str(one.first_only),
            str(one.second_only), str(one.both_wrong), p_text(one.p), p_text(row.p_holm),
            f"{sick.second_only} / {sick.first_only} / {sick.both_wrong}",
            f"{well.second_only} / {well.first_only} / {well.both_wrong}",
        ])  # fmt: skip
    header = ["who", "level", "photos", "both right", "reader only", "model only", "both wrong",
              "p", "p (Holm)", "missed (r / m / both)", "false alarms (r / m / both)"]  # fmt: skip
    notes = [
        f"{READ_WORDS[report.reads[0]].capitalize()}, against the model. McNemar's exact test by "
        "patient of who is right more often; Holm over all lines. Missed and false alarms: by the "
        "reader only, by the model only, by both.",
    ]
    return Table("overlap", "Who misses what", header, body, notes)


def _photos(name: str, title: str, cases: Iterable[Case], *notes: str) -> Table:
    """One line a photo."""
    header = ["photo", "truth", "sex", "read", "readers right", "model's probability", "model"]
    body = [
        [c.photo_id, c.truth, c.sex, READ_WORDS[c.read], f"{c.right} of {c.readers}",
         f"{c.model_score:.3f}", "right" if c.model_right else "wrong"]
        for c in cases
    ]  # fmt: skip
    return Table(name, title, header, body, [*notes])


def _hardest(report: ReaderReport) -> Table:
    """Photos that most readers misjudge."""
    cases = [c for c in report.cases if c.read == report.reads[0]]
    hard = [c for c in cases if c.right < c.readers / 2]
    return _photos(
        "hardest", "Photos that most readers misjudge", hard[:HARDEST],
        f"{len(hard)} of {len(cases)} photos are misjudged by most readers; the model is right on "
        f"{sum(c.model_right for c in hard)} of these. At most {HARDEST} are shown; "
        "tables/cases.csv has all. Chosen by looking at the answers, so no test is made of them.",
    )  # fmt: skip


def _kappa(kappa: Kappa | None) -> str:
    if kappa and math.isnan(kappa.estimate):
        return "undefined: all answers alike" if kappa.reason == ALL_ALIKE else kappa.reason
    return _interval(kappa) if kappa else "–"


def _agreement(report: ReaderReport) -> Table:
    """Between readers."""
    body = []
    for row in report.fleiss:
        inside = {n for n, level in report.readers.items() if row.group in (ALL_READERS, level)}
        pairs = [p for p in report.pairs if p.read == row.read and p.first in inside]
        between = [p for p in pairs if p.second in inside]
        body.append([
            row.group, READ_WORDS[row.read], str(row.readers), str(row.kappa.photos), row.size,
            _kappa(row.kappa), _range(p.calls for p in between),
            _range(p.scores for p in between if p.scores),
            _range(p.calls for p in pairs if p.with_model),
        ])  # fmt: skip
    header = ["readers", "read", "n", "photos", "sample", "Fleiss' kappa (calls)",
              "Cohen's, pairs (calls)", "weighted, pairs (scores)", "with the model"]  # fmt: skip
    notes = [
        "Fleiss' kappa with a 95 % interval by patient, on photos that all of these readers "
        "judged; Cohen's as mean over pairs and their range, without an interval, as pairs share "
        "readers. Every pair with its interval: tables/pairs.csv.",
    ]
    if report.scale:
        scale = f"{report.scale[0]:g} to {report.scale[-1]:g}"
        notes.append(f"Weighted: {WEIGHTS} in the steps of the scores, {scale}.")
    return Table("agreement", "Agreement between readers", header, body, notes)


def _range(kappas: Iterable[Kappa]) -> str:
    known = [kappa.estimate for kappa in kappas if math.isfinite(kappa.estimate)]
    return f"{fmean(known):.2f} ({min(known):.2f} to {max(known):.2f})" if known else "–"


def _pairs(report: ReaderReport) -> Table:
    """Every pair of readers, and of reader and model."""
    body = [
        [p.first, p.second, READ_WORDS[p.read], str(p.calls.photos), _kappa(p.calls),
         _kappa(p.scores)]
        for p in report.pairs
    ]  # fmt: skip
    header = ["first", "second", "read", "photos", "Cohen's kappa (calls)", "weighted (scores)"]
    return Table("pairs", "Pairs of readers", header, body, [])


def _intra(report: ReaderReport) -> Table:
    """Of readers with themselves."""
    body = [
        [row.name, row.level or "–", READ_WORDS[row.read], str(row.calls.same.photos),
         interval_text(row.calls.same.estimate, row.calls.low, row.calls.high, 2),
         _kappa(row.calls.kappa), _kappa(row.scores)]
        for row in report.intra
    ]  # fmt: skip
    header = ["who", "level", "read", "repeated photos", "same call", "kappa (calls)",
              "weighted kappa (scores)"]  # fmt: skip
    notes = [
        "Photos shown twice to one reader. With few repeats the intervals say little. All readers: "
        "their repeats together, by patient."
    ]
    return Table("intra", "Agreement of readers with themselves", header, body, notes)


def _times(report: ReaderReport) -> Table:
    """Seconds a case."""
    body = [
        [row.name, row.level or "–", READ_WORDS[row.read], str(row.answers), str(row.untimed),
         f"{row.median:.1f} ({row.lower:.1f}–{row.upper:.1f})"]
        for row in report.times
    ]  # fmt: skip
    header = ["who", "level", "read", "timed", "without time", "seconds: median (quartiles)"]
    notes = ["Described, not tested. Groups: all answers of their readers together."]
    return Table("times", "Time a case", header, body, notes)


def _regions(report: ReaderReport) -> Table:
    """What was ticked."""
    body = [
        [row.region, str(row.ticked), _interval(row.diseased), _interval(row.healthy)]
        for row in report.regions
    ]
    header = ["region", "times ticked", f"of photos with {report.label}", "of the others"]
    notes = ["Share of answers by readers who ticked regions at all; 95 % by patient."]
    return Table("regions", "Parts of the face that readers ticked", header, body, notes)
