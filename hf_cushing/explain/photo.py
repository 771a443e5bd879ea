"""Where the model looked in one photo, for whoever shows an answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cushing.faces.regions import GROUPS, region_labels
from hf_cushing.heatmaps.methods import explain_many, methods_for
from hf_cushing.heatmaps.regions import group_sums, region_sums
from hf_cushing.predict.answer import Answer, Predictor
from hf_cushing.run import Run
from hf_cushing.schema import UserError

PREFERRED = ("attention-gradient", "grad-cam")
"""Heatmap of a network without a judged one: the first that fits (ViT and DINOv2; all others)."""

RESNET = "grad-cam++"
"""For a ResNet: Grad-CAM was empty for 39 of 40 photos in `face-resnet` with a fitted head, where
the features speak against the disease everywhere and only less so than the bias speaks for it."""


@dataclass(frozen=True, eq=False)
class PhotoHeatmap:
    """Where the model looked in one photo.

    Attributes
    ----------
    heat : numpy.ndarray
        float32, shape (side, side), pixels of the crop; at least 0, sums to 1 or is all 0.
    shares, areas : dict
        Group of regions to its share of the heat and of the crop; empty where the landmarks
        lie outside the crop.
    """

    heat: np.ndarray
    shares: dict[str, float]
    areas: dict[str, float]


def choose_method(run: Run, explanation: Path | None = None) -> tuple[str, bool]:
    """The heatmap to show, and whether it was shown to beat random maps on this model.

    Parameters
    ----------
    run : Run
    explanation : Path, optional
        Folder of ``hf-cushing explain``; by default the run's own ``explain.json``, if any.
    """
    fitting = methods_for(run.classifier.model)
    best = run.companion("explain.json", explanation).get("best_method")
    if best in fitting:
        return best, True
    if run.classifier.model.config.model_type == "resnet" and RESNET in fitting:
        return RESNET, False
    return next((name for name in PREFERRED if name in fitting), fitting[0]), False


def photo_heatmap(predictor: Predictor, answer: Answer, method: str) -> PhotoHeatmap:
    """The heatmap of the most probable disease, and what of it lies in each region."""
    crop = answer.face.image
    with predictor.busy:
        (heatmap,) = explain_many(predictor.run.classifier, [crop], method, label=answer.disease)
    heat = np.abs(heatmap.values)
    try:
        regions = region_labels(answer.face.landmarks, crop.width)
    except UserError:
        return PhotoHeatmap(heat, {}, {})
    shares, areas = (
        dict(zip(GROUPS, group_sums(region_sums(values, regions)).tolist(), strict=True))
        for values in (heat, np.full(heat.shape, 1 / heat.size))
    )
    return PhotoHeatmap(heat, shares, areas)
