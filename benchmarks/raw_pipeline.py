"""Compare the plain and the aligning pipeline on raw photographs that a run has not seen.

    python benchmarks/raw_pipeline.py RUN --raw CLINIC_FOLDER --dataset DIR [--photos 100]

Takes photos of the run's test split, opens the clinic's original files, and prints the AUROC of
`transformers.pipeline` and of `hf_cushing.pipeline`, side by side, with photos per second.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from transformers import pipeline as plain_pipeline

import hf_cushing
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json
from hf_cushing.stats.metrics import auroc


def main() -> None:
    """Score the same photos by both pipelines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=100)
    options = parser.parse_args()
    rows = read_json(options.dataset / "intake.json")["rows"]
    files = {r["columns"]["photo_id"]: r["file_name"] for r in rows if r["status"] == "kept"}
    test = load_predictions(options.run).of_split("test")
    chosen = np.random.default_rng(0).permutation(len(test))[: options.photos]
    test = test.select(np.sort(chosen))
    positive = test.positive_labels[0]
    paths = [str(options.raw / files[photo]) for photo in test.photo_id.tolist()]
    for name, build in (("plain", plain_pipeline), ("aligned", None)):
        arguments = {"model": str(options.run), "device": "cpu"}
        classify = (
            build("image-classification", **arguments)
            if build
            else hf_cushing.pipeline(**arguments)
        )
        started = time.perf_counter()
        scores = [{e["label"]: e["score"] for e in classify(path)}[positive] for path in paths]
        seconds = time.perf_counter() - started
        area = auroc(test.label == positive, np.array(scores))
        print(f"{name}: AUROC {area:.3f} on {len(paths)} raw photos, {len(paths) / seconds:.1f}/s")
    area = auroc(test.label == positive, test.score(positive))
    print(f"recorded scores of the stored crops: AUROC {area:.3f}")


if __name__ == "__main__":
    main()
