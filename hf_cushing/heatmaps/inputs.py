"""What every heatmap method shares: the input, the score explained, the model on loan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hf_cushing.models.score import log_odds

if TYPE_CHECKING:
    from transformers import BaseImageProcessor

CHUNK = 32
"""Altered photos in one forward pass: bounds the memory, whatever the number of photos."""

BLUR = 1 / 10
"""Standard deviation of the blur, as a share of the input's side."""


MapFunction = Callable[[nn.Module, Tensor, int], Tensor]
"""(model on loan, pixels (n, 3, s, s), class number) -> maps (n, h, w) of any scale."""


def to_stored(values: Tensor, side: int, processor: BaseImageProcessor) -> Tensor:
    """Stretch a map (h, w) over what the processor saw of a square of `side` pixels.

    A processor that cuts the margin off leaves zeros there.
    """
    inner = _inner_side(side, processor)
    before = (side - inner) // 2
    after = side - inner - before
    return F.pad(resize(values, inner), (before, after, before, after))


def to_input(values: Tensor, side: int, processor: BaseImageProcessor) -> Tensor:
    """Shrink a map of the stored square to `side` pixels of the network's input."""
    stored = values.shape[-1]
    inner = _inner_side(stored, processor)
    before = (stored - inner) // 2
    return resize(values[before : before + inner, before : before + inner], side)


def resize(values: Tensor, side: int) -> Tensor:
    """Resize a map (h, w) bilinearly to (side, side); averages where it shrinks."""
    stretched = F.interpolate(
        values[None, None].float(), size=(side, side), mode="bilinear", antialias=True
    )
    return stretched[0, 0]


def blurred(pixels: Tensor) -> Tensor:
    """Blur pixels (n, 3, s, s) so far that skin tone and light stay and no feature does."""
    sigma = pixels.shape[-1] * BLUR
    radius = max(1, min(round(3 * sigma), pixels.shape[-1] - 1))
    offsets = torch.arange(-radius, radius + 1, device=pixels.device, dtype=pixels.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = F.pad(pixels, (radius, radius, radius, radius), mode="reflect")
    rows = F.conv2d(padded, kernel, groups=3)
    return F.conv2d(rows, kernel.transpose(2, 3), groups=3)


def score(model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Log-odds of a class for each row of `pixels`."""
    return log_odds(model(pixel_values=pixels).logits.float(), index)


@contextmanager
def on_loan(model: nn.Module, *, eager: bool = False) -> Iterator[nn.Module]:
    """Give the model in evaluation mode with fixed weights, and put everything back after.

    Gradients flow to the input only, so that none is left in a weight. `eager` makes attention
    keep its weights, which the fast implementations never hold.
    """
    modes = [(module, module.training) for module in model.modules()]
    weights = [(weight, weight.requires_grad) for weight in model.parameters()]
    attention = model.config._attn_implementation if eager else None
    try:
        model.eval()
        model.requires_grad_(False)
        if eager:
            model.set_attn_implementation("eager")
        with torch.inference_mode(False), torch.enable_grad():
            yield model
    finally:
        for module, mode in modes:
            module.training = mode
        for weight, learns in weights:
            weight.requires_grad_(learns)
        if eager:
            model.set_attn_implementation(attention)


def _inner_side(side: int, processor: BaseImageProcessor) -> int:
    """Side of the part of a square that a processor with a centre crop keeps."""
    if not getattr(processor, "do_center_crop", False):
        return side
    shortest = getattr(processor.size, "shortest_edge", None)
    crop = getattr(processor.crop_size, "height", None)
    return min(side, max(1, round(side * crop / shortest))) if shortest and crop else side
