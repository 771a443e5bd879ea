"""Women minus men, as a table with what the intervals support."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from hf_cushing.evaluation.gaps import Gap
from hf_cushing.evaluation.grades import GRADES
from hf_cushing.evaluation.options import PRIMARY
from hf_cushing.evaluation.wording import (
    KNOWN,
    expectation,
    gap_sentence,
    metric_and_role,
    title_of,
)
from hf_cushing.reports.table import Table, interval_text, number_text, p_text
from hf_cushing.stats.metrics import shown_in
from hf_cushing.stats.paired_metrics import SIGNIFICANT

PARITY_NOTE = (
    "Calibration has no p: its intercept, too, follows the sexes' shares of positives. The "
    "differences of parity and odds are never below 0: parity's is the gap of the share called "
    "positive without its sign; the interval of odds lies above 0 even where there is no gap, and "
    "its p is that of one as large."
)


def gap_table(
    gaps: Sequence[Gap], metrics: Collection[str] | None = None, *, primary: str = PRIMARY
) -> Table:
    """Women minus men in one disease or in grades; of these metrics, if any are named.

    The notes are about all gaps: what they support, and what the sample could have shown.
    """
    label, unit = gaps[0].label, gaps[0].unit
    grades, source = label == GRADES, expectation(label)[1]
    split = f"expected from {source}" if grades else f"beyond {source}"
    header = ["metric", "women", "men", "gap", split, "p", "p (Holm)",
              "minimum detectable difference"]  # fmt: skip
    body = [
        [
            metric_and_role(gap.metric, primary),
            number_text(gap.women),
            number_text(gap.men),
            gap.reason if math.isnan(gap.gap) else interval_text(gap.gap, gap.low, gap.high),
            number_text(gap.expected)
            if grades
            else interval_text(gap.beyond, gap.beyond_low, gap.beyond_high),
            p_text(gap.p),
            "–" if gap.metric == primary else p_text(gap.p_holm),
            f"{gap.detectable:.2f}" if math.isfinite(gap.detectable) else "–",
        ]
        for gap in gaps
        if metrics is None or gap.metric in metrics
    ]
    title = f"{'Grades' if grades else label}, women minus men, by {unit}"
    return Table(f"gaps_{label}_{unit}", title, header, body, _gap_notes(gaps, primary))


def _gap_notes(gaps: Sequence[Gap], primary: str) -> list[str]:
    grades = gaps[0].label == GRADES
    shares, source = expectation(gaps[0].label)
    told = [gap for gap in gaps if grades or gap.metric in {primary, *shown_in("sentence")}]
    told = [gap for gap in told if KNOWN[gap.metric].goal]
    notes = [gap_sentence(gap, primary) for gap in told]
    more = [title_of(g.metric) for g in gaps if g.p_holm < SIGNIFICANT and g not in told]
    if more:
        notes.append(f"Also with p < 0.05 after Holm's correction: {', '.join(more)}.")
    beyond = f"; what is beyond {source} is the rest, of metrics that change with it"
    but = f" but {title_of(primary)}, the primary one, chosen before looking"
    return [
        *notes,
        f"Sample: {gaps[0].size}, by the smaller sex. Gap: women minus men, 95 % interval. The "
        f"sexes' different {shares} alone can make one{'' if grades else beyond}. p: whether there "
        f"is a gap beyond that, by permuting the sexes within each {'grade' if grades else 'class'}"
        f", by patient; p (Holm): adjusted for all metrics{'' if grades else but}.",
        "Minimum detectable difference: the size of a gap that a sample like this finds four "
        "times in five.",
        *([] if grades else [PARITY_NOTE]),
    ]
