"""What a call means where another share of people has the disease than among the test photos."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from scipy.special import expit, logit

from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.subgroups import MACRO, SubgroupReport, Value
from hf_cushing.reports.table import Table
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.intervals import INSUFFICIENT, difference_interval

USUAL = (0.001, 0.01, 0.05)
"""Shares of the ill that a card tells of."""

Ends = tuple[float, float, float]


def shifted_probability(probability: float, *, own: float, share: float) -> float:
    """A calibrated probability where another share of people has the disease.

    The log-odds move by those of the shares (Saerens et al. 2002, Neural Comput 14:21); it takes
    for granted that the ill and the healthy look as they did where it was calibrated.

    Parameters
    ----------
    probability : float
        0..1, calibrated where the share `own` has the disease.
    own, share : float
        Between 0 and 1: there, and where it is asked for.

    Examples
    --------
    >>> round(shifted_probability(0.5, own=0.5, share=0.01), 3)
    0.01
    """
    return float(expit(logit(probability) + logit(share) - logit(own)))


def predictive_values(row: SubgroupReport, share: float) -> tuple[Value, Value]:
    """PPV and NPV at a share of the ill, by Bayes' rule, with 95 % intervals.

    Likelihood ratios have the square-and-add interval of the logarithms of sensitivity and
    specificity (Zou and Donner 2008), whose own are Wilson's by patient.

    Parameters
    ----------
    row : SubgroupReport
    share : float
        Between 0 and 1.
    """
    recall, right = row.values["recall"], row.values["specificity"]
    few = row.size == "insufficient" or math.isnan(recall.low) or math.isnan(right.low)
    if few:
        return (Value(estimate=math.nan, reason="insufficient"),) * 2
    found, missed = _ends(recall), _complement(recall)
    passed, alarmed = _ends(right), _complement(right)
    return (
        _posterior(share, _ratio(found, alarmed)),
        _posterior(1 - share, _ratio(passed, missed)),
    )


def _ends(value: Value) -> Ends:
    return value.estimate, value.low, value.high


def _complement(value: Value) -> Ends:
    return 1 - value.estimate, 1 - value.high, 1 - value.low


def _ratio(above: Ends, below: Ends) -> Ends:
    """A likelihood ratio; where a part is 0 its interval is that of the worst cases."""
    estimate = above[0] / below[0] if below[0] else math.inf
    if min(*above, *below) > 0:
        logs = [tuple(math.log(end) for end in part) for part in (above, below)]
        low, high = (math.exp(end) for end in difference_interval(*logs))
        return estimate, low, high
    return estimate, above[1] / below[2], above[2] / below[1] if below[1] else math.inf


def _posterior(share: float, ratio: Ends) -> Value:
    """The share of those who are called so that are, by the odds."""
    odds = [share / (1 - share) * end for end in ratio]
    shares = [1.0 if math.isinf(value) else value / (1 + value) for value in odds]
    return Value(estimate=shares[0], low=shares[1], high=shares[2], method="bayes")


def prevalence_tables(report: Report, shares: Sequence[float] = ()) -> Iterator[Table]:
    """PPV, NPV and people to examine per case found, of all, women and men; one a disease."""
    shares = shares or report.prevalence
    for label in report.labels if shares and not report.grading else ():
        if label == MACRO:
            continue
        body = []
        for share in shares:
            for subgroup in ("all", *KNOWN_SEXES):
                row = report.find(label, subgroup, report.units[-1])
                ppv, npv = predictive_values(row, share)
                body.append(
                    [
                        f"{100 * share:g} %",
                        subgroup,
                        percent_text(ppv),
                        percent_text(npv),
                        _examined(ppv),
                    ]
                )
        header = ["have it", "", "PPV", "NPV", "called ill per case found"]
        notes = [
            "By Bayes' rule from sensitivity and specificity at the threshold in use, 95 % "
            "intervals. It takes for granted that the ill and the healthy elsewhere look as they "
            "do here; where a disease is rarer it is often milder, too.",
        ]
        if any("insufficient" in line for line in body):
            few = f"Insufficient: fewer than {INSUFFICIENT} patients with or without the disease."
            notes.append(few)
        title = f"{label}: where another share has it (calls by {report.units[-1]})"
        yield Table(f"prevalence_{label}", title, header, body, notes)


def prevalence_sentence(report: Report, label: str) -> str:
    """Of those called ill, how many are, where the disease is as rare as was asked first."""
    share = report.prevalence[0]
    ppv = predictive_values(report.find(label, "all", report.units[-1]), share)[0]
    if math.isnan(ppv.estimate):
        return f"Where {100 * share:g} % have {label}: insufficient."
    return (
        f"Where {100 * share:g} % have {label}, of those called ill {percent_text(ppv)} have it: "
        f"{_examined(ppv)} to examine per case found."
    )


def percent_text(value: Value, digits: int = 3) -> str:
    """A share in per cent with its interval, or why there is none.

    >>> percent_text(Value(estimate=0.02, low=0.011, high=0.0333))
    '2 % (1.1–3.33)'
    """
    if math.isnan(value.estimate):
        return value.reason
    ends = (value.estimate, value.low, value.high)
    # by way of a number, so that 99.97 isn't 1e+02
    return "{:g} % ({:g}–{:g})".format(*(float(f"{100 * end:.{digits}g}") for end in ends))


def _examined(ppv: Value) -> str:
    if math.isnan(ppv.estimate):
        return ppv.reason
    ends = (math.inf if not end else 1 / end for end in (ppv.estimate, ppv.high, ppv.low))
    return "{:.3g} ({:.3g}–{:.3g})".format(*ends)
