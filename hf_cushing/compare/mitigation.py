"""Against sex bias: what each method does to the worse sex, and to everybody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cushing.compare.plan import MITIGATIONS
from hf_cushing.compare.results import ArmResult, LabelResult
from hf_cushing.compare.tables import SAME
from hf_cushing.evaluation.wording import NAMES
from hf_cushing.reports.style import STYLES, new_figure, save
from hf_cushing.reports.table import Table, interval_text, p_text
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.resampling import percentile_interval
from hf_cushing.stats.significance import holm

BASELINE = "none"
SHOWN = ("balanced_accuracy", "f1", "auroc")
SENTENCE = "balanced_accuracy"
"""Decided by the threshold, so that every method can change it, and free of prevalence."""

SEXES = ("female", "male")


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval.

    Attributes
    ----------
    estimate, low, high : float
    """

    estimate: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """For tables."""
        return interval_text(self.estimate, self.low, self.high, 2)


@dataclass(frozen=True)
class Mitigated:
    """One method beside the same model without any.

    Attributes
    ----------
    name : str
        Of the method.
    metric : str
    overall, worst : Figure
        Of all photos, and of the sex for which the metric is lower.
    worst_sex : str
        ``women`` or ``men``.
    change, worst_change : Figure or None
        Against the baseline, paired by draws of patients; None for the baseline.
    p_worst : float
        Of no change of the worse sex: from the draws, by Holm's method over the methods.
    """

    name: str
    metric: str
    overall: Figure
    worst: Figure
    worst_sex: str
    change: Figure | None = None
    worst_change: Figure | None = None
    p_worst: float = math.nan

    @property
    def verdict(self) -> str:
        """What the intervals support."""
        if self.change is None:
            return "baseline"
        if not self.p_worst < SAME:
            found = "no change of the worse sex shown"
        elif self.worst_change.estimate > 0:
            found = "raises the worse sex"
        else:
            found = "lowers the worse sex"
        if self.change.high < 0:
            found += ", lowers all together"
        elif self.change.low > 0:
            found += ", raises all together"
        return found


def compare_mitigations(arms: Sequence[ArmResult], metric: str) -> list[Mitigated]:
    """Set every method beside the baseline of the same model.

    All arms share their draws of patients, so that differences are paired. The worse sex is
    found anew in each draw.

    Parameters
    ----------
    arms : sequence of ArmResult
        Of one model and way of fine-tuning, with the baseline among them.
    metric : str
    """
    order = list(MITIGATIONS)
    arms = sorted(arms, key=lambda arm: order.index(arm.arm.treatment))
    base = next(arm for arm in arms if arm.arm.treatment == BASELINE)
    rows = [_beside(arm, base, metric) for arm in arms]
    adjusted = holm([row.p_worst for row in rows if row.change]) if len(rows) > 1 else []
    found = iter(adjusted)
    return [
        row if row.change is None else Mitigated(**(vars(row) | {"p_worst": float(next(found))}))
        for row in rows
    ]


def _beside(arm: ArmResult, base: ArmResult, metric: str) -> Mitigated:
    whole, worst, sex = _estimates(arm, metric)
    draws, worst_draws = _draws(arm, metric)
    level = arm.subgroups["all"].level
    worst_level = arm.subgroups[sex].level
    value = arm.subgroups["all"].report.values[metric]
    row = Mitigated(
        arm.arm.treatment,
        metric,
        Figure(whole, value.low, value.high),
        _figure(worst, worst_draws, worst_level),
        STYLES[sex].name,
    )
    if arm is base:
        return row
    base_whole, base_worst, _ = _estimates(base, metric)
    base_draws, base_worst_draws = _draws(base, metric)
    change, worst_change = draws - base_draws, worst_draws - base_worst_draws
    return Mitigated(
        **vars(row)
        | {
            "change": _figure(whole - base_whole, change, level),
            "worst_change": _figure(worst - base_worst, worst_change, worst_level),
            "p_worst": _p(worst_change),
        }
    )


def _estimates(arm: ArmResult, metric: str) -> tuple[float, float, str]:
    whole, *sexes = (arm.subgroups[s].report.values[metric].estimate for s in ("all", *SEXES))
    worst = int(np.nanargmin(sexes)) if not np.isnan(sexes).all() else 0
    return whole, sexes[worst], SEXES[worst]


def _draws(arm: ArmResult, metric: str) -> tuple[np.ndarray, np.ndarray]:
    parts = [arm.subgroups[name].draws[metric] for name in ("all", *SEXES)]
    return parts[0], np.minimum(parts[1], parts[2])


def _figure(estimate: float, draws: np.ndarray, level: float) -> Figure:
    return Figure(estimate, *percentile_interval(draws, level))


def _p(draws: np.ndarray) -> float:
    """Twice the share of draws on the rarer side of 0; 1 where nothing differs."""
    known = draws[np.isfinite(draws)]
    side = min(np.mean(known <= 0), np.mean(known >= 0)) if len(known) else 1.0
    return float(min(1.0, 2 * max(side, 1 / max(len(known), 1))))


