"""What a study found, rebuilt from the predictions of its cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_cushing.compare.choice import by_arm, validation_auroc
from hf_cushing.compare.grid import CHOSEN, Arm, Cell
from hf_cushing.evaluation.comparison import Comparison, compare_models
from hf_cushing.evaluation.gaps import Gap, sex_gaps
from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.operating_points import OperatingPoint, choose_operating_points
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.evaluation.subgroups import (
    Resampled,
    Sample,
    make_sample,
    mean_subgroups,
    report_subgroups,
)
from hf_cushing.schema import UserError
from hf_cushing.stats.significance import holm

SIGNIFICANT = 0.05
"""P values below this are taken for a difference."""


@dataclass(frozen=True)
class Scored:
    """Predictions, as of all folds together, and the thresholds of the models behind them."""

    predictions: Predictions
    points: Sequence[OperatingPoint]

    def sample(self, draws: int) -> Sample:
        """The test photos; the same draws of patients for the same photos."""
        return make_sample(self.predictions.of_split("test"), draws=draws)

    def subgroups(self, label: str, sample: Sample) -> dict[str, Resampled]:
        """All, women and men of a `sample`."""
        return report_subgroups(sample, label, self.points, subgroup_masks(sample.rows))


@dataclass(frozen=True)
class ArmResult:
    """What one arm reached on one disease.

    Attributes
    ----------
    arm : Arm
    subgroups : dict
        Name to `Resampled`; of several seeds the mean.
    gaps : dict
        Metric to `Gap`, of the first seed.
    seconds : float
        Of all its cells.
    trainable : int
        Weights that learn.
    validation_auroc : float
        Mean over its cells, each on its own validation photos.
    """

    arm: Arm
    subgroups: dict[str, Resampled]
    gaps: dict[str, Gap]
    seconds: float
    trainable: int
    validation_auroc: float

    def estimate(self, metric: str, subgroup: str = "all") -> float:
        """A metric of a subgroup; NaN where undefined."""
        return self.subgroups[subgroup].report.values[metric].estimate


@dataclass(frozen=True)
class LabelResult:
    """All arms on one disease, the best AUROC first.

    Attributes
    ----------
    label : str
    arms : list of ArmResult
    against_best : dict
        Arm to the comparison of the best arm with it.
    pairs : dict
        Questions that the papers ask to the comparison that answers them.
    added : dict
        Baseline to the comparison of the network of the best validation AUROC with it: the
        baseline of the best validation AUROC, and ``demographics``. Empty without baselines.
    network : Arm or None
        That network.
    chosen : dict
        Arm `CHOSEN` to how often each variant is in it, over folds and seeds.
    """

    label: str
    arms: list[ArmResult]
    against_best: dict[Arm, Comparison]
    pairs: dict[str, Comparison]
    added: dict[Arm, Comparison]
    network: Arm | None
    chosen: dict[Arm, Counter[str]]

    @property
    def adjusted(self) -> dict[Arm, float]:
        """P of the best AUROC against each other, adjusted by Holm's method."""
        p = [comparison.differences["auroc"].p for comparison in self.against_best.values()]
        return dict(zip(self.against_best, holm(p).tolist(), strict=True))


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
    cells_of = by_arm(cells)
    pooled = {arm: pool(own) for arm, own in cells_of.items()}
    _check_same_photos(pooled)
    labels = next(iter(pooled.values()))[0].predictions.positive_labels
    return [_label_result(label, cells_of, pooled, draws) for label in labels]


def pool(cells: Sequence[Cell]) -> list[Scored]:
    """The folds of each seed together."""
    seeds = []
    for seed in dict.fromkeys(cell.seed for cell in cells):
        runs = [cell.run for cell in cells if cell.seed == seed]
        config = cells[0].config
        predictions = concatenate([run.recorded_predictions for run in runs])
        per_sex = config.training.mitigation == "sex_thresholds"
        points = choose_operating_points(
            predictions, config.evaluation.threshold_rule, per_sex=per_sex
        )
        seeds.append(Scored(predictions, points))
    return seeds


