"""Settings of a training run: default < YAML < command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hf_cushing.schema import UsageError, UserError

RULE = re.compile(r"f1|youden|(sensitivity|specificity|cost):\d+(\.\d+)?")
"""How a threshold is chosen; `evaluation.operating_points` has the meanings."""


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
    features_dir: str | None = _option(
        None, "where frozen backbones' features are kept; by default .features beside output_dir"
    )
    feature_dtype: Literal["float32", "float16"] = _option(
        "float32", "how features are kept; float16 takes half the disk"
    )
    public_controls: Literal["all", "none", "rarer_sex"] = _option(
        "all", "which public controls of the dataset train; rarer_sex: of the sex rarer in it"
    )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network, and which part of it learns."""

    model: str = _option("", "short name (`hf-cushing env` lists them), local folder or Hub id")
    model_revision: str | None = _option(None, "branch, tag or commit of a Hub model")
    init: Literal["pretrained", "random"] = _option("pretrained", "where the weights come from")
    finetune: Literal["head", "last_n", "lora", "full", "lp-ft"] = _option(
        "full",
        "what learns: the head alone, the last blocks too, low-rank adapters, everything, or "
        "everything starting from the fitted head",
    )
    head: Literal["probe", "linear-sgd"] = _option(
        "probe", "how --finetune head learns: logistic regression, or gradient descent"
    )
    head_features: Literal["own", "cls"] = _option(
        "own", "what the probe sees: all that the model's head sees, or DINOv2's class token alone"
    )
    views: int = _option(
        0, "fixed augmented views of each training photo that --finetune head learns from too"
    )
    last_n: int = _option(2, "how many of the last blocks learn with --finetune last_n")
    lora_rank: int | None = _option(
        None, "rank of the adapters; by default 16, and 8 below 300 training patients"
    )
    lora_alpha: int | None = _option(None, "scale of the adapters; by default their rank")
    lora_dropout: float = _option(0.0, "dropout before the adapters")
    drop_path: float = _option(
        0.0, "stochastic depth; at 0 one process and several give the same result"
    )
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
    learning_rate: float | None = _option(
        None, "peak rate of the backbone's weights; by default as fits --finetune"
    )
    head_learning_rate: float | None = _option(
        None, "peak rate of the head's weights; by default as fits --finetune"
    )
    layer_decay: float = _option(
        1.0, "the rate of each block over that of the block after it (0.65 to 0.9, or 1)"
    )
    weight_decay: float | None = _option(
        None, "of AdamW; by default 0.05, and 1 with --mitigation group_dro"
    )
    warmup: float = _option(0.1, "share of the updates over which the rate rises")
    max_grad_norm: float = _option(1.0, "longer gradients are cut to this length")
    imbalance: Literal["none", "class", "class_sex", "sample_class_sex"] = _option(
        "class_sex",
        "none; weights in the loss by class, or by class and sex; or photos drawn so that each "
        "class and sex comes as often (all up to 10 times)",
    )
    mitigation: Literal["none", "group_dro", "dfr", "sex_thresholds", "matched_subset"] = _option(
        "none",
        "against sex bias: the worst class and sex weighs most (GroupDRO); the last layer learns "
        "again from held-out photos, each class and sex alike (DFR); a threshold for each sex; or "
        "as many women as men of each class train",
    )
    label_smoothing: float = _option(0.0, "share of the target that goes to all classes alike")
    focal_gamma: float = _option(0.0, "focal loss: easy photos count less; 2 in Lin et al. 2017")
    augment: Literal["auto", "none", "light", "strong"] = _option(
        "auto",
        "mirror, turn, zoom, blur and expose training photos anew each epoch; auto: light, "
        "and none where the backbone is frozen",
    )
    zoom_out: float = _option(
        1.05, "augmentation shows up to this times the crop; more for use on unaligned photos"
    )
    precision: Literal["fp32", "bf16", "fp16"] = _option("fp32", "mixed precision")
    gradient_checkpointing: bool = _option(
        False, "compute activations twice instead of keeping them: less memory, more time"
    )
    tracker: str = _option(
        "tensorboard", "where curves go: tensorboard (local files), none, or wandb, mlflow, …"
    )
    cpu: bool = _option(False, "do not use an accelerator that is there")
    resume: bool = _option(False, "go on from the last checkpoint in output_dir")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How scores become probabilities and decisions, by the validation split."""

    calibration: Literal["auto", "none", "temperature", "platt"] = _option(
        "auto",
        "how validation corrects the logits, folded into the saved head; auto: platt for two "
        "classes, temperature for several",
    )
    threshold_rule: str = _option(
        "f1", "f1, youden, sensitivity:0.9, specificity:0.9 or cost:5, on validation"
    )
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
        problems += _type_problems(self) or _range_problems(self) + _combination_problems(self)
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def is_probe(self) -> bool:
        """The head is fitted by logistic regression."""
        return self.model.finetune == "head" and self.model.head == "probe"

    @property
    def uses_features(self) -> bool:
        """Nothing but the head learns, from photos that look the same each time."""
        return self.model.finetune == "head" and self.training.augment in ("auto", "none")

    @property
    def augmentation(self) -> str:
        """``none``, ``light`` or ``strong``.

        Not by default where the backbone is frozen: its features move with the crop, and the
        head can't learn to ignore that (docs/choices.md has the figures).
        """
        if self.training.augment == "auto":
            return "none" if self.model.finetune == "head" else "light"
        return self.training.augment

    @property
    def rates(self) -> tuple[float, float]:
        """Peak learning rates of the backbone and of the head."""
        backbone, head = DEFAULT_RATES[self.model.finetune]
        own = self.training
        return own.learning_rate or backbone, own.head_learning_rate or head

    @property
    def weight_decay(self) -> float:
        """Of AdamW; GroupDRO needs a strong one (arXiv 1911.08731)."""
        if self.training.weight_decay is None:
            return 1.0 if self.training.mitigation == "group_dro" else 0.05
        return self.training.weight_decay


DEFAULT_RATES = {
    "head": (5e-5, 3e-3),
    "last_n": (5e-5, 3e-3),
    "lora": (5e-4, 3e-3),
    "full": (5e-5, 3e-3),
    "lp-ft": (1e-5, 1e-5),
}
"""Backbone and head. LP-FT starts from a good head and must not lose it (arXiv 2202.10054)."""


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


def _combination_problems(config: RunConfig) -> list[str]:
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
    return problems


LAYERED = ("last_n", "full", "lp-ft")
"""Methods that train the backbone's own weights, block by block."""


def _default(part: Any, name: str) -> Any:
    return next(item.default for item in fields(part) if item.name == name)


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
