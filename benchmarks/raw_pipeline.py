"""How well runs do on the clinic's original photographs, framed in several ways, unaligned.

    python benchmarks/raw_pipeline.py RUN… --raw CLINIC_FOLDER --dataset DIR

Takes the test photos of each run (the folds of a cross-validation are pooled), opens the original
files, and prints for the aligned crop, the whole photo, its middle 60 % and three random windows:
AUROC of all, women and men with intervals by patient, and the share called positive at the
threshold that was chosen for aligned crops and, for photos, at the one for wide views.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import softmax

from hf_cushing.data.framing import free_window
from hf_cushing.data.intake_report import original_files
from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.record import points_from_json
from hf_cushing.faces.photo import open_photo
from hf_cushing.models.score import score_crops
from hf_cushing.run import Run
from hf_cushing.stats.intervals import clustered_auroc
from hf_cushing.stats.resampling import Patients

MIDDLE = 0.6


def middle(photo: Image.Image) -> Image.Image:
    """The middle of a photo, `MIDDLE` of each side."""
    edges = [round(n * (1 + sign * MIDDLE) / 2) for sign in (-1, 1) for n in photo.size]
    return photo.crop(edges)


def window(number: int, boxes: dict[str, list[int]]) -> Callable[[Image.Image, str], Image.Image]:
    """Make what cuts a random window with the face in it, the same for every model."""

    def cut(photo: Image.Image, name: str) -> Image.Image:
        rng = np.random.default_rng([number, int(name[:12], 16)])
        return photo.crop([round(edge) for edge in free_window(photo.size, boxes[name], rng)])

    return cut


def main() -> None:
    """Score the same photos in every framing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    options = parser.parse_args()
    boxes = _boxes(options.dataset)
    framings = {
        "whole photo": lambda photo, _: photo,
        "middle 60 %": lambda photo, _: middle(photo),
    }
    framings |= {f"window {i + 1}": window(i, boxes) for i in range(3)}
    rows: dict[str, list[tuple]] = {name: [] for name in ("aligned crop", *framings)}
    for folder in options.runs:
        run = Run(folder)
        test = run.recorded_predictions.of_split("test")
        label = test.positive_labels[0]
        limits = [points_from_json(run.metrics)[0].threshold]
        limits += [point.threshold for point in points_from_json(run.metrics, plain=True)[:1]]
        files = original_files(options.dataset, options.raw, test.photo_id.tolist())
        photos = [open_photo(file) for file in files]
        who = (test.label == label, test.sex, test.patient_id)
        rows["aligned crop"].append((test.score(label), *who, limits[:1]))
        for name, cut in framings.items():
            views = [cut(p, photo) for p, photo in zip(photos, test.photo_id, strict=True)]
            scores = softmax(score_crops(run.classifier, views, cpu=True), axis=1)
            rows[name].append((scores[:, test.labels.index(label)], *who, limits))
    for name, parts in rows.items():
        print(f"{name}: {_figures(parts)}")


def _boxes(dataset: Path) -> dict[str, list[int]]:
    """The face in each original photo, pixels."""
    roles = load_faces(str(dataset)).roles.values()
    pairs = (zip(rows["photo_id"], rows["face_box"], strict=True) for rows in roles)
    return {name: box for own in pairs for name, box in own}


def _figures(parts: list[tuple]) -> str:
    score, truth, sex, patient = (np.concatenate([part[i] for part in parts]) for i in range(4))
    texts = []
    for who in ("all", "female", "male"):
        rows = np.full(len(sex), True) if who == "all" else sex == who
        odds = np.log(score[rows]) - np.log1p(-score[rows])
        people = Patients(patient[rows], truth[rows].astype(int))
        area = clustered_auroc(truth[rows], odds, people)
        low, high = area.interval()
        texts.append(f"{who} {area.estimate:.3f} ({low:.3f}–{high:.3f})")
    for number, kind in enumerate(("aligned", "own")):
        if all(len(part[4]) > number for part in parts):
            called = np.concatenate([part[0] >= part[4][number] for part in parts])
            texts.append(f"called positive at the {kind} threshold {called.mean():.0%}")
    return ", ".join(texts) + f"; truly {truth.mean():.0%} of {len(truth)}"


if __name__ == "__main__":
    main()
