"""What is wrong with the settings of a run: wrong kinds, ranges and combinations."""

from __future__ import annotations

import re
from dataclasses import fields
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from hf_cushing.config.options import RunConfig

RULE = re.compile(r"f1|youden|(sensitivity|specificity|cost):\d+(\.\d+)?")
"""How a threshold is chosen; `evaluation.operating_points` has the meanings."""


def type_problems(config: RunConfig) -> list[str]:
    """Find values of the wrong kind: a recipe's values come unchecked."""
    problems = []
    for part in (config.data, config.model, config.training, config.evaluation):
        hints = get_type_hints(type(part))
        for item in fields(part):
            value, wanted = getattr(part, item.name), hints[item.name]
            if not _fits(value, wanted):
                words = getattr(wanted, "__name__", str(wanted).removeprefix("typing."))
                problems.append(f"--{item.name} {value!r}: give {words}")
    return problems


def _fits(value: Any, wanted: Any) -> bool:
    if get_origin(wanted) is Literal:
        return value in get_args(wanted)
    if get_origin(wanted) in (UnionType, Union):
        return any(_fits(value, kind) for kind in get_args(wanted))
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def range_problems(config: RunConfig) -> list[str]:
    training, data, model = config.training, config.data, config.model
    rules = [
        (training, "seed", lambda v: 0 <= v < 2**32, "0 up to 2**32"),
        (training, "epochs", lambda v: v >= 1, "at least 1"),
        (training, "patience", lambda v: v >= 1, "at least 1"),
        (training, "batch_size", lambda v: v >= 1, "at least 1"),
        (training, "gradient_accumulation", lambda v: v >= 1, "at least 1"),
        (training, "warmup", lambda v: 0 <= v < 1, "0 up to 1"),
        (training, "zoom_out", lambda v: 1 <= v <= 2, "from 1 to 2"),
        (training, "learning_rate", lambda v: v is None or v > 0, "above 0"),
        (training, "head_learning_rate", lambda v: v is None or v > 0, "above 0"),
        (training, "layer_decay", lambda v: 0 < v <= 1, "above 0, at most 1"),
        (training, "weight_decay", lambda v: v is None or v >= 0, "0 or more"),
        (training, "max_grad_norm", lambda v: v > 0, "above 0"),
        (training, "label_smoothing", lambda v: 0 <= v < 1, "0 up to 1"),
        (training, "focal_gamma", lambda v: 0 <= v <= 10, "0 to 10"),
        (model, "image_size", lambda v: v is None or v >= 1, "1 or more"),
        (model, "views", lambda v: 0 <= v <= 64, "0 to 64"),
        (model, "last_n", lambda v: v >= 1, "1 or more"),
        (model, "lora_rank", lambda v: v is None or v >= 1, "1 or more"),
        (model, "lora_alpha", lambda v: v is None or v >= 1, "1 or more"),
        (model, "lora_dropout", lambda v: 0 <= v < 1, "0 up to 1"),
        (model, "drop_path", lambda v: 0 <= v < 1, "0 up to 1"),
        (data, "num_workers", lambda v: v >= 0, "0 or more"),
        (data, "repeat", lambda v: v >= 1, "1 or more"),
        (data, "fold", lambda v: v is None or v >= 0, "0 or more"),
        (
            config.evaluation,
            "threshold_rule",
            RULE.fullmatch,
            "f1, youden, sensitivity:0.9, specificity:0.9 or cost:5",
        ),
        (config.evaluation, "bootstrap", lambda v: v >= 100, "100 or more"),
    ]
    return [
        f"--{name} {getattr(part, name)}: give {wanted}"
        for part, name, good, wanted in rules
        if not good(getattr(part, name))
    ]


def combination_problems(config: RunConfig) -> list[str]:
    """Options set to something that the chosen method would not use, each with the way out."""
    method = config.model.finetune
    frozen = config.uses_features
    rules = [
        (config.model, "head", method == "head", "--finetune head"),
        (config.model, "head_features", config.is_probe, "--finetune head --head probe"),
        (config.model, "views", frozen, "--finetune head --augment none"),
        (config.model, "last_n", method == "last_n", "--finetune last_n"),
        (config.model, "lora_rank", method == "lora", "--finetune lora"),
        (config.model, "lora_alpha", method == "lora", "--finetune lora"),
        (config.model, "lora_dropout", method == "lora", "--finetune lora"),
        (config.model, "drop_path", method != "head", "--finetune full"),
        (config.training, "layer_decay", method in LAYERED, f"--finetune {'|'.join(LAYERED)}"),
        (config.training, "label_smoothing", not config.is_probe, "--finetune full"),
        (config.training, "focal_gamma", not config.is_probe, "--finetune full"),
        (config.training, "gradient_checkpointing", method != "head", "--finetune full"),
        (config.data, "feature_dtype", frozen or method == "lp-ft", "--finetune head"),
        (config.data, "features_dir", frozen or method == "lp-ft", "--finetune head"),
    ]
    problems = [
        f"--{name} {getattr(part, name)} goes with {wanted}; leave it out, or choose that"
        for part, name, used, wanted in rules
        if not used and getattr(part, name) != _default(part, name)
    ]
    if config.is_probe and config.training.augment not in ("auto", "none"):
        problems.append(
            f"--augment {config.training.augment}: a probe sees each photo once; give --views 4, "
            "or --head linear-sgd"
        )
    if config.is_probe and config.training.imbalance == "sample_class_sex":
        problems.append("--imbalance sample_class_sex: a probe draws no photos; give class_sex")
    if config.training.mitigation == "group_dro" and config.training.imbalance.startswith("sample"):
        problems.append("--mitigation group_dro weighs the groups itself; give --imbalance class")
    if config.training.label_smoothing and config.training.focal_gamma:
        problems.append("--label_smoothing and --focal_gamma pull apart: leave one out")
    return problems + _ordinal_problems(config)


def _ordinal_problems(config: RunConfig) -> list[str]:
    """What is wrong with the grades, or doesn't go with them."""
    if config.model.task != "ordinal":
        graded = "--grades goes with --task ordinal; leave it out, or choose that"
        return [graded] if config.model.grades else []
    grades, mitigation = config.grades, config.training.mitigation
    fitted = config.is_probe or config.model.finetune == "lp-ft"
    problems = []
    if len(set(grades)) < 3 or len(set(grades)) < len(grades):
        problems.append(
            f"--grades {config.model.grades or 'is missing'}: with --task ordinal give three or "
            "more labels, each once, as in control,mild,severe"
        )
    if mitigation == "dfr" or (mitigation == "group_dro" and fitted):
        problems.append(
            f"--mitigation {mitigation} fits a head without order; with --task ordinal choose "
            "another" + (", or --finetune full" if mitigation == "group_dro" else "")
        )
    return problems


LAYERED = ("last_n", "full", "lp-ft")
"""Methods that train the backbone's own weights, block by block."""


def _default(part: Any, name: str) -> Any:
    return next(item.default for item in fields(part) if item.name == name)
