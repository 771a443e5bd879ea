"""The tables of a study, as the papers print them, with intervals and what they support."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from hf_cushing.compare.choice import by_arm
from hf_cushing.compare.grid import CHOSEN, Arm, Cell
from hf_cushing.compare.learned import beats_chance, learned_sentence
from hf_cushing.compare.mitigation import (
    JUDGED,
    Mitigated,
    compare_mitigations,
    mitigated_models,
    mitigation_sentence,
    value_text,
)
from hf_cushing.compare.results import SIGNIFICANT, ArmResult, LabelResult
from hf_cushing.config import read_yaml
from hf_cushing.evaluation.subgroups import Resampled
from hf_cushing.evaluation.wording import format_value, title_of, verdict_text
from hf_cushing.files import resource
from hf_cushing.reports.style import STYLES
from hf_cushing.reports.table import Table, interval_text, number_text, p_text
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.metrics import shown_in

OVERALL = ("accuracy", "precision", "recall", "f1", "auroc")
COMPARED = ("f1", "auroc")
MITIGATED = (JUDGED, "f1", "auroc")
"""Metrics of each table."""


def study_tables(results: Sequence[LabelResult], published: str) -> list[Table]:
    """All tables of a study but those of an external cohort."""
    tables = [table for result in results for table in _label_tables(result)]
    tables += [published_table(published)] if published else []
    return tables + [table for result in results for table in _mitigation_tables(result)]


def _label_tables(result: LabelResult) -> Iterator[Table]:
    yield _overall(result)
    if result.chosen:
        yield _choices(result)
    yield _by_sex(result)
    if result.pairs:
        yield _pairs(result)


def _overall(result: LabelResult) -> Table:
    adjusted = result.adjusted
    body = []
    for arm in result.arms:
        values = arm.subgroups["all"].report.values
        behind = p_text(adjusted[arm.arm]) if arm.arm in adjusted else "best"
        body.append([*arm.arm.words, *(format_value(values[metric]) for metric in OVERALL), behind,
                     f"{arm.trainable:,}"])  # fmt: skip
    header = ["model", "learns", *map(title_of, OVERALL), "p to the best", "weights"]
    row = result.arms[0].subgroups["all"].report
    ranked = any(map(beats_chance, result.arms))
    notes = [
        f"{row.rows} test photos, {row.positive_patients} patients with and "
        f"{row.negative_patients} without the disease: {row.size}. 95 % intervals by patient; "
        "every arm on the same photos and the same draws.",
        winner_sentence(result) if ranked else learned_sentence(result),
        "“p to the best”: paired DeLong of the AUROC against the first line, clustered by patient, "
        "by Holm's method for all lines. The best was chosen by looking, so its figure leans "
        "high.",
    ]
    return Table(f"overall_{result.label}", f"{result.label}: all arms", header, body, notes)


def study_verdicts(results: Sequence[LabelResult], tables: Sequence[Table]) -> list[str]:
    """The sentences to read first: what learned at all, what a network adds to baselines, what was
    chosen, the winner, mitigation."""
    found = []
    for result in results:
        found.append(f"{result.label}: {learned_sentence(result)}")
        if result.added:
            found.append(f"{result.label}: {added_sentence(result)}")
        found += [f"{result.label}: {chosen_sentence(result, arm)}" for arm in result.chosen]
        if any(map(beats_chance, result.arms)):
            found.append(f"{result.label}: {winner_sentence(result)}")
    return found + [table.notes[0] for table in tables if table.name.startswith("mitigation_")]


def added_sentence(result: LabelResult) -> str:
    """What the best network adds to the best baseline and to demographics, in AUROC."""
    parts = []
    for number, (arm, found) in enumerate(result.added.items()):
        which = f"the best baseline ({arm.model})" if number == 0 else arm.model
        gain = found.differences["auroc"]
        text = interval_text(gain.difference, gain.low, gain.high)
        shown = "a gain is shown" if gain.low > 0 else "no gain is shown"
        if gain.high < 0:
            shown = "a loss is shown"
        if found.size == "insufficient":
            shown = "too few patients for a statement"
        parts.append(f"from {which} by {text}: {shown}")
    return (
        f"{result.network.name} differs in AUROC {'; '.join(parts)}. Network and baseline were "
        "chosen by their AUROC on validation; the differences are on test, paired by patient. Over "
        "folds, one run's validation photos are another's test photos, so a little optimism stays."
    )


def chosen_sentence(result: LabelResult, arm: Arm) -> str:
    """What the variants that validation chose reach on test, beside the best by looking."""
    own, best = _chosen_and_best(result, arm)
    return (
        f"{arm.name}: the variant of each fold was chosen by the AUROC of its validation photos "
        f"alone; test AUROC {format_value(own.subgroups['all'].report.values['auroc'])}, which "
        f"nobody picked. The highest test AUROC of a single variant, {best.estimate('auroc'):.3f} "
        f"({best.arm.variant}), was picked by looking and leans high."
    )


def _chosen_and_best(result: LabelResult, arm: Arm) -> tuple[ArmResult, ArmResult]:
    """Result of an arm `CHOSEN`, and of its variant with the highest test AUROC."""
    own = next(found for found in result.arms if found.arm == arm)
    trials = (found for found in result.arms if found.arm.is_trial)
    return own, next(found for found in trials if replace(found.arm, variant=CHOSEN) == arm)


def _choices(result: LabelResult) -> Table:
    body = []
    for arm, counts in result.chosen.items():
        own, best = _chosen_and_best(result, arm)
        values = [found.subgroups["all"].report.values["auroc"] for found in (own, best)]
        taken = "; ".join(f"{variant} ({count})" for variant, count in counts.most_common())
        body.append([*arm.words, *map(format_value, values), best.arm.variant, taken])
    header = ["model", "learns", "AUROC of the chosen", "highest AUROC of a variant",
              "that variant", "chosen (folds × seeds)"]  # fmt: skip
    notes = [chosen_sentence(result, arm) for arm in result.chosen]
    return Table(f"choice_{result.label}", f"{result.label}: what was chosen", header, body, notes)


def winner_sentence(result: LabelResult) -> str:
    """Name a winner only if every other arm is shown to be worse."""
    adjusted = result.adjusted
    if not adjusted:
        return "A single arm: nothing to compare."
    level = [arm.name for arm, p in adjusted.items() if not p < SIGNIFICANT]
    best = f"{result.arms[0].arm.name} has the highest AUROC"
    if not level:
        return f"{best}; all others are shown to be lower."
    return (
        f"No winner: {best}, but {len(level)} of {len(adjusted)} others can't be told from it "
        f"({'; '.join(level[:6])}{'; …' if len(level) > 6 else ''})."
    )


def _by_sex(result: LabelResult) -> Table:
    body = []
    for arm in result.arms:
        for metric in COMPARED:
            reports = [arm.subgroups[sex].report for sex in KNOWN_SEXES]
            values = [format_value(report.values[metric], 2) for report in reports]
            row = [*arm.arm.words, title_of(metric), *values]
            gap = arm.gaps.get(metric)
            row += ["–"] * 5 if gap is None else [
                interval_text(gap.gap, gap.low, gap.high, 2),
                interval_text(gap.beyond, gap.beyond_low, gap.beyond_high, 2),
                p_text(gap.p), p_text(gap.p_holm),
                f"{gap.detectable:.2f}" if math.isfinite(gap.detectable) else "–",
            ]  # fmt: skip
            body.append(row)
    header = ["model", "learns", "metric", "women", "men", "gap", "beyond prevalence", "p",
              "p (Holm)", "minimum detectable difference"]  # fmt: skip
    counts = ", ".join(
        f"{STYLES[sex].name} {row.positive_patients} + / {row.negative_patients} − patients "
        f"({row.size})"
        for sex, row in ((sex, result.arms[0].subgroups[sex].report) for sex in KNOWN_SEXES)
    )
    notes = [
        f"{counts}. Gap: women minus men. Beyond prevalence: without what the sexes' different "
        "shares of positives give alone. p: of that; p (Holm): adjusted for all metrics but AUROC, "
        "the primary one. Minimum detectable difference: the gap "
        "that this sample finds four times in five.",
    ]
    return Table(f"sex_{result.label}", f"{result.label}: women and men", header, body, notes)


def _pairs(result: LabelResult) -> Table:
    body = [
        [question, title_of(metric), interval_text(d.difference, d.low, d.high), p_text(d.p),
         verdict_text(d)]
        for question, comparison in result.pairs.items()
        for metric, d in ((metric, comparison.differences[metric]) for metric in COMPARED)
    ]  # fmt: skip
    header = ["question", "metric", "first − second", "p", "verdict"]
    margin = next(iter(result.pairs.values())).margin
    notes = [
        "Paired by photo, draws of patients. Equivalent: the 90 % interval lies within "
        f"±{margin:g}. The best of each kind was chosen on these very photos: p takes no account "
        "of that."
    ]
    title = f"{result.label}: the papers' questions"
    return Table(f"pairs_{result.label}", title, header, body, notes)


def published_table(key: str) -> Table:
    """Figures of a paper, from ``configs/published.yaml``."""
    tables = read_yaml(resource("configs/published.yaml"), known=("liu2025", "wei2020"))
    paper = tables[key]
    notes = [f"Published figures, on other photographs than ours: {paper['source']}."]
    body = [[str(cell) for cell in row] for row in paper["rows"]]
    return Table("published", f"Published: {paper['title']}", paper["header"], body, notes)


def _mitigation_tables(result: LabelResult) -> Iterator[Table]:
    """One table a model: every method by every metric shown."""
    for name, arms in mitigated_models(result):
        rows = {metric: compare_mitigations(arms, metric) for metric in MITIGATED}
        body = [_mitigation_cells(row) for own in rows.values() for row in own]
        header = ["metric", "method", "all", "women", "men", "worse sex", "change of all",
                  "change of the worse sex", "p (Holm)", "verdict"]  # fmt: skip
        notes = [
            mitigation_sentence(name, rows[JUDGED]),
            "Changes are against “none” (weights by class alone), on the same photos and draws of "
            "patients, 95 %. The worse sex is the one with the lower figure, found anew for each "
            "method and draw; its interval leans low where the sexes are alike. The p of "
            "the worse sex is adjusted for the methods (Holm), the change of all is not. No change "
            "shown is not the same as no change.",
        ]
        key = name.replace(", ", "_").replace("/", "_").replace(" ", "-")
        title = f"{result.label}: sex bias, {name}"
        yield Table(f"mitigation_{result.label}_{key}", title, header, body, notes)


def _mitigation_cells(row: Mitigated) -> list[str]:
    sexes = [f"{row.arm.estimate(row.metric, sex):.2f}" for sex in KNOWN_SEXES]
    worst = f"{value_text(row.worst)} ({STYLES[row.worst_sex].name})"
    changes = ["–"] * 3
    if row.change:
        changes = [value_text(row.change), value_text(row.worst_change), p_text(row.p_worst)]
    return [title_of(row.metric), row.name, value_text(row.overall), *sexes, worst, *changes,
            row.verdict]  # fmt: skip


def external_table(
    label: str, arms: dict[Arm, dict[str, Resampled]], cells: Sequence[Cell]
) -> Table:
    """What each arm reached on another cohort, beside its AUROC on the study's own."""
    body, metrics = [], shown_in("brief")
    for arm, own in by_arm(cells).items():
        home = [cell.run.report.find(label, "all").values["auroc"].estimate for cell in own]
        for name, group in arms[arm].items():
            values = [format_value(group.report.values[metric]) for metric in metrics]
            body.append(
                [
                    *arm.words,
                    name,
                    *values,
                    number_text(float(np.mean(home))) if name == "all" else "",
                ]
            )
    row = next(iter(arms.values()))["all"].report
    notes = [
        f"{row.rows} external photos, {row.positive_patients} patients with and "
        f"{row.negative_patients} without the disease: {row.size}. Means over each arm's models; "
        "thresholds and calibration are those of the study. “At home”: mean AUROC of the folds."
    ]
    header = ["model", "learns", "", *map(title_of, metrics), "AUROC at home"]
    return Table(f"external_{label}", f"{label}: external validation", header, body, notes)
