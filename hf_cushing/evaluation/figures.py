"""Figures of the tables: metrics by subgroup, gaps, confusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.evaluation.gaps import Gap
from hf_cushing.evaluation.operating_points import decisions_of
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.subgroups import SubgroupReport
from hf_cushing.evaluation.wording import title_of
from hf_cushing.reports.style import STYLES, bare, new_figure, save
from hf_cushing.stats.metrics import shown_in
from hf_cushing.stats.resampling import sex_masks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOREST = shown_in("forest")
FADED = 0.35


def plot_forest(path: Path, rows: Sequence[SubgroupReport]) -> None:
    """Metrics by subgroup with intervals and counts; insufficient subgroups are faded."""
    step = len(rows) + 1.5
    figure = new_figure(7.2, 0.9 + 0.21 * step * len(FOREST))
    axes = figure.subplots()
    ticks, names = [], []
    for block, metric in enumerate(FOREST):
        top = -block * step
        ticks.append(top)
        names.append(title_of(metric))
        for line, row in enumerate(rows, 1):
            _forest_line(axes, row, metric, top - line)
            ticks.append(top - line)
            names.append(row.subgroup)
        if block:
            axes.axhline(top + 0.75, color="0.88", lw=0.8)
    axes.set(xlim=(0, 1), ylim=(ticks[-1] - 0.8, 0.6))
    axes.set_yticks(ticks, names, fontsize=8)
    for label in axes.get_yticklabels()[:: len(rows) + 1]:
        label.set(weight="bold", fontsize=9)
    bare(axes, grid="x")
    counts = [
        f"{row.subgroup}: {counts_text(row.positive_patients, row.negative_patients, row.size)}"
        for row in rows
    ]
    axes.set_xlabel("\n".join(counts), fontsize=8)
    save(figure, path)


def _forest_line(axes: Axes, row: SubgroupReport, metric: str, y: float) -> None:
    value, style = row.values[metric], STYLES.get(row.subgroup, STYLES["all"])
    shade = FADED if row.size == "insufficient" else 1.0
    text = f"{value.estimate:.2f}" if math.isfinite(value.estimate) else "undefined"
    if math.isfinite(value.low):
        axes.plot([value.low, value.high], [y, y], color=style.color, alpha=shade, lw=1.8)
        text += f"  {value.low:.2f}–{value.high:.2f}"
    if math.isfinite(value.estimate):
        axes.plot(value.estimate, y, style.marker, color=style.color, alpha=shade, ms=6)
    axes.text(1.03, y, text, va="center", fontsize=8, color="0.15")


def counts_text(positives: int, negatives: int, size: str) -> str:
    """Patients with and without the disease, and a warning where they are too few."""
    few = ", insufficient" if size == "insufficient" else ""
    return f"{positives} + / {negatives} − patients{few}"


def plot_gaps(path: Path, gaps: Sequence[Gap]) -> None:
    """Women minus men with intervals; the bar behind each is what is not detectable."""
    shown = [gap for gap in gaps if gap.metric in FOREST and math.isfinite(gap.gap)]
    figure = new_figure(7.6, 1.4 + 0.42 * len(shown))
    axes = figure.subplots()
    axes.axvline(0, color="0.3", lw=1)
    for line, gap in enumerate(shown):
        if math.isfinite(gap.detectable):
            axes.barh(-line, 2 * gap.detectable, left=-gap.detectable, height=0.62, color="0.92")
        shade = FADED if gap.size == "insufficient" else 1.0
        if math.isfinite(gap.low):
            axes.plot([gap.low, gap.high], [-line, -line], color="black", lw=1.8, alpha=shade)
        if math.isfinite(gap.expected):
            axes.plot(gap.expected, -line, "o", mfc="white", mec="0.35", ms=5)
        axes.plot(gap.gap, -line, "D", color="black", ms=5.5, alpha=shade)
        p = f"p {gap.p:.2f}" if gap.p >= 0.005 else "p < 0.01"
        axes.text(1.02, -line, p if math.isfinite(gap.p) else "", va="center", fontsize=8,
                  transform=axes.get_yaxis_transform())  # fmt: skip
    edge = max([0.2, *(abs(x) for g in shown for x in (g.low, g.high, g.gap) if x == x)])
    axes.set(xlim=(-1.1 * edge, 1.1 * edge), ylim=(-len(shown) + 0.4, 0.6))
    axes.set_yticks(-np.arange(len(shown)), [title_of(g.metric) for g in shown])
    axes.set_xlabel(
        "← better for men      women − men      better for women →\n"
        "grey: up to the minimum detectable difference (power 80 %); "
        "circle: gap expected from prevalence alone", fontsize=8.5
    )  # fmt: skip
    bare(axes, grid="x")
    axes.grid(False)
    save(figure, path)


def plot_confusion(path: Path, report: Report, predictions: Predictions) -> None:
    """Counts for all, women and men; for two classes at the threshold, else by likeliest class."""
    scored = predictions.of_split(report.split)
    labels = list(predictions.labels)
    figure = new_figure(3.3 * 3, 3.4 + 0.3 * (len(labels) - 2))
    called = _calls(report, scored)
    masks = sex_masks(scored.sex).items()
    for axes, (sex, inside) in zip(figure.subplots(1, 3), masks, strict=True):
        counts = np.array(
            [[np.sum(inside & (scored.label == t) & (called == c)) for c in labels] for t in labels]
        )
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="Greys", vmin=0, vmax=1.4)
        for (row, column), count in np.ndenumerate(counts):
            text = f"{count}\n{shares[row, column]:.0%}".replace("%", " %")
            color = "white" if shares[row, column] > 0.75 else "black"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
        axes.set_xticks(range(len(labels)), labels, fontsize=8)
        axes.set_yticks(range(len(labels)), labels, fontsize=8, rotation=90, va="center")
        axes.set_title(f"{STYLES[sex].name}, {inside.sum()} photos", fontsize=10)
        axes.set_xlabel("called", fontsize=9)
        if sex == "all":
            axes.set_ylabel("truth", fontsize=9)
    save(figure, path)


def _calls(report: Report, scored: Predictions) -> np.ndarray:
    """What each photo is called, as a word."""
    if len(scored.labels) == 2:
        disease = scored.positive_labels[0]
        called = decisions_of(scored, disease, report.operating_points).called
        other = next(label for label in scored.labels if label != disease)
        return np.where(called, disease, other)
    return np.array(scored.labels)[scored.probabilities.argmax(1)]
