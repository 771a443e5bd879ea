"""Build a classifier and its image processor from a short name, a folder or a Hub id."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from torch import nn

from hf_cushing.files import if_all_folds
from hf_cushing.models.adapt import head_names
from hf_cushing.models.backbones import BACKBONES, UNFIT, VISION_TOWERS, unknown_model
from hf_cushing.models.face_resnet import load_face_resnet
from hf_cushing.models.foreign_code import refuse_foreign_code
from hf_cushing.models.preprocessing import (
    check_side,
    format_of_checkpoint,
    format_of_table,
    square_processor,
)
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from transformers import BaseImageProcessor, PretrainedConfig, PreTrainedModel

log = logging.getLogger(__name__)

LOADING_ERRORS = (OSError, ValueError, KeyError, SafetensorError)

OTHER_NAMES = {
    "clip": {r"^(embeddings|pre_layrnorm|encoder|post_layernorm)\.": r"vision_model.\1."},
    "siglip": {r"^(embeddings|encoder|post_layernorm|head)\.": r"vision_model.\1."},
    "convnextv2": {r"grn\.gamma$": "grn.weight", r"grn\.beta$": "grn.bias"},
}
"""Names under which some checkpoints keep weights, by type: an image tower saved alone, and what
transformers called the scale of ConvNeXt V2's response normalisation at first."""


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
        Unknown name, unreachable Hub, missing timm, a network that can't be trained on square
        crops or not at this size, no stochastic depth to set.
    """
    source, known = _source(name, init), BACKBONES.get(name)
    revision = revision or (known.revision if known else None)
    config = _config(name, source, init, revision)
    id2label = dict(enumerate(labels))
    config.id2label, config.label2id = id2label, {v: k for k, v in id2label.items()}
    config.num_labels = len(labels)
    _set_drop_path(config, drop_path)
    if config.model_type == "timm_wrapper":
        _require_timm(config.architecture)
    from_files = init == "pretrained" and not (known and known.installed)
    if from_files:
        found = format_of_checkpoint(name, source, config, revision)
    else:
        found = format_of_table(name, config, pretrained=init == "pretrained")
    side = image_size or found.side
    check_side(config, side)
    processor = square_processor(
        side, found.mean, found.std, found.resample, field=field or found.field
    )
    model = _pretrained_model(source, config, revision) if from_files else _random_model(config)
    if known and known.installed and init == "pretrained":
        load_face_resnet(model)
    _check_takes_squares(name, model, side)
    return Classifier(model, processor)


def load_classifier(run: str, revision: str | None = None) -> Classifier:
    """Load a fine-tuned model from a run folder or the Hub, as it was saved.

    Raises
    ------
    UserError
        Nothing of that name, files that can't be read, or files that ask for code.
    """
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    source = _existing_folder(run)
    if source is None and (run.count("/") != 1 or run.startswith((".", "/", "~"))):
        raise no_such_run(run)
    try:
        refuse_foreign_code(source or run, revision)
        model = AutoModelForImageClassification.from_pretrained(
            source or run, revision=revision, use_safetensors=True, trust_remote_code=False
        )
        processor = AutoImageProcessor.from_pretrained(
            source or run, revision=revision, backend="pil", trust_remote_code=False
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
        return _of_classifier(name, BACKBONES[name].config())
    if source.startswith("facebook/dinov3"):  # gated: its config may be out of reach
        raise UserError(f"--model {name}: {UNFIT['dinov3_vit']}")
    if not _existing_folder(name):
        log.info("looking for %s in the cache and on the Hub", source)
    try:
        refuse_foreign_code(source, revision)
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
        return _of_classifier(name, config)
    except ImportError:
        _require_timm(name)
        raise
    except LOADING_ERRORS as error:
        raise _load_error(name, error) from None


def _of_classifier(name: str, config: PretrainedConfig) -> PretrainedConfig:
    """The config of an image classifier, or a refusal, before any weights are loaded."""
    from transformers import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, AutoConfig

    if family := VISION_TOWERS.get(config.model_type):
        config = AutoConfig.for_model(family, vision_config=config.to_dict())
    if reason := UNFIT.get(config.model_type):
        raise UserError(f"--model {name}: {reason}")
    if type(config) not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        raise UserError(
            f"--model {name}: transformers has no image classifier for a {config.model_type}; "
            f"choose another, such as {', '.join(list(BACKBONES)[:5])}"
        )
    if text := getattr(config, "text_config", None):
        # It plays no part here, and SigLIP's names tokens beyond its vocabulary: a warning a save.
        text.bos_token_id = text.eos_token_id = None
    return config


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
    """Load the weights; refuse a checkpoint that leaves some of the backbone at random."""
    from transformers import AutoModelForImageClassification

    model, missing = _load(source, config, revision)
    if missing and (names := OTHER_NAMES.get(config.model_type)):
        loaded, missing = _load(source, config, revision, names)
        # A fresh network: transformers saves a renamed one under the names that it was read from.
        config.name_or_path = source
        model = AutoModelForImageClassification.from_config(config)
        model.load_state_dict(loaded.state_dict())
    if missing:
        raise UserError(
            f"--model {source}: the checkpoint lacks {len(missing)} weights of the backbone "
            f"(such as {missing[0]}); its config.json and model.safetensors do not fit each other"
        )
    return model


def _load(
    source: str,
    config: PretrainedConfig,
    revision: str | None,
    names: dict[str, str] | None = None,
) -> tuple[PreTrainedModel, list[str]]:
    """The network, and the backbone's weights that the checkpoint lacks: transformers only warns.

    `names` renames the checkpoint's weights: pattern to replacement.
    """
    from transformers import AutoModelForImageClassification

    try:
        model, report = AutoModelForImageClassification.from_pretrained(
            source,
            config=config,
            revision=revision,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            key_mapping=names,
        )
    except LOADING_ERRORS as error:
        raise _load_error(source, error) from None
    fresh = set(report["missing_keys"]) | {key[0] for key in report["mismatched_keys"]}
    return model, sorted(fresh - head_names(model))


def _check_takes_squares(name: str, model: PreTrainedModel, side: int) -> None:
    """Show it one image: what only the network itself knows, such as the patches of timm's."""
    if model.device.type == "meta":
        return
    training = model.training
    try:
        with torch.no_grad():  # what a network keeps of inference mode can't learn
            model.eval()(pixel_values=torch.zeros(1, 3, side, side)).logits  # noqa: B018
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--model {name} can't take images of {side} x {side} pixels ({reason}); try another "
            "--image_size or --model"
        ) from error
    model.train(training)


def _require_timm(architecture: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import timm  # noqa: F401
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"{architecture} needs timm and the torchvision that fits torch ({error}); "
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
    if why := if_all_folds(Path(name)):
        return UserError(f"{name} is no model: {why}")
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
