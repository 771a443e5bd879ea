"""Tables of a follow-up: words for the pages, numbers for the CSV files."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hf_cushing.faces.regions import GROUPS
from hf_cushing.followup.camera import MEASURES
from hf_cushing.followup.results import Comparison, Followup
from hf_cushing.followup.trend import DIFFERENCE, Estimate, mean_changes
from hf_cushing.followup.verdicts import ONE_VISIT
from hf_cushing.reports.style import STYLES
from hf_cushing.reports.table import Table, interval_text, p_text
from hf_cushing.stats.intervals import LEVEL
from hf_cushing.stats.reliable_change import (
    FELL,
    ROSE,
    STABLE,
    UNKNOWN,
    Change,
    reliable_change,
)

PHOTOS_SHOWN = (1, 2, 3, 5)

SCORE_NUMBERS = ("change", "low", "high", "error", "freedom", "index", "p")
"""Fields of `Change` that ``visits.csv`` has."""


def cohort_tables(followup: Followup, pages: dict[str, str]) -> list[Table]:
    """All tables of the cohort's page; `pages` is the file of each patient's page."""
    changes = [table for name in ("treated", "untreated") for table in _changes(followup, name)]
    tables = [_patients(followup, pages), *changes, _trend(followup)]
    return [*tables, _repeatability(followup)] if followup.spread.known else tables


def _patients(followup: Followup, pages: dict[str, str]) -> Table:
    cohort, body = followup.cohort, []
    for patient, facts in cohort.patients.items():
        last = followup.last.get(patient)
        row = [patient, facts.sex, str(facts.treatment_date or "–"),
               str(len(cohort.rows(patient)))]  # fmt: skip
        row += ["–", "–", "–", "–", ONE_VISIT, "–"] if last is None else [
            str(cohort.day(last.baseline)), str(cohort.day(last.visit)), _change_text(last.score),
            _index_text(last.score.index), last.verdict, _camera_word(last),
        ]  # fmt: skip
        body.append([*row, pages[patient]])
    header = ["patient", "sex", "treatment", "visits", "baseline", "last", "change", "index",
              "verdict", "camera, pose, light", "page"]  # fmt: skip
    notes = [
        "Baseline: the last visit up to the day of treatment; the first, where there is none. "
        "Index: reliable-change index, the change over what it varies by in a stable person. "
        "Camera, pose, light: changed beyond their own repeatability; alarm: more than the score."
    ]
    return Table("patients", "Patients: baseline to last visit", header, body, notes)


def _change_text(change: Change) -> str:
    return interval_text(change.change, change.low, change.high, 2)


def _index_text(index: float) -> str:
    return f"{index:+.2f}" if math.isfinite(index) else "–"


def _camera_word(visit: Comparison) -> str:
    if visit.verdict == UNKNOWN:
        return "not known"
    if visit.alarms.any():
        return "alarm"
    return "changed" if visit.changed.any() else "–"


def _changes(followup: Followup, name: str) -> Iterator[Table]:
    """Mean change of the treated or untreated patients who have a later visit, if any."""
    patients = followup.cohort.patients
    last = {
        patient: visit
        for patient, visit in followup.last.items()
        if (patients[patient].treatment_date is not None) == (name == "treated")
    }
    if not last:
        return
    sexes = np.array([patients[patient].sex for patient in last])
    words = np.array([visit.verdict for visit in last.values()])
    body = []
    for row in mean_changes(np.array([v.score.change for v in last.values()]), sexes):
        own = words if row.group == "all" else words[sexes == row.group]
        counts = [str(np.sum(own == word)) for word in (FELL, ROSE)]
        told = followup.spread.known and row.group != DIFFERENCE
        body.append([*_estimate(row, 2), *(counts if told else ["–", "–"])])
    header = ["", "patients", "mean change", "sample", "reliably fell", "reliably rose"]
    notes = ["Baseline to last visit; 95 % by Student's t, the difference by Welch. "
             "Insufficient: fewer than 10 patients, so no interval."]  # fmt: skip
    title = f"Mean change of the score, {name} patients"
    yield Table(f"change_{name}", title, header, body, notes)


def _estimate(row: Estimate, digits: int) -> list[str]:
    name = STYLES[row.group].name if row.group in STYLES else row.group
    shown = interval_text(row.value, row.low, row.high, digits)
    return [name, str(row.patients), shown, row.size]


def _trend(followup: Followup) -> Table:
    trend = followup.trend
    treated = followup.cohort.treated.any()
    who = "Treated patients, 0 until treatment" if treated else "All patients"
    notes = [
        f"{who}. {trend.effects.capitalize() or 'No model'}"
        + (f" ({trend.reason})." if trend.reason else "."),
        "A straight line in time, by restricted maximum likelihood; every visit mean counts the "
        "same, whatever its photos. Intervals by Student's t on the patients. Look at the figure: "
        "where scores level off, the slope depends on when the last visit was.",
    ]
    if trend.reason and trend.slopes:
        notes.append("Without slopes of the patients' own, the intervals are too narrow.")
    body = [_estimate(row, 3) for row in trend.slopes] or [["–", "–", trend.reason, "–"]]
    notes.append("Patients: those with more than one time; the others say nothing of a slope.")
    header = ["", "patients", "log-odds a month", "sample"]
    return Table("trend", "Mixed model: change of the score in time", header, body, notes)


def _repeatability(followup: Followup) -> Table:
    spread, body = followup.spread, []
    for photos in PHOTOS_SHOWN if spread.photo_freedom else (1,):
        none = reliable_change(0.0, 0.0, photos=(photos, photos), measured=spread)
        within, coefficient = spread.within_sd(photos), spread.coefficient(photos)
        body.append([str(photos), interval_text(*within, 2), interval_text(*coefficient, 2),
                     f"{none.high:.2f}"])  # fmt: skip
    freedom = spread.visit_freedom if spread.source == STABLE else spread.photo_freedom
    notes = [
        f"Measured on {spread.source} of {spread.patients} patients ({freedom} degrees of "
        f"freedom). SD of photos of one visit: {_known(spread.photo_sd)}; of stable visits beyond "
        f"that: {_known(spread.day_sd)}.",
        "Repeatability coefficient: two visits of a stable person differ by less in 95 of 100 "
        "cases (Bland and Altman). Told: the change that is called reliable, with Student's t for "
        "the uncertainty of the SD. The within-person SD is taken to be the same in everybody.",
    ]
    header = ["photos a visit", "within-person SD", "repeatability coefficient", "told from"]
    return Table("repeatability", "Repeatability of the score", header, body, notes)


def _known(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "not known"


def visit_table(followup: Followup, patient: str) -> Table:
    """One patient's visits, for the page."""
    cohort, half, later = followup.cohort, followup.half_widths, followup.comparisons
    body = []
    for row in cohort.rows(patient).tolist():
        mean = followup.means[row]
        cells = [str(cohort.day(row)), f"{cohort.months[row]:+.1f}", str(cohort.visits.photos[row]),
                 str(cohort.visits.period[row]) or "–",
                 interval_text(mean, mean - half[row], mean + half[row], 2)]  # fmt: skip
        if row in later:
            score = later[row].score
            cells += [_change_text(score), _index_text(score.index), p_text(score.p),
                      later[row].verdict]  # fmt: skip
        else:
            before = "baseline" if row in cohort.pairs[0] else "before the baseline"
            cells += [before if patient in followup.last else ONE_VISIT, "–", "–", "–"]
        body.append(cells)
    since = "treatment" if cohort.patients[patient].treatment_date else "the first visit"
    header = ["visit", "months", "photos", "stable", "score (95 %)", "change (95 %)", "index", "p",
              "verdict"]  # fmt: skip
    notes = [
        f"Months since {since}. Stable: the period in which the visits are known to be stable. "
        "Index: reliable-change index, the change over what it varies by in a stable person. Each "
        "visit is tested by itself at 5 %: of many visits, one is called changed by chance more "
        "often than that."
    ]
    return Table("visits", "Visits", header, body, notes)


