"""A run without a network: logistic regression on what a baseline sees of a photo."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.evaluation.scoring import predictions_of
from hf_cushing.models.baselines import FEATURES
from hf_cushing.training.calibrate import fit_calibration
from hf_cushing.training.head import probe_data
from hf_cushing.training.probe import fit_probe


def fit_baseline(config: RunConfig, data: FaceData) -> tuple[dict[str, Any], Predictions]:
    """Fit on the training photos, calibrate on validation, score every other role's photos.

    Penalty, weights of the photos, calibration and threshold are those of a network's head.

    Returns
    -------
    facts : dict
        For the manifest.
    predictions : Predictions
        Of validation and test, and of what further roles `data` has.
    """
    features, train = FEATURES[config.model.model], data.roles["train"]
    imbalance = config.training.imbalance
    if config.model.model == "demographics" and imbalance == "class_sex":
        imbalance = "class"  # else the weights would take away what sex tells
    known = probe_data(train, [features(train, train)], imbalance)
    probe = fit_probe(known, seed=config.training.seed)
    splits = [role for role in data.roles if role != "train"]
    logits = {
        split: features(data.roles[split], train) @ probe.weight.T + probe.bias for split in splits
    }
    truth = np.array(data.roles["validation"]["label"][:])
    apply, calibration = fit_calibration(config, logits["validation"], truth, data.labels)
    revision = hashlib.sha256(probe.weight.tobytes() + probe.bias.tobytes()).hexdigest()[:16]
    scored = [
        predictions_of(
            apply(logits[split]),
            data.roles[split],
            data=data,
            split=split,
            seed=config.training.seed,
            revision=revision,
        )
        for split in splits
    ]
    facts = {"model_type": "baseline", "parameters": probe.weight.size + probe.bias.size,
             "trainable": probe.weight.size + probe.bias.size, "penalty_c": probe.chosen_c,
             "calibration": calibration}  # fmt: skip
    return facts, concatenate(scored)
