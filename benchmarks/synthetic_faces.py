"""How hard the drawn faces are: dlib's detection rate, and a tiny network on fresh persons.

    python benchmarks/synthetic_faces.py --run runs/demo [--photos 1000] [--seed 77]

Draws a new cohort, counts photos in which dlib finds exactly one face, and gives the AUROC of
the run (trained on the demo cohort) on all of the new persons.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image

import hf_cushing
from hf_cushing.data.drawing import draw
from hf_cushing.data.synthetic import CohortOptions, Plan, plan_photos
from hf_cushing.faces.landmarks import detect_boxes
from hf_cushing.stats.metrics import auroc


def count_faces(plan: Plan) -> tuple[np.ndarray, int]:
    """Draw one photo and count the faces in it."""
    photo, _ = draw(plan.person, plan.shot, plan.signs)
    return photo, len(detect_boxes(Image.fromarray(photo)))


def main() -> None:
    """Draw, count, score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=77)
    options = parser.parse_args()
    plans = list(plan_photos(CohortOptions(photos=options.photos, seed=options.seed)))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        drawn = list(pool.map(count_faces, plans, chunksize=16))
    single = [count == 1 for _, count in drawn]
    print(f"exactly one face: {sum(single)} of {len(single)}")
    classify = hf_cushing.pipeline(options.run, device="cpu")
    kept = [(plan, photo) for plan, (photo, count) in zip(plans, drawn, strict=True) if count == 1]
    scores = [
        {e["label"]: e["score"] for e in classify(Image.fromarray(photo))}["cushing"]
        for _, photo in kept
    ]
    truth = np.array([plan.label == "cushing" for plan, _ in kept])
    for sex in ("female", "male", None):
        inside = np.array([sex in (None, plan.person.sex) for plan, _ in kept])
        area = auroc(truth[inside], np.array(scores)[inside])
        print(f"AUROC on fresh persons, {sex or 'all'}: {area:.3f} ({inside.sum()} photos)")


if __name__ == "__main__":
    main()
