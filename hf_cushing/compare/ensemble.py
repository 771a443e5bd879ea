"""Export the mean of an arm's fold models as one run folder."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from hf_cushing.compare.choice import by_arm
from hf_cushing.compare.grid import CHOSEN, Cell, file_name
from hf_cushing.evaluation.operating_points import choose_operating_points
from hf_cushing.evaluation.predictions import concatenate
from hf_cushing.files import replace_folder, write_json
from hf_cushing.models.ensemble import average_heads
from hf_cushing.models.score import weights_revision
from hf_cushing.schema import RESEARCH_NOTICE, UsageError

OUT_OF_FOLD = "out-of-fold"
"""Where an ensemble's threshold comes from: each photo as scored by the fold model that had not
seen it."""


def export_ensemble(cells: Sequence[Cell], arm_name: str, out: Path) -> Path:
    """Average the heads of an arm's cells into ``out/ensembles/``.

    The folder names every photo that any member has seen, so that `evaluate` refuses to test on
    them: an ensemble of folds can only be tested on other people.

    Parameters
    ----------
    cells : sequence of Cell
        Finished ones.
    arm_name : str
        As the tables name it: ``dinov2-s, head``.
    out : Path
        The study's folder.

    Raises
    ------
    UsageError
        No such arm, or a baseline.
    UserError
        The members don't share a frozen backbone.
    """
    arms = {
        arm.name: own
        for arm, own in by_arm(cells).items()
        if not arm.is_baseline and arm.variant != CHOSEN  # its folds may see different crops
    }
    if arm_name not in arms:
        names = "; ".join(arms)
        raise UsageError(f"--export-ensemble {arm_name}: no such arm (there are: {names})")
    own, target = arms[arm_name], out / "ensembles" / file_name(arm_name)
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    aside.mkdir(parents=True)
    try:
        average_heads([cell.folder for cell in own], aside)
        _write_facts(own, aside)
        replace_folder(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def _write_facts(cells: Sequence[Cell], folder: Path) -> None:
    runs = {cell.folder.name: cell.run for cell in cells}
    manifests = {name: run.manifest for name, run in runs.items()}
    first = manifests[cells[0].folder.name]
    revision = weights_revision(folder / "model.safetensors")
    test = concatenate([run.recorded_predictions.of_split("test") for run in runs.values()])
    mixed = replace(
        test,
        split=np.full(len(test), OUT_OF_FOLD),
        model_revision=np.full(len(test), revision),
    )
    rule = cells[0].config.evaluation.threshold_rule
    points = choose_operating_points(mixed, rule, OUT_OF_FOLD)
    write_json(
        folder / "metrics.json",
        {"notice": RESEARCH_NOTICE, "operating_points": [asdict(p) for p in points]},
    )
    seen = {photo for run in runs.values() for photo in run.seen_photo_ids}
    write_json(
        folder / "manifest.json",
        {name: first[name] for name in ("config", "dataset_revision", "labels")}
        | {
            "model_revision": revision,
            "members": {name: manifest["model_revision"] for name, manifest in manifests.items()},
            "seen_photo_ids": sorted(seen | set(test.photo_id.tolist())),
        },
    )
