"""What does a heatmap cost? Time of each method over that of one forward pass.

    python benchmarks/heatmaps.py [--models tiny-vit tiny-resnet …] [--photos 8]

Random weights and noise for photos: neither changes the time. Both times hold the preprocessing.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from hf_cushing.heatmaps.inputs import score
from hf_cushing.heatmaps.methods import explain_many, methods_for
from hf_cushing.models.build import build_classifier
from hf_cushing.models.score import input_pixels

MODELS = ["tiny-vit", "tiny-swin", "tiny-dinov2", "tiny-resnet", "tiny-densenet"]


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The fastest of some runs, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Print a line for each model and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    noise = np.random.default_rng(0)
    crops = [
        Image.fromarray(noise.integers(0, 256, (256, 256, 3), np.uint8))
        for _ in range(options.photos)
    ]
    print("| model | method | forward passes | photos a second |")
    print("| --- | --- | ---: | ---: |")
    for name in options.models:
        torch.manual_seed(0)
        classifier = build_classifier(name, ["control", "cushing"], init="random")
        classifier.model.eval()

        def forward(classifier=classifier) -> object:
            with torch.inference_mode():
                return score(classifier.model, input_pixels(crops, classifier), 1)

        one = seconds(forward, options.repeats)
        for method in methods_for(classifier.model):
            many = seconds(
                lambda c=classifier, m=method: explain_many(c, crops, m, label="cushing"),
                options.repeats,
            )
            print(
                f"| {name} | {method} | {many / one:.1f} | {options.photos / many:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
