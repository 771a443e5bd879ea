"""Build a classifier and its image processor from a short name, a folder or a Hub id."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn

from hf_cushing.models.adapt import head_names
from hf_cushing.models.backbones import BACKBONES, IMAGENET_MEAN, IMAGENET_STD, unknown_model
from hf_cushing.models.face_resnet import load_face_resnet
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from transformers import BaseImageProcessor, PretrainedConfig, PreTrainedModel

log = logging.getLogger(__name__)

BICUBIC = 3
LOADING_ERRORS = (OSError, ValueError, KeyError, SafetensorError)


@dataclass(frozen=True)
class Classifier:
    """A network and the preprocessing that belongs to it."""

    model: PreTrainedModel
    processor: BaseImageProcessor


def build_classifier(
    name: str,
    labels: list[str],
    *,
    init: str = "pretrained",
    image_size: int | None = None,
    field: float | None = None,
    revision: str | None = None,
    drop_path: float = 0.0,
) -> Classifier:
    """Build a network with a new head for `labels`; seed torch before you call it.

    Parameters
    ----------
    name : str
        Short name of the table, local folder or Hub id.
    labels : list of str
        Class names in the order of the dataset's class numbers.
    init : str
        ``pretrained`` loads weights (safetensors only); ``random`` needs no weights.
    image_size : int, optional
        Side of the input in pixels; the model's own by default.
    field : float, optional
        Share of the crop's side that the network sees, from its middle; the model's own by default.
    revision : str, optional
        Branch, tag or commit on the Hub.
    drop_path : float
        Stochastic depth in training, instead of what the checkpoint's config says.

    Raises
    ------
    UserError
        Unknown name, unreachable Hub, missing timm, no stochastic depth to set.
    """
    source = _source(name, init)
    config = _config(name, source, init, revision)
    id2label = dict(enumerate(labels))
    config.id2label, config.label2id = id2label, {v: k for k, v in id2label.items()}
    config.num_labels = len(labels)
    _set_drop_path(config, drop_path)
    if config.model_type == "timm_wrapper":
        _require_timm()
    known = BACKBONES.get(name)
    if init == "random" or (known and known.installed):
        processor = _table_processor(name, config, image_size, field)
        model = _random_model(config)
        if init != "random":
            load_face_resnet(model)
    else:
        processor = _pretrained_processor(name, source, config, image_size, field, revision)
        model = _pretrained_model(source, config, revision)
    _allow_other_sizes(model, processor)
    return Classifier(model, processor)


def load_classifier(run: str, revision: str | None = None) -> Classifier:
    """Load a fine-tuned model from a run folder or the Hub, as it was saved.

    Raises
    ------
    UserError
        Nothing of that name, or files that can't be read.
    """
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    source = _existing_folder(run)
    if source is None and (run.count("/") != 1 or run.startswith((".", "/", "~"))):
        raise no_such_run(run)
    try:
        model = AutoModelForImageClassification.from_pretrained(
            source or run, revision=revision, use_safetensors=True
        )
        processor = AutoImageProcessor.from_pretrained(
            source or run, revision=revision, backend="pil"
        )
    except LOADING_ERRORS as error:
        raise _load_error(run, error) if source else no_such_run(run) from error
    return Classifier(model.eval(), processor)


def no_such_run(run: str) -> UserError:
    """Build the error for a run that is neither here nor to be had."""
    return UserError(
        f"{run} is neither a run folder on this machine nor a model that can be had from the Hub; "
        "check the name, the network, or `hf auth login`"
    )


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


def _existing_folder(name: str) -> str | None:
    path = Path(name).expanduser()
    return str(path) if path.is_dir() else None


def _source(name: str, init: str) -> str:
    """Folder or Hub id of the weights; empty for a tiny model, which has none."""
    if folder := _existing_folder(name):
        return folder
    if name in BACKBONES:
        if init == "pretrained" and not BACKBONES[name].pretrained:
            raise UserError(f"--model {name} has no pretrained weights; add --init random")
        return BACKBONES[name].hub_id or ""
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise unknown_model(name)
    return name


def _config(name: str, source: str, init: str, revision: str | None) -> PretrainedConfig:
    from transformers import AutoConfig

    if name in BACKBONES and (init == "random" or BACKBONES[name].installed):
        return BACKBONES[name].config()
    if not _existing_folder(name):
        log.info("looking for %s in the cache and on the Hub", source)
    try:
        return AutoConfig.from_pretrained(source, revision=revision)
    except LOADING_ERRORS as error:
        raise _load_error(name, error) from None


def _set_drop_path(config: PretrainedConfig, rate: float) -> None:
    if hasattr(config, "drop_path_rate"):
        config.drop_path_rate = rate
    elif rate:
        raise UserError(f"--drop_path {rate}: a {config.model_type} has none; leave the option out")


def _random_model(config: PretrainedConfig) -> PreTrainedModel:
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_config(config)
    if config.model_type == "timm_wrapper":
        for module in model.modules():  # transformers' N(0, 0.02) starves a deep DenseNet
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
    return model


def _pretrained_model(
    source: str, config: PretrainedConfig, revision: str | None
) -> PreTrainedModel:
    from transformers import AutoModelForImageClassification

    try:
        model, report = AutoModelForImageClassification.from_pretrained(
            source,
            config=config,
            revision=revision,
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except LOADING_ERRORS as error:
        raise _load_error(source, error) from None
    _check_backbone_loaded(model, source, report)
    return model


def _check_backbone_loaded(model: PreTrainedModel, source: str, report: dict[str, Any]) -> None:
    """Refuse a checkpoint that leaves backbone weights at random: transformers only warns."""
    fresh = {name for name in report["missing_keys"]}
    fresh |= {key[0] for key in report["mismatched_keys"]}
    if missing := sorted(fresh - head_names(model)):
        raise UserError(
            f"--model {source}: the checkpoint lacks {len(missing)} weights of the backbone "
            f"(such as {missing[0]}); its config.json and model.safetensors do not fit each other"
        )


def _table_processor(
    name: str, config: PretrainedConfig, image_size: int | None, field: float | None
) -> BaseImageProcessor:
    """Our square processor with what the table of short names says."""
    known = BACKBONES.get(name)
    if known is None:
        side = image_size or getattr(config, "image_size", 224)
        return square_processor(side, field=field or 1.0)
    return square_processor(
        image_size or known.side, known.mean, known.std, field=field or known.field
    )


def _pretrained_processor(
    name: str,
    source: str,
    config: PretrainedConfig,
    image_size: int | None,
    field: float | None,
    revision: str | None,
) -> BaseImageProcessor:
    """Our square processor with the checkpoint's own size, mean and standard deviation.

    A run of ours keeps the field that it learned from; other checkpoints, which cut photographs
    of things, see all of the crop.
    """
    from transformers import AutoImageProcessor

    try:
        own = AutoImageProcessor.from_pretrained(source, revision=revision, backend="pil")
    except (OSError, ValueError):
        return _table_processor(name, config, image_size, field)
    if config.model_type == "timm_wrapper":
        settings = config.pretrained_cfg or {}
        config.pretrained_cfg = None
        side = settings.get("input_size", (3, 224, 224))[-1]
        mean, std = settings.get("mean") or IMAGENET_MEAN, settings.get("std") or IMAGENET_STD
        return square_processor(image_size or side, mean, std, field=field or 1.0)
    size = dict(own.size)
    crop = dict(own.crop_size) if getattr(own, "do_center_crop", False) else {}
    side = crop.get("height") or size.get("height") or size.get("shortest_edge") or 224
    if field is None and (Path(source) / "manifest.json").is_file():
        field = min(1.0, side / (size.get("shortest_edge") or side))
    return square_processor(
        image_size or side, own.image_mean, own.image_std, int(own.resample), field=field or 1.0
    )


def _allow_other_sizes(model: PreTrainedModel, processor: BaseImageProcessor) -> None:
    """Refuse an input side that the network can't take."""
    side = processor.crop_size["height"]
    patch = getattr(model.config, "patch_size", 1)
    native = getattr(model.config, "image_size", side)
    if model.config.model_type == "vit" and side != native:
        raise UserError(
            f"--image_size {side}: this ViT takes {native} pixels; leave the option out"
        )
    if isinstance(patch, int) and side % patch:
        fitting = max(1, round(side / patch)) * patch
        raise UserError(f"--image_size {side}: give a multiple of {patch}, such as {fitting}")


