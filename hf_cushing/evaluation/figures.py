"""Figures of the evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.evaluation.metrics import roc_points
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.files import written_aside

if TYPE_CHECKING:
    from hf_cushing.evaluation.report import Report

COLORS = {"all": "black", "female": "#b2182b", "male": "#2166ac"}


def plot_roc(path: Path, report: Report, predictions: Predictions) -> None:
    """Draw ROC curves for all, women and men, one panel a disease, with the operating point."""
    from matplotlib.figure import Figure

    from hf_cushing.evaluation.report import format_value

    scored = predictions.of_split(report.split)
    labels = predictions.positive_labels
    figure = Figure(figsize=(5 * len(labels), 5.2), layout="constrained")
    for axes, label in zip(figure.subplots(1, len(labels), squeeze=False)[0], labels, strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle=":")
        for subgroup, color in COLORS.items():
            row = report.find(label, subgroup)
            inside = np.full(len(scored), True) if subgroup == "all" else scored.sex == subgroup
            part = scored.select(inside)
            if not (row.positives and row.negatives):
                continue
            name = f"{subgroup}: AUROC {format_value(row.values['auroc'], 2)}"
            name += f", {row.positive_patients}+/{row.negative_patients}- patients"
            if row.size == "insufficient":
                name += ", insufficient"
            axes.plot(*roc_points(part.label == label, part.score(label)), color=color, label=name)
            point = (1 - row.values["specificity"].estimate, row.values["recall"].estimate)
            axes.plot(*point, marker="o", color=color)
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
        axes.set_title(
            f"{label}, {report.split} split (dots: threshold from validation)", fontsize=9
        )
        axes.legend(loc="lower right", fontsize=7)
    with written_aside(path) as aside:
        figure.savefig(aside, format="png", dpi=120)
