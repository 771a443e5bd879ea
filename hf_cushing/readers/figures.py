"""Figures of a reader study."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.readers.kit import LEVELS
from hf_cushing.readers.multi_reader import GAIN, Effect
from hf_cushing.readers.rates import GAPS, GROUP, MAJORITY, METRIC_NAMES, MODEL, READER, Rates
from hf_cushing.readers.report import ReaderReport
from hf_cushing.readers.study import ALL_READERS, ReaderStudy
from hf_cushing.readers.verdicts import change_text
from hf_cushing.reports.style import STYLES, bare, new_figure, save
from hf_cushing.stats.decisions import roc_points
from hf_cushing.stats.mrmc import RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = dict(
    zip(LEVELS, (("#56b4e9", "o"), ("#009e73", "s"), ("#e69f00", "^"), ("#cc79a7", "D")),
        strict=True)
)  # fmt: skip
"""Colour (Okabe and Ito) and marker of each level."""

FADED = 0.35
MOST_NUMBERS = 22
"""Readers up to which kappas are written into the squares of the figure."""

CAPTIONS = {
    "roc": "Readers as points beside the model's ROC curve, each on the photos that they judged. "
    "A hollow point is the same reader with the model's score.",
    "forest": "Sensitivity and specificity with 95 % intervals, by patient. Pale: too few patients "
    "for a statement.",
    "sex": "Women and men among the patients, 95 % intervals. Pale: too few patients.",
    "gain": "Each line is a reader; black is the mean, with the interval of the change for other "
    "readers and other patients.",
    "cases": "Each point is a photo. Left of the line the model says no disease; above the middle "
    "most readers say disease. Crosses with disease below the middle are missed by most readers.",
    "kappa": "Cohen's kappa of the calls: agreement beyond chance.",
    "time": "Seconds a case: median and quartiles.",
}


def plot_figures(out: Path, study: ReaderStudy, report: ReaderReport) -> Iterator[tuple[str, Path]]:
    """Draw what the study has; give caption and file of each."""
    plots = {"roc": _roc, "forest": _forest, "cases": _cases}
    plots |= {"sex": _sexes} if report.gaps else {}
    plots |= {"gain": _gain} if _gains(report) else {}
    plots |= {"kappa": _kappas} if len(report.readers) > 1 else {}
    plots |= {"time": _times} if report.times else {}
    for name, caption in CAPTIONS.items():
        if name in plots:
            path = out / f"readers_{name}.png"
            save(plots[name](study, report), path)
            yield caption, path


def _roc(study: ReaderStudy, report: ReaderReport) -> Figure:
    """Readers and their majority as points on the model's ROC."""
    figure = new_figure(7.6, 5.2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.75", lw=1, ls=":")
    axes.plot(*roc_points(study.truth, study.model.score), color="black", lw=1.6, label="model")
    for row in report.rates_in(0, MODEL):
        axes.plot(*_point(row), "*", color="black", ms=13, mec="white", label="model's threshold")
    first = report.reads[0]
    _level_points(axes, report.rates_in(first, READER), hollow=first == 2)
    for row in [r for r in report.rates_in(first, MAJORITY) if not r.level]:
        axes.plot(*_point(row), "P", color="0.3", ms=10, mec="white", label=row.name)
    if len(report.reads) == 2:
        aided = {row.name: row for row in report.rates_in(2, READER)}
        _level_points(axes, list(aided.values()), hollow=True)
        for row in report.rates_in(1, READER):
            if row.name in aided:
                ends = np.array([_point(row), _point(aided[row.name])]).T
                axes.plot(*ends, color=MARKS[row.level][0], lw=0.7, alpha=0.6)
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", aspect="equal",
             xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))  # fmt: skip
    bare(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    return figure


def _point(row: Rates) -> tuple[float, float]:
    return 1 - row.values["specificity"].estimate, row.values["recall"].estimate


def _level_points(axes: Axes, rows: Sequence[Rates], *, hollow: bool) -> None:
    for level, (color, marker) in MARKS.items():
        points = [_point(row) for row in rows if row.level == level]
        if points:
            look = {"mfc": "none", "mec": color} if hollow else {"color": color, "mec": "white"}
            label = f"{level}, with the model" if hollow else level
            axes.plot(*np.array(points).T, marker, ms=7, label=label, **look)


def _forest(study: ReaderStudy, report: ReaderReport) -> Figure:
    """Sensitivity and specificity of every reader, group, majority and the model."""
    rows = report.rates_in(report.reads[0])
    names = [f"{row.name}, {row.level}" if row.kind == READER else row.name for row in rows]
    figure, panels = _panels(names, height=1.0 + 0.23 * len(rows), fontsize=8)
    for axes, metric in zip(panels, GAPS, strict=True):
        for place, row in enumerate(rows):
            color, marker = MARKS[row.level] if row.level else ("black", "o")
            _interval(axes, row, metric, -place, color=color, marker=marker)
    return figure


def _panels(names: Sequence[str], *, height: float, fontsize: int) -> tuple[Figure, Sequence[Axes]]:
    """A panel for each of `GAPS`, with a line for each name: the first at 0, the next at -1."""
    figure = new_figure(8.6, height)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric in zip(panels, GAPS, strict=True):
        axes.set(xlim=(-0.02, 1.02), xlabel=f"{METRIC_NAMES[metric]}, 95 %")
        bare(axes, grid="x")
    panels[0].set_yticks([-n for n in range(len(names))], names, fontsize=fontsize)
    panels[0].set_ylim(-len(names) + 0.4, 0.6)
    return figure, panels


def _interval(axes: Axes, row: Rates, metric: str, y: float, *, color: str, marker: str) -> None:
    value = row.values[metric]
    shade = FADED if row.size == "insufficient" else 1.0
    if math.isfinite(value.low):
        axes.plot([value.low, value.high], [y, y], color=color, alpha=shade, lw=1.6)
    if math.isfinite(value.estimate):
        axes.plot(value.estimate, y, marker, color=color, alpha=shade, ms=5.5)


def _sexes(study: ReaderStudy, report: ReaderReport) -> Figure:
    """Women beside men for the groups, and the model."""
    first, kinds = report.reads[0], (MODEL, GROUP if len(report.readers) > 1 else READER)
    names = [row.name for row in report.rates_in(first, *kinds)]
    figure, panels = _panels(names, height=1.3 + 0.42 * len(names), fontsize=9)
    for axes, metric in zip(panels, GAPS, strict=True):
        for shift, sex in ((0.14, "female"), (-0.14, "male")):
            style = STYLES[sex]
            for row in report.rates_in(first, *kinds, subgroup=sex):
                y = shift - names.index(row.name)
                _interval(axes, row, metric, y, color=style.color, marker=style.marker)
            axes.plot([], [], style.marker, color=style.color, label=style.name)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2,
                  fontsize=9)  # fmt: skip
    return figure


