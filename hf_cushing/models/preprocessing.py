"""What a network is shown: side, field, mean and standard deviation, and the processor of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cushing.models.backbones import BACKBONES, FAMILIES, IMAGENET_MEAN, IMAGENET_STD
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from transformers import BaseImageProcessor, PretrainedConfig

BICUBIC = 3
LEVELS = 1 / 255
"""What a processor multiplies pixels by before it takes the mean off."""


@dataclass(frozen=True)
class InputFormat:
    """What a network was trained on.

    Attributes
    ----------
    side : int
        Of the input, pixels.
    mean, std : sequence of float
        Of the input's channels, 0..1.
    field : float
        Share of the crop's side that it sees, from the middle.
    resample : int
        Filter of the resize, as PIL numbers them.
    """

    side: int
    mean: Sequence[float]
    std: Sequence[float]
    field: float = 1.0
    resample: int = BICUBIC


def square_processor(
    side: int,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    resample: int = BICUBIC,
    *,
    field: float = 1.0,
) -> BaseImageProcessor:
    """Give a processor that makes `side` pixels of the middle `field` of a square crop.

    Nothing is stretched; of another shape, the middle square is taken. It works on PIL, whose
    values don't depend on what else is installed.
    """
    from transformers import BitImageProcessorPil

    return BitImageProcessorPil(
        size={"shortest_edge": round(side / field)},
        crop_size={"height": side, "width": side},
        do_resize=True,
        do_center_crop=True,
        do_convert_rgb=True,
        resample=resample,
        image_mean=list(mean),
        image_std=list(std),
    )


def format_of_table(name: str, config: PretrainedConfig, *, pretrained: bool) -> InputFormat:
    """What the tables of short names and of families say.

    Raises
    ------
    UserError
        Pretrained weights of a family whose mean and standard deviation are not known. Random
        weights have seen no pixels yet: there any will do, and ImageNet's are taken.
    """
    known, family = BACKBONES.get(name), FAMILIES.get(config.model_type)
    side = known.side if known else native_side(config) or 224
    if known and known.mean and known.std:
        return InputFormat(side, known.mean, known.std, known.field)
    if family:
        return InputFormat(side, family.mean, family.std)
    if pretrained:
        raise UserError(
            f"--model {name}: it has no preprocessor_config.json, and the mean and standard "
            f"deviation of a {config.model_type} are not known; put the file from the model's page "
            "beside its config.json, and give --model DIR"
        )
    return InputFormat(side, IMAGENET_MEAN, IMAGENET_STD)


def format_of_checkpoint(
    name: str, source: str, config: PretrainedConfig, revision: str | None
) -> InputFormat:
    """What the checkpoint's own files say; without them, what the tables say.

    A run of ours keeps the field that it learned from; other checkpoints, which cut photographs
    of things, see all of the crop.

    Raises
    ------
    UserError
        A preprocessing that can't be repeated, or that nobody knows.
    """
    from transformers import AutoImageProcessor

    if timm_settings := getattr(config, "pretrained_cfg", None):
        del config.pretrained_cfg  # else transformers prefers it to the processor that we save
        return _format_of_timm(name, timm_settings)
    try:
        own = AutoImageProcessor.from_pretrained(
            source, revision=revision, backend="pil", trust_remote_code=False
        )
    except (OSError, ValueError):
        return format_of_table(name, config, pretrained=True)
    size = dict(own.size)
    crop = dict(own.crop_size) if getattr(own, "do_center_crop", False) else {}
    side = crop.get("height") or size.get("height") or size.get("shortest_edge") or 224
    ours = (Path(source) / "manifest.json").is_file()
    field = min(1.0, side / (size.get("shortest_edge") or side)) if ours else 1.0
    mean, std = _mean_and_std(name, own)
    return InputFormat(side, mean, std, field, int(own.resample))


def _format_of_timm(name: str, settings: dict[str, Any]) -> InputFormat:
    try:
        return InputFormat(settings["input_size"][-1], settings["mean"], settings["std"])
    except KeyError as missing:
        raise UserError(
            f"--model {name}: the pretrained_cfg of its config.json lacks {missing}; add it from "
            "the model's page"
        ) from None


def _mean_and_std(name: str, own: BaseImageProcessor) -> tuple[Sequence[float], Sequence[float]]:
    factor = getattr(own, "rescale_factor", None) or LEVELS
    if getattr(own, "do_flip_channel_order", False) or abs(factor - LEVELS) > LEVELS / 100:
        raise UserError(
            f"--model {name}: its preprocessor swaps or scales the colours in a way of its own "
            f"({type(own).__name__}), which is not repeated here; choose another --model"
        )
    if not getattr(own, "do_normalize", True):
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return own.image_mean, own.image_std


def vision_config(config: PretrainedConfig) -> PretrainedConfig:
    """The part that speaks of images: of a network of images and texts, its `vision_config`."""
    return getattr(config, "vision_config", None) or config


def native_side(config: PretrainedConfig) -> int | None:
    """Side in pixels that a config was written for; None where it doesn't say.

    Raises
    ------
    UserError
        An input that isn't square.
    """
    size = getattr(vision_config(config), "image_size", None)
    sides = set(size) if isinstance(size, (list, tuple)) else {size}
    if len(sides) > 1:
        raise UserError(f"this {config.model_type} takes {size} pixels; only squares are made here")
    return sides.pop()


def check_side(config: PretrainedConfig, side: int) -> None:
    """Refuse an input side that the network can't take.

    Raises
    ------
    UserError
        With a side that it takes.
    """
    native, family = native_side(config), FAMILIES.get(config.model_type)
    if family and family.fixed_side and native and side != native:
        raise UserError(
            f"--image_size {side}: this {config.model_type} takes {native} pixels; "
            "leave the option out"
        )
    patch = getattr(vision_config(config), "patch_size", 1)
    if isinstance(patch, int) and side % patch:
        fitting = max(1, round(side / patch)) * patch
        raise UserError(f"--image_size {side}: give a multiple of {patch}, such as {fitting}")
