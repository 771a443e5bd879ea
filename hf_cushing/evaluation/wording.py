"""Names of metrics, and what the figures of a report support, in words."""

from __future__ import annotations

import math

from hf_cushing.evaluation.gaps import PARITY, Gap, power_note
from hf_cushing.evaluation.grades import GRADES
from hf_cushing.evaluation.options import PRIMARY
from hf_cushing.evaluation.subgroups import WITHIN, Value
from hf_cushing.reports.style import STYLES
from hf_cushing.reports.table import interval_text, p_text
from hf_cushing.stats.grade_metrics import GRADE_METRICS
from hf_cushing.stats.metrics import METRICS
from hf_cushing.stats.paired_metrics import SIGNIFICANT, Difference

KNOWN = METRICS | WITHIN | GRADE_METRICS | PARITY

HEADLINE = ("auroc", "f1")
"""Metrics of the sentences to read first."""


def title_of(metric: str) -> str:
    """The name of a metric in tables; that in files where a report knows one that we don't."""
    return KNOWN[metric].title if metric in KNOWN else metric


def format_value(value: Value, digits: int = 3) -> str:
    """Give an estimate with its interval, or the reason why there is none.

    >>> format_value(Value(estimate=0.8, low=0.7, high=0.9))
    '0.800 (0.700–0.900)'
    """
    if math.isnan(value.estimate):
        return f"undefined: {value.reason}"
    if not math.isnan(value.reference):
        return f"{value.estimate:.{digits}f} (if calibrated {value.reference:.{digits}f})"
    return interval_text(value.estimate, value.low, value.high, digits)


def gap_sentence(gap: Gap, primary: str = PRIMARY) -> str:
    """What the interval and the test support, and no more; of a metric with a goal."""
    name, power = title_of(gap.metric), power_note(gap)
    if math.isnan(gap.gap) or math.isnan(gap.low):
        return f"{name}: no statement about women and men ({gap.reason or 'no interval'})."
    if gap.size == "insufficient":
        return f"{name}: too few patients of a sex for a statement. {power}"
    shares, source = expectation(gap.label)
    p = f"p {p_text(gap.p_holm)}, " + (
        "the primary metric" if gap.metric == primary else "secondary, by Holm's method"
    )
    beyond = ""
    if math.isfinite(gap.beyond):
        beyond = f", beyond it {interval_text(gap.beyond, gap.beyond_low, gap.beyond_high, 2)}"
    if gap.p_holm < SIGNIFICANT:
        better = (gap.gap > gap.expected) == (KNOWN[gap.metric].goal > 0)
        return (
            f"{name}: worse for {'men' if better else 'women'} than the sexes' {shares} explain: "
            f"women minus men {gap.gap:.2f}, expected from {source} alone {gap.expected:.2f}"
            f"{beyond}; {p}."
        )
    if not gap.worse:
        return f"{name}: no gap was shown, which is not the same as none. {power}"
    return (
        f"{name}: worse for {STYLES[gap.worse].name} in this sample, by {abs(gap.gap):.2f}; the "
        f"sexes' different {shares} alone give {abs(gap.expected):.2f}{beyond}: nothing beyond "
        f"that was shown ({p})."
    )


def expectation(label: str) -> tuple[str, str]:
    """What the sexes differ in, and where the expected gap comes from."""
    if label == GRADES:
        return "mixes of grades", "the mix of grades"
    return "shares of positives", "prevalence"


def verdict_text(difference: Difference) -> str:
    """The verdict, with the reason for none, and a warning where correction takes it back."""
    if difference.verdict.endswith("better") and not difference.p_holm < SIGNIFICANT:
        return f"{difference.verdict}, before correction for several metrics"
    return difference.verdict + (f" ({difference.reason})" if difference.reason else "")


def own_verdict(difference: Difference) -> str:
    """`verdict_text` where the first model is this one."""
    text = verdict_text(difference).replace("first better", "this better")
    return text.replace("second better", "the other better")


def metric_and_role(metric: str, primary: str) -> str:
    """The title of a metric, which says if it is the primary one."""
    return title_of(metric) + (" (primary)" if metric == primary else "")