def models_of(result: LabelResult) -> Iterator[tuple[str, list[ArmResult]]]:
    """Arms by model and way of fine-tuning, if they differ by mitigation and have a baseline."""
    names = dict.fromkeys((arm.arm.model, arm.arm.finetune) for arm in result.arms)
    for model, finetune in names:
        own = [a for a in result.arms if (a.arm.model, a.arm.finetune) == (model, finetune)]
        treatments = {arm.arm.treatment for arm in own}
        if len(own) > 1 and BASELINE in treatments and treatments <= set(MITIGATIONS):
            yield f"{Path(model).name}, {finetune}", own


def mitigation_sentence(name: str, rows: Sequence[Mitigated], arms: Sequence[ArmResult]) -> str:
    """Say what the intervals support, and no more."""
    few = [STYLES[sex].name for sex in SEXES if _rarest(arms[0], sex) < INSUFFICIENT]
    if few:
        return (
            f"{name}: insufficient: fewer than {INSUFFICIENT} {' and '.join(few)} with or without "
            "the disease, so no statement about the worse sex."
        )
    tried = [row for row in rows if row.change]
    if not tried:
        return f"{name}: no method beside the baseline; nothing to compare."
    metric = NAMES.get(rows[0].metric, rows[0].metric)
    by_verdict: dict[str, list[str]] = {}
    for row in tried:
        by_verdict.setdefault(row.verdict, []).append(row.name)
    told = "; ".join(f"{verdict}: {', '.join(found)}" for verdict, found in by_verdict.items())
    base = next(row for row in rows if row.change is None)
    return (
        f"{name}, {metric}: without mitigation the worse sex are the {base.worst_sex}, "
        f"{base.worst.text}, all together {base.overall.text}. Found: {told}."
    )


def _rarest(arm: ArmResult, sex: str) -> int:
    report = arm.subgroups[sex].report
    return min(report.positive_patients, report.negative_patients)


def mitigation_tables(result: LabelResult) -> list[Table]:
    """One table a model: every method by every metric shown."""
    tables = []
    for name, arms in models_of(result):
        by_metric = {metric: compare_mitigations(arms, metric) for metric in SHOWN}
        body = [_cells(row, arms) for rows in by_metric.values() for row in rows]
        header = ["metric", "method", "all", "women", "men", "worse sex", "change of all",
                  "change of the worse sex", "p (Holm)", "verdict"]  # fmt: skip
        notes = [
            mitigation_sentence(name, by_metric[SENTENCE], arms),
            "Changes are against “none” (weights by class alone), on the same photos and draws of "
            "patients, 95 %. The worse sex is the one with the lower figure, found anew for each "
            "method and draw; its interval leans low where the sexes are alike. The p of "
            "the worse sex is adjusted for the methods (Holm), the change of all is not. No change "
            "shown is not the same as no change.",
        ]
        stem = name.replace(", ", "_").replace("/", "_")
        tables.append(Table(f"mitigation_{result.label}_{stem}",
                            f"{result.label}: sex bias, {name}", header, body, notes))  # fmt: skip
    return tables


def _cells(row: Mitigated, arms: Sequence[ArmResult]) -> list[str]:
    arm = next(arm for arm in arms if arm.arm.treatment == row.name)
    women, men = (arm.subgroups[sex].report.values[row.metric].estimate for sex in SEXES)
    worst = f"{row.worst.text} ({row.worst_sex})"
    cells = [NAMES.get(row.metric, row.metric), row.name, row.overall.text, f"{women:.2f}",
             f"{men:.2f}", worst]  # fmt: skip
    if row.change is None:
        return [*cells, "–", "–", "–", row.verdict]
    return [*cells, row.change.text, row.worst_change.text, p_text(row.p_worst), row.verdict]


def plot_mitigations(path: Path, name: str, arms: Sequence[ArmResult]) -> None:
    """The worse sex against all together, and the changes of both, with intervals."""
    rows = compare_mitigations(arms, SENTENCE)
    figure = new_figure(10.5, 1.6 + 0.5 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(rows):
        pairs = ((left, row.overall, row.worst), (right, row.change, row.worst_change))
        for axes, whole, worst in pairs:
            for shift, value, style, label in (
                (0.14, whole, ("#000000", "o"), "all"),
                (-0.14, worst, ("#d55e00", "D"), "worse sex"),
            ):
                if value is None:
                    continue
                y, (color, marker) = shift - place, style
                axes.plot([value.low, value.high], [y, y], color=color)
                axes.plot(value.estimate, y, marker, color=color, ms=5,
                          label=label if place == 0 else None)  # fmt: skip
    metric = NAMES.get(SENTENCE, SENTENCE)
    left.set(xlabel=f"{metric} (95 %, by patient)", ylim=(0.6 - len(rows), 0.6), title=name)
    left.set_yticks([-place for place in range(len(rows))], [row.name for row in rows])
    right.set(xlabel=f"change of {metric} against none (95 %)")
    right.axvline(0, color="0.4", lw=1)
    for axes in (left, right):
        axes.grid(axis="x", color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=9)
    save(figure, path)
