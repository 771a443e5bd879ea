"""Classify raw photographs: find and align the face, then the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from PIL import Image
from transformers import ImageClassificationPipeline
from transformers.image_utils import load_image

from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import PhotoError, clean_photo, decoder_faults, open_photo
from hf_cushing.models.score import logits_of
from hf_cushing.run import Run
from hf_cushing.schema import Several, UsageError

OnBad = Literal["raise", "skip"]
"""What to do about a photo that can't be used."""


class AlignedImageClassificationPipeline(ImageClassificationPipeline):
    """transformers' image-classification pipeline on the aligned face instead of the photo.

    Each entry of the output has ``label`` and ``score`` as there, and ``box``: the face in the
    upright photo, pixels, as the object-detection pipeline gives it.

    Raises
    ------
    PhotoError
        For a photo that can't be read, or with no or several faces, unless ``on_bad="skip"``.
    """

    def _sanitize_parameters(
        self, on_several: Several | None = None, on_bad: OnBad | None = None, **options: Any
    ) -> tuple[dict, dict, dict]:
        before, within, after = super()._sanitize_parameters(**options)
        if on_bad not in (None, *get_args(OnBad)):
            raise UsageError(f"on_bad {on_bad}: give {' or '.join(get_args(OnBad))}")
        own = {"on_several": on_several, "on_bad": on_bad}
        return before | {name: value for name, value in own.items() if value}, within, after

    def preprocess(
        self,
        image: Any,
        timeout: float | None = None,
        on_several: Several = "refuse",
        on_bad: OnBad = "raise",
    ) -> dict[str, Any]:
        """Open, align and normalise one photo; a bad one that is skipped is black."""
        crop, box, problem = Image.new("RGB", (1, 1)), (0, 0, 0, 0), None
        try:
            face = align_face(_open(image, timeout), on_several=on_several)
            crop, box = face.image, face.face_box
        except PhotoError as error:
            if on_bad == "raise":
                raise
            problem = error
        inputs = super().preprocess(crop)
        return {**inputs, "box": torch.tensor([box]), "problem": problem}

    def _forward(self, model_inputs: dict[str, Any]) -> dict[str, Any]:
        rest = {name: model_inputs.pop(name) for name in ("box", "problem")}
        return {"logits": logits_of(self.model, model_inputs["pixel_values"]), **rest}

    def postprocess(self, model_outputs: dict[str, Any], **options: Any) -> list[dict]:
        """Scores as transformers gives them, each with the face's box; or why there are none."""
        if problem := model_outputs["problem"]:
            return [{"error": problem.reason, "message": str(problem)}]
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
        Of `transformers.Pipeline`: ``device``, ``batch_size``, ``top_k``, …; and, here or when
        it is called, ``on_several`` (``refuse``, ``largest`` or ``central``: which face counts
        where several are there and none dominates) and ``on_bad`` (``raise``; or ``skip``: a
        photo that can't be used has, in its place, one entry with ``error`` and ``message``).

    Examples
    --------
    >>> import hf_cushing
    >>> classify = hf_cushing.pipeline("runs/demo")  # doctest: +SKIP
    >>> classify("photo.jpg")[0]  # doctest: +SKIP
    {'label': 'control', 'score': 0.83, 'box': {'xmin': 84, 'ymin': 92, 'xmax': 189, 'ymax': 197}}
    >>> classify(["photo.jpg", "wall.jpg"], on_bad="skip")[1]  # doctest: +SKIP
    [{'error': 'no_face', 'message': 'no face was found; …'}]
    """
    classifier = Run(model, revision).classifier
    return AlignedImageClassificationPipeline(
        model=classifier.model,
        image_processor=classifier.processor,
        task="image-classification",
        **options,
    )


def _open(image: Any, timeout: float | None) -> Image.Image:
    """The photo of a path, URL, base64 text or decoded image: upright, RGB."""
    with decoder_faults():  # an unreachable address, too
        if isinstance(image, Path) or (isinstance(image, str) and Path(image).is_file()):
            return open_photo(image)
        if isinstance(image, Image.Image):
            return clean_photo(image)
        try:
            return clean_photo(load_image(image, timeout))
        except ValueError:  # its message repeats the name, or a whole photo
            text = "it is no file, address or base64 text of an image; check the name"
            raise PhotoError("unreadable", text) from None
