"""Photos as they are, without alignment: what transformers' own pipeline makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.subgroups import SubgroupReport, make_sample, report_subgroups


@dataclass(frozen=True, kw_only=True)
class PlainReport:
    """An evaluation on wide views, unaligned.

    Attributes
    ----------
    operating_points : list of OperatingPoint
        Chosen on the validation photos' wide views.
    subgroups : list of SubgroupReport
        At these points; by photo.
    at_aligned : list of SubgroupReport
        The same at the thresholds that were chosen on aligned crops.
    """

    operating_points: list[OperatingPoint]
    subgroups: list[SubgroupReport]
    at_aligned: list[SubgroupReport]


def report_plain(
    scored: Predictions,
    *,
    points: Sequence[OperatingPoint],
    aligned_points: Sequence[OperatingPoint],
    by: Sequence[str],
    draws: int,
) -> PlainReport:
    """Evaluate the scores of wide views, of one split."""
    sample = make_sample(scored, draws=draws)
    masks = subgroup_masks(sample.rows, by)

    def rows(thresholds: Sequence[OperatingPoint]) -> list[SubgroupReport]:
        return [
            resampled.report
            for label in scored.positive_labels
            for resampled in report_subgroups(sample, label, thresholds, masks).values()
        ]

    return PlainReport(
        operating_points=list(points), subgroups=rows(points), at_aligned=rows(aligned_points)
    )


def called_share(row: SubgroupReport) -> float:
    """Share of the photos that are called positive, 0..1."""
    return (row.cells["tp"] + row.cells["fp"]) / row.rows
