"""Figures of a follow-up: one patient's scores, the cohort, and how repeatable the score is."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from hf_cushing.reports.style import STYLES, new_figure, save
from hf_cushing.stats.intervals import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hf_cushing.followup.cohort import Followup

UNKNOWN = STYLES["all"]


def plot_patient(path: Path, found: Followup, patient: str) -> None:
    """Scores over time: single photos, visit means with intervals, and what is mere fluctuation."""
    visits = found.visits
    rows = np.flatnonzero(visits.patient == patient)
    days = [date.fromordinal(int(day)) for day in visits.day[rows]]
    figure = new_figure(7.4, 3.6)
    axes = figure.subplots()
    _band(axes, found, rows)
    photos = np.flatnonzero(np.isin(visits.of_photo, rows))
    when = [date.fromordinal(int(visits.day[row])) for row in visits.of_photo[photos]]
    axes.plot(when, found.log_odds[photos], "o", color="0.6", ms=4, mfc="none", label="one photo")
    half = visit_half_widths(found)[rows]
    axes.errorbar(days, found.means[rows], half, fmt="o-", color="#0072b2", ms=6, lw=1.6,
                  capsize=3, label="visit, 95 %")  # fmt: skip
    treatment = found.facts(patient).treatment
    if treatment:
        axes.axvline(treatment, color="#d55e00", ls="--", lw=1.4, label="treatment")
    axes.set_ylabel(f"log-odds of {found.label}")
    axes.tick_params(axis="x", rotation=20)
    _bare(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    save(figure, path)


def _band(axes: Axes, found: Followup, rows: np.ndarray) -> None:
    """Grey: later visits inside it can't be told from the fluctuation of a stable person."""
    inside = np.flatnonzero(np.isin(found.pairs.second, rows))
    if not len(inside):
        return
    first, later = found.pairs.first[inside[0]], found.pairs.second[inside]
    half = stdtrit(found.change.freedom[inside], (1 + LEVEL) / 2) * found.change.error[inside]
    days = [date.fromordinal(int(day)) for day in found.visits.day[[first, *later]]]
    base, half = found.means[first], np.array([half[0], *half])
    axes.fill_between(days, base - half, base + half, color="0.9", lw=0, label="fluctuation")
    axes.axhline(base, color="0.7", lw=0.8)


def visit_half_widths(found: Followup) -> np.ndarray:
    """Half widths of the visits' 95 % intervals, shape (visits,)."""
    variance, free = found.spread.variance(1, 1 / found.visits.photos)
    return stdtrit(free, (1 + LEVEL) / 2) * np.sqrt(variance)


def plot_cohort(path: Path, found: Followup) -> None:
    """Every patient's scores; treated and untreated apart; the mixed model's lines."""
    sides = [
        (name, mask)
        for name, mask in (("treatment", found.treated), ("the first visit", ~found.treated))
        if mask.any()
    ]
    figure = new_figure(5.4 * len(sides) + 1.2, 4.4)
    panels = figure.subplots(1, len(sides), sharey=True, squeeze=False)[0]
    for axes, (name, mask) in zip(panels, sides, strict=True):
        for patient in np.unique(found.visits.patient[mask]).tolist():
            rows = np.flatnonzero(found.visits.patient == patient)
            style = STYLES.get(found.facts(patient).sex, UNKNOWN)
            axes.plot(found.months[rows], found.means[rows], style.marker, ls="-", ms=3.5, lw=0.8,
                      color=style.color, alpha=0.4)  # fmt: skip
        if name == "treatment":
            axes.axvline(0, color="0.4", lw=1, ls=":")
        axes.set_xlabel(f"months since {name}")
        axes.set_title(f"{len(np.unique(found.visits.patient[mask]))} patients", fontsize=10)
        _bare(axes)
    _lines(panels[0], found)
    panels[0].set_ylabel(f"log-odds of {found.label}")
    _legend(panels[-1], found)
    save(figure, path)


def _lines(axes: Axes, found: Followup) -> None:
    left, right = axes.get_xlim()
    for name, (start, slope) in found.trend.lines.items():
        if name == "all" and len(found.trend.lines) > 1:
            continue
        style = STYLES[name]
        months = np.array([min(left, 0), 0, right])
        axes.plot(months, start + slope * np.maximum(months, 0), color="white", lw=5, zorder=4)
        axes.plot(months, start + slope * np.maximum(months, 0), color=style.color, lw=2.6,
                  ls=style.line, zorder=5)  # fmt: skip
    axes.set_xlim(left, right)


def _legend(axes: Axes, found: Followup) -> None:
    sexes = {found.facts(patient).sex for patient in found.patients}
    for name in ("female", "male", "unknown"):
        if name in sexes:
            style = STYLES.get(name, UNKNOWN)
            label = style.name if name in STYLES else "sex unknown"
            axes.plot([], [], style.marker, ls=style.line, color=style.color, label=label)
    axes.plot([], [], color="0.2", lw=2.6, label="mixed model" if found.trend.lines else
              "no mixed model", alpha=float(bool(found.trend.lines)))  # fmt: skip
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)


def plot_repeatability(path: Path, found: Followup) -> bool:
    """Bland and Altman's plot of stable visits, each against the first of its period.

    Returns
    -------
    bool
        False, and no file, where no visits are known to be stable.
    """
    periods = found.visits.periods()
    if not periods:
        return False
    first = np.concatenate([np.full(len(rows) - 1, rows[0]) for rows in periods])
    later = np.concatenate([rows[1:] for rows in periods])
    means = found.means
    differences = means[later] - means[first]
    figure = new_figure(6.2, 3.8)
    axes = figure.subplots()
    photos = 1 / np.mean(1 / found.visits.photos[np.concatenate(periods)])
    limit = found.spread.coefficient(photos)
    axes.plot((means[later] + means[first]) / 2, differences, "o", color="#0072b2", ms=5, alpha=0.7)
    axes.axhline(0, color="0.3", lw=1)
    axes.axhline(differences.mean(), color="0.3", lw=1, ls=":")
    for sign in (-1, 1):
        axes.axhline(sign * limit[0], color="#d55e00", ls="--", lw=1.4)
        axes.axhspan(sign * limit[1], sign * limit[2], color="#d55e00", alpha=0.12, lw=0)
    axes.set(xlabel="mean of two stable visits", ylabel="later − first visit")
    _bare(axes)
    save(figure, path)
    return True


def _bare(axes: Axes) -> None:
    axes.grid(color="0.94")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
