"""Heatmaps from gradients: Grad-CAM, Grad-CAM++ and integrated gradients."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor, nn

from hf_cushing.heatmaps.attention import FAMILIES, TOWERS, blocks_of, extra_tokens
from hf_cushing.heatmaps.inputs import CHUNK, blurred, score
from hf_cushing.models.score import log_odds
from hf_cushing.schema import UserError

STEPS = 24
"""Points on the path of `integrated_gradients`."""


def last_map_layer(model: nn.Module) -> nn.Module | None:
    """Find the last layer whose output still lies on a grid over the photo, or None.

    Of a ViT or DINOv2 it is the normalisation before the last attention: after it, no patch
    reaches a head that reads the class token. Where the head reads the mean of the patches, it is
    the last layer before that mean.
    """
    family = model.config.model_type
    if family in TOWERS:
        tower = model.vision_model
        return tower.post_layernorm if family == "siglip" else tower.encoder.layers[-1]
    if family == "vit":
        return blocks_of(model)[-1].layernorm_before
    if family in FAMILIES:
        return blocks_of(model)[-1].norm1
    if family == "swin":
        return model.swin.layernorm
    if family in ("resnet", "regnet", "convnext", "convnextv2"):
        return model.base_model.encoder.stages[-1]
    timm_model = getattr(model, "timm_model", None)
    if _pools_patches(timm_model):
        return timm_model.norm
    return getattr(timm_model, "features", None)


def _pools_patches(timm_model: nn.Module | None) -> bool:
    """Whether this is a transformer of timm whose head reads the mean of normed patches."""
    return (
        hasattr(timm_model, "num_prefix_tokens")
        and getattr(timm_model, "global_pool", "") == "avg"
        and hasattr(timm_model, "norm")
    )


def grad_cam(model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Weight the last maps by their mean gradient (Selvaraju et al., ICCV 2017)."""
    return _class_activation("GradCAM", model, pixels, index)


def grad_cam_plus_plus(model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Weight each place's positive gradient apart (Chattopadhay et al., WACV 2018).

    Its weights assume maps that are never negative, which a transformer's are not; values that
    overflow for that reason count as nothing.
    """
    maps = _class_activation("GradCAMPlusPlus", model, pixels, index)
    return torch.nan_to_num(maps, nan=0.0, posinf=0.0, neginf=0.0)


def integrated_gradients(model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Integrate gradients from the blurred photo to the photo (Sundararajan et al., ICML 2017).

    Why the blurred photo: against black, skin would count by how light it is. The blurred photo
    has the same skin and light, and lacks only the features.
    """
    captum = _library("captum.attr", "captum")
    method = captum.IntegratedGradients(lambda batch: score(model, batch, index))
    values = method.attribute(
        pixels,
        baselines=blurred(pixels),
        n_steps=STEPS,
        internal_batch_size=max(CHUNK // 2, len(pixels)),
    )
    return values.detach().sum(dim=1)


class _Logits(nn.Module):
    """A model that gives its logits as a tensor, as pytorch-grad-cam expects."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model(pixel_values=pixels).logits


def _library(module: str, name: str) -> ModuleType:
    """A library of the extra `explain`."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(
            f'{name} is not installed; run `pip install "hf-cushing[explain]"`'
        ) from None


def _class_activation(kind: str, model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Positive part of the activation map, shape (n, grid, grid).

    The library's call stretches each map to 0..1, which hides that nothing was found; so its
    parts are used one by one.
    """
    layer = last_map_layer(model)
    cam_of_kind = getattr(_library("pytorch_grad_cam", "grad-cam"), kind)
    cam = cam_of_kind(_Logits(model), [layer], reshape_transform=_reshape(model))
    try:
        logits = cam.activations_and_grads(pixels.clone().requires_grad_())
        log_odds(logits, index).sum().backward()
        kept = cam.activations_and_grads
        activations, gradients = kept.activations[0].numpy(), kept.gradients[0].numpy()
    finally:
        cam.activations_and_grads.release()
    maps = cam.get_cam_image(pixels, layer, None, activations, gradients)
    return torch.from_numpy(maps).clamp(min=0)


def _reshape(model: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """Turn a transformer's tokens (n, tokens, channels) into maps (n, channels, grid, grid)."""
    family = model.config.model_type
    if family not in (*FAMILIES, "swin") and not _pools_patches(getattr(model, "timm_model", None)):
        return None
    extra = 0 if family == "swin" else extra_tokens(model)

    def reshape(tokens: Tensor) -> Tensor:
        patches = tokens[:, extra:]
        grid = math.isqrt(patches.shape[1])
        return patches.transpose(1, 2).unflatten(2, (grid, grid))

    return reshape
