"""Learning curves: what more training patients still bring, on the same test photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_cushing.compare.grid import Arm, Cell
from hf_cushing.compare.results import pool
from hf_cushing.evaluation.comparison import Comparison, compare_models
from hf_cushing.evaluation.options import MARGIN
from hf_cushing.evaluation.subgroups import Resampled, mean_subgroups
from hf_cushing.evaluation.wording import format_value
from hf_cushing.reports.table import Table, interval_text
from hf_cushing.schema import KNOWN_SEXES

LEARNING = "of the training patients"
"""Words of every `learning_sentence`."""


@dataclass(frozen=True)
class Step:
    """An arm trained on a share of the patients.

    Attributes
    ----------
    size : float
        The share.
    patients : int
        Who trained, on average over folds and seeds.
    subgroups : dict
        Name to `Resampled`; of several seeds the mean.
    """

    size: float
    patients: int
    subgroups: dict[str, Resampled]


@dataclass(frozen=True)
class LearningCurve:
    """One arm on one disease.

    Attributes
    ----------
    label : str
    arm : Arm
        With all patients.
    steps : list of Step
        Rising.
    gain : Comparison
        All patients against the largest smaller share, of the first seed.
    """

    label: str
    arm: Arm
    steps: list[Step]
    gain: Comparison


def learning_curves(cells: Sequence[Cell], *, draws: int) -> list[LearningCurve]:
    """Curves of all arms that were trained with all patients and with fewer.

    Parameters
    ----------
    cells : sequence of Cell
        Finished ones, of arms that have all their folds.
    draws : int
    """
    arms: dict[Arm, dict[float, list[Cell]]] = {}
    for cell in cells:
        sizes = arms.setdefault(replace(cell.arm, size=1.0), {})
        sizes.setdefault(cell.arm.size, []).append(cell)
    return [
        curve
        for arm, sizes in arms.items()
        if len(sizes) > 1 and arm.size in sizes
        for curve in _curves(arm, dict(sorted(sizes.items())), draws)
    ]


def _curves(arm: Arm, sizes: dict[float, list[Cell]], draws: int) -> list[LearningCurve]:
    pooled = {size: pool(own) for size, own in sizes.items()}
    patients = {
        size: round(np.mean([_trained(cell) for cell in own])) for size, own in sizes.items()
    }
    less, most = (seeds[0] for seeds in list(pooled.values())[-2:])
    found = []
    for label in most.predictions.positive_labels:
        steps = []
        for size, seeds in pooled.items():
            parts = [scored.subgroups(label, scored.sample(draws)) for scored in seeds]
            whole = parts[0] if len(parts) == 1 else mean_subgroups(parts, label)
            steps.append(Step(size, patients[size], whole))
        gain = compare_models(
            most.predictions, less.predictions, label=label, draws=draws,
            points=(most.points, less.points),
        )  # fmt: skip
        found.append(LearningCurve(label, arm, steps, gain))
    return found


def _trained(cell: Cell) -> int:
    return sum(row["patients"] for row in cell.run.manifest["cells"] if row["split"] == "train")


def learning_sentence(curve: LearningCurve) -> str:
    """The AUROC at each share, and whether it still rises."""
    values = [step.subgroups["all"].report.values["auroc"].estimate for step in curve.steps]
    shares = ", ".join(
        f"{value:.3f} with {100 * step.size:g} % ({step.patients})"
        for value, step in zip(values, curve.steps, strict=True)
    )
    gain, before = curve.gain.differences["auroc"], curve.steps[-2]
    text = interval_text(gain.difference, gain.low, gain.high)
    if curve.gain.size == "insufficient":
        verdict = "too few test patients for a statement"
    elif gain.low > 0:
        verdict = "it still rises, so that more patients are likely to help"
    elif gain.high < 0:
        verdict = "it falls"
    elif gain.high < MARGIN:
        verdict = f"no further rise of {MARGIN:g} or more"
    else:
        verdict = "whether it still rises can't be told"
    return (
        f"{curve.label}, {curve.arm.name}: AUROC {shares} {LEARNING}. From "
        f"{100 * before.size:g} % to all it changes by {text}: {verdict}."
    )


def learning_tables(curves: Sequence[LearningCurve]) -> list[Table]:
    """One a disease: each arm at each share."""
    tables = []
    for label in dict.fromkeys(curve.label for curve in curves):
        own = [curve for curve in curves if curve.label == label]
        body = [
            [*curve.arm.words, f"{100 * step.size:g} %", str(step.patients),
             *(format_value(step.subgroups[name].report.values["auroc"])
               for name in ("all", *KNOWN_SEXES))]
            for curve in own
            for step in curve.steps
        ]  # fmt: skip
        header = ["model", "learns", "share", "training patients", "AUROC", "women", "men"]
        notes = [
            *map(learning_sentence, own),
            "Shares of the training patients of each class and sex, by lot, a smaller one part of "
            "each larger one; validation and test photos are the same throughout. Change: paired "
            "DeLong, clustered by patient; it says nothing of the lot that was drawn: for that "
            "give several seeds.",
        ]
        tables.append(Table(f"learning_{label}", f"{label}: learning curve", header, body, notes))
    return tables
