"""Figures of a follow-up: one patient's scores, the cohort, and how repeatable the score is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.followup.results import Followup
from hf_cushing.reports.style import STYLES, bare, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNKNOWN = STYLES["all"]


def plot_patient(path: Path, followup: Followup, patient: str) -> None:
    """Scores over time: single photos, visit means with intervals, and what is mere fluctuation."""
    cohort, means = followup.cohort, followup.means
    rows = cohort.rows(patient)
    figure = new_figure(7.4, 3.6)
    axes = figure.subplots()
    _fluctuation(axes, followup, patient)
    photos = np.flatnonzero(np.isin(cohort.visits.of_photo, rows))
    axes.plot([cohort.photos[n].day for n in photos], followup.log_odds[photos], "o", color="0.6",
              ms=4, mfc="none", label="one photo")  # fmt: skip
    days, half = [cohort.day(row) for row in rows], followup.half_widths[rows]
    axes.errorbar(days, means[rows], half, fmt="o-", color="#0072b2", ms=6, lw=1.6, capsize=3,
                  label="visit, 95 %" if followup.spread.known else "visit")  # fmt: skip
    treatment = cohort.patients[patient].treatment_date
    if treatment:
        axes.axvline(treatment, color="#d55e00", ls="--", lw=1.4, label="treatment")
    axes.set_ylabel(f"log-odds of {followup.label}")
    axes.tick_params(axis="x", rotation=20)
    bare(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    save(figure, path)


def _fluctuation(axes: Axes, followup: Followup, patient: str) -> None:
    """Grey: later visits inside it can't be told from the fluctuation of a stable person."""
    later = followup.of_patient(patient)
    if not later or not followup.spread.known:
        return
    day, first = followup.cohort.day, later[0].baseline
    half = np.array([visit.smallest_change for visit in (later[0], *later)])
    base = followup.means[first]
    axes.fill_between([day(first), *(day(visit.visit) for visit in later)], base - half,
                      base + half, color="0.9", lw=0, label="fluctuation")  # fmt: skip
    axes.axhline(base, color="0.7", lw=0.8)


def plot_cohort(path: Path, followup: Followup) -> None:
    """Every patient's scores; treated and untreated apart; the mixed model's lines."""
    cohort = followup.cohort
    groups = {"treatment": cohort.treated, "the first visit": ~cohort.treated}
    groups = {name: cohort.visits.patient[mask] for name, mask in groups.items() if mask.any()}
    figure = new_figure(5.4 * len(groups) + 1.2, 4.4)
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (name, patients) in zip(panels, groups.items(), strict=True):
        for patient in np.unique(patients).tolist():
            rows = cohort.rows(patient)
            style = STYLES.get(cohort.patients[patient].sex, UNKNOWN)
            axes.plot(cohort.months[rows], followup.means[rows], style.marker, ls="-", ms=3.5,
                      lw=0.8, color=style.color, alpha=0.4)  # fmt: skip
        if name == "treatment":
            axes.axvline(0, color="0.4", lw=1, ls=":")
        axes.set_xlabel(f"months since {name}")
        axes.set_title(f"{len(np.unique(patients))} patients", fontsize=10)
        bare(axes)
    _lines(panels[0], followup)
    panels[0].set_ylabel(f"log-odds of {followup.label}")
    _legend(panels[-1], followup)
    save(figure, path)


def _lines(axes: Axes, followup: Followup) -> None:
    """The mixed model's: women and men, or all where there is one line."""
    left, right = axes.get_xlim()
    lines = followup.trend.lines
    for name, (start, slope) in lines.items():
        if name == "all" and len(lines) > 1:
            continue
        months = np.array([min(left, 0), 0, right])
        values, style = start + slope * np.maximum(months, 0), STYLES[name]
        axes.plot(months, values, color="white", lw=5, zorder=4)
        axes.plot(months, values, color=style.color, lw=2.6, ls=style.line, zorder=5)
    axes.set_xlim(left, right)


def _legend(axes: Axes, followup: Followup) -> None:
    sexes = {photo.sex for photo in followup.cohort.patients.values()}
    for name in ("female", "male", "unknown"):
        if name in sexes:
            style = STYLES.get(name, UNKNOWN)
            label = style.name if name in STYLES else "sex unknown"
            axes.plot([], [], style.marker, ls=style.line, color=style.color, label=label)
    model = bool(followup.trend.lines)
    axes.plot([], [], color="0.2", lw=2.6, label="mixed model" if model else "no mixed model",
              alpha=float(model))  # fmt: skip
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)


def plot_repeatability(path: Path, followup: Followup) -> bool:
    """Bland and Altman's plot of stable visits, each against the first of its period.

    Returns
    -------
    bool
        False, and no file, where no visits are known to be stable.
    """
    visits, means = followup.cohort.visits, followup.means
    periods = visits.periods()
    if not periods:
        return False
    first = np.concatenate([np.full(len(rows) - 1, rows[0]) for rows in periods])
    later = np.concatenate([rows[1:] for rows in periods])
    differences = means[later] - means[first]
    photos = 1 / np.mean(1 / visits.photos[np.concatenate(periods)])
    limit, low, high = followup.spread.coefficient(photos)
    figure = new_figure(6.2, 3.8)
    axes = figure.subplots()
    axes.plot((means[later] + means[first]) / 2, differences, "o", color="#0072b2", ms=5, alpha=0.7)
    axes.axhline(0, color="0.3", lw=1)
    axes.axhline(differences.mean(), color="0.3", lw=1, ls=":")
    for sign in (-1, 1):
        axes.axhline(sign * limit, color="#d55e00", ls="--", lw=1.4)
        axes.axhspan(sign * low, sign * high, color="#d55e00", alpha=0.12, lw=0)
    axes.set(xlabel="mean of two stable visits", ylabel="later − first visit")
    bare(axes)
    save(figure, path)
    return True
