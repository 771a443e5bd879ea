"""Curves of the evaluation: ROC, precision and recall, reliability, net benefit.

Bands are 95 % of draws of patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cushing.evaluation.figures import counts_text
from hf_cushing.evaluation.operating_points import decisions_of
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.subgroups import make_sample
from hf_cushing.reports.style import STYLES, Style, new_figure, save
from hf_cushing.stats.decisions import Decisions, roc_points, threshold_curve
from hf_cushing.stats.intervals import size_word, wilson
from hf_cushing.stats.resampling import Patients, sex_masks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND_DRAWS = 500
GRID = np.linspace(0, 1, 101)
BINS_SHOWN = 5
"""Bins of the reliability figure: fewer than for the calibration error, with intervals."""


@dataclass(frozen=True)
class Group:
    """The photos of one sex, with draws of their patients."""

    style: Style
    decisions: Decisions
    who: Patients
    weights: np.ndarray
    counts: str
    size: str


def groups_of(report: Report, predictions: Predictions, label: str) -> Iterator[Group]:
    """All, women and men, as far as they have both classes."""
    sample = make_sample(predictions.of_split(report.split), draws=BAND_DRAWS)
    decisions = decisions_of(sample.rows, label, report.operating_points)
    for name, mask in sex_masks(sample.rows.sex).items():
        inside = np.flatnonzero(mask)
        part, who = decisions.select(inside), sample.who.select(inside)
        sides = [who.count_in(side) for side in (part.truth, ~part.truth)]
        if min(sides):
            size = size_word(min(sides))
            counts = counts_text(*sides, size)
            yield Group(STYLES[name], part, who, sample.weights[:, inside], counts, size)


def plot_roc(path: Path, report: Report, predictions: Predictions) -> None:
    """ROC curves with bands, and the operating point of each."""

    def draw(axes: Axes, group: Group) -> None:
        truth, called = group.decisions.truth, group.decisions.called
        _band(axes, group, GRID, _sensitivities(group))
        _line(axes, *roc_points(truth, group.decisions.score), group)
        _dot(axes, called[~truth].mean(), called[truth].mean(), group)

    frame = {"xlabel": "1 − specificity", "ylabel": "sensitivity", "aspect": "equal"}
    _panels(path, report, predictions, draw, diagonal=True, **frame)


def plot_precision(path: Path, report: Report, predictions: Predictions) -> None:
    """Precision against recall, with bands; dotted: precision when everybody is called."""

    def draw(axes: Axes, group: Group) -> None:
        truth, called = group.decisions.truth, group.decisions.called
        _band(axes, group, GRID, _precisions(group))
        recall, precision = _precision_curve(group.decisions, np.ones((1, len(truth))))
        _line(axes, recall[0], precision[0], group, drawstyle="steps-pre")
        axes.axhline(truth.mean(), color=group.style.color, lw=0.8, ls=":")
        if called.any():
            _dot(axes, called[truth].mean(), truth[called].mean(), group)

    frame = {"xlabel": "recall (sensitivity)", "ylabel": "precision"}
    _panels(path, report, predictions, draw, xlim=(0, 1.02), ylim=(0, 1.02), **frame)


def plot_reliability(path: Path, report: Report, predictions: Predictions) -> None:
    """Share with the disease against the probability that the model gives, with Wilson bars."""

    def draw(axes: Axes, group: Group) -> None:
        order = np.argsort(group.decisions.score, kind="stable")
        bins = np.array_split(order, min(BINS_SHOWN, max(1, len(order) // 10)))
        x, y, low, high = np.array([_bin(group, rows) for rows in bins]).T
        axes.errorbar(
            x, y, [y - low, high - y], color=group.style.color, linestyle=group.style.line,
            marker=group.style.marker, linewidth=1.4, capsize=2, elinewidth=1, markersize=5,
            label=_name(group),
        )  # fmt: skip

    _panels(path, report, predictions, draw, diagonal=True, legend="upper left", aspect="equal",
            xlabel="probability given", ylabel="share with the disease", xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02))  # fmt: skip


def plot_net_benefit(path: Path, report: Report, predictions: Predictions) -> None:
    """Decision curve of all: net benefit over threshold probabilities, beside all and nobody."""

    def draw(axes: Axes, group: Group) -> None:
        if group.style.name != "all":
            return
        grid, share = GRID[1:-10], group.decisions.truth.mean()
        _band(axes, group, grid, _net_benefits(group.decisions, group.weights, grid))
        own = _net_benefits(group.decisions, np.ones((1, len(group.decisions))), grid)[0]
        axes.plot(grid, own, color="black", linewidth=1.8, label=f"the model: {group.counts}")
        everybody = share - (1 - share) * grid / (1 - grid)
        axes.plot(grid, everybody, color="0.4", ls="--", lw=1.2, label="refer everybody")
        axes.axhline(0, color="0.4", ls=":", lw=1.2, label="refer nobody")
        axes.set_ylim(-0.3 * share, 1.15 * share)

    frame = {"xlabel": "threshold probability", "ylabel": "net benefit", "xlim": (0, 0.9)}
    _panels(path, report, predictions, draw, legend="upper right", **frame)


def _panels(
    path: Path,
    report: Report,
    predictions: Predictions,
    draw: Callable[[Axes, Group], None],
    *,
    legend: str = "lower right",
    diagonal: bool = False,
    **frame: Any,
) -> None:
    """One panel a disease, framed so; `draw` adds a group to it."""
    labels = predictions.positive_labels
    figure = new_figure(4.6 * len(labels), 4.6)
    for axes, label in zip(figure.subplots(1, len(labels), squeeze=False)[0], labels, strict=True):
        if diagonal:
            axes.plot([0, 1], [0, 1], color="0.75", linewidth=1, linestyle=":")
        axes.set(title=f"{label}, {report.split} photos", **frame)
        for group in groups_of(report, predictions, label):
            draw(axes, group)
        axes.title.set_fontsize(10)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc=legend, fontsize=8, framealpha=0.9)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _band(axes: Axes, group: Group, x: np.ndarray, draws: np.ndarray) -> None:
    """95 % of the draws (rows); none where patients are insufficient."""
    if group.size != "insufficient":
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        axes.fill_between(x, low, high, color=group.style.color, alpha=0.12, linewidth=0)


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, group: Group, **more: Any) -> None:
    axes.plot(x, y, color=group.style.color, linestyle=group.style.line, linewidth=1.6,
              label=_name(group), **more)  # fmt: skip


def _dot(axes: Axes, x: float, y: float, group: Group) -> None:
    axes.plot(x, y, group.style.marker, color=group.style.color, markersize=7, mec="white")


def _name(group: Group) -> str:
    return f"{group.style.name}: {group.counts}"


def _sensitivities(group: Group) -> np.ndarray:
    """Sensitivity over the grid of false alarms in each draw: shape (draws, grid)."""
    rows = group.decisions
    curve = threshold_curve(rows.truth, rows.score, group.weights.astype(np.float64))
    curves = [
        np.interp(GRID, alarms[::-1] / alarms[0], hits[::-1] / hits[0])
        for hits, alarms in zip(curve.positive, curve.negative, strict=True)
        if hits[0] and alarms[0]
    ]
    return np.array(curves)


def _precision_curve(decisions: Decisions, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall (rising) and precision at every threshold, each of shape (m, k)."""
    curve = threshold_curve(decisions.truth, decisions.score, weights.astype(np.float64))
    hits, called = curve.positive[:, -2::-1], (curve.positive + curve.negative)[:, -2::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return hits / curve.positive[:, :1], np.where(called > 0, hits / called, 1.0)


def _precisions(group: Group) -> np.ndarray:
    """Precision over the grid of recalls in each draw: shape (draws, grid)."""
    recall, precision = _precision_curve(group.decisions, group.weights)
    known = np.isfinite(recall[:, -1])
    places = [np.searchsorted(row, GRID, "left").clip(0, len(row) - 1) for row in recall[known]]
    return np.array([row[place] for row, place in zip(precision[known], places, strict=True)])


def _bin(group: Group, rows: np.ndarray) -> tuple[float, float, float, float]:
    """Mean score, share of positives, and its interval on the number of patients."""
    share = float(group.decisions.truth[rows].mean())
    low, high = wilson(share, group.who.count_in(rows))
    return float(group.decisions.score[rows].mean()), share, low, high


def _net_benefits(decisions: Decisions, weights: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Net benefit if the threshold were each of the grid: shape (m, grid)."""
    called = decisions.score[:, None] >= grid
    hits = weights @ (decisions.truth[:, None] & called).astype(np.float64)
    alarms = weights @ (~decisions.truth[:, None] & called).astype(np.float64)
    return (hits - alarms * grid / (1 - grid)) / weights.sum(1, keepdims=True)