def _gains(report: ReaderReport) -> list[tuple[str, Effect]]:
    """The gains of all readers, by the metric's name among `Rates.values`."""
    effects = {
        row.metric: row
        for row in report.effects
        if (row.question, row.group, row.analysis) == (GAIN, ALL_READERS, RANDOM)
    }
    names = (("auroc", "auroc"), ("recall", "sensitivity"), ("specificity", "specificity"))
    return [(name, effects[metric]) for name, metric in names if metric in effects]


def _gain(study: ReaderStudy, report: ReaderReport) -> Figure:
    """Every reader alone and with the model, and the mean."""
    gains = _gains(report)
    figure = new_figure(3.2 * len(gains), 4.2)
    alone, aided = ({r.name: r for r in report.rates_in(read, READER)} for read in (1, 2))
    panels = figure.subplots(1, len(gains), squeeze=False)[0]
    for axes, (metric, effect) in zip(panels, gains, strict=True):
        for name in [name for name in alone if name in aided]:
            color, marker = MARKS[alone[name].level]
            ends = [rows[name].values[metric].estimate for rows in (alone, aided)]
            axes.plot([0, 1], ends, color=color, marker=marker, ms=4, lw=1, alpha=0.7)
        axes.plot([0, 1], [effect.second, effect.first], color="black", lw=2.4, marker="o")
        change = effect.estimate
        known = math.isfinite(change.low)
        text = change_text(change.estimate, change.low, change.high) if known else "no interval"
        axes.set_title(f"{METRIC_NAMES[metric]}\n{text}", fontsize=10)
        axes.set_xticks([0, 1], ["alone", "with the model"])
        axes.set_xlim(-0.25, 1.25)
        bare(axes, grid="y")
    handles = [
        panels[0].plot([], [], color=color, marker=marker, ms=4, label=level)[0]
        for level, (color, marker) in MARKS.items()
        if level in report.readers.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _cases(study: ReaderStudy, report: ReaderReport) -> Figure:
    """Share of readers who say disease against the model's probability."""
    calls = study.calls[:, report.reads[0] - 1, 0]
    judged = np.isfinite(calls).any(0)
    share = np.nanmean(calls[:, judged], axis=0)
    figure = new_figure(6.4, 5.2)
    axes = figure.subplots()
    truth, score = study.truth[judged], study.model.score[judged]
    for inside, color, marker, name in (
        (truth, "#d55e00", "x", study.label),
        (~truth, "#0072b2", "o", f"not {study.label}"),
    ):
        axes.plot(score[inside], share[inside], marker, color=color, mfc="none", ms=6,
                  label=f"{name}: {inside.sum()} photos")  # fmt: skip
    for threshold in np.unique(study.model.threshold):
        axes.axvline(threshold, color="0.5", lw=0.8, ls="--")
    axes.axhline(0.5, color="0.5", lw=0.8, ls="--")
    axes.set(xlabel="the model's probability (dashed: its threshold)",
             ylabel=f"share of readers who say {study.label}",
             xlim=(-0.02, 1.02), ylim=(-0.04, 1.04))  # fmt: skip
    bare(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2,
                  fontsize=9)  # fmt: skip
    return figure


def _kappas(study: ReaderStudy, report: ReaderReport) -> Figure:
    """Cohen's kappa of every pair of readers, and with the model."""
    names = [*report.readers, MODEL]
    values = np.full((len(names), len(names)), math.nan)
    for pair in report.pairs:
        if pair.read == report.reads[0]:
            a = names.index(pair.first)
            b = len(names) - 1 if pair.with_model else names.index(pair.second)
            values[a, b] = values[b, a] = pair.calls.estimate
    side = 1.8 + 0.34 * len(names)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1)
    if len(names) <= MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if math.isfinite(value):
                color = "white" if value < 0.5 else "black"
                axes.text(column, row, f"{value:.2f}".replace("0.", "."), ha="center", va="center",
                          fontsize=6.5, color=color)  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7.5)
    axes.set_yticks(range(len(names)), names, fontsize=7.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.7, label="Cohen's kappa")
    return figure


def _times(study: ReaderStudy, report: ReaderReport) -> Figure:
    """Seconds a case by reader, alone and with the model."""
    rows = [row for row in report.times if row.kind == READER]
    names = list(dict.fromkeys(row.name for row in rows))
    figure = new_figure(7.0, 1.2 + 0.26 * len(names))
    axes = figure.subplots()
    for row in rows:
        color, marker = MARKS[row.level]
        y = -names.index(row.name) + (0.14 if row.read == 1 else -0.14)
        axes.plot([row.lower, row.upper], [y, y], color=color, lw=1.6)
        look = {"mfc": "white"} if row.read == 2 else {}
        axes.plot(row.median, y, marker, color=color, ms=5, **look)
    axes.set_yticks([-n for n in range(len(names))],
                    [f"{name}, {report.readers[name]}" for name in names], fontsize=8)  # fmt: skip
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds a case" + ("; hollow: with the model" if 2 in report.reads else ""))
    bare(axes, grid="x")
    return figure