def region_table(followup: Followup, patient: str) -> Table | None:
    """How the regions' shares of one patient's heatmaps changed up to the last visit."""
    shares = followup.shares
    if shares is None:
        return None
    first, second = shares.cohort.pairs
    own = np.flatnonzero(shares.cohort.visits.patient[second] == patient)
    if not len(own):
        return None
    last, change = own[-1], shares.change
    before, after = 100 * shares.means[first[last]], 100 * shares.means[second[last]]
    body = [
        [name, f"{before[g]:.1f}", f"{after[g]:.1f}", f"{100 * change.change[last, g]:+.1f}",
         _index_text(change.index[last, g]),
         "changed" if change.p[last, g] < (1 - LEVEL) / len(GROUPS) else "–"]
        for g, name in enumerate(GROUPS)
    ]  # fmt: skip
    notes = [
        f"Share of the heatmap ({shares.method}) on each region, %. Changed: beyond its own "
        "repeatability, at 5 % for all regions together. It tells where the model looked, not "
        "what changed in the face."
    ]
    header = ["region", "baseline", "last", "change", "index", ""]
    return Table("regions", "Where the model looked", header, body, notes)


def number_tables(followup: Followup) -> Iterator[Table]:
    """The CSV files of photos, visits, measures and regions, in full precision."""
    yield _number_table("photos", ["photo", "patient_id", "date", "log_odds", *MEASURES], [
        [photo.photo, photo.patient_id, photo.day, odds, *measures]
        for photo, odds, measures in zip(followup.cohort.photos, followup.log_odds.tolist(),
                                         followup.measures.tolist(), strict=True)
    ])  # fmt: skip
    yield _visit_numbers(followup)
    yield _camera_numbers(followup)
    if followup.shares:
        visits, cohort = followup.shares.cohort.visits, followup.shares.cohort
        yield _number_table("regions", ["patient_id", "date", *GROUPS], [
            [patient, cohort.day(row), *followup.shares.means[row].tolist()]
            for row, patient in enumerate(visits.patient)
        ])  # fmt: skip


