"""Figures of a reader study."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.readers.agreement import MODEL as MODEL_NAME
from hf_cushing.readers.cases import ReaderStudy
from hf_cushing.readers.effects import GAIN
from hf_cushing.readers.rates import GAPS, GROUP, MAJORITY, METRIC_NAMES, MODEL, READER, Rates
from hf_cushing.readers.report import ReaderReport
from hf_cushing.readers.table import LEVELS
from hf_cushing.reports.style import STYLES, new_figure, save
from hf_cushing.stats.metrics import roc_points
from hf_cushing.stats.mrmc import RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS = dict(
    zip(LEVELS, (("#56b4e9", "o"), ("#009e73", "s"), ("#e69f00", "^"), ("#cc79a7", "D")),
        strict=True)
)  # fmt: skip
"""Colour (Okabe and Ito) and marker of each level."""

FADED = 0.35
MOST_NUMBERS = 22
"""Readers up to which kappas are written into the squares of the figure."""


def plot_figures(out: Path, study: ReaderStudy, report: ReaderReport) -> Iterator[tuple[str, str]]:
    """Draw what the study has; give file name and caption of each."""
    first = report.reads[0]
    plots: dict[str, tuple[bool, Callable[[Path], None], str]] = {
        "readers_roc.png": (True, lambda path: plot_roc(path, study, report), CAPTIONS["roc"]),
        "readers_forest.png": (True, lambda path: plot_forest(path, report), CAPTIONS["forest"]),
        "readers_sex.png": (
            bool(report.gaps), lambda path: plot_sexes(path, report), CAPTIONS["sex"],
        ),
        "readers_gain.png": (
            len(report.reads) == 2, lambda path: plot_gain(path, report), CAPTIONS["gain"],
        ),
        "readers_cases.png": (True, lambda path: plot_cases(path, study, first), CAPTIONS["cases"]),
        "readers_kappa.png": (
            len(report.readers) > 1, lambda path: plot_kappas(path, report), CAPTIONS["kappa"],
        ),
        "readers_time.png": (
            bool(report.times), lambda path: plot_times(path, report), CAPTIONS["time"],
        ),
    }  # fmt: skip
    for name, (wanted, plot, caption) in plots.items():
        if wanted:
            plot(out / name)
            yield name, caption


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


def _rates(report: ReaderReport, *kinds: str, read: int = 0, subgroup: str = "all") -> list[Rates]:
    reads = (read, 0)
    return [
        row
        for row in report.rates
        if row.kind in kinds and row.read in reads and row.subgroup == subgroup
    ]


def plot_roc(path: Path, study: ReaderStudy, report: ReaderReport) -> None:
    """Readers and their majority as points on the model's ROC."""
    figure = new_figure(7.6, 5.2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.75", lw=1, ls=":")
    axes.plot(*roc_points(study.truth, study.model.score), color="black", lw=1.6, label="model")
    for row in _rates(report, MODEL):
        axes.plot(*_point(row), "*", color="black", ms=13, mec="white", label="model's threshold")
    first = report.reads[0]
    _level_points(axes, _rates(report, READER, read=first), hollow=first == 2)
    for row in [r for r in _rates(report, MAJORITY, read=first) if not r.level]:
        axes.plot(*_point(row), "P", color="0.3", ms=10, mec="white", label=row.name)
    if len(report.reads) == 2:
        seconds = {row.name: row for row in _rates(report, READER, read=2)}
        _level_points(axes, list(seconds.values()), hollow=True)
        for row in _rates(report, READER, read=1):
            if row.name in seconds:
                ends = np.array([_point(row), _point(seconds[row.name])]).T
                axes.plot(*ends, color=LOOKS[row.level][0], lw=0.7, alpha=0.6)
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", aspect="equal")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    save(figure, path)


def _point(row: Rates) -> tuple[float, float]:
    return 1 - row.values["specificity"].estimate, row.values["recall"].estimate


def _level_points(axes: Axes, rows: Sequence[Rates], *, hollow: bool) -> None:
    for level, (color, marker) in LOOKS.items():
        points = [_point(row) for row in rows if row.level == level]
        if points:
            look = {"mfc": "none", "mec": color} if hollow else {"color": color, "mec": "white"}
            label = f"{level}, with the model" if hollow else level
            axes.plot(*np.array(points).T, marker, ms=7, label=label, **look)


def plot_forest(path: Path, report: ReaderReport) -> None:
    """Sensitivity and specificity of every reader, group, majority and the model."""
    first = report.reads[0]
    rows = _rates(report, MODEL, MAJORITY, GROUP, READER, read=first)
    order = {MODEL: 0, MAJORITY: 1, GROUP: 2, READER: 3}
    rows = sorted(rows, key=lambda row: order[row.kind])
    figure = new_figure(8.6, 1.0 + 0.23 * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric in zip(panels, GAPS, strict=True):
        for place, row in enumerate(rows):
            color = LOOKS[row.level][0] if row.level else "black"
            marker = LOOKS[row.level][1] if row.level else "o"
            _line(axes, row, metric, -place, color=color, marker=marker)
        _frame(axes, f"{METRIC_NAMES.get(metric, metric)}, 95 %")
    panels[0].set_yticks([-n for n in range(len(rows))], [_who(row) for row in rows], fontsize=8)
    panels[0].set_ylim(-len(rows) + 0.4, 0.6)
    save(figure, path)


def _who(row: Rates) -> str:
    return f"{row.name}, {row.level}" if row.kind == READER else row.name


def _line(axes: Axes, row: Rates, metric: str, y: float, *, color: str, marker: str) -> None:
    value = row.values[metric]
    shade = FADED if row.size == "insufficient" else 1.0
    if math.isfinite(value.low):
        axes.plot([value.low, value.high], [y, y], color=color, alpha=shade, lw=1.6)
    if math.isfinite(value.estimate):
        axes.plot(value.estimate, y, marker, color=color, alpha=shade, ms=5.5)


def _frame(axes: Axes, label: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(label)
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def plot_sexes(path: Path, report: ReaderReport) -> None:
    """Women beside men for the groups, the majority of all, and the model."""
    first = report.reads[0]
    kinds = (MODEL, GROUP) if len(report.readers) > 1 else (MODEL, READER)
    names = [row.name for row in _rates(report, *kinds, read=first)]
    by_sex = {
        sex: {row.name: row for row in _rates(report, *kinds, read=first, subgroup=sex)}
        for sex in ("female", "male")
    }
    figure = new_figure(8.6, 1.3 + 0.42 * len(names))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric in zip(panels, GAPS, strict=True):
        for shift, (sex, rows) in zip((0.14, -0.14), by_sex.items(), strict=True):
            style = STYLES[sex]
            for place, name in enumerate(names):
                if name in rows:
                    _line(axes, rows[name], metric, shift - place, color=style.color,
                          marker=style.marker)  # fmt: skip
            axes.plot([], [], style.marker, color=style.color, label=style.name)
        _frame(axes, f"{METRIC_NAMES.get(metric, metric)}, 95 %")
    panels[0].set_yticks([-n for n in range(len(names))], names, fontsize=9)
    panels[0].set_ylim(-len(names) + 0.4, 0.6)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2,
                  fontsize=9)  # fmt: skip
    save(figure, path)


def plot_gain(path: Path, report: ReaderReport) -> None:
    """Every reader alone and with the model, and the mean."""
    effects = {
        row.metric: row
        for row in report.effects.rows
        if (row.question, row.group, row.analysis) == (GAIN, "all readers", RANDOM)
    }
    names = {"auroc": "auroc", "sensitivity": "recall", "specificity": "specificity"}
    shown = [metric for metric in names if metric in effects]
    figure = new_figure(3.2 * max(len(shown), 1), 4.2)
    alone, aided = ({r.name: r for r in _rates(report, READER, read=read)} for read in (1, 2))
    for axes, metric in zip(figure.subplots(1, max(len(shown), 1), squeeze=False)[0], shown,
                            strict=False):  # fmt: skip
        for name in [name for name in alone if name in aided]:
            color, marker = LOOKS[alone[name].level]
            ends = [rows[name].values[names[metric]].estimate for rows in (alone, aided)]
            axes.plot([0, 1], ends, color=color, marker=marker, ms=4, lw=1, alpha=0.7)
        effect = effects[metric]
        axes.plot([0, 1], [effect.second, effect.first], color="black", lw=2.4, marker="o")
        change = effect.estimate
        told = f"{change.estimate:+.2f} ({change.low:+.2f} to {change.high:+.2f})"
        told = told.replace("-", "−")
        title = f"{METRIC_NAMES.get(metric, metric)}\n"
        axes.set_title(title + (told if math.isfinite(change.low) else "no interval"), fontsize=10)
        axes.set_xticks([0, 1], ["alone", "with the model"])
        axes.set_xlim(-0.25, 1.25)
        axes.grid(axis="y", color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
    handles = [
        axes.plot([], [], color=color, marker=marker, ms=4, label=level)[0]
        for level, (color, marker) in LOOKS.items()
        if level in report.readers.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)
    save(figure, path)


def plot_cases(path: Path, study: ReaderStudy, read: int) -> None:
    """Share of readers who say disease against the model's probability."""
    calls = study.calls[:, read - 1, 0]
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
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2,
                  fontsize=9)  # fmt: skip
    save(figure, path)


def plot_kappas(path: Path, report: ReaderReport) -> None:
    """Cohen's kappa of every pair of readers, and with the model."""
    first = report.reads[0]
    names = [*report.readers, MODEL_NAME]
    pairs = [pair for pair in report.agreement.pairs if pair.read == first]
    values = np.full((len(names), len(names)), math.nan)
    place = {name: number for number, name in enumerate(report.readers)}
    for pair in pairs:
        a = place[pair.first]
        b = len(names) - 1 if pair.with_model else place[pair.second]
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
    save(figure, path)


def plot_times(path: Path, report: ReaderReport) -> None:
    """Seconds a case by reader, alone and with the model."""
    rows = [row for row in report.times if not row.group]
    names = list(dict.fromkeys(row.name for row in rows))
    figure = new_figure(7.0, 1.2 + 0.26 * len(names))
    axes = figure.subplots()
    for row in rows:
        color, marker = LOOKS[row.level]
        y = -names.index(row.name) + (0.14 if row.read == 1 else -0.14)
        axes.plot([row.lower, row.upper], [y, y], color=color, lw=1.6)
        look = {"mfc": "white"} if row.read == 2 else {}
        axes.plot(row.median, y, marker, color=color, ms=5, **look)
    axes.set_yticks([-n for n in range(len(names))],
                    [f"{name}, {report.readers[name]}" for name in names], fontsize=8)  # fmt: skip
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds a case" + ("; hollow: with the model" if 2 in report.reads else ""))
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    save(figure, path)
