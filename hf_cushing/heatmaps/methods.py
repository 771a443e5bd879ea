"""Heatmaps of a decision: which pixels of a photo speak for a label, by seven methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from hf_cushing.heatmaps.attention import FAMILIES, attention_gradient, rollout
from hf_cushing.heatmaps.gradients import (
    grad_cam,
    grad_cam_plus_plus,
    integrated_gradients,
    last_map_layer,
)
from hf_cushing.heatmaps.inputs import MapFunction, on_loan, to_stored
from hf_cushing.heatmaps.perturbation import occlusion, rise
from hf_cushing.models.build import Classifier
from hf_cushing.models.score import (
    averages_mirrored,
    class_number,
    input_pixels,
    labels_of,
    stored_side,
)
from hf_cushing.schema import UsageError, UserError


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Share of each pixel in the log-odds of a label.

    Attributes
    ----------
    values : numpy.ndarray
        float32, shape (side, side), in pixels of the photo handed in; of a photo that is not
        square, of its centre square, left = (width - side) // 2 and top = (height - side) // 2.
        The absolute values sum to 1; all are 0 if the method found nothing.
    signed : bool
        Positive values speak for the label, negative ones against it; else none is negative.
    method, label : str
        Name in `METHODS`, and the class explained.
    """

    values: np.ndarray
    signed: bool
    method: str
    label: str


@dataclass(frozen=True)
class Method:
    """A way to make heatmaps.

    Attributes
    ----------
    signed : bool
        Whether its values have a sign.
    needs : str
        ``convolution``: a layer whose output lies on a grid over the photo, which transformers
        have too; ``attention``: attention over the whole photo; ``any``: any network.
    text : str
        What it shows, in a sentence for a report.
    function : callable
        Makes maps from a model and pixels.
    passes : int
        Forward passes a photo, roughly; a backward pass counts as two.
    """

    signed: bool
    needs: str
    text: str
    function: MapFunction
    passes: int


METHODS: dict[str, Method] = {
    "grad-cam": Method(
        False, "convolution",
        "features of the last layer, weighted by how much they raise the label's score; coarse",
        grad_cam, 3,
    ),
    "grad-cam++": Method(
        False, "convolution",
        "as grad-cam, but each place has its own weight; made for convolutional networks",
        grad_cam_plus_plus, 3,
    ),
    "rollout": Method(
        False, "attention",
        "where attention flows through all layers; the same for every label",
        rollout, 1,
    ),
    "attention-gradient": Method(
        False, "attention",
        "where attention flows, counting only what raises the label's score",
        attention_gradient, 3,
    ),
    "integrated-gradients": Method(
        True, "any",
        "effect of each pixel on the way from the blurred photo to the photo; fine and noisy",
        integrated_gradients, 72,
    ),
    "occlusion": Method(
        True, "any",
        "how far the score falls when a window of the photo is blurred",
        occlusion, 226,
    ),
    "rise": Method(
        True, "any",
        "how the score goes with what random masks leave sharp",
        rise, 300,
    ),
}  # fmt: skip


def methods_for(model: nn.Module) -> list[str]:
    """Names of the methods that fit a model's architecture, in the order of `METHODS`.

    >>> from hf_cushing.models.build import build_classifier
    >>> swin = build_classifier("tiny-swin", ["control", "cushing"], init="random")
    >>> methods_for(swin.model)
    ['grad-cam', 'grad-cam++', 'integrated-gradients', 'occlusion', 'rise']
    """
    has = {
        "any": True,
        "attention": model.config.model_type in FAMILIES,
        "convolution": last_map_layer(model) is not None,
    }
    return [name for name, method in METHODS.items() if has[method.needs]]


def explain(
    classifier: Classifier, photo: Image.Image, method: str, label: str | None = None
) -> Heatmap:
    """Make the heatmap of one photo; see `explain_many`.

    >>> from hf_cushing.models.build import build_classifier
    >>> vit = build_classifier("tiny-vit", ["control", "cushing"], init="random")
    >>> heatmap = explain(vit, Image.new("RGB", (48, 48), "tan"), "rollout")
    >>> heatmap.values.shape, heatmap.signed, heatmap.label
    ((48, 48), False, 'cushing')
    """
    return explain_many(classifier, [photo], method, label=label)[0]


def explain_many(
    classifier: Classifier,
    photos: Sequence[Image.Image],
    method: str,
    *,
    label: str | None = None,
) -> list[Heatmap]:
    """Make heatmaps of photos, which go through the network as one batch.

    What is explained is the log-odds of the label against all other classes. The model comes
    back as it was: mode, weights, gradients, hooks and attention. The same call gives the same
    result.

    Parameters
    ----------
    classifier : Classifier
        With at least two classes.
    photos : sequence of PIL.Image.Image
        Crops; of other shapes the centre square. They may differ in size.
    method : str
        A name of `METHODS`.
    label : str, optional
        The class to explain; the second of two by default.

    Raises
    ------
    UsageError
        Unknown method, or one that does not fit the network; unknown or missing label.
    UserError
        A library is missing, or the network gives values that are not finite.
    """
    check_method(classifier.model, method)
    index = class_number(classifier.model, label)
    if not photos:
        return []
    entry = METHODS[method]
    with on_loan(classifier.model, eager=entry.needs == "attention") as model:
        pixels = input_pixels(photos, classifier)
        maps = entry.function(model, pixels, index)
        if averages_mirrored(model):
            maps = (maps + entry.function(model, pixels.flip(-1), index).flip(-1)) / 2
    name = labels_of(classifier.model)[index]
    return [
        Heatmap(_normalised(values, photo, classifier, method), entry.signed, method, name)
        for values, photo in zip(maps.detach().cpu(), photos, strict=True)
    ]


def check_method(model: nn.Module, method: str) -> None:
    """Refuse a method that is unknown or does not fit the model.

    Raises
    ------
    UsageError
        The message names the methods to choose from.
    """
    fitting = methods_for(model)
    if method in fitting:
        return
    choice = f"choose {', '.join(fitting)}"
    if method not in METHODS:
        raise UsageError(f"there is no heatmap method {method}; {choice}")
    lacks = {
        "attention": "gives no attention maps over the whole photo",
        "convolution": "has no layer known to lie on a grid over the photo",
    }[METHODS[method].needs]
    family = getattr(model.config, "architecture", model.config.model_type)
    raise UsageError(f"{family} {lacks}, which {method} needs; {choice}")


def _normalised(
    values: Tensor, photo: Image.Image, classifier: Classifier, method: str
) -> np.ndarray:
    """Stretch a map to the photo and scale its absolute values to a sum of 1."""
    stored = to_stored(values, stored_side(photo), classifier.processor).double()
    total = stored.abs().sum()
    if not torch.isfinite(total):
        raise UserError(f"{method}: the network gives values that are not finite; check its run")
    return (stored / total if total > 0 else stored).float().numpy()
