"""A head for grades of severity: between neighbouring grades the same direction counts.

The adjacent-categories logit model (Agresti, Analysis of Ordinal Categorical Data, 2nd ed. 2010,
section 4.1): log(P(next grade) / P(this grade)) = w·x + c, with one w for all grades and a c for
each step. Its logits are place × w·x + bias, so a trained head is a plain linear layer, and
softmax gives the probabilities of the grades.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from hf_cushing.models.adapt import head_module
from hf_cushing.schema import UserError


def grade_places(grades: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Place of each class on the scale, a step apart, their mean 0: float64, shape (classes,).

    Parameters
    ----------
    grades : sequence of str
        The labels, mildest first.
    labels : sequence of str
        In the order of the class numbers, which need not be that of the grades.

    Examples
    --------
    >>> grade_places(["control", "mild", "grave"], ["control", "grave", "mild"]).tolist()
    [-1.0, 1.0, 0.0]
    """
    ranks = np.array([list(grades).index(label) for label in labels], dtype=np.float64)
    return ranks - ranks.mean()


class OneDirection(nn.Module):
    """Weight rows that are multiples of one direction.

    Parameters
    ----------
    places : torch.Tensor
        Shape (classes,), mean 0.
    """

    def __init__(self, places: torch.Tensor):
        super().__init__()
        self.register_buffer("places", places, persistent=False)

    def forward(self, direction: torch.Tensor) -> torch.Tensor:
        """Weight (classes, features) of a direction (1, features)."""
        return self.places[:, None] * direction

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """The direction whose weight is nearest: exact for a weight that has one."""
        return (self.places @ weight / (self.places @ self.places))[None]


def constrain_head(model: nn.Module, places: np.ndarray) -> None:
    """Let a model's head learn one direction and a bias for each grade, until `release`.

    Call it after adapters were added: a copy of a constrained layer shares its class with it, and
    neither could be released alone.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place; the head's weight becomes the nearest of this form.
    places : numpy.ndarray
        Of `grade_places`.

    Raises
    ------
    UserError
        The head is no single linear layer with a bias.
    """
    layers = _linear_layers(head_module(model))
    learning = [layer for layer in layers if layer.weight.requires_grad]
    if len(learning) != 1 or learning[0].bias is None:
        raise UserError(
            f"the head of this {type(model).__name__} is no single linear layer with a bias, so "
            "the grades can't share a direction; choose another --model, or leave --task out"
        )
    own = torch.from_numpy(places).to(learning[0].weight)
    parametrize.register_parametrization(learning[0], "weight", OneDirection(own))


def release(model: nn.Module) -> None:
    """Make the head a plain linear layer again; it keeps its weight."""
    for layer in _linear_layers(model):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def _linear_layers(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