def _number_table(name: str, header: list[str], rows: list[list[object]]) -> Table:
    return Table(name, name, header, [[str(cell) for cell in row] for row in rows], [])


def _visit_numbers(followup: Followup) -> Table:
    cohort, visits = followup.cohort, followup.cohort.visits
    header = ["patient_id", "date", "sex", "treatment_date", "months", "photos", "stable", "score",
              "half_width", "baseline", *SCORE_NUMBERS, "verdict", "alarm"]  # fmt: skip
    rows = []
    for row, facts in enumerate(cohort.facts):
        cells = [facts.patient_id, cohort.day(row), facts.sex, facts.treatment_date or "",
                 cohort.months[row], visits.photos[row], visits.period[row], followup.means[row],
                 followup.half_widths[row], int(row in cohort.pairs[0])]  # fmt: skip
        later = followup.comparisons.get(row)
        if later:
            cells += [getattr(later.score, name) for name in SCORE_NUMBERS]
            cells += [later.verdict, int(later.alarms.any()) if followup.spread.known else ""]
        rows.append(cells + [""] * (len(header) - len(cells)))
    return _number_table("visits", header, rows)


def _camera_numbers(followup: Followup) -> Table:
    header = ["patient_id", "baseline", "date", "measure", "change", "index", "p", "changed",
              "more_than_score"]  # fmt: skip
    cohort = followup.cohort
    rows = [
        [cohort.visits.patient[row], cohort.day(own.baseline), cohort.day(row), measure,
         own.camera.change[m], own.camera.index[m], own.camera.p[m],
         *([int(own.changed[m]), int(own.alarms[m])] if followup.spread.known else ["", ""])]
        for row, own in followup.comparisons.items()
        for m, measure in enumerate(MEASURES)
    ]  # fmt: skip
    return _number_table("camera", header, rows)
