"""Curves of the evaluation: ROC, precision and recall, reliability, net benefit.

Bands are 95 % of draws of patients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cushing.evaluation.operating_points import decisions_of
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.subgroups import make_sample
from hf_cushing.reports.style import STYLES, Style, new_figure, save
from hf_cushing.stats.intervals import INSUFFICIENT, wilson
from hf_cushing.stats.metrics import Decisions, roc_points, threshold_curve
from hf_cushing.stats.resampling import Patients

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND_DRAWS = 500
GRID = np.linspace(0, 1, 101)
BINS_SHOWN = 5
"""Bins of the reliability figure: fewer than for the calibration error, with intervals."""


@dataclass(frozen=True)
class Part:
    """The photos of one sex, with draws of their patients."""

    style: Style
    decisions: Decisions
    who: Patients
    weights: np.ndarray
    size: str


def parts_of(report: Report, predictions: Predictions, label: str) -> Iterator[Part]:
    """All, women and men, as far as they have both classes."""
    rows = predictions.of_split(report.split)
    sample = make_sample(rows, "photo", draws=BAND_DRAWS)
    decisions = decisions_of(sample.rows, label, report.operating_points)
    for name, style in STYLES.items():
        inside = np.full(len(rows), True) if name == "all" else sample.rows.sex == name
        part = decisions.select(inside)
        if part.truth.any() and not part.truth.all():
            where = np.flatnonzero(inside)
            size = _size(part, sample.who.select(where))
            yield Part(style, part, sample.who.select(where), sample.weights[:, where], size)


def _size(part: Decisions, who: Patients) -> str:
    sides = [len(np.unique(who.of_photo[side])) for side in (part.truth, ~part.truth)]
    few = ", insufficient" if min(sides) < INSUFFICIENT else ""
    return f"{sides[0]} + / {sides[1]} − patients{few}"


def plot_roc(path: Path, report: Report, predictions: Predictions) -> None:
    """ROC curves with bands, and the operating point of each."""

    def draw(axes: Axes, part: Part) -> None:
        found = _rates(part)
        if "insufficient" not in part.size:
            axes.fill_between(GRID, *found, color=part.style.color, alpha=0.12, linewidth=0)
        truth, called = part.decisions.truth, part.decisions.called
        points = roc_points(truth, part.decisions.score)
        _line(axes, *points, part)
        axes.plot(called[~truth].mean(), called[truth].mean(), **_dot(part))

    def frame(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="0.75", linewidth=1, linestyle=":")
        axes.set(xlabel="1 − specificity", ylabel="sensitivity", aspect="equal")

    _panels(path, report, predictions, draw, frame)


def plot_precision(path: Path, report: Report, predictions: Predictions) -> None:
    """Precision against recall, with bands; dotted: precision when everybody is called."""

    def draw(axes: Axes, part: Part) -> None:
        low, high = _precisions(part)
        if "insufficient" not in part.size:
            axes.fill_between(GRID, low, high, color=part.style.color, alpha=0.12, linewidth=0)
        recall, precision = _precision_curve(part.decisions, np.ones((1, len(part.decisions))))
        _line(axes, recall[0], precision[0], part, drawstyle="steps-pre")
        axes.axhline(part.decisions.truth.mean(), color=part.style.color, lw=0.8, ls=":")
        truth, called = part.decisions.truth, part.decisions.called
        if called.any():
            axes.plot(called[truth].mean(), truth[called].mean(), **_dot(part))

    def frame(axes: Axes) -> None:
        axes.set(xlabel="recall (sensitivity)", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))

    _panels(path, report, predictions, draw, frame)


def plot_reliability(path: Path, report: Report, predictions: Predictions) -> None:
    """Share with the disease against the probability that the model gives, with Wilson bars."""

    def draw(axes: Axes, part: Part) -> None:
        order = np.argsort(part.decisions.score, kind="stable")
        bins = np.array_split(order, min(BINS_SHOWN, max(1, len(order) // 10)))
        shown = [_bin(part, rows) for rows in bins]
        x, y, low, high = np.array(shown).T
        bars = {"capsize": 2, "elinewidth": 1, "label": _name(part), "markersize": 5}
        axes.errorbar(
            x, y, [y - low, high - y], color=part.style.color, linestyle=part.style.line,
            marker=part.style.marker, linewidth=1.4, **bars,
        )  # fmt: skip

    def frame(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="0.75", linewidth=1, linestyle=":")
        axes.set(xlabel="probability given", ylabel="share with the disease", aspect="equal")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))

    _panels(path, report, predictions, draw, frame, legend="upper left")


def plot_net_benefit(path: Path, report: Report, predictions: Predictions) -> None:
    """Decision curve of all: net benefit over threshold probabilities, beside all and nobody."""

    def draw(axes: Axes, part: Part) -> None:
        if part.style.name != "all":
            return
        grid = GRID[1:-10]
        found = _net_benefits(part.decisions, part.weights, grid)
        low, high = np.quantile(found, [0.025, 0.975], axis=0)
        axes.fill_between(grid, low, high, color=part.style.color, alpha=0.12, linewidth=0)
        own = _net_benefits(part.decisions, np.ones((1, len(part.decisions))), grid)[0]
        axes.plot(grid, own, color="black", linewidth=1.8, label=f"the model: {part.size}")
        share = part.decisions.truth.mean()
        everybody = share - (1 - share) * grid / (1 - grid)
        axes.plot(grid, everybody, color="0.4", ls="--", lw=1.2, label="refer everybody")
        axes.axhline(0, color="0.4", ls=":", lw=1.2, label="refer nobody")
        axes.set_ylim(-0.3 * share, 1.15 * share)

    def frame(axes: Axes) -> None:
        axes.set(xlabel="threshold probability", ylabel="net benefit", xlim=(0, 0.9))

    _panels(path, report, predictions, draw, frame, legend="upper right")


def _panels(
    path: Path,
    report: Report,
    predictions: Predictions,
    draw: Any,
    frame: Any,
    *,
    legend: str = "lower right",
) -> None:
    """One panel a disease; `frame` sets the axes, `draw` adds a sex."""
    labels = predictions.positive_labels
    figure = new_figure(4.6 * len(labels), 4.6)
    for axes, label in zip(figure.subplots(1, len(labels), squeeze=False)[0], labels, strict=True):
        frame(axes)
        for part in parts_of(report, predictions, label):
            draw(axes, part)
        axes.set_title(f"{label}, {report.split} photos", fontsize=10)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc=legend, fontsize=8, framealpha=0.9)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, part: Part, **more: Any) -> None:
    axes.plot(
        x, y, color=part.style.color, linestyle=part.style.line, linewidth=1.6, label=_name(part),
        **more,
    )  # fmt: skip


def _dot(part: Part) -> dict[str, Any]:
    return {"marker": part.style.marker, "color": part.style.color, "markersize": 7, "mec": "white"}


def _name(part: Part) -> str:
    return f"{part.style.name}: {part.size}"


def _sorted(decisions: Decisions, weights: np.ndarray) -> tuple[Decisions, np.ndarray]:
    order = np.argsort(decisions.score, kind="stable")
    return decisions.select(order), weights[:, order].astype(np.float64)


def _rates(part: Part) -> np.ndarray:
    """Band of the sensitivity over the grid of false alarms: shape (2, grid)."""
    rows, weights = _sorted(part.decisions, part.weights)
    curve = threshold_curve(rows.truth, rows.score, weights)
    found = [
        np.interp(GRID, alarms[::-1] / alarms[0], hits[::-1] / hits[0])
        for hits, alarms in zip(curve.positive, curve.negative, strict=True)
        if hits[0] and alarms[0]
    ]
    return np.quantile(found, [0.025, 0.975], axis=0)


def _precision_curve(decisions: Decisions, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall (rising) and precision at every threshold, each of shape (m, k)."""
    rows, weights = _sorted(decisions, weights)
    curve = threshold_curve(rows.truth, rows.score, weights)
    hits, called = curve.positive[:, -2::-1], (curve.positive + curve.negative)[:, -2::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return hits / curve.positive[:, :1], np.where(called > 0, hits / called, 1.0)


def _precisions(part: Part) -> np.ndarray:
    """Band of the precision over the grid of recalls: shape (2, grid)."""
    recall, precision = _precision_curve(part.decisions, part.weights)
    known = np.isfinite(recall[:, -1])
    places = [np.searchsorted(row, GRID, "left").clip(0, len(row) - 1) for row in recall[known]]
    found = [row[place] for row, place in zip(precision[known], places, strict=True)]
    return np.quantile(found, [0.025, 0.975], axis=0)


def _bin(part: Part, rows: np.ndarray) -> tuple[float, float, float, float]:
    """Mean score, share of positives, and its interval on the number of patients."""
    share = float(part.decisions.truth[rows].mean())
    low, high = wilson(share, len(np.unique(part.who.of_photo[rows])))
    return float(part.decisions.score[rows].mean()), share, low, high


def _net_benefits(decisions: Decisions, weights: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Net benefit if the threshold were each of the grid: shape (m, grid)."""
    called = decisions.score[:, None] >= grid
    hits = weights @ (decisions.truth[:, None] & called).astype(np.float64)
    alarms = weights @ (~decisions.truth[:, None] & called).astype(np.float64)
    return (hits - alarms * grid / (1 - grid)) / weights.sum(1, keepdims=True)
