"""Rules that look at a model: its figures, its threshold, and whether it does what it did.

Each yields what it found, one message a fault; nothing means that the rule is kept.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hf_cushing.evaluation.predictions import COLUMNS, Predictions, load_predictions
from hf_cushing.files import read_json, sha256_file
from hf_cushing.publish.clean_process import clean_scores
from hf_cushing.schema import PROBABILITY_PREFIX, UserError

if TYPE_CHECKING:
    from hf_cushing.publish.gate import Case

PHOTOS = 24
"""Test photos that the loaded model must score as it did."""

ALLOWED = {"pil": 1e-3, "default": 2e-2}
"""Largest difference of a probability: with our way of resizing (Pillow's), and with the one that
transformers chooses by itself, whose pixels differ by up to 2 of 255 levels; seen: 2e-7, 1e-3."""

NUMBERED = re.compile(r"(patient|photo)-\d+")


def crossing(case: Case) -> Iterator[str]:
    """No patient both chose the threshold and was tested."""
    scored = load_predictions(case.source)
    roles: dict[str, set[str]] = {}
    for patient, split in zip(scored.patient_id.tolist(), scored.split.tolist(), strict=True):
        roles.setdefault(patient, set()).add(split)
    several = sum(len(splits) > 1 for splits in roles.values())
    if several:
        yield f"{several} patients were scored in more than one split"


def counts(case: Case) -> Iterator[str]:
    """For every disease, for all, women and men: the counts are there and are right."""
    metrics = read_json(case.folder / "metrics.json")
    scored = load_predictions(case.folder)
    scored = scored.select(scored.split == metrics["split"])
    rows = {(r["label"], r["subgroup"]): r for r in metrics["subgroups"] if r["unit"] == "photo"}
    for label in scored.positive_labels:
        for sex in ("all", "female", "male"):
            row = rows.get((label, sex))
            if row is None:
                yield f"metrics.json has no figures of {label}, {sex}"
                continue
            wrong = [n for n, count in _counted(scored, label, sex).items() if row.get(n) != count]
            if wrong:
                yield f"metrics.json, {label}, {sex}: {', '.join(wrong)} missing or wrong"


def _counted(scored: Predictions, label: str, sex: str) -> dict[str, int]:
    rows = scored if sex == "all" else scored.select(scored.sex == sex)
    positive = rows.label == label
    return {
        "rows": len(rows),
        "patients": len(set(rows.patient_id.tolist())),
        "positives": int(positive.sum()),
        "negatives": int((~positive).sum()),
        "positive_patients": len(set(rows.patient_id[positive].tolist())),
        "negative_patients": len(set(rows.patient_id[~positive].tolist())),
    }


def threshold(case: Case) -> Iterator[str]:
    """There is a threshold for every disease, and none comes from the test split."""
    metrics = read_json(case.folder / "metrics.json")
    points = metrics.get("operating_points", [])
    for point in points:
        if point.get("split") in (None, "", "test", metrics["split"]):
            origin = point.get("split") or "an unknown split"
            yield f"the threshold of {point['label']} ({point['sex']}) was chosen on {origin}"
    labels = load_predictions(case.folder).positive_labels
    for label in labels:
        if not any(p["label"] == label and p["sex"] == "all" for p in points):
            yield f"metrics.json has no threshold for {label}"


def weights(case: Case) -> Iterator[str]:
    """Figures, predictions and thresholds belong to these very weights."""
    path = case.folder / "model.safetensors"
    if not path.is_file():
        yield "there is no model.safetensors"
        return
    own = sha256_file(path)[:16]
    points = read_json(case.folder / "metrics.json")["operating_points"]
    known = {point["model_revision"] for point in points}
    known |= set(load_predictions(case.folder).model_revision.tolist())
    if known != {own}:
        yield f"the figures belong to the weights {', '.join(sorted(known))}, these are {own}"


def free_text(case: Case) -> Iterator[str]:
    """The predictions name nobody: no further column, and numbers in place of ids."""
    scored = load_predictions(case.folder)
    if scored.attributes:
        yield f"predictions.parquet holds {', '.join(scored.attributes)}"
    for name in ("patient_id", "photo_id"):
        if not all(NUMBERED.fullmatch(word) for word in getattr(scored, name).tolist()):
            yield f"predictions.parquet holds the dataset's own {name}"
    manifest = read_json(case.folder / "manifest.json")
    if "seen_photo_ids" in manifest:
        yield "manifest.json lists the photos that the model was trained on"
    known = {*COLUMNS, *(PROBABILITY_PREFIX + label for label in manifest["labels"])}
    other = sorted(set(_column_names(case.folder / "predictions.parquet")) - known)
    if other and not scored.attributes:
        yield f"predictions.parquet holds {', '.join(other)}"


def _column_names(path: Path) -> list[str]:
    import pyarrow.parquet

    return pyarrow.parquet.read_schema(path).names


def reproduces(case: Case) -> Iterator[str]:
    """Loaded by transformers alone, in a clean process, the model scores photos as it did."""
    with tempfile.TemporaryDirectory(prefix="hf-cushing-gate-") as name:
        work = Path(name)
        try:
            recorded = _test_photos(case, work)
            if not recorded:
                yield "not checked against its own predictions: no photos were at hand"
                Image.new("RGB", (256, 256), "grey").save(work / "0", "PNG")
            paths = [work / str(number) for number in range(max(1, len(recorded)))]
            scores = clean_scores(
                case.folder, paths, backends=list(ALLOWED), work=work, timeout=case.timeout
            )
        except UserError as error:
            yield str(error)
            return
    for backend, limit in ALLOWED.items() if recorded else ():
        apart = _largest_difference(scores[backend], recorded)
        if not apart <= limit:
            yield (
                f"the loaded model scores {len(recorded)} test photos up to {apart:.2g} away from "
                f"its predictions (allowed: {limit:g})"
            )


def _test_photos(case: Case, work: Path) -> list[dict[str, float]]:
    """Write crops of the test split into `work`, named by number; give their recorded scores."""
    if case.dataset is None:
        return []
    from hf_cushing.data.loading import load_faces

    manifest = read_json(case.source / "manifest.json")
    settings = manifest["config"]["data"]
    data = load_faces(str(case.dataset), fold=settings["fold"], repeat=settings["repeat"])
    if data.revision != manifest["dataset_revision"]:
        raise UserError(f"{case.dataset} is not the dataset that the run was trained on")
    scored = load_predictions(case.source).of_split("test")
    photos = data.roles["test"].select_columns(["image", "photo_id"]).with_format("arrow")[:]
    crops = dict(zip(photos["photo_id"].to_pylist(), photos["image"].to_pylist(), strict=True))
    chosen = np.linspace(0, len(scored) - 1, min(PHOTOS, len(scored))).astype(int)
    recorded = []
    for number, row in enumerate(chosen.tolist()):
        Path(work, str(number)).write_bytes(crops[str(scored.photo_id[row])]["bytes"])
        recorded.append(dict(zip(scored.labels, scored.probabilities[row].tolist(), strict=True)))
    return recorded


def _largest_difference(scores: list[dict[str, Any]], recorded: list[dict[str, float]]) -> float:
    """Infinite where the classes differ."""
    if any(set(own) != set(other) for own, other in zip(scores, recorded, strict=True)):
        return float("inf")
    return max(
        abs(own[label] - other[label])
        for own, other in zip(scores, recorded, strict=True)
        for label in other
    )
