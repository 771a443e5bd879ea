"""Figures of a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cushing.compare.results import ArmResult, LabelResult
from hf_cushing.evaluation.wording import NAMES
from hf_cushing.reports.style import STYLES, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"head": "o", "last_n": "v", "lora": "D", "full": "s", "lp-ft": "^"}
PALETTE = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#f0e442")
"""Okabe and Ito."""


def plot_arms(path: Path, result: LabelResult) -> None:
    """AUROC and F1 of every arm for all, women and men, with intervals; the best AUROC on top."""
    arms = result.arms
    figure = new_figure(9.5, 1.2 + 0.62 * len(arms))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric in zip(panels, ("auroc", "f1"), strict=True):
        for place, arm in enumerate(arms):
            for shift, (sex, style) in zip((0.24, 0, -0.24), STYLES.items(), strict=True):
                row = arm.subgroups[sex].report
                value, y = row.values[metric], -place + shift
                shade = 0.35 if row.size == "insufficient" else 1.0
                if math.isfinite(value.low):
                    axes.plot([value.low, value.high], [y, y], color=style.color, alpha=shade)
                label = style.name if place == 0 and math.isfinite(value.estimate) else None
                axes.plot(value.estimate, y, style.marker, color=style.color, alpha=shade, ms=5,
                          ls="none", label=label)  # fmt: skip
        axes.set_xlabel(f"{NAMES[metric]} (95 %, by patient)")
        axes.grid(axis="x", color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks([-i for i in range(len(arms))], [arm.arm.name for arm in arms], fontsize=8)
    panels[0].set_ylim(-len(arms) + 0.4, 0.6)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3,
                  fontsize=9)  # fmt: skip
    save(figure, path)


def plot_gap_and_cost(path: Path, result: LabelResult) -> None:
    """F1 against the gap of the sexes, and against the seconds of all cells."""
    figure = new_figure(11, 4.8)
    left, right = figure.subplots(1, 2)
    models = list(dict.fromkeys(arm.arm.model for arm in result.arms))
    for arm in result.arms:
        color = PALETTE[models.index(arm.arm.model) % len(PALETTE)]
        marker = MARKERS.get(arm.arm.finetune, "P")
        f1 = arm.subgroups["all"].report.values["f1"]
        gap = next((g for g in arm.gaps if g.metric == "f1"), None)
        if gap and math.isfinite(gap.gap):
            if math.isfinite(gap.low):
                left.plot([gap.low, gap.high], [f1.estimate] * 2, color=color, alpha=0.25, lw=1)
            left.plot(gap.gap, f1.estimate, marker, color=color, ms=6)
        right.plot(arm.seconds, f1.estimate, marker, color=color, ms=6)
    left.axvline(0, color="0.4", lw=1)
    left.set(xlabel="F1 of women − F1 of men (95 %)", ylabel="F1")
    right.set(xlabel="seconds, all cells", ylabel="F1", xscale="log")
    _legend(right, models, result.arms)
    for axes in (left, right):
        axes.grid(color="0.93")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _legend(axes: Axes, models: Sequence[str], arms: Sequence[ArmResult]) -> None:
    for number, model in enumerate(models):
        color = PALETTE[number % len(PALETTE)]
        axes.plot([], [], "o", color=color, label=Path(model).name, ms=6)
    for method in dict.fromkeys(arm.arm.finetune for arm in arms):
        axes.plot([], [], MARKERS.get(method, "P"), color="0.5", label=method, ms=6, mfc="none")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
