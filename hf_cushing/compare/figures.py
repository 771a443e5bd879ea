"""Figures of a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cushing.compare.learning import LearningCurve
from hf_cushing.compare.mitigation import JUDGED, compare_mitigations
from hf_cushing.compare.results import ArmResult, LabelResult
from hf_cushing.evaluation.subgroups import Value
from hf_cushing.evaluation.wording import HEADLINE, title_of
from hf_cushing.reports.style import STYLES, bare, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"head": "o", "last_n": "v", "lora": "D", "full": "s", "lp-ft": "^"}
PALETTE = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#f0e442")
"""Okabe and Ito."""


MOST_NETWORKS = 12
"""Of the forest: more would push the baselines off the first screen; `plot_arms` has all."""


def plot_forest(path: Path, results: Sequence[LabelResult]) -> None:
    """AUROC of the best networks and of all baselines, beside chance: the figure to see first."""
    groups = []
    for result in results:
        networks = [arm for arm in result.arms if not arm.arm.is_baseline]
        baselines = [arm for arm in result.arms if arm.arm.is_baseline]
        rest = len(networks) - MOST_NETWORKS
        title = result.label + (f" ({rest} networks more: below)" if rest > 0 else "")
        groups += [(title, networks[:MOST_NETWORKS], "#0072b2", "o")]
        groups += [(f"{result.label}, baselines", baselines, "#b35c00", "D")] if baselines else []
    heights = [len(arms) + 1 for _, arms, _, _ in groups]
    figure = new_figure(6.2, 0.7 + 0.3 * sum(heights))
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, (title, arms, color, marker) in zip(panels[:, 0], groups, strict=True):
        for place, arm in enumerate(arms):
            row = arm.subgroups["all"].report
            _interval(axes, row.values["auroc"], -place, marker, color=color, label=None,
                      alpha=0.35 if row.size == "insufficient" else 1.0)  # fmt: skip
        axes.axvline(0.5, color="0.4", lw=1, ls=":")
        axes.set_title(title, fontsize=10, loc="left")
        _name_lines(axes, [arm.arm.name for arm in arms], fontsize=9)
        bare(axes, grid="x")
    panels[-1, 0].set_xlabel("AUROC (95 %, by patient); dotted: chance")
    save(figure, path)


def plot_arms(path: Path, result: LabelResult) -> None:
    """AUROC and F1 of every arm for all, women and men, with intervals; the best AUROC on top."""
    arms = result.arms
    figure = new_figure(9.5, 1.2 + 0.62 * len(arms))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric in zip(panels, HEADLINE, strict=True):
        for place, arm in enumerate(arms):
            for shift, (sex, style) in zip((0.24, 0, -0.24), STYLES.items(), strict=True):
                row = arm.subgroups[sex].report
                _interval(
                    axes, row.values[metric], shift - place, style.marker, color=style.color,
                    alpha=0.35 if row.size == "insufficient" else 1.0,
                    label=style.name if place == 0 else None,
                )  # fmt: skip
        axes.set_xlabel(f"{title_of(metric)} (95 %, by patient)")
        bare(axes, grid="x")
    _name_lines(panels[0], [arm.arm.name for arm in arms], fontsize=8)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3,
                  fontsize=9)  # fmt: skip
    save(figure, path)


def _interval(axes: Axes, value: Value, y: float, marker: str, **style: Any) -> None:
    """An estimate and its interval on one line, as far as they are defined."""
    label = style.pop("label")
    if math.isfinite(value.low):
        axes.plot([value.low, value.high], [y, y], **style)
    if math.isfinite(value.estimate):
        axes.plot(value.estimate, y, marker, ms=5, ls="none", label=label, **style)


def _name_lines(axes: Axes, names: Sequence[str], **style: Any) -> None:
    axes.set_yticks([-place for place in range(len(names))], names, **style)
    axes.set_ylim(0.4 - len(names), 0.6)


def plot_gap_and_cost(path: Path, result: LabelResult) -> None:
    """F1 against the gap of the sexes, and against the seconds of all cells."""
    figure = new_figure(11, 4.8)
    left, right = figure.subplots(1, 2)
    models = list(dict.fromkeys(arm.arm.model for arm in result.arms))
    colors = {model: PALETTE[n % len(PALETTE)] for n, model in enumerate(models)}
    for arm in result.arms:
        color, marker = colors[arm.arm.model], MARKERS.get(arm.arm.finetune, "P")
        f1, gap = arm.estimate("f1"), arm.gaps.get("f1")
        if gap and math.isfinite(gap.gap):
            if math.isfinite(gap.low):
                left.plot([gap.low, gap.high], [f1, f1], color=color, alpha=0.25, lw=1)
            left.plot(gap.gap, f1, marker, color=color, ms=6)
        right.plot(arm.seconds, f1, marker, color=color, ms=6)
    left.axvline(0, color="0.4", lw=1)
    left.set(xlabel="F1 of women − F1 of men (95 %)", ylabel="F1")
    right.set(xlabel="seconds, all cells", ylabel="F1", xscale="log")
    _legend(right, colors, result.arms)
    bare(left)
    bare(right)
    save(figure, path)


def _legend(axes: Axes, colors: dict[str, str], arms: Sequence[ArmResult]) -> None:
    for model, color in colors.items():
        axes.plot([], [], "o", color=color, label=Path(model).name, ms=6)
    for method in dict.fromkeys(arm.arm.finetune for arm in arms):
        axes.plot([], [], MARKERS.get(method, "P"), color="0.5", label=method, ms=6, mfc="none")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)


def plot_learning(path: Path, curves: Sequence[LearningCurve]) -> None:
    """AUROC of all, women and men against the patients who trained, a panel an arm."""
    figure = new_figure(3.6 * len(curves) + 1, 3.6)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, curve in zip(panels, curves, strict=True):
        counts = [step.patients for step in curve.steps]
        for shift, (sex, style) in zip((0.98, 1, 1.02), STYLES.items(), strict=True):
            values = [step.subgroups[sex].report.values["auroc"] for step in curve.steps]
            places = [shift * count for count in counts]
            axes.plot(places, [v.estimate for v in values], style.marker, color=style.color,
                      ls="-", ms=5, lw=1, label=style.name)  # fmt: skip
            ends = [[v.low for v in values], [v.high for v in values]]
            axes.vlines(places, *ends, color=style.color, lw=1)
        axes.set(xscale="log", xlabel="training patients", title=curve.arm.name)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        bare(axes)
    panels[0].set_ylabel("AUROC (95 %, by patient)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3,
                  fontsize=9)  # fmt: skip
    save(figure, path)


def plot_mitigations(path: Path, name: str, arms: Sequence[ArmResult]) -> None:
    """The worse sex against all together, and the changes of both, with intervals."""
    rows = compare_mitigations(arms, JUDGED)
    figure = new_figure(10.5, 1.6 + 0.5 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(rows):
        for axes, whole, worst in (
            (left, row.overall, row.worst),
            (right, row.change, row.worst_change),
        ):
            if whole is not None:
                names = ("all", "worse sex") if place == 0 else (None, None)
                _interval(axes, whole, 0.14 - place, "o", color="#000000", label=names[0])
                _interval(axes, worst, -0.14 - place, "D", color="#d55e00", label=names[1])
    left.set(xlabel=f"{title_of(JUDGED)} (95 %, by patient)", title=name)
    right.set(xlabel=f"change of {title_of(JUDGED)} against none (95 %)")
    right.axvline(0, color="0.4", lw=1)
    bare(left, grid="x")
    bare(right, grid="x")
    _name_lines(left, [row.name for row in rows])
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=9)
    save(figure, path)
