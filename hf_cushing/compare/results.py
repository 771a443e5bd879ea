"""What a study found, rebuilt from the predictions of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.compare.plan import Arm, Cell
from hf_cushing.evaluation.comparison import Comparison, compare_models
from hf_cushing.evaluation.gaps import Gap, sex_gaps
from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.operating_points import OperatingPoint, choose_operating_points
from hf_cushing.evaluation.predictions import Predictions, concatenate, load_predictions
from hf_cushing.evaluation.subgroups import Resampled, make_sample, mean_subgroups, report_subgroups
from hf_cushing.files import read_json
from hf_cushing.schema import UserError
from hf_cushing.stats.significance import holm

CNNS = ("resnet", "densenet")
"""Parts of the names of convolutional networks."""


@dataclass(frozen=True)
class Scored:
    """The pooled folds of one arm and seed, with their thresholds."""

    predictions: Predictions
    points: list[OperatingPoint]


@dataclass(frozen=True)
class ArmResult:
    """What one arm reached on one disease.

    Attributes
    ----------
    arm : Arm
    subgroups : dict
        Name to `Resampled`; of several seeds the mean.
    gaps : list of Gap
        Of the first seed.
    seconds : float
        Of all its cells.
    trainable, parameters : int
    """

    arm: Arm
    subgroups: dict[str, Resampled]
    gaps: list[Gap]
    seconds: float
    trainable: int
    parameters: int

    @property
    def is_cnn(self) -> bool:
        """The network is convolutional, as its name says."""
        return any(word in self.arm.model.lower() for word in CNNS)


@dataclass(frozen=True)
class LabelResult:
    """All arms on one disease, the best AUROC first.

    Attributes
    ----------
    label : str
    arms : list of ArmResult
    against_best : dict
        Arm to the comparison of the best arm with it.
    pairs : list of (str, Comparison)
        Comparisons that the papers make, each with its question.
    """

    label: str
    arms: list[ArmResult]
    against_best: dict[Arm, Comparison]
    pairs: list[tuple[str, Comparison]]

    def adjusted(self, metric: str = "auroc") -> dict[Arm, float]:
        """P of the best arm against each other, adjusted by Holm's method."""
        found = [c.differences[metric].p for c in self.against_best.values()]
        return dict(zip(self.against_best, holm(found).tolist(), strict=True))


def collect(cells: Sequence[Cell], *, draws: int) -> list[LabelResult]:
    """Evaluate every arm that has all its cells, on the same draws of patients.

    Parameters
    ----------
    cells : sequence of Cell
        Finished ones.
    draws : int

    Raises
    ------
    UserError
        The arms were tested on different photos.
    """
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    scored = {arm: _scored([c for c in cells if c.arm == arm]) for arm in arms}
    _check_same_photos(scored)
    labels = next(iter(scored.values()))[0].predictions.positive_labels
    return [_label_result(label, cells, scored, draws) for label in labels]


def _label_result(
    label: str, cells: Sequence[Cell], scored: dict[Arm, list[Scored]], draws: int
) -> LabelResult:
    results = [
        _arm_result(arm, label, parts, [c for c in cells if c.arm == arm], draws)
        for arm, parts in scored.items()
    ]
    results.sort(key=lambda r: (-np.nan_to_num(_estimate(r), nan=-1.0), r.arm))
    best = results[0].arm

    def compared(one: Arm, two: Arm) -> Comparison:
        first, second = scored[one][0], scored[two][0]
        return compare_models(
            first.predictions, second.predictions, label=label, draws=draws,
            points=(first.points, second.points),
        )  # fmt: skip

    return LabelResult(
        label=label,
        arms=results,
        against_best={r.arm: compared(best, r.arm) for r in results[1:]},
        pairs=[(question, compared(*pair)) for question, pair in _pairs(results)],
    )


def _estimate(result: ArmResult) -> float:
    return result.subgroups["all"].report.values["auroc"].estimate


def _pairs(results: Sequence[ArmResult]) -> list[tuple[str, tuple[Arm, Arm]]]:
    """Frozen against unfrozen for each model; the best CNN against the best Transformer."""
    found = []
    by_arm = {(r.arm.model, r.arm.finetune, r.arm.treatment): r.arm for r in results}
    for (model, finetune, treatment), arm in by_arm.items():
        other = by_arm.get((model, "full", treatment))
        if finetune == "head" and other:
            found.append((f"{arm.name} (frozen) against full", (arm, other)))
    families = [[r.arm for r in results if r.is_cnn == cnn] for cnn in (True, False)]
    if all(families):
        cnn, transformer = families[0][0], families[1][0]
        question = f"the best Transformer ({transformer.name}) against the best CNN ({cnn.name})"
        found.append((question, (transformer, cnn)))
    return found


def _arm_result(
    arm: Arm, label: str, parts: Sequence[Scored], cells: Sequence[Cell], draws: int
) -> ArmResult:
    seeds, gaps = [], []
    for number, part in enumerate(parts):
        sample = make_sample(part.predictions.of_split("test"), "photo", draws=draws)
        masks = subgroup_masks(sample.rows)
        seeds.append(report_subgroups(sample, label, part.points, masks))
        if number == 0:
            gaps = sex_gaps(sample, label, part.points, seeds[0], shuffles=draws)
    facts = [read_json(cell.folder / "manifest.json")["run"] for cell in cells]
    return ArmResult(
        arm=arm,
        subgroups=seeds[0] if len(seeds) == 1 else mean_subgroups(seeds, label),
        gaps=gaps,
        seconds=sum(fact["seconds"] for fact in facts),
        trainable=facts[0]["trainable"],
        parameters=facts[0]["parameters"],
    )


def _scored(cells: Sequence[Cell]) -> list[Scored]:
    """The folds of each seed together."""
    found = []
    for seed in dict.fromkeys(cell.seed for cell in cells):
        own = [cell for cell in cells if cell.seed == seed]
        predictions = concatenate([load_predictions(cell.folder) for cell in own])
        config = own[0].config
        points = choose_operating_points(
            predictions,
            config.evaluation.threshold_rule,
            per_sex=config.training.mitigation == "sex_thresholds",
        )
        found.append(Scored(predictions, points))
    return found


def _check_same_photos(scored: dict[Arm, list[Scored]]) -> None:
    photos = {
        arm: np.sort(part.predictions.of_split("test").photo_id)
        for arm, parts in scored.items()
        for part in parts
    }
    first, *others = photos
    for arm in others:
        if not np.array_equal(photos[first], photos[arm]):
            raise UserError(
                f"{arm.name} was tested on other photos than {first.name}: some of its cells are "
                "missing; run the study to its end"
            )
