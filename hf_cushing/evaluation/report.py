"""How good a model is, for all, for women and for men, rebuilt from predictions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hf_cushing.evaluation.adjusted import Adjusted, adjust
from hf_cushing.evaluation.comparison import Comparison, compare_models
from hf_cushing.evaluation.conformal import abstention_table, fit_conformal
from hf_cushing.evaluation.curves import plot_roc
from hf_cushing.evaluation.gaps import Gap, sex_gaps
from hf_cushing.evaluation.grades import report_grades
from hf_cushing.evaluation.grouping import subgroup_masks, with_thirds
from hf_cushing.evaluation.operating_points import OperatingPoint, choose_operating_points
from hf_cushing.evaluation.options import DEFAULT_RULE, EvaluationOptions
from hf_cushing.evaluation.page import write_page
from hf_cushing.evaluation.plain import PlainReport, report_plain
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report, report_to_json
from hf_cushing.evaluation.subgroups import (
    Sample,
    SubgroupReport,
    make_samples,
    mean_subgroups,
    report_subgroups,
)
from hf_cushing.evaluation.tables import report_tables, report_to_csv
from hf_cushing.files import write_json, write_text
from hf_cushing.reports.table import tables_to_latex, tables_to_markdown
from hf_cushing.schema import UserError


def evaluate(
    predictions: Predictions,
    options: EvaluationOptions | None = None,
    *,
    operating_points: list[OperatingPoint] | None = None,
    against: Predictions | None = None,
    plain_points: Sequence[OperatingPoint] = (),
) -> Report:
    """Evaluate a split, for all and for each subgroup.

    Parameters
    ----------
    predictions : Predictions
        With rows of the split, and of ``validation`` unless `operating_points` are given. Rows
        of several models (folds) are pooled; each is judged by its own model's threshold.
    options : EvaluationOptions, optional
    operating_points : list of OperatingPoint, optional
        Thresholds that were chosen before.
    against : Predictions, optional
        Another model's, on the same photos.
    plain_points : sequence of OperatingPoint
        Thresholds for the wide views that were chosen before; else they are chosen on those of
        the validation photos.

    Raises
    ------
    UserError
        No rows of the split; a photo scored twice; photos that differ between two models.
    """
    options = options or EvaluationOptions()
    points = operating_points or choose_operating_points(
        predictions, options.rule or DEFAULT_RULE, per_sex=options.per_sex
    )
    scored = predictions.of_split(options.split)
    _check_once(scored)
    options = replace(options, by=with_thirds(scored, options.by))
    samples = make_samples(scored, draws=options.draws)
    subgroups, gaps = _subgroups_and_gaps(samples, points, options)
    shared, abstention, grading = [], [], None
    common = [point for point in points if point.sex == "all"]
    if len(common) < len(points):
        shared = _subgroups_and_gaps(samples, common, options)[0]
    if options.abstain:
        fitted = fit_conformal(predictions.of_split("validation"), options.abstain)
        abstention = abstention_table(fitted, scored)
    if options.grades:
        grading = report_grades(samples, options.grades, by=options.by, shuffles=options.shuffles)
    return Report(
        split=options.split,
        operating_points=points,
        subgroups=subgroups,
        gaps=gaps,
        shared=shared,
        alpha=options.abstain,
        abstention=abstention,
        comparisons=_comparisons(predictions, points, against, options) if against else [],
        primary=options.primary,
        margin=options.margin,
        prevalence=options.shares,
        grading=grading,
        plain=_plain(predictions.unaligned, plain_points, points, options),
        adjusted=_adjusted(samples[-1]) if not options.grades else [],
        drawn=scored.drawn,
    )


def _adjusted(sample: Sample) -> list[Adjusted]:
    found = (adjust(sample, label) for label in sample.rows.positive_labels)
    return [item for item in found if item]


def _plain(
    plain: Predictions | None,
    own: Sequence[OperatingPoint],
    aligned: Sequence[OperatingPoint],
    options: EvaluationOptions,
) -> PlainReport | None:
    if plain is None:
        return None
    rule = options.rule or DEFAULT_RULE
    return report_plain(
        plain.of_split(options.split),
        points=own or choose_operating_points(plain, rule, per_sex=options.per_sex),
        aligned_points=aligned,
        by=options.by,
        draws=options.draws,
    )


def _subgroups_and_gaps(
    samples: Sequence[Sample], points: Sequence[OperatingPoint], options: EvaluationOptions
) -> tuple[list[SubgroupReport], list[Gap]]:
    """For photos, and for patients if any of them has several photos."""
    reports, gaps = [], []
    for sample in samples:
        masks, labels = subgroup_masks(sample.rows, options.by), sample.rows.positive_labels
        per_label = [report_subgroups(sample, label, points, masks) for label in labels]
        if "sex" in options.by:
            for label, resampled in zip(labels, per_label, strict=True):
                gaps += sex_gaps(
                    sample, label, points, resampled,
                    shuffles=options.shuffles, primary=options.primary,
                )  # fmt: skip
        per_label += [mean_subgroups(per_label)] if len(per_label) > 1 else []
        reports += [part.report for resampled in per_label for part in resampled.values()]
    return reports, gaps


def _comparisons(
    predictions: Predictions,
    points: list[OperatingPoint],
    against: Predictions,
    options: EvaluationOptions,
) -> list[Comparison]:
    rule = options.against_rule or options.rule or DEFAULT_RULE
    others = choose_operating_points(against, rule, per_sex=options.per_sex)
    return [
        compare_models(
            predictions,
            against,
            label=label,
            split=options.split,
            points=(points, others),
            draws=options.draws,
            margin=options.margin,
            primary=options.primary,
        )
        for label in predictions.positive_labels
    ]


def _check_once(scored: Predictions) -> None:
    """Refuse a photo that is there twice: it would count twice."""
    photos, times = np.unique(scored.photo_id, return_counts=True)
    twice = photos[times > 1].tolist()
    if twice:
        raise UserError(
            f"{len(twice)} photos were scored more than once ({', '.join(twice[:3])}, …): pool "
            "the folds of one repeat, or evaluate the runs one by one"
        )


def write_report(
    out: Path, report: Report, predictions: Predictions, *, full: bool = False
) -> None:
    """Write ``metrics.json``, ``metrics.md``, ``roc.png`` and ``predictions.parquet``.

    With `full` also ``metrics.csv``, ``metrics.tex``, all figures, and ``report.html`` that
    holds everything.
    """
    write_json(out / "metrics.json", report_to_json(report))
    tables = report_tables(report)
    write_text(out / "metrics.md", tables_to_markdown(tables))
    predictions.save(out / "predictions.parquet")
    if full:
        write_text(out / "metrics.csv", report_to_csv(report))
        write_text(out / "metrics.tex", tables_to_latex(tables))
        write_page(out, report, predictions)
    else:
        plot_roc(out / "roc.png", report, predictions)
