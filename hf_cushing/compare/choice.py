"""Of what a study varies: the variant that validation chooses, in each fold for itself.

The test photos of a fold take no part in that fold's choice, so the figure of the chosen variants
together is one that nobody picked. The best line of a table was picked, and leans high.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hf_cushing.compare.grid import CHOSEN, Arm, Cell
from hf_cushing.stats.metrics import auroc


def by_arm(cells: Sequence[Cell]) -> dict[Arm, list[Cell]]:
    """Cells of each arm, and of an arm `CHOSEN` for each model and method with several variants."""
    arms: dict[Arm, list[Cell]] = {}
    for cell in cells:
        arms.setdefault(cell.arm, []).append(cell)
    groups: dict[Arm, list[Cell]] = {}
    for cell in cells:
        if cell.arm.is_trial:
            groups.setdefault(replace(cell.arm, variant=CHOSEN), []).append(cell)
    return arms | {
        arm: _chosen(own) for arm, own in groups.items() if len({cell.arm for cell in own}) > 1
    }


def _chosen(cells: Sequence[Cell]) -> list[Cell]:
    """Of each fold and seed the cell of the best validation AUROC, the first of equal ones."""
    places: dict[tuple[int | None, int], list[Cell]] = {}
    for cell in cells:
        places.setdefault((cell.config.data.fold, cell.seed), []).append(cell)
    return [max(own, key=_merit) for own in places.values()]


def _merit(cell: Cell) -> float:
    """Mean validation AUROC of the diseases; lowest where undefined."""
    labels = cell.run.recorded_predictions.positive_labels
    areas = [validation_auroc(cell, label) for label in labels]
    return float(np.nan_to_num(np.mean(areas), nan=-1.0))


def validation_auroc(cell: Cell, label: str) -> float:
    """NaN where the validation photos are of one class."""
    rows = cell.run.recorded_predictions.of_split("validation")
    return auroc(rows.label == label, rows.score(label))
