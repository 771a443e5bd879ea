"""Classify raw photographs: find and align the face, then the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import ImageClassificationPipeline
from transformers.image_utils import load_image

from hf_cushing.evaluation.record import points_from_json
from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import clean_photo, open_photo
from hf_cushing.files import read_json
from hf_cushing.models.build import load_classifier
from hf_cushing.schema import CONTROL


class AlignedImageClassificationPipeline(ImageClassificationPipeline):
    """transformers' image-classification pipeline on the aligned face instead of the photo.

    Each entry of the output has ``label`` and ``score`` as there, and ``box``: the face in the
    upright photo, pixels, as the object-detection pipeline gives it.

    Raises
    ------
    PhotoError
        For a photo that can't be read, or with no or several faces.
    """

    def preprocess(self, image: Any, timeout: float | None = None) -> dict[str, torch.Tensor]:
        """Open, align and normalise one photo."""
        face = align_face(_open(image, timeout))
        inputs = super().preprocess(face.image)
        return {**inputs, "box": torch.tensor([face.face_box])}

    def _forward(self, model_inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        box = model_inputs.pop("box")
        return {"logits": self.model(**model_inputs).logits, "box": box}

    def postprocess(self, model_outputs: dict[str, torch.Tensor], **options: Any) -> list[dict]:
        """Scores as transformers gives them, each with the face's box."""
        corners = ("xmin", "ymin", "xmax", "ymax")
        box = dict(zip(corners, model_outputs["box"][0].tolist(), strict=True))
        return [entry | {"box": box} for entry in super().postprocess(model_outputs, **options)]


def pipeline(model: str, **options: Any) -> AlignedImageClassificationPipeline:
    """Build the pipeline that aligns faces, from a run folder or a Hub id.

    Parameters
    ----------
    model : str
    **options
        Of `transformers.Pipeline`: ``device``, ``batch_size``, ``top_k``, …

    Examples
    --------
    >>> import hf_cushing
    >>> classify = hf_cushing.pipeline("runs/demo")  # doctest: +SKIP
    >>> classify("photo.jpg")[0]  # doctest: +SKIP
    {'label': 'control', 'score': 0.83, 'box': {'xmin': 84, 'ymin': 92, 'xmax': 189, 'ymax': 197}}
    """
    classifier = load_classifier(model)
    return AlignedImageClassificationPipeline(
        model=classifier.model,
        image_processor=classifier.processor,
        task="image-classification",
        **options,
    )


def called_labels(run: str, scores: list[dict[str, Any]]) -> dict[str, float]:
    """What a run calls at its operating points: each disease that reaches its own, else control.

    Parameters
    ----------
    run : str
        A run folder; of others nothing is known.
    scores : list of dict
        As the pipeline gives them.

    Returns
    -------
    dict
        Label to the operating point (0..1) that decided: of ``control``, the nearest missed.
        Empty where the run has no operating point for both sexes together.
    """
    path = Path(run) / "metrics.json"
    points = points_from_json(read_json(path)) if path.is_file() else []
    limits = {point.label: point.threshold for point in points if point.sex == "all"}
    score = {entry["label"]: entry["score"] for entry in scores}
    reached = {name: limit for name, limit in limits.items() if score.get(name, 0.0) >= limit}
    if reached or not limits:
        return reached
    nearest = min(limits, key=lambda name: limits[name] - score.get(name, 0.0))
    return {CONTROL: limits[nearest]}


def _open(image: Any, timeout: float | None) -> Image.Image:
    if isinstance(image, Path) or (isinstance(image, str) and Path(image).is_file()):
        return open_photo(image)
    return clean_photo(image if isinstance(image, Image.Image) else load_image(image, timeout))