def _check_same_photos(pooled: dict[Arm, list[Scored]]) -> None:
    photos = {
        arm: np.sort(scored.predictions.of_split("test").photo_id)
        for arm, seeds in pooled.items()
        for scored in seeds
    }
    first, *others = photos
    for arm in others:
        if not np.array_equal(photos[first], photos[arm]):
            raise UserError(
                f"{arm.name} was tested on other photos than {first.name}: some of its cells are "
                "missing; run the study to its end"
            )


def _label_result(
    label: str, cells: dict[Arm, list[Cell]], pooled: dict[Arm, list[Scored]], draws: int
) -> LabelResult:
    arms = [_arm_result(arm, label, pooled[arm], cells[arm], draws) for arm in pooled]
    arms.sort(key=lambda arm: (-np.nan_to_num(arm.estimate("auroc"), nan=-1.0), arm.arm))

    def compared(one: Arm, two: Arm) -> Comparison:
        first, second = pooled[one][0], pooled[two][0]
        return compare_models(
            first.predictions, second.predictions, label=label, draws=draws,
            points=(first.points, second.points),
        )  # fmt: skip

    best, *others = (arm.arm for arm in arms)
    ranked = sorted(arms, key=lambda arm: -np.nan_to_num(arm.validation_auroc, nan=-1.0))
    networks = (arm.arm for arm in ranked if not arm.arm.is_baseline and not arm.arm.is_trial)
    network = next(networks, None)
    baselines = [arm.arm for arm in ranked if arm.arm.is_baseline]
    asked = [arm for arm in baselines if arm in baselines[:1] or arm.model == "demographics"]
    return LabelResult(
        label=label,
        arms=arms,
        against_best={arm: compared(best, arm) for arm in others},
        pairs={question: compared(*pair) for question, pair in _questions([best, *others])},
        added={arm: compared(network, arm) for arm in asked} if network else {},
        network=network,
        chosen={
            arm: Counter(cell.arm.variant for cell in own)
            for arm, own in cells.items()
            if arm.variant == CHOSEN
        },
    )


def _questions(arms: Sequence[Arm]) -> Iterator[tuple[str, tuple[Arm, Arm]]]:
    """Frozen against unfrozen for each model; the best CNN against the best Transformer."""
    arms = [arm for arm in arms if not arm.is_trial and not arm.is_baseline]
    for arm in arms:
        full = replace(arm, finetune="full")
        if arm.finetune == "head" and full in arms:
            yield f"{arm.name} (frozen) against full", (arm, full)
    cnns = [arm for arm in arms if arm.is_cnn]
    transformers = [arm for arm in arms if not arm.is_cnn]
    if cnns and transformers:
        cnn, transformer = cnns[0], transformers[0]
        question = f"the best Transformer ({transformer.name}) against the best CNN ({cnn.name})"
        yield question, (transformer, cnn)


def _arm_result(
    arm: Arm, label: str, seeds: Sequence[Scored], cells: Sequence[Cell], draws: int
) -> ArmResult:
    samples = [scored.sample(draws) for scored in seeds]
    subgroups = [scored.subgroups(label, s) for scored, s in zip(seeds, samples, strict=True)]
    gaps = sex_gaps(samples[0], label, seeds[0].points, subgroups[0], shuffles=draws)
    facts = [cell.run.manifest["run"] for cell in cells]
    return ArmResult(
        arm=arm,
        subgroups=subgroups[0] if len(seeds) == 1 else mean_subgroups(subgroups, label),
        gaps={gap.metric: gap for gap in gaps},
        seconds=sum(fact["seconds"] for fact in facts),
        trainable=facts[0]["trainable"],
        validation_auroc=float(np.mean([validation_auroc(cell, label) for cell in cells])),
    )
