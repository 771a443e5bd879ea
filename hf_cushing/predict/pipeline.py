"""Classify raw photographs: find and align the face, then the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import ImageClassificationPipeline
from transformers.image_utils import load_image

from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import clean_photo, open_photo
from hf_cushing.run import Run


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


def pipeline(
    model: str, *, revision: str | None = None, **options: Any
) -> AlignedImageClassificationPipeline:
    """Build the pipeline that aligns faces, from a run folder or a Hub id.

    Parameters
    ----------
    model : str
    revision : str, optional
        Branch, tag or commit of a Hub model.
    **options
        Of `transformers.Pipeline`: ``device``, ``batch_size``, ``top_k``, …

    Examples
    --------
    >>> import hf_cushing
    >>> classify = hf_cushing.pipeline("runs/demo")  # doctest: +SKIP
    >>> classify("photo.jpg")[0]  # doctest: +SKIP
    {'label': 'control', 'score': 0.83, 'box': {'xmin': 84, 'ymin': 92, 'xmax': 189, 'ymax': 197}}
    """
    classifier = Run(model, revision).classifier
    return AlignedImageClassificationPipeline(
        model=classifier.model,
        image_processor=classifier.processor,
        task="image-classification",
        **options,
    )


def _open(image: Any, timeout: float | None) -> Image.Image:
    if isinstance(image, Path) or (isinstance(image, str) and Path(image).is_file()):
        return open_photo(image)
    return clean_photo(image if isinstance(image, Image.Image) else load_image(image, timeout))