def _require_timm() -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import timm  # noqa: F401
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"DenseNet needs timm and the torchvision that fits torch ({error}); "
            "run `pip install 'hf-cushing[cnn]'`"
        ) from None


UNREACHABLE = ("connect", "offline", "Max retries", "timed out", "cached files")
REMEDIES = (
    ("gated", "it is gated: ask for access on its page, then `hf auth login`"),
    ("valid model identifier", "no such model, or no access: check the name, or `hf auth login`"),
    ("valid git identifier", "it has no such revision: check --model_revision"),
    ("safetensors", "it has no readable model.safetensors, and pickled weights are not read"),
)


def _load_error(name: str, error: Exception) -> UserError:
    """One sentence for whatever kept a checkpoint from loading."""
    text = str(error)
    if _existing_folder(name) and "safetensors" in text:
        return UserError(f"{name} holds no model.safetensors; pickled weights are not read")
    if not _existing_folder(name):
        for mark, remedy in REMEDIES:
            if mark in text:
                return UserError(f"--model {name}: {remedy}")
        if any(mark in text for mark in UNREACHABLE):
            return UserError(
                f"--model {name}: the Hub can't be reached and the model is not in the cache; give "
                "--model DIR, use --init random, or fill the cache by `hf download` elsewhere"
            )
    first = (text.splitlines() or [type(error).__name__])[0]
    return UserError(f"{name} can't be loaded as an image model: {first}")
