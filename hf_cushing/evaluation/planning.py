"""How many women and men a study needs, or what those that there are can show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from hf_cushing.evaluation.options import ASSUMED, PlanOptions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.wording import title_of
from hf_cushing.reports.table import Table
from hf_cushing.schema import RESEARCH_NOTICE, UsageError
from hf_cushing.stats import sample_size
from hf_cushing.stats.intervals import INSUFFICIENT

WHOSE = {"recall": "with", "specificity": "without", "auroc": "with and without"}
"""The patients that a metric is about."""

Width = Callable[[int], float]
Power = Callable[[int, float], float]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One metric of a plan: counts are patients of each sex, of the class in `WHOSE`.

    Attributes
    ----------
    metric : str
    expected : float
        In both sexes; for the gap in one, less in the other.
    width : float
        Of the 95 % interval in each sex, with `for_width` patients.
    gap : float
        Difference of women and men that is found with `for_gap` patients.
    for_width, for_gap : int
    """

    metric: str
    expected: float
    width: float
    gap: float
    for_width: int
    for_gap: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan: its options with nothing left open, and what they come to.

    Attributes
    ----------
    options : PlanOptions
    goals : list of Goal
    """

    options: PlanOptions
    goals: list[Goal]

    def patients(self, whose: str) -> int:
        """Of each sex ``with`` or ``without`` the disease, for everything together."""
        own = [goal for goal in self.goals if whose in WHOSE[goal.metric].split()]
        return max(max(goal.for_width, goal.for_gap) for goal in own)


def observed(report: Report, options: PlanOptions) -> PlanOptions:
    """Options with what a report found (but 0 and 1) in the place of what is not stated."""
    row = report.subgroups[0]
    named = {"sensitivity": "recall", "specificity": "specificity", "auroc": "auroc"}
    found = {name: row.values[metric].estimate for name, metric in named.items()}
    found["photos"] = row.rows / row.patients
    stated = {name: value for name, value in vars(options).items() if value is not None}
    usable = {name: value for name, value in found.items() if value > 0 and value != 1}
    return PlanOptions(**usable | stated)


def make_plan(options: PlanOptions) -> Plan:
    """What is needed; with `PlanOptions.patients`, what these can show.

    Raises
    ------
    UsageError
        A gap that leaves nothing in the other sex.
    """
    stated = {"recall": options.sensitivity, "specificity": options.specificity,
              "auroc": options.auroc}  # fmt: skip
    values = {name: stated[name] or usual for name, usual in ASSUMED.items()}
    options = PlanOptions(
        **vars(options)
        | {"sensitivity": values["recall"], "specificity": values["specificity"],
           "auroc": values["auroc"], "photos": options.photos or 1.0}
    )  # fmt: skip
    return Plan(options=options, goals=[_goal(*item, options) for item in values.items()])


def _goal(metric: str, expected: float, options: PlanOptions) -> Goal:
    weight, area = sample_size.weight_of_patient(options.photos, options.icc), metric == "auroc"
    width_of = partial(sample_size.area_width if area else sample_size.rate_width, expected)
    power_of = partial(sample_size.area_power if area else sample_size.rate_power, expected)
    most = expected - (0.5 if area else 0)
    if not options.gap < most:
        raise UsageError(
            f"--gap {options.gap:g}: {title_of(metric)} is expected at {expected:.2g}, so that "
            f"the other sex would have {0.5 if area else 0:g} or less; give a smaller gap"
        )

    def found(patients: int, gap: float) -> float:
        return power_of(expected - gap, patients, weight)

    if options.patients:
        count = options.patients
        gap = sample_size.detectable_gap(partial(found, count), most, options.power)
        width = width_of(count, weight)
        return Goal(metric=metric, expected=expected, width=width, gap=gap, for_width=count,
                    for_gap=count)  # fmt: skip
    return Goal(
        metric=metric, expected=expected, width=options.width, gap=options.gap,
        for_width=sample_size.needed(lambda n: width_of(n, weight) <= options.width, INSUFFICIENT),
        for_gap=sample_size.needed(lambda n: found(n, options.gap) >= options.power, INSUFFICIENT),
    )  # fmt: skip


def plan_sentences(plan: Plan) -> list[str]:
    """The answer first."""
    options, told = plan.options, {whose: plan.patients(whose) for whose in ("with", "without")}
    if options.patients:
        n, short = options.patients, [title_of(g.metric).split(" (")[0] for g in plan.goals]
        gaps = [f"{name} {_gap_text(goal)}" for name, goal in zip(short, plan.goals, strict=True)]
        widths = [f"{name} {g.width:.2f}" for name, g in zip(short, plan.goals, strict=True)]
        return [
            f"{n} women and {n} men with the disease, and as many without, find a gap of women and "
            f"men {100 * options.power:.0f} times in 100 from this size on: {', '.join(gaps)}.",
            f"95 % intervals in each sex are so wide: {', '.join(widths)}.",
        ]
    ill, well = told["with"], told["without"]
    widths = {
        whose: max(g.for_width for g in plan.goals if whose in WHOSE[g.metric].split())
        for whose in told
    }
    return [
        f"You need {ill} women and {ill} men with the disease, and {well} women and {well} men "
        f"without: {2 * (ill + well)} patients who are tested.",
        f"For the intervals alone {widths['with']} of each sex with the disease are enough, and "
        f"{widths['without']} without.",
    ]


def _gap_text(goal: Goal) -> str:
    if math.isnan(goal.gap):
        return "none"
    return f"{goal.gap:.2f}"


def plan_table(plan: Plan) -> Table:
    """A line a metric: patients of each sex for interval and gap, or what the patients show."""
    options, body = plan.options, []
    for goal in plan.goals:
        if options.patients:
            cells = [f"{goal.width:.2f}", _gap_text(goal)]
        else:
            cells = [str(goal.for_width), str(goal.for_gap)]
        name = title_of(goal.metric)
        body.append([name, f"{goal.expected:.2f}", f"{WHOSE[goal.metric]} the disease", *cells])
    shown = f"{100 * options.power:.0f} %"
    last = (
        ["interval, width", f"gap found ({shown})"] if options.patients
        else [f"for a width of {options.width:g}", f"for a gap of {options.gap:g} ({shown})"]
    )  # fmt: skip
    weight = sample_size.weight_of_patient(options.photos, options.icc)
    several = "One photo each." if options.photos == 1 else (
        f"{options.photos:.3g} photos each, whose calls correlate by {options.icc:g}: a patient "
        f"weighs as {weight:.2f} independent photos."
    )  # fmt: skip
    notes = [
        f"Patients of each sex. {several}",
        "Tested patients, none of whom trained: train --fold all tests every patient once.",
        "Wilson's interval, Hanley and McNeil's error of an AUROC, z tests of two independent "
        f"sexes at 5 %; never fewer than {INSUFFICIENT}. docs/statistics.md has the sources.",
    ]
    return Table("plan", "Sample size", ["", "expected", "patients", *last], body, notes)


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Plain data."""
    per_sex = {whose: plan.patients(whose) for whose in ("with", "without")}
    return {"notice": RESEARCH_NOTICE, "patients_per_sex": per_sex} | asdict(plan)
