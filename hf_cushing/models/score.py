"""Run a saved model over photos: every photo once, whatever the number of processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from hf_cushing.data.loading import FacePhotos, collate
from hf_cushing.files import sha256_file
from hf_cushing.models.build import Classifier
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from datasets import Dataset


def score(
    classifier: Classifier,
    photos: Dataset,
    *,
    batch_size: int = 32,
    num_workers: int = 0,
    cpu: bool = False,
    progress: bool = True,
) -> np.ndarray:
    """Logits of every photo, computed by all processes of the launch together.

    Returns
    -------
    numpy.ndarray
        float64, shape (photos, classes), in the order of `photos`, the same in every process.

    Raises
    ------
    RuntimeError
        If a photo was scored twice or not at all.
    """
    from accelerate import PartialState
    from accelerate.utils import gather_object
    from tqdm.auto import tqdm

    state = PartialState(cpu=cpu)
    mine = list(range(state.process_index, len(photos), state.num_processes))
    loader = torch.utils.data.DataLoader(
        FacePhotos(photos.select(mine), classifier.processor),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=collate,
    )
    model = classifier.model.to(state.device).eval()
    pairs: list[tuple[int, list[float]]] = []
    hidden = not (progress and state.is_main_process)
    with torch.inference_mode():
        for batch in tqdm(loader, desc="Scoring", disable=hidden):
            logits = model(pixel_values=batch["pixel_values"].to(state.device)).logits
            places = [mine[i] for i in batch["index"].tolist()]
            pairs += zip(places, logits.double().cpu().tolist(), strict=True)
    if state.num_processes > 1:
        pairs = gather_object(pairs)
    if sorted(index for index, _ in pairs) != list(range(len(photos))):
        raise RuntimeError(f"{len(pairs)} scores for {len(photos)} photos: not each photo once")
    return np.array([logits for _, logits in sorted(pairs)])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities from logits, both of shape (photos, classes)."""
    from scipy.special import softmax as scipy_softmax

    return scipy_softmax(logits, axis=1)


def check_labels(classifier: Classifier, labels: list[str], where: str) -> None:
    """Refuse to score photos whose classes are not the model's."""
    own = [classifier.model.config.id2label[i] for i in range(classifier.model.config.num_labels)]
    if own != labels:
        raise UserError(
            f"{where} knows the labels {', '.join(own)}, the dataset has {', '.join(labels)}; "
            "evaluate it on a dataset with the same labels"
        )


def weights_revision(path: str) -> str:
    """First 16 hex digits of the SHA-256 of a weights file."""
    return sha256_file(path)[:16]
