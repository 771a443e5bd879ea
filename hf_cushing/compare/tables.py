"""The tables of a study, as the papers print them, with intervals and what they support."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hf_cushing.compare.results import ArmResult, LabelResult
from hf_cushing.config import read_yaml
from hf_cushing.evaluation.wording import NAMES, format_value, verdict_text
from hf_cushing.files import resource
from hf_cushing.reports.table import Table, interval_text, number_text, p_text

SHOWN = ("accuracy", "precision", "recall", "f1", "auroc")
SEXES = (("women", "female"), ("men", "male"))
SAME = 0.05


def study_tables(results: Sequence[LabelResult], published: str) -> list[Table]:
    """All tables of a study."""
    tables = [table for result in results for table in _tables_of(result)]
    if published:
        tables.append(published_table(published))
    return tables


def _tables_of(result: LabelResult) -> Iterator[Table]:
    yield _overall(result)
    yield _by_sex(result)
    if result.pairs:
        yield _pairs(result)


def _overall(result: LabelResult) -> Table:
    adjusted = result.adjusted()
    body = []
    for arm in result.arms:
        row = arm.subgroups["all"].report
        values = [format_value(row.values[metric]) for metric in SHOWN]
        behind = p_text(adjusted[arm.arm]) if arm.arm in adjusted else "best"
        body.append([*_names(arm), *values, behind, f"{arm.trainable:,}"])
    header = ["model", "learns", *(NAMES.get(m, m) for m in SHOWN), "p to the best", "weights"]
    row = result.arms[0].subgroups["all"].report
    notes = [
        f"{row.rows} test photos, {row.positive_patients} patients with and "
        f"{row.negative_patients} without the disease: {row.size}. 95 % intervals by patient; "
        "every arm on the same photos and the same draws.",
        winner_sentence(result),
        "“p to the best”: paired DeLong of the AUROC against the first line, clustered by patient, "
        "by Holm's method for all lines. The best was chosen by looking, so its figure leans "
        "high.",
    ]
    return Table(f"overall_{result.label}", f"{result.label}: all arms", header, body, notes)


def winner_sentence(result: LabelResult) -> str:
    """Name a winner only if every other arm is shown to be worse."""
    adjusted = result.adjusted()
    if not adjusted:
        return "A single arm: nothing to compare."
    level = [arm.name for arm, p in adjusted.items() if not p < SAME]
    if not level:
        return f"{result.arms[0].arm.name} has the highest AUROC; all others are shown to be lower."
    return (
        f"No winner: {len(level)} of {len(adjusted)} other arms can't be told from the best by "
        f"AUROC ({'; '.join(level[:6])}{'; …' if len(level) > 6 else ''})."
    )


def _by_sex(result: LabelResult) -> Table:
    body = []
    for arm in result.arms:
        for metric in ("f1", "auroc"):
            values = [format_value(arm.subgroups[sex].report.values[metric], 2) for _, sex in SEXES]
            gap = next((g for g in arm.gaps if g.metric == metric), None)
            told = ["–"] * 5
            if gap:
                told = [interval_text(gap.gap, gap.low, gap.high, 2), number_text(gap.expected)]
                told += [p_text(gap.p), p_text(gap.p_holm), f"{gap.detectable:.2f}"]
            body.append([*_names(arm), NAMES.get(metric, metric), *values, *told])
    header = ["model", "learns", "metric", "women", "men", "gap", "expected from prevalence", "p",
              "p (Holm)", "minimum detectable difference"]  # fmt: skip
    rows = [result.arms[0].subgroups[sex].report for _, sex in SEXES]
    counts = ", ".join(
        f"{word} {row.positive_patients} + / {row.negative_patients} − patients ({row.size})"
        for (word, _), row in zip(SEXES, rows, strict=True)
    )
    notes = [
        f"{counts}. Gap: women minus men. Expected from prevalence: what the sexes' different "
        "shares of positives give alone. p: beyond that. Minimum detectable difference: the gap "
        "that this sample finds four times in five.",
    ]
    return Table(f"sex_{result.label}", f"{result.label}: women and men", header, body, notes)


def _pairs(result: LabelResult) -> Table:
    body = []
    for question, comparison in result.pairs:
        for metric in ("f1", "auroc"):
            d = comparison.differences[metric]
            change = interval_text(d.difference, d.low, d.high)
            verdict = verdict_text(comparison.differences[metric])
            body.append([question, NAMES[metric], change, p_text(d.p), verdict])
    header = ["question", "metric", "first − second", "p", "verdict"]
    notes = [
        "Paired by photo, draws of patients. Equivalent: the 90 % interval lies within "
        f"±{result.pairs[0][1].margin:g}."
    ]
    return Table(f"pairs_{result.label}", f"{result.label}: the papers' questions", header, body,
                 notes)  # fmt: skip


def published_table(key: str) -> Table:
    """Figures of a paper, from ``configs/studies/published.yaml``."""
    tables = read_yaml(resource("configs/studies/published.yaml"), known=("liu2025", "wei2020"))
    found = tables[key]
    notes = [f"Published figures, on other photographs than ours: {found['source']}."]
    body = [[str(cell) for cell in row] for row in found["rows"]]
    return Table("published", f"Published: {found['title']}", found["header"], body, notes)


def _names(arm: ArmResult) -> list[str]:
    model, _, learns = arm.arm.name.partition(", ")
    return [model, learns]
