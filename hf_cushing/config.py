"""Settings of a training run: default < YAML < command line."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hf_cushing.schema import UsageError, UserError


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which photos."""

    dataset: str = _option("", "dataset folder made by `hf-cushing prepare`, or a Hub id")
    dataset_revision: str | None = _option(None, "branch, tag or commit of a Hub dataset")
    fold: int | None = _option(
        None, "cross-validation: test on this fold, validate on the next, train on the rest"
    )
    repeat: int = _option(1, "which repeat of the cross-validation (`prepare --repeats`)")
    num_workers: int = _option(0, "loader processes that decode and augment")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network, and which part of it learns."""

    model: str = _option("", "short name (`hf-cushing env` lists them), local folder or Hub id")
    model_revision: str | None = _option(None, "branch, tag or commit of a Hub model")
    init: Literal["pretrained", "random"] = _option("pretrained", "where the weights come from")
    finetune: Literal["head", "full"] = _option("full", "train the new head only, or everything")
    image_size: int | None = _option(
        None, "side of the model's input in pixels; by default the model's own"
    )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How it learns."""

    output_dir: str = _option("", "run folder to make")
    seed: int = _option(0, "seed of the head, the order and the augmentation")
    epochs: int = _option(30, "most passes over the training photos")
    patience: int = _option(8, "stop after this many epochs without a better validation AUROC")
    batch_size: int = _option(16, "photos a step and process")
    gradient_accumulation: int = _option(1, "steps whose gradients are added before an update")
    learning_rate: float = _option(5e-5, "peak rate of the backbone's weights")
    head_learning_rate: float = _option(3e-3, "peak rate of the new head's weights")
    weight_decay: float = _option(0.05, "of AdamW")
    warmup: float = _option(0.1, "share of the updates over which the rate rises")
    imbalance: Literal["none", "class", "class_sex"] = _option(
        "class_sex", "weight of a photo in the loss: equal, by class, or by class and sex (cap 10)"
    )
    augment: bool | None = _option(
        None, "mirror, turn and zoom training photos; by default for full, not for head"
    )
    zoom_out: float = _option(
        1.05, "augmentation shows up to this times the crop; more for use on unaligned photos"
    )
    bf16: bool = _option(False, "bfloat16 autocast")
    cpu: bool = _option(False, "do not use an accelerator that is there")
    resume: bool = _option(False, "go on from the last checkpoint in output_dir")

    def augments(self, finetune: str) -> bool:
        """Say whether training photos are augmented.

        Not by default where the backbone is frozen: its features move with the crop, and the
        head can't learn to ignore that (docs/choices.md has the figures).
        """
        return finetune != "head" if self.augment is None else self.augment


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How the decision threshold is chosen, on the validation split."""

    threshold_rule: Literal["f1", "youden"] = _option("f1", "what the threshold maximises")
    bootstrap: int = _option(2000, "draws of patients for the intervals")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings of one run."""

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self):
        missing = [
            f"--{name}"
            for part, name in (
                (self.data, "dataset"),
                (self.model, "model"),
                (self.training, "output_dir"),
            )
            if not getattr(part, name)
        ]
        problems = [f"{', '.join(missing)} must be given"] if missing else []
        problems += _type_problems(self) or _range_problems(self)
        if problems:
            raise UsageError("; ".join(problems))


def _type_problems(config: RunConfig) -> list[str]:
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


def _range_problems(config: RunConfig) -> list[str]:
    training, data = config.training, config.data
    rules = [
        ("epochs", training.epochs, training.epochs >= 1, "at least 1"),
        ("patience", training.patience, training.patience >= 1, "at least 1"),
        ("batch_size", training.batch_size, training.batch_size >= 1, "at least 1"),
        (
            "gradient_accumulation",
            training.gradient_accumulation,
            training.gradient_accumulation >= 1,
            "at least 1",
        ),
        ("warmup", training.warmup, 0 <= training.warmup < 1, "0 up to 1"),
        ("zoom_out", training.zoom_out, 1 <= training.zoom_out <= 2, "from 1 to 2"),
        ("num_workers", data.num_workers, data.num_workers >= 0, "0 or more"),
        ("repeat", data.repeat, data.repeat >= 1, "1 or more"),
        ("fold", data.fold, data.fold is None or data.fold >= 0, "0 or more"),
        ("learning_rate", training.learning_rate, training.learning_rate > 0, "above 0"),
        (
            "head_learning_rate",
            training.head_learning_rate,
            training.head_learning_rate > 0,
            "above 0",
        ),
        (
            "bootstrap",
            config.evaluation.bootstrap,
            config.evaluation.bootstrap >= 100,
            "100 or more",
        ),
    ]
    return [f"--{name} {value}: give {wanted}" for name, value, good, wanted in rules if not good]


CONFIG_PARTS = (DataConfig, ModelConfig, TrainingConfig, EvaluationConfig)


def read_yaml(path: Path, known: Collection[str] = ()) -> dict[str, Any]:
    """Read a flat mapping of names to values; unknown names are refused.

    Without `known` it is a recipe, and the names are options of a training run.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path} can't be read as YAML: {error}") from None
    known = known or {item.name for part in CONFIG_PARTS for item in fields(part)}
    if not isinstance(values, dict):
        raise UserError(f"{path} must map names to values, like `{min(known)}: …`")
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(str(name), sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            raise UserError(f"{path}: unknown name '{name}'; {hint}")
    return values
