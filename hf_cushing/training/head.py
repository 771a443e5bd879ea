"""Learn the head alone, on cached features: by logistic regression or by gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.modeling_outputs import ImageClassifierOutput

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData, words
from hf_cushing.data.splits import group_patients, pair_links
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import Classifier
from hf_cushing.models.features import FeatureStore
from hf_cushing.schema import UserError
from hf_cushing.training.probe import STRENGTHS, Probe, ProbeData, fit_probe, write_head
from hf_cushing.training.sampling import photo_weights


def fit_head(
    config: RunConfig, data: FaceData, classifier: Classifier, store: FeatureStore
) -> Probe:
    """Fit logistic regression on the training photos' features and write it into the head.

    Every process of a launch fits the same; only the features are shared out.

    Raises
    ------
    UserError
        ``head_features`` that the model's head has no place for; too few patients.
    """
    from tqdm.auto import tqdm

    rows = data.roles["train"]
    width = _feature_width(classifier, config.model.head_features)
    views = range(config.model.views + 1)
    seen = [store.features(rows, view=view)[:, :width] for view in views]
    weights = weights_of(rows, config.training.imbalance)
    labels, sexes = np.array(rows["label"][:]), np.array(rows["sex"][:])
    known = ProbeData(
        features=np.concatenate(seen),
        labels=np.tile(labels, len(views)),
        weights=np.tile(weights / len(views), len(views)),
        strata=np.tile(3 * labels + sexes, len(views)),
        groups=np.tile(_groups(rows), len(views)),
    )
    with tqdm(total=len(STRENGTHS), desc="Penalties", unit="C") as bar:
        probe = fit_probe(
            known, classes=len(data.labels), seed=config.training.seed, advance=bar.update
        )
    write_head(head_linear(classifier.model), probe)
    return probe


def weights_of(photos: Any, imbalance: str) -> np.ndarray:
    """Weights of the photos of a role, as `photo_weights` gives them."""
    return photo_weights(
        np.array(words(photos, "label")), np.array(words(photos, "sex")), imbalance
    )


def _feature_width(classifier: Classifier, features: str) -> int:
    """How many of the head's inputs the probe sees; the class token comes first."""
    width = head_linear(classifier.model).in_features
    kind = classifier.model.config.model_type
    if features == "own" or kind == "vit":
        return width
    if not kind.startswith("dinov2"):
        raise UserError(
            f"--head_features cls is for DINOv2, not for a {kind}; leave the option out (own)"
        )
    return classifier.model.config.hidden_size


def _groups(photos: Any) -> np.ndarray:
    """Who must stay together in inner folds: a patient's photos, and matched pairs."""
    patients = photos["patient_id"][:]
    pairs = photos["pair_id"][:] if "pair_id" in photos.column_names else [""] * len(patients)
    links = pair_links(zip(pairs, patients, strict=True))
    group = group_patients(patients, links)
    return np.array([group[patient] for patient in patients])


class FeaturePhotos(torch.utils.data.Dataset):
    """Rows as `FacePhotos` gives them, with cached features for pixels.

    Parameters
    ----------
    photos : datasets.Dataset
    views : list of numpy.ndarray
        Features of each view, shape (n, d); epoch e shows view e modulo their number.
    weights : numpy.ndarray, optional
        Weight of each photo in the loss.
    """

    def __init__(self, photos: Any, views: list[np.ndarray], weights: np.ndarray | None = None):
        self.photo_ids = photos["photo_id"][:]
        self.labels = photos["label"][:]
        self.views = [torch.from_numpy(view) for view in views]
        self.weights = np.ones(len(photos), np.float32) if weights is None else weights
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.labels)

    def set_epoch(self, epoch: int) -> None:
        """Choose the view."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            "pixel_values": self.views[self.epoch % len(self.views)][index],
            "labels": self.labels[index],
            "sample_weight": float(self.weights[index]),
            "index": index,
        }


class HeadOnFeatures(nn.Module):
    """A classifier's linear head, fed with features instead of pixels."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = head_linear(classifier.model)

    def forward(self, pixel_values: torch.Tensor) -> ImageClassifierOutput:
        """Logits of features of shape (n, d)."""
        return ImageClassifierOutput(logits=self.classifier(pixel_values))
