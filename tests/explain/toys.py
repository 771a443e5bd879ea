"""Networks whose reasons are known, and photos for them."""

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image
from torch import nn

from hf_cushing.models.build import Classifier, build_classifier
from hf_cushing.models.preprocessing import square_processor

LABELS = ["control", "cushing"]
SIDE = 48


class Corner(nn.Module):
    """Log-odds grow with the contrast in the upper left quarter, and with nothing else."""

    def __init__(self, labels=LABELS, gain=4.0, sign=1.0):
        super().__init__()
        self.config = SimpleNamespace(model_type="toy", id2label=dict(enumerate(labels)))
        self.gain = nn.Parameter(torch.tensor(gain * sign))
        self.bias = nn.Parameter(torch.tensor(-2.0 * sign))

    def forward(self, pixel_values):
        half = pixel_values.shape[-1] // 2
        contrast = pixel_values[:, :, :half, :half].square().mean((1, 2, 3))
        odds = self.gain * contrast + self.bias
        others = torch.zeros(len(odds), len(self.config.id2label) - 1)
        logits = torch.cat([others[:, :1], odds[:, None], others[:, 1:]], dim=1)
        return SimpleNamespace(logits=logits)


def corner(**options):
    return Classifier(Corner(**options), square_processor(SIDE))


def tiny(name, labels=LABELS):
    """A tiny network with random weights, or the face network with its own."""
    torch.manual_seed(0)
    return build_classifier(name, labels, init="random" if "tiny" in name else "pretrained")


def noise(size=(96, 96), seed=0):
    """Coarse noise: contrast everywhere, that a resize keeps and a blur takes away."""
    cells = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.NEAREST)


def upper_left(side=96):
    mask = np.zeros((side, side), bool)
    mask[: side // 2, : side // 2] = True
    return mask
