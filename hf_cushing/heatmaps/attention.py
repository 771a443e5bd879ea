"""Heatmaps from the attention of transformers: rollout, and rollout weighted by gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hf_cushing.heatmaps.inputs import score

TOWERS = ("clip", "siglip")
"""Image halves of networks of images and texts; a classifier reads the mean of their patches."""

FAMILIES = ("vit", "dinov2", "dinov2_with_registers", *TOWERS)
"""Families whose attention covers the whole photo and can be read: Swin's stays inside windows,
and timm's networks don't give theirs."""


def blocks_of(model: nn.Module) -> nn.ModuleList:
    """Transformer blocks of one of `FAMILIES`, first to last."""
    if model.config.model_type in TOWERS:
        return model.vision_model.encoder.layers
    backbone = model.base_model
    return backbone.layers if model.config.model_type == "vit" else backbone.encoder.layer


def extra_tokens(model: nn.Module) -> int:
    """Number of tokens before the patches: the class token and any registers."""
    if model.config.model_type == "siglip":
        return 0
    if hasattr(model, "timm_model"):
        return model.timm_model.num_prefix_tokens
    return 1 + getattr(model.config, "num_register_tokens", 0)


def rollout(model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Follow attention from what the head reads back to the patches; the label plays no part.

    Each layer's attention, averaged over heads, is mixed half and half with the identity for
    the residual path, and the layers are multiplied (Abnar and Zuidema, ACL 2020).
    """
    with torch.no_grad(), _kept_attention(model) as kept:
        score(model, pixels, index)
        flow = _identity(kept[0])
        for attention in kept:
            mean = attention.float().mean(dim=1)
            flow = (0.5 * mean + 0.5 * _identity(attention)) @ flow
    return _patch_map(model, flow)


def attention_gradient(model: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """Roll out only the attention that raises the label's log-odds.

    In each layer attention is multiplied by its gradient, its positive part averaged over heads
    and accumulated as R += A R (the self-attention case of Chefer et al., ICCV 2021). The
    identity that R starts from is taken off: it says nothing about the photo.
    """
    with _kept_attention(model) as kept:
        odds = score(model, pixels.clone().requires_grad_(), index)
        gradients = torch.autograd.grad(odds.sum(), kept)
    start = _identity(kept[0])
    relevance = start
    for attention, gradient in zip(kept, gradients, strict=True):
        weight = (attention.detach() * gradient).clamp(min=0).float().mean(dim=1)
        relevance = relevance + weight @ relevance
    return _patch_map(model, relevance - start)


@contextmanager
def _kept_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect attention (n, heads, tokens, tokens) of every block during a forward pass.

    transformers' own `output_attentions` would leave its hooks in the model.
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, args: tuple, output: tuple) -> None:
        kept.append(output[1])

    name = "self_attn" if model.config.model_type in TOWERS else "attention"
    handles = [getattr(b, name).register_forward_hook(keep) for b in blocks_of(model)]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _identity(attention: Tensor) -> Tensor:
    tokens = attention.shape[-1]
    return torch.eye(tokens, device=attention.device).expand(len(attention), tokens, tokens)


def _patch_map(model: nn.Module, flow: Tensor) -> Tensor:
    """Pick what flows from the tokens that the head reads to the patches: (n, grid, grid).

    A ViT's head reads the class token, CLIP's and SigLIP's the mean of the patches, DINOv2's both,
    with equal width.
    """
    extra, family = extra_tokens(model), model.config.model_type
    of_class, of_patches = flow[:, 0, extra:], flow[:, extra:, extra:].mean(dim=1)
    if family in TOWERS:
        reads = of_patches
    else:
        reads = of_class if family == "vit" else (of_class + of_patches) / 2
    grid = math.isqrt(reads.shape[1])
    return reads.reshape(len(flow), grid, grid)
