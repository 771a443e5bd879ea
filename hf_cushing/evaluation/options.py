"""The options of `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_cushing.config.option import Split, check_choices, option, split_option
from hf_cushing.config.options import REPEATED
from hf_cushing.schema import UsageError
from hf_cushing.stats import DRAWS

SHUFFLES = 2000
"""Of the sexes among patients, for the test of a gap."""


DEFAULT_RULE = "f1"

PRIMARY = "auroc"
MARGIN = 0.05

DECISIONS, SUBGROUPS, SAME_PHOTO = "Decisions", "Subgroups and grades", "The same photo once more"


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What an evaluation computes.

    `rule` is one of `operating_points.RULES`, `by` as `subgroup_masks` takes it; `draws` are those
    of the bootstrap, `shuffles` those of the permutation test.
    """

    split: Split = split_option()
    rule: str | None = option(
        None,
        "f1, youden, sensitivity:0.9, specificity:0.9 or cost:5, on validation; by default the "
        "run's own.",
        group=DECISIONS,
        flag="--threshold-rule",
    )
    against_rule: str | None = option(
        None, "That of the models of --against; by default their own.", group=DECISIONS
    )
    by: tuple[str, ...] = option(
        ("sex",), "Further ones: site, age, bmi:25,30, sex*age; may be repeated.", group=SUBGROUPS
    )
    per_sex: bool = option(
        False,
        "Women and men have their own threshold.",
        group=DECISIONS,
        flag="--per-sex-thresholds",
    )
    abstain: float = option(
        0.0, "Let the model say 'uncertain', at this error rate (0 = never).", group=DECISIONS
    )
    grades: tuple[str, ...] = option(
        (),
        "The labels as grades of severity, mildest first: control,mild,severe; an ordinal run "
        "knows its own.",
        group=SUBGROUPS,
        commas=True,
    )
    repeatability: int = option(
        REPEATED,
        "With --dataset: each model scores so many photos once more, mirrored, saved again and "
        "aligned again; 0 leaves it out.",
        group=SAME_PHOTO,
    )
    raw: Path | None = option(
        None,
        "Clinic folder behind --dataset: its original photos are saved again, not the crops.",
        group=SAME_PHOTO,
    )
    primary: str = option(
        PRIMARY,
        "The metric that was chosen before looking: its p stands uncorrected, all others are "
        "secondary.",
        group=DECISIONS,
    )
    margin: float = option(
        MARGIN,
        "Differences of two models (--against), or of women and men, smaller than this don't "
        "matter; choose it before looking.",
        group=DECISIONS,
    )
    prevalence: tuple[str, ...] = option(
        (),
        "What a call means where so many have the disease, as 0.001,0.01: PPV, NPV, people to "
        "examine per case found.",
        group=DECISIONS,
        commas=True,
    )
    draws: int = DRAWS
    shuffles: int = SHUFFLES

    def __post_init__(self):
        check_choices(self)
        if self.repeatability < 0:
            raise UsageError(f"--repeatability {self.repeatability}: give a number of photos")
        if not 0 <= self.abstain < 1:
            raise UsageError(f"--abstain {self.abstain}: give an error rate of 0 or more, below 1")
        _ = self.shares  # refused at once
        if not 0 < self.margin < 1:
            raise UsageError(f"--margin {self.margin}: give a difference above 0, below 1")
        from hf_cushing.stats.metrics import METRICS  # scipy: not for the help of a command

        if self.primary not in METRICS:
            raise UsageError(f"--primary {self.primary}: choose one of {', '.join(METRICS)}")

    @property
    def shares(self) -> tuple[float, ...]:
        """The prevalences as numbers between 0 and 1."""
        try:
            shares = tuple(float(word) for word in self.prevalence)
        except ValueError:
            shares = (0.0,)
        if not all(0 < share < 1 for share in shares):
            raise UsageError(
                f"--prevalence {','.join(self.prevalence)}: give shares between 0 and 1, as 0.01"
            )
        return shares
