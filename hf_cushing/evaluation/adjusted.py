"""AUROC adjusted for age, BMI and sex, and what the score adds to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.subgroups import Sample, Value
from hf_cushing.evaluation.wording import format_value
from hf_cushing.reports.table import Table, number_text, p_text
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.covariates import adjusted_aurocs, beyond_covariates
from hf_cushing.stats.decisions import logit
from hf_cushing.stats.intervals import INSUFFICIENT, clustered_auroc
from hf_cushing.stats.metrics import auroc
from hf_cushing.stats.resampling import percentile_interval

COVARIATES = ("age", "bmi", "sex")

MOST_MISSING = 0.5
"""Share of the rows in which a covariate may be unknown and still be used."""

FEW = "insufficient: fewer than {least} patients of a class for {count} covariates"
FOLLOWS = "undefined: one covariate follows from the others"
SEPARATED = "perfect separation"
"""Reasons for there being nothing, or no odds ratio."""

TITLES = {"bmi": "BMI"}


@dataclass(frozen=True, kw_only=True)
class Adjusted:
    """A disease's AUROC beside age, BMI and sex.

    Attributes
    ----------
    label : str
    covariates : tuple of str
        Those of `COVARIATES` that are known and differ.
    rows, left_out : int
        Patients (or photos, one of each); those of whom a covariate is unknown.
    crude, adjusted : Value
        AUROC of these rows, as it is and among people of the same covariates.
    alone : float
        AUROC of the covariates, fitted on these rows.
    odds_ratio : Value
        Of one standard deviation of the log-odds, the covariates held.
    p : float
        Likelihood-ratio test of what the score adds.
    reason : str
        Why there is nothing of all this; empty otherwise.
    """

    label: str
    covariates: tuple[str, ...]
    rows: int
    left_out: int
    crude: Value
    adjusted: Value
    alone: float
    odds_ratio: Value
    p: float
    reason: str = ""

    @property
    def names(self) -> str:
        """The covariates in words."""
        return ", ".join(TITLES.get(name, name) for name in self.covariates)


def adjust(sample: Sample, label: str) -> Adjusted | None:
    """Adjust one disease's AUROC; None where no covariate is known, or none differs.

    Parameters
    ----------
    sample : Sample
        By patient where patients have several photos, so that rows are independent.
    label : str
    """
    found = _covariates(sample.rows)
    if not found:
        return None
    table = np.stack(list(found.values()), 1)
    known = np.flatnonzero(np.isfinite(table).all(1))
    who, table = sample.who.select(known), table[known]
    truth = sample.rows.label[known] == label
    least = INSUFFICIENT * len(found)
    facts = {"label": label, "covariates": tuple(found), "rows": len(known),
             "left_out": len(sample.rows) - len(known)}  # fmt: skip
    if min(who.count_in(truth), who.count_in(~truth)) < least:
        return _nothing(facts, FEW.format(least=least, count=len(found)))
    if np.linalg.matrix_rank(table - table.mean(0)) < len(found):
        return _nothing(facts, FOLLOWS)
    score, weights = logit(sample.rows.score(label)[known]), sample.weights[:, known]
    beyond = beyond_covariates(truth, score, table)
    draws = adjusted_aurocs(truth, score, table, weights)
    once = adjusted_aurocs(truth, score, table, np.ones((1, len(known))))
    low, high = percentile_interval(draws, who.level())
    crude = clustered_auroc(truth, score, who)
    ends = dict(zip(("low", "high"), crude.interval(), strict=True))
    ratio = "" if math.isfinite(beyond.p) else SEPARATED
    return Adjusted(
        **facts,
        crude=Value(estimate=auroc(truth, score), method="delong", **ends),
        adjusted=Value(estimate=float(once[0]), low=low, high=high, method="bootstrap"),
        alone=beyond.auroc,
        odds_ratio=Value(estimate=beyond.odds_ratio, low=beyond.low, high=beyond.high,
                         method="wald", reason=ratio),
        p=beyond.p,
    )  # fmt: skip


def _nothing(facts: dict, reason: str) -> Adjusted:
    none = Value(estimate=math.nan, reason=reason)
    return Adjusted(**facts, crude=none, adjusted=none, alone=math.nan, odds_ratio=none,
                    p=math.nan, reason=reason)  # fmt: skip


def _covariates(rows: Predictions) -> dict[str, np.ndarray]:
    """Known covariates that differ, as numbers; NaN for unknown."""
    sexed = np.isin(rows.sex, KNOWN_SEXES)
    columns = {"sex": np.where(sexed, rows.sex == KNOWN_SEXES[0], np.nan)}
    columns |= {n: v for n, v in rows.attributes.items() if n in COVARIATES and v.dtype.kind == "f"}
    return {
        name: columns[name]
        for name in COVARIATES
        if name in columns
        and np.isfinite(columns[name]).mean() > MOST_MISSING
        and np.nanstd(columns[name]) > 0
    }


def adjusted_tables(found: Sequence[Adjusted]) -> Iterator[Table]:
    """AUROC as it is, adjusted for the covariates, theirs alone, and what the score adds."""
    for item in found:
        names, p = item.names, p_text(item.p)
        body = [
            ["AUROC of these patients", format_value(item.crude), ""],
            [f"AUROC adjusted for {names}", format_value(item.adjusted), ""],
            [f"AUROC of {names} alone", number_text(item.alone), ""],
            [f"odds ratio of a standard deviation, {names} held", format_value(item.odds_ratio), p],
        ]
        body = [["", item.reason, ""]] if item.reason else body
        missing = f", {item.left_out} left out for want of a covariate" if item.left_out else ""
        notes = [
            f"{item.rows} rows, one a patient{missing}. Adjusted: among people of the same "
            f"{names} (Janes and Pepe 2009), draws of patients. Far below the first line, the "
            f"score tells {names} rather than the disease.",
            f"{names} alone: a logistic model fitted on these very patients, so a little too good. "
            "p: likelihood-ratio test of the score in that model; what it adds beyond them.",
        ]
        title = f"{item.label}: adjusted for {names}, and beyond"
        yield Table(f"{item.label}_adjusted", title, ["", "estimate (95 %)", "p"], body, notes)
