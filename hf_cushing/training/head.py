"""Learn the head alone, on cached features: by logistic regression or by gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers.modeling_outputs import ImageClassifierOutput

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import EpochPhotos, FaceData, patient_groups
from hf_cushing.data.subsets import HELD_OUT
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import Classifier, load_classifier
from hf_cushing.models.features import FeatureStore
from hf_cushing.models.ordinal import grade_places
from hf_cushing.schema import ANY, PLAIN, UserError
from hf_cushing.training.ordinal import fit_grades
from hf_cushing.training.probe import Probe, ProbeData, fit_probe, write_head
from hf_cushing.training.robust import fit_dfr, fit_group_dro
from hf_cushing.training.run_folder import feature_store
from hf_cushing.training.sampling import class_sex_numbers, weights_of
from hf_cushing.training.saving import change_saved_head

if TYPE_CHECKING:
    from datasets import Dataset


def fit_head(config: RunConfig, data: FaceData, classifier: Classifier) -> Probe:
    """Fit logistic regression on the training photos' features and write it into the head.

    Every process of a launch fits the same; only the features are shared out.

    Raises
    ------
    UserError
        ``head_features`` that the model's head has no place for; too few patients.
    """
    photos = data.roles["train"]
    width = _feature_width(classifier, config.model.head_features)
    store = feature_store(config, classifier)
    views = [view[:, :width] for view in views_of(config, photos, store)]
    known = probe_data(photos, views, config.training.imbalance)
    probe = _fit_of(config, data.labels)(known, seed=config.training.seed)
    write_head(head_linear(classifier.model), probe)
    return probe


def _fit_of(config: RunConfig, labels: Sequence[str]) -> Callable[..., Probe]:
    """How the settings ask for the head to be fitted."""
    if config.grades:
        return partial(fit_grades, places=grade_places(config.grades, labels))
    method = config.training.mitigation
    if method == "group_dro":
        return fit_group_dro
    return fit_dfr if method == "dfr" and config.is_probe else fit_probe


def refit_last_layer(config: RunConfig, data: FaceData) -> dict[str, Any]:
    """DFR: fit the saved model's last layer anew on photos held out of its training.

    Every process of a launch calls this.

    Returns
    -------
    dict
        For the manifest: photos and C.
    """
    saved, photos = load_classifier(str(config.run_folder)), data.roles[HELD_OUT]
    features = feature_store(config, saved).features(photos)
    probe = fit_dfr(probe_data(photos, [features], "none"), seed=config.training.seed)
    change_saved_head(config, saved, lambda linear: write_head(linear, probe))
    return {"dfr": {"photos": len(photos), "penalty_c": probe.chosen_c}}


def views_of(config: RunConfig, photos: Dataset, store: FeatureStore) -> list[np.ndarray]:
    """Features of the photos as they are, then of each further view: shape (n, d) each."""
    views = [store.features(photos, view=view) for view in range(config.model.views + 1)]
    if config.training.framing == ANY:
        views.append(store.features(photos, framing=PLAIN))
        views += [store.features(photos, view=view, framing=ANY) for view in (1, 2)]
    return views


def probe_data(photos: Dataset, views: Sequence[np.ndarray], imbalance: str) -> ProbeData:
    """Rows for a fit: all views of the photos, which count as much as one together."""
    count = len(views)
    return ProbeData(
        features=np.concatenate(views),
        labels=np.tile(photos["label"][:], count),
        weights=np.tile(weights_of(photos, imbalance) / count, count),
        strata=np.tile(class_sex_numbers(photos), count),
        groups=np.tile(patient_groups(photos), count),
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


class FeaturePhotos(EpochPhotos):
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
        super().__init__()
        self.photo_ids = photos["photo_id"][:]
        self.labels = photos["label"][:]
        self.views = [torch.from_numpy(view) for view in views]
        self.weights = np.ones(len(photos), np.float32) if weights is None else weights

    def __len__(self) -> int:
        return len(self.labels)

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
