"""Tables of a reader study: who misses what, agreement, time and regions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hf_cushing.readers.agreement import WEIGHTS
from hf_cushing.readers.rate_tables import read_word, value_text
from hf_cushing.readers.report import ReaderReport
from hf_cushing.readers.verdicts import ALL
from hf_cushing.reports.table import Table, interval_text, p_text
from hf_cushing.stats.agreement import ALL_ALIKE, Kappa

HARDEST = 20
"""Photos shown in the table of those that most readers misjudge; the file has all."""


def overlap_table(report: ReaderReport) -> Table:
    """Readers against the model, photo by photo."""
    body = []
    for row in report.overlaps:
        one, sick, well = row.found.everyone, row.found.diseased, row.found.healthy
        counts = [one.both_right, one.first_only, one.second_only, one.both_wrong]
        missed = [sick.second_only, sick.first_only, sick.both_wrong]
        alarms = [well.second_only, well.first_only, well.both_wrong]
        body.append([row.name, row.level or "–", str(row.photos),
                     *(str(count) for count in counts), p_text(one.p), p_text(row.p_holm),
                     " / ".join(map(str, missed)), " / ".join(map(str, alarms))])  # fmt: skip
    header = ["who", "level", "photos", "both right", "reader only", "model only", "both wrong",
              "p", "p (Holm)", "missed (r / m / both)", "false alarms (r / m / both)"]  # fmt: skip
    notes = [
        f"{read_word(report.reads[0]).capitalize()}, against the model. McNemar's exact test by "
        "patient of who is right more often; Holm over all lines. Missed and false alarms: by the "
        "reader only, by the model only, by both.",
    ]
    return Table("overlap", "Who misses what", header, body, notes)


CASE_HEADER = ["photo", "truth", "sex", "read", "readers right", "model's probability", "model"]


def _case_rows(report: ReaderReport) -> list[list[str]]:
    rows = sorted(report.cases, key=lambda c: (c.read, c.right / c.readers, c.photo_id))
    return [
        [c.photo_id, c.truth, c.sex, read_word(c.read), f"{c.right} of {c.readers}",
         f"{c.model_score:.3f}", "right" if c.model_right else "wrong"]
        for c in rows
    ]  # fmt: skip


def cases_table(report: ReaderReport) -> Table:
    """Every photo."""
    return Table("cases", "All photos", CASE_HEADER, _case_rows(report), [])


def hardest_table(report: ReaderReport) -> Table:
    """Photos that most readers misjudge."""
    cases = [c for c in report.cases if c.read == report.reads[0]]
    hard = [c for c in cases if c.right < c.readers / 2]
    model = sum(c.model_right for c in hard)
    notes = [
        f"{len(hard)} of {len(cases)} photos are misjudged by most readers; the model is right on "
        f"{model} of these. At most {HARDEST} are shown; tables/cases.csv has all. Chosen by "
        "looking at the answers, so no test is made of them.",
    ]
    body = _case_rows(report)[: min(HARDEST, len(hard))]
    return Table("hardest", "Photos that most readers misjudge", CASE_HEADER, body, notes)


def _kappa(kappa: Kappa | None) -> str:
    if kappa is None:
        return "–"
    if math.isnan(kappa.estimate):
        return "undefined: all answers alike" if kappa.reason == ALL_ALIKE else kappa.reason
    return interval_text(kappa.estimate, kappa.low, kappa.high, 2)


def agreement_table(report: ReaderReport) -> Table:
    """Between readers."""
    found = report.agreement
    body = []
    for row in found.fleiss:
        inside = {n for n, level in report.readers.items() if row.group in (ALL, level)}
        pairs = [p for p in found.pairs if p.read == row.read and p.first in inside]
        between = [p for p in pairs if not p.with_model and p.second in inside]
        sides = [
            [p.calls.estimate for p in between],
            [p.scores.estimate for p in between if p.scores],
            [p.calls.estimate for p in pairs if p.with_model],
        ]
        body.append([row.group, read_word(row.read), str(row.readers), str(row.kappa.photos),
                     row.size, _kappa(row.kappa), *(_range(side) for side in sides)])  # fmt: skip
    header = ["readers", "read", "n", "photos", "sample", "Fleiss' kappa (calls)",
              "Cohen's, pairs (calls)", "weighted, pairs (scores)", "with the model"]  # fmt: skip
    scale = f"{found.scale[0]:g} to {found.scale[-1]:g}" if found.scale else ""
    notes = [
        "Fleiss' kappa with a 95 % interval by patient, on photos that all of these readers "
        "judged; Cohen's as mean over pairs and their range, without an interval, as pairs share "
        "readers. Every pair with its interval: tables/pairs.csv.",
        *([f"Weighted: {WEIGHTS} in the steps of the scores, {scale}."] if scale else []),
    ]
    return Table("agreement", "Agreement between readers", header, body, notes)


def _range(values: Sequence[float]) -> str:
    known = np.array([value for value in values if math.isfinite(value)])
    if not len(known):
        return "–"
    return f"{known.mean():.2f} ({known.min():.2f} to {known.max():.2f})"


def pairs_table(report: ReaderReport) -> Table:
    """Every pair of readers, and of reader and model."""
    body = [
        [
            p.first,
            p.second,
            read_word(p.read),
            str(p.calls.photos),
            _kappa(p.calls),
            _kappa(p.scores),
        ]
        for p in report.agreement.pairs
    ]
    header = ["first", "second", "read", "photos", "Cohen's kappa (calls)", "weighted (scores)"]
    return Table("pairs", "Pairs of readers", header, body, [])


def intra_table(report: ReaderReport) -> Table:
    """Of readers with themselves."""
    body = [
        [row.name, row.level or "–", read_word(row.read), str(row.calls.same.photos),
         interval_text(row.calls.same.estimate, row.calls.low, row.calls.high, 2),
         _kappa(row.calls.kappa), _kappa(row.scores)]
        for row in report.agreement.intra
    ]  # fmt: skip
    header = ["who", "level", "read", "repeated photos", "same call", "kappa (calls)",
              "weighted kappa (scores)"]  # fmt: skip
    notes = [
        "Photos shown twice to one reader. With few repeats the intervals say little. All readers: "
        "their repeats together, by patient."
    ]
    return Table("intra", "Agreement of readers with themselves", header, body, notes)


def times_table(report: ReaderReport) -> Table:
    """Seconds a case."""
    body = [
        [row.name, row.level or "–", read_word(row.read), str(row.answers), str(row.untimed),
         f"{row.median:.1f} ({row.lower:.1f}–{row.upper:.1f})"]
        for row in report.times
    ]  # fmt: skip
    header = ["who", "level", "read", "timed", "without time", "seconds: median (quartiles)"]
    notes = ["Described, not tested. Groups: all answers of their readers together."]
    return Table("times", "Time a case", header, body, notes)


def regions_table(report: ReaderReport) -> Table:
    """What was ticked."""
    body = [
        [row.region, str(row.ticked), value_text(row.diseased), value_text(row.healthy)]
        for row in report.regions
    ]
    header = ["region", "times ticked", f"of photos with {report.label}", "of the others"]
    notes = ["Share of answers by readers who ticked regions at all; 95 % by patient."]
    return Table("regions", "Parts of the face that readers ticked", header, body, notes)
