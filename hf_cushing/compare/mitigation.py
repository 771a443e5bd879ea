"""Against sex bias: what each method does to the worse sex, and to everybody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hf_cushing.compare.plan import MITIGATIONS, UNTREATED
from hf_cushing.compare.results import SIGNIFICANT, ArmResult, LabelResult
from hf_cushing.evaluation.subgroups import Value
from hf_cushing.evaluation.wording import title_of
from hf_cushing.reports.style import STYLES
from hf_cushing.reports.table import interval_text
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.resampling import percentile_interval
from hf_cushing.stats.significance import holm

JUDGED = "balanced_accuracy"
"""Decided by the threshold, so that every method can change it, and free of prevalence."""


@dataclass(frozen=True, kw_only=True)
class Mitigated:
    """One method beside the same model without any.

    Attributes
    ----------
    arm : ArmResult
    metric : str
    overall, worst : Value
        Of all photos, and of the sex for which the metric is lower.
    worst_sex : str
        ``female`` or ``male``.
    change, worst_change : Value or None
        Against the baseline, paired by draws of patients; None for the baseline.
    p_worst : float
        Of no change of the worse sex: from the draws, by Holm's method over the methods.
    """

    arm: ArmResult
    metric: str
    overall: Value
    worst: Value
    worst_sex: str
    change: Value | None = None
    worst_change: Value | None = None
    p_worst: float = math.nan

    @property
    def name(self) -> str:
        """Of the method."""
        return self.arm.arm.treatment

    @property
    def verdict(self) -> str:
        """What the intervals support."""
        if self.change is None:
            return "baseline"
        if not self.p_worst < SIGNIFICANT:
            verdict = "no change of the worse sex shown"
        else:
            verdict = f"{'raises' if self.worst_change.estimate > 0 else 'lowers'} the worse sex"
        if self.change.high < 0:
            return f"{verdict}, lowers all together"
        return f"{verdict}, raises all together" if self.change.low > 0 else verdict


def mitigated_models(result: LabelResult) -> Iterator[tuple[str, list[ArmResult]]]:
    """Arms that differ by mitigation alone, with ``none`` among them; by their common name."""
    models: dict[tuple[str, ...], list[ArmResult]] = {}
    for arm in result.arms:
        models.setdefault((arm.arm.model, arm.arm.finetune, arm.arm.variant), []).append(arm)
    for (model, *own), arms in models.items():
        treatments = {arm.arm.treatment for arm in arms}
        if len(arms) > 1 and UNTREATED in treatments and treatments <= set(MITIGATIONS):
            yield ", ".join(filter(None, (Path(model).name, *own))), arms


def compare_mitigations(arms: Sequence[ArmResult], metric: str) -> list[Mitigated]:
    """Set every method beside the baseline of the same model, which comes first.

    All arms share their draws of patients, so that differences are paired. The worse sex is
    found anew in each draw.

    Parameters
    ----------
    arms : sequence of ArmResult
        Of one model and way of fine-tuning, with the baseline among them.
    metric : str
    """
    order = list(MITIGATIONS)
    base, *methods = sorted(arms, key=lambda arm: order.index(arm.arm.treatment))
    rows = [_beside(_alone(arm, metric), _alone(base, metric)) for arm in methods]
    adjusted = holm([row.p_worst for row in rows]).tolist() if rows else []
    rows = [replace(row, p_worst=p) for row, p in zip(rows, adjusted, strict=True)]
    return [_alone(base, metric), *rows]


def _alone(arm: ArmResult, metric: str) -> Mitigated:
    sex = min(KNOWN_SEXES, key=lambda sex: np.nan_to_num(arm.estimate(metric, sex), nan=np.inf))
    level, draws = arm.subgroups[sex].level, _worst_draws(arm, metric)
    return Mitigated(
        arm=arm,
        metric=metric,
        overall=arm.subgroups["all"].report.values[metric],
        worst=_value(arm.estimate(metric, sex), draws, level),
        worst_sex=sex,
    )


def _worst_draws(arm: ArmResult, metric: str) -> np.ndarray:
    return np.minimum(*(arm.subgroups[sex].draws[metric] for sex in KNOWN_SEXES))


def _value(estimate: float, draws: np.ndarray, level: float) -> Value:
    low, high = percentile_interval(draws, level)
    return Value(estimate=estimate, low=low, high=high)


def value_text(value: Value) -> str:
    """``0.60 (0.50–0.70)``, or a dash."""
    return interval_text(value.estimate, value.low, value.high, 2)


def _beside(row: Mitigated, base: Mitigated) -> Mitigated:
    arm, metric = row.arm, row.metric
    whole = arm.subgroups["all"]
    changes = whole.draws[metric] - base.arm.subgroups["all"].draws[metric]
    worst_changes = _worst_draws(arm, metric) - _worst_draws(base.arm, metric)
    change = row.overall.estimate - base.overall.estimate
    worst_change = row.worst.estimate - base.worst.estimate
    return replace(
        row,
        change=_value(change, changes, whole.level),
        worst_change=_value(worst_change, worst_changes, arm.subgroups[row.worst_sex].level),
        p_worst=_p_value(worst_changes),
    )


def _p_value(draws: np.ndarray) -> float:
    """Twice the share of draws on the rarer side of 0; 1 where nothing differs."""
    known = draws[np.isfinite(draws)]
    side = min(np.mean(known <= 0), np.mean(known >= 0)) if len(known) else 1.0
    return float(min(1.0, 2 * max(side, 1 / max(len(known), 1))))


def mitigation_sentence(name: str, rows: Sequence[Mitigated]) -> str:
    """Say what the intervals support, and no more; `rows` of `compare_mitigations`."""
    base, *methods = rows
    few = [STYLES[sex].name for sex in KNOWN_SEXES if _rarest(base.arm, sex) < INSUFFICIENT]
    if few:
        return (
            f"{name}: insufficient: fewer than {INSUFFICIENT} {' and '.join(few)} with or without "
            "the disease, so no statement about the worse sex."
        )
    by_verdict: dict[str, list[str]] = {}
    for row in methods:
        by_verdict.setdefault(row.verdict, []).append(row.name)
    verdicts = "; ".join(f"{verdict}: {', '.join(own)}" for verdict, own in by_verdict.items())
    return (
        f"{name}, {title_of(base.metric)}: without mitigation the worse sex are the "
        f"{STYLES[base.worst_sex].name}, {value_text(base.worst)}, all together "
        f"{value_text(base.overall)}. Found: {verdicts}."
    )


def _rarest(arm: ArmResult, sex: str) -> int:
    report = arm.subgroups[sex].report
    return min(report.positive_patients, report.negative_patients)
