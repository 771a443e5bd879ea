"""Rules that look at a model: its figures, its threshold, and whether it does what it did.

Each yields what it found, one message a fault; nothing means that the rule is kept.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet
from PIL import Image, ImageOps

from hf_cushing.evaluation.predictions import COLUMNS, FRAMING, Predictions
from hf_cushing.publish.clean_process import clean_scores
from hf_cushing.publish.rules_files import card_metadata
from hf_cushing.publish.staged import Staged
from hf_cushing.run import WEIGHTS, Run
from hf_cushing.schema import PROBABILITY_PREFIX, UserError, counted

PHOTOS = 24
"""Test photos that the loaded model must score as it did."""

ALLOWED = {"pil": 1e-3, "default": 2e-2}
"""Largest difference of a probability: with our way of resizing (Pillow's), and with the one that
transformers chooses by itself, whose pixels differ by up to 2 of 255 levels; seen: 2e-7, 1e-3."""

NUMBERED = re.compile(r"(patient|photo)-\d+")


def crossing(staged: Staged) -> Iterator[str]:
    """No patient both chose the threshold and was tested."""
    scored = Run(staged.source).recorded_predictions
    roles: dict[str, set[str]] = {}
    for patient, split in zip(scored.patient_id.tolist(), scored.split.tolist(), strict=True):
        roles.setdefault(patient, set()).add(split)
    several = sum(len(splits) > 1 for splits in roles.values())
    if several:
        yield f"{counted(several, 'patient')} scored in more than one split"


def counts(staged: Staged) -> Iterator[str]:
    """For every disease, for all, women and men: the counts are there and are right."""
    run = Run(staged.folder)
    scored = _scored(staged).of_split(run.metrics["split"])
    rows = {
        (row["label"], row["subgroup"]): row
        for row in run.metrics["subgroups"]
        if row["unit"] == "photo"
    }
    for label in scored.positive_labels:
        for sex in ("all", "female", "male"):
            row = rows.get((label, sex))
            if row is None:
                yield f"metrics.json has no figures of {label}, {sex}"
                continue
            wrong = [n for n, count in _counted(scored, label, sex).items() if row.get(n) != count]
            if wrong:
                yield f"metrics.json, {label}, {sex}: {', '.join(wrong)} missing or wrong"


def _scored(staged: Staged) -> Predictions:
    """The scores as they go along, or the run's own where they stay behind."""
    return Run(staged.folder).predictions or Run(staged.source).recorded_predictions


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


def threshold(staged: Staged) -> Iterator[str]:
    """There is a threshold for every disease, and none comes from the test split."""
    run = Run(staged.folder)
    points = run.metrics.get("operating_points", [])
    for point in points:
        if point.get("split") in (None, "", "test", run.metrics["split"]):
            origin = point.get("split") or "an unknown split"
            yield f"the threshold of {point['label']} ({point['sex']}) was chosen on {origin}"
    for label in _scored(staged).positive_labels:
        if not any(p["label"] == label and p["sex"] == "all" for p in points):
            yield f"metrics.json has no threshold for {label}"


def weights(staged: Staged) -> Iterator[str]:
    """Figures, predictions and thresholds belong to these very weights."""
    run = Run(staged.folder)
    own = run.weights_revision
    if not own:
        yield f"there is no {WEIGHTS}"
        return
    known = {point["model_revision"] for point in run.metrics["operating_points"]}
    known |= set(_scored(staged).model_revision.tolist())
    if known != {own}:
        yield f"the figures belong to the weights {', '.join(sorted(known))}, these are {own}"


def free_text(staged: Staged) -> Iterator[str]:
    """The predictions name nobody: no further column, and numbers in place of ids."""
    run = Run(staged.folder)
    if "seen_photo_ids" in run.manifest:
        yield "manifest.json lists the photos that the model was trained on"
    scored = run.predictions
    if scored is None:
        return
    known = {*COLUMNS, FRAMING, *(PROBABILITY_PREFIX + label for label in run.labels)}
    names = pyarrow.parquet.read_schema(run.file("predictions.parquet")).names
    if other := sorted(set(names) - known):
        yield f"predictions.parquet holds {', '.join(other)}"
    for name in ("patient_id", "photo_id"):
        if not all(NUMBERED.fullmatch(word) for word in getattr(scored, name).tolist()):
            yield f"predictions.parquet holds the dataset's own {name}"


def dataset_id(staged: Staged) -> Iterator[str]:
    """The dataset that the card was to name is there, and is the run's."""
    asked = staged.options.dataset_id
    if asked and asked not in (card_metadata(staged.folder).get("datasets") or ()):
        yield f"{asked} is not on the Hub, can't be seen, or holds other shards than --dataset"


def reproduces(staged: Staged) -> Iterator[str]:
    """Loaded by transformers alone, in a clean process, the model scores photos as it did."""
    with tempfile.TemporaryDirectory(prefix="hf-cushing-gate-") as name:
        work = Path(name)
        try:
            recorded = _test_photos(staged, work)
            if not recorded:
                yield "not checked against its own predictions: no photos were at hand"
                Image.new("RGB", (256, 256), "grey").save(work / "0", "PNG")
            paths = [work / str(number) for number in range(max(1, len(recorded)))]
            scores = clean_scores(staged.folder, paths, backends=list(ALLOWED), work=work)
            if recorded and _averages(staged):
                turned = [_mirrored(path) for path in paths]
                other = clean_scores(staged.folder, turned, backends=list(ALLOWED), work=work)
                scores = {name: list(map(_mean, scores[name], other[name])) for name in scores}
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


def _test_photos(staged: Staged, work: Path) -> list[dict[str, float]]:
    """Write crops of the test split into `work`, named by number; give their recorded scores."""
    run, dataset = Run(staged.source), staged.options.dataset
    if dataset is None:
        return []
    data = run.load_faces(str(dataset))
    if data.revision != run.manifest["dataset_revision"]:
        raise UserError(f"{dataset} is not the dataset that the run was trained on")
    scored = run.recorded_predictions.of_split("test").spread(PHOTOS)
    photos = data.roles["test"].select_columns(["image", "photo_id"]).with_format("arrow")[:]
    crops = dict(zip(photos["photo_id"].to_pylist(), photos["image"].to_pylist(), strict=True))
    for number, photo in enumerate(scored.photo_id.tolist()):
        (work / str(number)).write_bytes(crops[photo]["bytes"])
    rows = scored.probabilities.tolist()
    return [dict(zip(scored.labels, row, strict=True)) for row in rows]


def _averages(staged: Staged) -> bool:
    """Whether the recorded scores are means over a photo and its mirror image."""
    settings = Run(staged.source).finished_manifest["config"]["model"]
    return bool(settings.get("average_mirrored"))


def _mirrored(path: Path) -> Path:
    """Write the mirror image of a crop beside it."""
    turned = path.with_name(f"{path.name}-mirrored")
    with Image.open(path) as crop:
        ImageOps.mirror(crop.convert("RGB")).save(turned, "PNG")
    return turned


def _mean(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """Probabilities of the mean of two photos' logits."""
    mean = {label: math.sqrt(one[label] * other[label]) for label in one}
    return {label: value / sum(mean.values()) for label, value in mean.items()}


def _largest_difference(
    scores: Sequence[dict[str, float]], recorded: Sequence[dict[str, float]]
) -> float:
    """Infinite where the classes differ."""
    pairs = list(zip(scores, recorded, strict=True))
    if any(set(own) != set(other) for own, other in pairs):
        return float("inf")
    return max(abs(own[label] - other[label]) for own, other in pairs for label in other)
