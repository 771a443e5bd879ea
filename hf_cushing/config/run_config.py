"""All settings of a training run, and which of them go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hf_cushing.config.checks import limit_problems, type_problems
from hf_cushing.config.options import (
    CONFIG_PARTS,
    DEFAULTS,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    TrainingConfig,
)
from hf_cushing.schema import UsageError

REQUIRED = ("dataset", "output_dir")

BASELINES = ("demographics", "colour", "geometry", "geometry-no-jaw", "descriptor")
"""Values of `--model` without a network (`models/baselines.py`)."""

BY_BLOCKS = ("last_n", "full", "lp-ft")
"""Methods that train the backbone's own weights, block by block."""

DEFAULT_RATES = {
    "head": (5e-5, 3e-3),
    "last_n": (5e-5, 3e-3),
    "lora": (5e-4, 3e-3),
    "full": (5e-5, 3e-3),
    "lp-ft": (1e-5, 1e-5),
}
"""Backbone and head. LP-FT starts from a good head and must not lose it (arXiv 2202.10054)."""

FACE_RESNET_RATES = {
    "head": (2e-5, 3e-3),
    "last_n": (2e-5, 1e-3),
    "lora": (3e-4, 1e-3),
    "full": (2e-5, 1e-3),
    "lp-ft": (2e-5, 2e-5),
}
"""Of `face-resnet`, chosen on development folds (docs/choices.md); 6e-5 was too fast."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings of one run."""

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> RunConfig:
        """Make a config from the values of options by name; the others have their defaults.

        >>> RunConfig.of({"dataset": "d", "model": "vit-b16", "output_dir": "o"}).training.epochs
        30
        """
        parts = (
            kind(**{item.name: values[item.name] for item in fields(kind) if item.name in values})
            for kind in CONFIG_PARTS
        )
        return cls(**dict(zip(("data", "model", "training", "evaluation"), parts, strict=True)))

    def __post_init__(self):
        values = self.values
        missing = [f"--{name}" for name in REQUIRED if not values[name]]
        problems = [f"{', '.join(missing)} must be given"] if missing else []
        wrong_types = [problem for part in self.parts for problem in type_problems(part)]
        problems += wrong_types or limit_problems(values) + _combination_problems(self)
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def parts(self) -> tuple[DataConfig, ModelConfig, TrainingConfig, EvaluationConfig]:
        """The groups of options."""
        return self.data, self.model, self.training, self.evaluation

    @property
    def values(self) -> dict[str, Any]:
        """All options by name."""
        return {name: value for part in self.parts for name, value in vars(part).items()}

    @property
    def run_folder(self) -> Path:
        """Where the run is written."""
        return Path(self.training.output_dir)

    @property
    def grades(self) -> tuple[str, ...]:
        """The labels as grades, mildest first; empty where they have no order."""
        return tuple(word.strip() for word in self.model.grades.split(",") if word.strip())

    @property
    def is_probe(self) -> bool:
        """The head is fitted by logistic regression."""
        return self.model.finetune == "head" and self.model.head == "probe"

    @property
    def is_baseline(self) -> bool:
        """There is no network."""
        return self.model.model in BASELINES

    @property
    def has_teacher(self) -> bool:
        """A network of aligned crops is trained first; this one learns to agree with it."""
        return self.training.framing == "any" and self.model.finetune != "head"

    @property
    def fits_head(self) -> bool:
        """Logistic regression gives the head, or the one that gradient descent starts from."""
        return self.is_probe or (self.model.finetune == "lp-ft" and not self.has_teacher)

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
        table = FACE_RESNET_RATES if self.model.model == "face-resnet" else DEFAULT_RATES
        starts_good = self.has_teacher and self.model.finetune in BY_BLOCKS
        backbone, head = table["lp-ft" if starts_good else self.model.finetune]
        own = self.training
        return own.learning_rate or backbone, own.head_learning_rate or head

    @property
    def freezes_batch_norms(self) -> bool:
        """The statistics of batch norms stay as they are."""
        if self.model.batch_norm == "auto":
            return self.model.init == "pretrained"
        return self.model.batch_norm == "frozen"

    @property
    def weight_decay(self) -> float:
        """Of AdamW; GroupDRO needs a strong one (arXiv 1911.08731)."""
        if self.training.weight_decay is None:
            return 1.0 if self.training.mitigation == "group_dro" else 0.05
        return self.training.weight_decay


def _combination_problems(config: RunConfig) -> list[str]:
    """Options set to something that the chosen method would not use, each with the way out."""
    method, values = config.model.finetune, config.values
    cached = config.uses_features or method == "lp-ft" or config.has_teacher
    rules = [
        (method == "head", "--finetune head", ("head",)),
        (config.is_probe, "--finetune head --head probe", ("head_features",)),
        (config.uses_features, "--finetune head --augment none", ("views",)),
        (cached, "--finetune head", ("feature_dtype", "features_dir")),
        (method == "last_n", "--finetune last_n", ("last_n",)),
        (method == "lora", "--finetune lora", ("lora_rank", "lora_alpha", "lora_dropout")),
        (method in BY_BLOCKS, f"--finetune {'|'.join(BY_BLOCKS)}", ("layer_decay",)),
        (method != "head", "--finetune full", ("drop_path", "gradient_checkpointing")),
        (not config.is_probe, "--finetune full", ("label_smoothing", "focal_gamma")),
    ]
    problems = [
        f"--{name} {values[name]} goes with {wanted}; leave it out, or choose that"
        for used, wanted, names in rules
        for name in names
        if not used and values[name] != DEFAULTS[name]
    ]
    if config.model.average_mirrored and config.training.framing == "any":
        problems.append(
            "--average_mirrored: --framing any is for the plain pipeline, which can't average; "
            "give --framing aligned"
        )
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
    return problems + _baseline_problems(config) + _ordinal_problems(config)


def _baseline_problems(config: RunConfig) -> list[str]:
    """What a baseline without a network can't take."""
    if not config.is_baseline:
        return []
    problems = []
    if not (config.is_probe and config.training.mitigation == "none"):
        problems.append(
            f"--model {config.model.model} is a baseline without a network: give --finetune head "
            "--head probe --mitigation none"
        )
    unused = config.grades or config.model.views or config.model.average_mirrored
    if unused or config.training.framing == "any":
        problems.append(
            f"--model {config.model.model} takes neither --task ordinal nor --views nor "
            "--average_mirrored nor --framing any"
        )
    return problems


def _ordinal_problems(config: RunConfig) -> list[str]:
    """What is wrong with the grades, or doesn't go with them."""
    if config.model.task != "ordinal":
        graded = "--grades goes with --task ordinal; leave it out, or choose that"
        return [graded] if config.model.grades else []
    grades, mitigation = config.grades, config.training.mitigation
    problems = []
    if len(set(grades)) < 3 or len(set(grades)) < len(grades):
        problems.append(
            f"--grades {config.model.grades or 'is missing'}: with --task ordinal give three or "
            "more labels, each once, as in control,mild,severe (grades are labels of the dataset; "
            "`prepare --column label=severity --map label 0=control 1=mild …` makes them of a "
            "column of numbers)"
        )
    if mitigation == "dfr" or (mitigation == "group_dro" and config.fits_head):
        problems.append(
            f"--mitigation {mitigation} fits a head without order; with --task ordinal choose "
            "another" + (", or --finetune full" if mitigation == "group_dro" else "")
        )
    return problems
