"""Tables of a follow-up: words for the pages, numbers for the CSV files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from hf_cushing.faces.regions import GROUPS
from hf_cushing.followup.camera import MEASURES
from hf_cushing.followup.figures import visit_half_widths
from hf_cushing.followup.trend import DIFFERENCE, Estimate, mean_changes
from hf_cushing.followup.words import ONE_VISIT, alarm_word, day_of, last_pair
from hf_cushing.reports.table import Table, interval_text, p_text
from hf_cushing.stats.intervals import LEVEL
from hf_cushing.stats.reliable_change import FELL, ROSE, STABLE

if TYPE_CHECKING:
    from hf_cushing.followup.cohort import Followup

PHOTOS_SHOWN = (1, 2, 3, 5)
SEX_WORDS = {"all": "all", "female": "women", "male": "men", DIFFERENCE: DIFFERENCE}


def cohort_tables(found: Followup, pages: dict[str, str]) -> list[Table]:
    """All tables of the cohort's page; `pages` is the file of each patient's page."""
    tables = [_patients(found, pages), *_means(found), _trend(found), _repeatability(found)]
    return [table for table in tables if table.body]


def _patients(found: Followup, pages: dict[str, str]) -> Table:
    body = []
    for patient in found.patients:
        facts, pair = found.facts(patient), last_pair(found, patient)
        visits = int(np.sum(found.visits.patient == patient))
        row = [patient, facts.sex, str(facts.treatment or "–"), str(visits)]
        if pair is None:
            row += ["–", "–", "–", "–", ONE_VISIT, "–"]
        else:
            change = found.change
            row += [day_of(found, side[pair]) for side in (found.pairs.first, found.pairs.second)]
            row.append(interval_text(change.change[pair], change.low[pair], change.high[pair], 2))
            row += [f"{change.index[pair]:+.2f}", str(change.verdict()[pair])]
            row.append(alarm_word(found, pair))
        body.append([*row, pages[patient]])
    header = ["patient", "sex", "treatment", "visits", "baseline", "last", "change", "index",
              "verdict", "camera, pose, light", "page"]  # fmt: skip
    notes = [
        "Baseline: the last visit up to the day of treatment; the first, where there is none. "
        "Index: reliable-change index, the change over what it varies by in a stable person. "
        "Camera, pose, light: changed beyond their own repeatability; alarm: more than the score."
    ]
    return Table("patients", "Patients: baseline to last visit", header, body, notes)


def _means(found: Followup) -> Iterator[Table]:
    last = found.pairs.last
    second = found.pairs.second
    sexes = np.array([found.facts(name).sex for name in found.visits.patient[second]])
    words = found.change.verdict()
    for name, inside in (
        ("treated", last & found.treated[second]),
        ("untreated", last & ~found.treated[second]),
    ):
        body = []
        for row in mean_changes(found.change.change[inside], sexes[inside]):
            own = inside if row.group in ("all", DIFFERENCE) else inside & (sexes == row.group)
            counts = [str(int(np.sum(words[own] == word))) for word in (FELL, ROSE)]
            body.append([*_estimate(row, 2), *(counts if row.group != DIFFERENCE else ["–", "–"])])
        header = ["", "patients", "mean change", "sample", "reliably fell", "reliably rose"]
        notes = ["Baseline to last visit; 95 % by Student's t, the difference by Welch. "
                 "Insufficient: fewer than 10 patients, so no interval."]  # fmt: skip
        title = f"Mean change of the score, {name} patients"
        yield Table(f"change_{name}", title, header, body if inside.any() else [], notes)


def _estimate(row: Estimate, digits: int) -> list[str]:
    shown = interval_text(row.value, row.low, row.high, digits)
    return [SEX_WORDS[row.group], str(row.patients), shown, row.size]


def _trend(found: Followup) -> Table:
    trend = found.trend
    who = "treated patients, 0 until treatment" if found.treated.any() else "all patients"
    notes = [
        f"{who[0].upper()}{who[1:]}. {trend.effects.capitalize() or 'No model'}"
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


def _repeatability(found: Followup) -> Table:
    spread, body = found.spread, []
    shown = PHOTOS_SHOWN if spread.photo_freedom else (1,)
    for photos in shown:
        variance, free = (float(x) for x in spread.variance(2, np.array(2 / photos)))
        least = float(stdtrit(free, (1 + LEVEL) / 2)) * variance**0.5
        within, coefficient = spread.within_sd(photos), spread.coefficient(photos)
        body.append([str(photos), interval_text(*within, 2), interval_text(*coefficient, 2),
                     f"{least:.2f}"])  # fmt: skip
    notes = [
        f"Measured on {spread.source} of {spread.patients} patients "
        f"({spread.visit_freedom if spread.source == STABLE else spread.photo_freedom} degrees of "
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


def visit_table(found: Followup, patient: str) -> Table:
    """One patient's visits, for the page."""
    half, pairs, change = visit_half_widths(found), found.pairs, found.change
    body = []
    for row in np.flatnonzero(found.visits.patient == patient).tolist():
        mean = found.means[row]
        cells = [day_of(found, row), f"{found.months[row]:+.1f}", str(found.visits.photos[row])]
        cells += [str(found.visits.period[row]) or "–"]
        cells += [interval_text(mean, mean - half[row], mean + half[row], 2)]
        at = np.flatnonzero(pairs.second == row)
        if len(at):
            n = int(at[0])
            cells += [interval_text(change.change[n], change.low[n], change.high[n], 2)]
            cells += [f"{change.index[n]:+.2f}", p_text(change.p[n]), str(change.verdict()[n])]
        else:
            base = row in pairs.first
            cells += ["baseline" if base else "before the baseline", "–", "–", "–"]
        body.append(cells)
    since = "treatment" if found.facts(patient).treatment else "the first visit"
    header = ["visit", "months", "photos", "stable", "score (95 %)", "change (95 %)", "index", "p",
              "verdict"]  # fmt: skip
    notes = [
        f"Months since {since}. Stable: the period in which the visits are known to be stable. "
        "Index: reliable-change index, the change over what it varies by in a stable person. Each "
        "visit is tested by itself at 5 %: of many visits, one is called changed by chance more "
        "often than that."
    ]
    if len(body) == 1:
        body[0][5] = ONE_VISIT
    return Table("visits", "Visits", header, body, notes)


