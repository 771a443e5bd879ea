"""Learning from a teacher: a network of aligned crops, whose features hold for any view of a photo.

Feature distillation (Romero et al. 2015, arXiv 1412.6550). The labels of a few hundred photos say
one bit each; the teacher's features say of every view what there is to be seen in it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

LABELS_SHARE = 0.3
"""Weight of the loss of the labels, beside 1 of the distance from the teacher's features."""

SMALLEST_SPREAD = 1e-3


class Teacher:
    """What a network of aligned crops has found in the training photos.

    Parameters
    ----------
    head : torch.nn.Module
        Of the network that learns; what it receives are the features.
    features : numpy.ndarray
        The teacher's, float32, shape (n, d), in the order of the training photos.
    """

    def __init__(self, head: nn.Module, features: np.ndarray):
        self.features = torch.from_numpy(features)
        self.spread = self.features.std(0) + SMALLEST_SPREAD
        self._received: torch.Tensor | None = None
        head.register_forward_pre_hook(self._receive)

    def _receive(self, head: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._received = inputs[0]

    def loss(self, of_labels: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Loss of the batch that has just passed the network.

        Parameters
        ----------
        of_labels : torch.Tensor
            Scalar.
        index : torch.Tensor
            int64, shape (batch,): which training photos.

        Returns
        -------
        torch.Tensor
            Scalar: squared distance from the teacher's features, each over its spread, plus
            `LABELS_SHARE` times the loss of the labels.
        """
        seen = self._received.flatten(1).float()
        wanted = self.features[index.cpu()].to(seen.device)
        distance = ((seen - wanted) / self.spread.to(seen.device)).square().mean()
        return distance + LABELS_SHARE * of_labels
