"""External validation: finished models on a second cohort, thresholds untouched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.compare.cells import Tell
from hf_cushing.compare.plan import Arm, Cell
from hf_cushing.data.loading import FaceData, load_faces
from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.predictions import Predictions, load_predictions
from hf_cushing.evaluation.record import points_from_json
from hf_cushing.evaluation.scoring import predictions_of
from hf_cushing.evaluation.subgroups import Resampled, make_sample, mean_subgroups, report_subgroups
from hf_cushing.evaluation.wording import NAMES, format_value
from hf_cushing.files import read_json
from hf_cushing.models.build import load_classifier
from hf_cushing.models.score import check_labels, score
from hf_cushing.reports.table import Table
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from datasets import Dataset

SHOWN = ("recall", "specificity", "f1", "auroc")


def external_tables(cells: Sequence[Cell], dataset: str, *, draws: int, tell: Tell) -> list[Table]:
    """Score every finished cell on another dataset, and say how each arm does there.

    Each cell's model keeps its own threshold; an arm's figures are the means over its models
    (folds and seeds), on common draws of the external patients.

    Parameters
    ----------
    cells : sequence of Cell
    dataset : str
        Dataset folder or Hub id; all its splits are scored.
    draws : int
    tell : callable

    Raises
    ------
    UserError
        Other labels than the study's; a photo that trained one of the models.
    """
    scored = external_results(cells, dataset, draws=draws, tell=tell)
    return [_table(label, arms, cells) for label, arms in scored.items()]


def external_results(
    cells: Sequence[Cell], dataset: str, *, draws: int, tell: Tell
) -> dict[str, dict[Arm, dict[str, Resampled]]]:
    """What `external_tables` shows: disease to arm to subgroup; means over each arm's models."""
    data = load_faces(dataset)
    photos = _all_photos(data)
    scored: dict[Arm, list[tuple[Cell, Predictions]]] = {}
    for number, cell in enumerate(cells, 1):
        tell(f"[{number}/{len(cells)}] {cell.name}: external photos")
        scored.setdefault(cell.arm, []).append((cell, _predictions(cell, data, photos, dataset)))
    return {
        label: {
            arm: mean_subgroups([_subgroups(c, p, label, draws) for c, p in parts], label)
            for arm, parts in scored.items()
        }
        for label in data.labels[1:]
    }


def _all_photos(data: FaceData) -> Dataset:
    from datasets import concatenate_datasets

    return concatenate_datasets(list(data.roles.values()))


def _predictions(cell: Cell, data: FaceData, photos: Dataset, dataset: str) -> Predictions:
    """Scores of one cell's model; kept beside the run."""
    path = cell.folder / f"external-{data.revision}.parquet"
    if path.exists():
        return load_predictions(path)
    manifest = read_json(cell.folder / "manifest.json")
    seen = set(manifest["seen_photo_ids"]) & set(photos["photo_id"])
    if seen:
        raise UserError(
            f"--external {dataset}: {len(seen)} of its photos trained {cell.name}; an external "
            "cohort must be of other people"
        )
    classifier = load_classifier(str(cell.folder))
    check_labels(classifier, data.labels, str(cell.folder))
    training = cell.config.training
    logits = score(
        classifier, photos, batch_size=2 * training.batch_size,
        num_workers=cell.config.data.num_workers, cpu=training.cpu,
    )  # fmt: skip
    found = predictions_of(
        logits, photos, data=data, split="test", seed=training.seed,
        revision=manifest["model_revision"],
    )  # fmt: skip
    found.save(path)
    return found


def _table(label: str, arms: dict[Arm, dict[str, Resampled]], cells: Sequence[Cell]) -> Table:
    body = []
    for arm, groups in arms.items():
        home = np.mean([_home_auroc(cell, label) for cell in cells if cell.arm == arm])
        model, _, learns = arm.name.partition(", ")
        for name, found in groups.items():
            values = [format_value(found.report.values[metric]) for metric in SHOWN]
            own = f"{home:.3f}" if name == "all" else ""
            body.append([model, learns, name, *values, own])
    row = groups["all"].report
    notes = [
        f"{row.rows} external photos, {row.positive_patients} patients with and "
        f"{row.negative_patients} without the disease: {row.size}. Means over each arm's models; "
        "thresholds and calibration are those of the study. “At home”: mean AUROC of the folds."
    ]
    header = ["model", "learns", "", *(NAMES.get(m, m) for m in SHOWN), "AUROC at home"]
    return Table(f"external_{label}", f"{label}: external validation", header, body, notes)


def _subgroups(cell: Cell, rows: Predictions, label: str, draws: int) -> dict[str, Resampled]:
    points = points_from_json(read_json(cell.folder / "metrics.json"))
    sample = make_sample(rows, "photo", draws=draws)
    return report_subgroups(sample, label, points, subgroup_masks(sample.rows))


def _home_auroc(cell: Cell, label: str) -> float:
    rows = read_json(cell.folder / "metrics.json")["subgroups"]
    wanted = (label, "all", "photo")
    row = next(r for r in rows if (r["label"], r["subgroup"], r["unit"]) == wanted)
    value = row["values"]["auroc"]["estimate"]
    return float("nan") if value is None else value