def region_table(found: Followup, patient: str) -> Table | None:
    """How the regions' shares of one patient's heatmaps changed up to the last visit."""
    shares = found.shares
    if shares is None:
        return None
    own = (shares.visits.patient[shares.pairs.second] == patient) & shares.pairs.last
    if not own.any():
        return None
    n = int(np.flatnonzero(own)[0])
    first, second = int(shares.pairs.first[n]), int(shares.pairs.second[n])
    told = shares.change.p[n] < (1 - LEVEL) / len(GROUPS)
    body = [
        [name, f"{100 * shares.means[first, g]:.1f}", f"{100 * shares.means[second, g]:.1f}",
         f"{100 * shares.change.change[n, g]:+.1f}", f"{shares.change.index[n, g]:+.2f}",
         "changed" if told[g] else "–"]
        for g, name in enumerate(GROUPS)
    ]  # fmt: skip
    notes = [
        f"Share of the heatmap ({shares.method}) on each region, %. Changed: beyond its own "
        "repeatability, at 5 % for all regions together. It tells where the model looked, not "
        "what changed in the face."
    ]
    header = ["region", "baseline", "last", "change", "index", ""]
    return Table("regions", "Where the model looked", header, body, notes)


def number_tables(found: Followup) -> Iterator[tuple[str, list[list[object]]]]:
    """Names and rows (header first) of the CSV files."""
    yield "photos", _photo_rows(found)
    yield "visits", _visit_rows(found)
    names = list(MEASURES)
    yield "camera", [
        ["patient_id", "baseline", "date", "measure", "change", "index", "p", "changed",
         "more_than_score"],
        *_pair_rows(found, names),
    ]  # fmt: skip
    if found.shares:
        yield "regions", _share_rows(found)


def _photo_rows(found: Followup) -> list[list[object]]:
    rows: list[list[object]] = [["photo", "patient_id", "date", "log_odds", *MEASURES]]
    for photo, odds, measures in zip(found.photos, found.log_odds, found.measures, strict=True):
        rows.append([photo.photo, photo.patient_id, photo.day, float(odds), *measures.tolist()])
    return rows


def _visit_rows(found: Followup) -> list[list[object]]:
    header = ["patient_id", "date", "sex", "treatment_date", "months", "photos", "stable", "score",
              "half_width", "baseline", "change", "low", "high", "error", "freedom", "index", "p",
              "verdict", "alarm"]  # fmt: skip
    rows: list[list[object]] = [header]
    half, change, words = visit_half_widths(found), found.change, found.change.verdict()
    pair_of = {int(row): n for n, row in enumerate(found.pairs.second)}
    for row, patient in enumerate(found.visits.patient.tolist()):
        facts, n = found.facts(patient), pair_of.get(row)
        cells = [patient, day_of(found, row), facts.sex, facts.treatment or "",
                 float(found.months[row]), int(found.visits.photos[row]),
                 str(found.visits.period[row]), float(found.means[row]), float(half[row]),
                 int(row in found.pairs.first)]  # fmt: skip
        if n is None:
            cells += [""] * 9
        else:
            values = (change.change, change.low, change.high, change.error, change.freedom,
                      change.index, change.p)  # fmt: skip
            cells += [float(v[n]) for v in values] + [str(words[n]), int(found.alarms[n].any())]
        rows.append(cells)
    return rows


def _pair_rows(found: Followup, names: Sequence[str]) -> Iterator[list[object]]:
    pairs, camera = found.pairs, found.camera
    for n, (first, second) in enumerate(zip(pairs.first, pairs.second, strict=True)):
        for m, name in enumerate(names):
            yield [
                found.visits.patient[second], day_of(found, first), day_of(found, second), name,
                float(camera.change[n, m]), float(camera.index[n, m]), float(camera.p[n, m]),
                int(found.changed[n, m]), int(found.alarms[n, m]),
            ]  # fmt: skip


def _share_rows(found: Followup) -> list[list[object]]:
    shares = found.shares
    rows: list[list[object]] = [["patient_id", "date", *GROUPS]]
    for row, patient in enumerate(shares.visits.patient.tolist()):
        day = np.datetime64("0001-01-01") + (int(shares.visits.day[row]) - 1)
        rows.append([patient, str(day), *shares.means[row].tolist()])
    return rows
