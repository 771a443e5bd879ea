"""The options of `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_cushing.config.option import Split, check_choices, option, split_option
from hf_cushing.config.options import REPEATED
from hf_cushing.schema import UsageError
from hf_cushing.stats import DRAWS, POWER

SHUFFLES = 2000
"""Of the sexes among patients, for the test of a gap."""


DEFAULT_RULE = "f1"

PRIMARY = "auroc"
MARGIN = 0.05

DECISIONS, SUBGROUPS, SAME_PHOTO = "Decisions", "Subgroups and grades", "The same photo once more"
EXPECTED = "What is expected"


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
        ("sex",),
        "Further ones: site, age, bmi:25,30, sex*age:40 (women under 40, …); with --dataset blur, "
        "pose, face_size, in thirds; may be repeated.",
        group=SUBGROUPS,
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


ASSUMED = {"recall": 0.8, "specificity": 0.8, "auroc": 0.85}


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a study should show, and what is expected of the model.

    Raises
    ------
    UsageError
        A share outside 0 and 1, an AUROC of 0.5 or less, or a count below 1.
    """

    sensitivity: float | None = option(
        None, f"Expected; by default that of --from, or {ASSUMED['recall']:g}.", group=EXPECTED
    )
    specificity: float | None = option(
        None, f"Expected; by default that of --from, or {ASSUMED['specificity']:g}.", group=EXPECTED
    )
    auroc: float | None = option(
        None, f"Expected; by default that of --from, or {ASSUMED['auroc']:g}.", group=EXPECTED
    )
    photos: float | None = option(
        None, "Photos a patient, on average; by default those of --from, or 1.", group=EXPECTED
    )
    icc: float = option(
        0.6, "Correlation of the calls on one patient's photos, 0 to 1.", group=EXPECTED
    )
    width: float = option(0.2, "Widest 95 % interval, from end to end, in each sex.")
    gap: float = option(0.15, "Difference of women and men that must not be missed.")
    power: float = option(POWER, "How often it is found.")
    patients: int | None = option(
        None, "The other way round: what so many patients of each class and sex can show."
    )

    def __post_init__(self):
        for name in ("sensitivity", "specificity", "auroc", "width", "gap", "power"):
            value, low = getattr(self, name), 0.5 if name == "auroc" else 0
            if value is not None and not low < value < 1:
                raise UsageError(f"--{name} {value}: give a share above {low:g}, below 1")
        if not 0 <= self.icc <= 1:
            raise UsageError(f"--icc {self.icc}: give a correlation from 0 to 1")
        for name, least in (("photos", 1), ("patients", 2)):
            if (value := getattr(self, name)) is not None and value < least:
                raise UsageError(f"--{name} {value}: give {least} or more")
