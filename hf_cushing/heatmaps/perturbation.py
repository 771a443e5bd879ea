"""Heatmaps from altered photos: occlusion and random masks. They need no gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hf_cushing.heatmaps.inputs import CHUNK, blurred, score

WINDOW = 1 / 8
"""Side of the window of `occlusion`, over the input's side; it moves by half of it."""

MASKS = 300
"""Random masks of `rise`."""

RISE_GRID = 7
"""Cells along a side of a random mask, as in the paper."""


def occlusion(model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Blur one window after another and note the drop of the log-odds (Zeiler and Fergus, 2014).

    A pixel gets the mean drop over the windows that hold it: a sum would favour the middle.
    """
    masks = occlusion_masks(pixels.shape[-1], WINDOW).to(pixels)
    hidden = 1 - masks
    covered = hidden.sum(dim=0)
    maps = []
    for photo in pixels:
        whole = score_masked(model, photo, torch.ones_like(masks[:1]), index)
        drops = whole - score_masked(model, photo, masks, index)
        maps.append(torch.tensordot(drops, hidden, dims=1) / covered)
    return torch.stack(maps)


def rise(model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Correlate the log-odds with what random masks let through (Petsiuk et al., BMVC 2018).

    Two departures: hidden pixels are blurred, not black; and the covariance of score and mask
    takes the place of their mean product, so that the map has a sign and no constant part.
    """
    masks = random_masks(pixels.shape[-1], MASKS, seed=0).to(pixels)
    centred = masks - masks.mean(dim=0)
    maps = []
    for photo in pixels:
        scores = score_masked(model, photo, masks, index)
        maps.append(torch.tensordot(scores - scores.mean(), centred, dims=1) / len(masks))
    return torch.stack(maps)


@torch.no_grad()
def score_masked(model: nn.Module, photo: Tensor, masks: Tensor, index: int) -> Tensor:
    """Log-odds of a photo (3, s, s) seen through each mask (m, s, s): 1 clear, 0 blurred."""
    background = blurred(photo[None])
    parts = []
    for some in masks.split(CHUNK):
        parts.append(score(model, torch.lerp(background, photo[None], some[:, None]), index))
    return torch.cat(parts)


def occlusion_masks(side: int, window: float) -> Tensor:
    """One mask for each place of the window, which moves by half its width: (m, s, s) of 0, 1.

    >>> occlusion_masks(32, 1 / 8).shape
    torch.Size([225, 32, 32])
    """
    width = max(1, min(side, round(side * window)))
    starts = sorted({*range(0, side - width, max(1, width // 2)), side - width})
    masks = torch.ones(len(starts), len(starts), side, side)
    for row, top in enumerate(starts):
        for column, left in enumerate(starts):
            masks[row, column, top : top + width, left : left + width] = 0
    return masks.flatten(0, 1)


def random_masks(side: int, count: int, seed: int) -> Tensor:
    """Smooth random masks (count, side, side) in [0, 1]: half the cells open, shifted at random.

    They are drawn on the CPU: the same seed gives the same masks on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    cell = -(-side // RISE_GRID)
    cells = (torch.rand(count, 1, RISE_GRID + 1, RISE_GRID + 1, generator=generator) < 0.5).float()
    wide = F.interpolate(cells, scale_factor=cell, mode="bilinear", align_corners=False)[:, 0]
    shifts = torch.randint(0, cell, (count, 2), generator=generator).tolist()
    return torch.stack(
        [mask[y : y + side, x : x + side] for mask, (y, x) in zip(wide, shifts, strict=True)]
    )
