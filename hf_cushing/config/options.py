"""The options of a training run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from hf_cushing.config.option import option

ALL_FOLDS = "all"
"""Value of `DataConfig.fold`: every fold, each in a run folder of its own."""

REPEATED = 200
"""Photos that a model scores once more, altered."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which photos."""

    dataset: str = option("", "dataset folder made by `hf-cushing prepare`, or a Hub id")
    dataset_revision: str | None = option(None, "branch, tag or commit of a Hub dataset")
    fold: int | Literal["all"] | None = option(
        None,
        "cross-validation: test on this fold, validate on the next, train on the rest; all: every "
        "fold in a folder of its own under output_dir, and their report together",
    )
    repeat: int = option(1, "which repeat of the cross-validation (`prepare --repeats`)")
    num_workers: int | None = option(
        None, "loader processes that decode and augment; by default 0 on a CPU, up to 12 on a GPU"
    )
    features_dir: str | None = option(
        None, "where frozen backbones' features are kept; by default .features beside output_dir"
    )
    feature_dtype: Literal["float32", "float16"] = option(
        "float32", "how features are kept; float16 takes half the disk"
    )
    public_controls: Literal["all", "none", "rarer_sex"] = option(
        "all", "which public controls of the dataset train; rarer_sex: of the sex rarer in it"
    )
    train_share: float = option(
        1.0,
        "share of the training patients that learn, of each class and sex alike; a smaller share "
        "is part of a larger one (for learning curves)",
    )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network, and which part of it learns."""

    model: str = option(
        "face-resnet",
        "short name (`hf-cushing env` lists them), local folder or Hub id; face-resnet needs no "
        "network",
    )
    model_revision: str | None = option(None, "branch, tag or commit of a Hub model")
    init: Literal["pretrained", "random"] = option("pretrained", "where the weights come from")
    task: Literal["classify", "ordinal"] = option(
        "classify", "ordinal: the labels are grades of severity, in the order of --grades"
    )
    grades: str = option(
        "", "with --task ordinal: all labels from none to worst, as in control,mild,severe"
    )
    finetune: Literal["head", "last_n", "lora", "full", "lp-ft"] = option(
        "full",
        "what learns: the head alone, the last blocks too, low-rank adapters, everything, or "
        "everything starting from the fitted head",
    )
    head: Literal["probe", "linear-sgd"] = option(
        "probe", "how --finetune head learns: logistic regression, or gradient descent"
    )
    head_features: Literal["own", "cls"] = option(
        "own", "what the probe sees: all that the model's head sees, or DINOv2's class token alone"
    )
    views: int = option(
        0, "fixed augmented views of each training photo that --finetune head learns from too"
    )
    last_n: int = option(2, "how many of the last blocks learn with --finetune last_n")
    lora_rank: int | None = option(
        None, "rank of the adapters; by default 16, and 8 below 300 training patients"
    )
    lora_alpha: int | None = option(None, "scale of the adapters; by default their rank")
    lora_dropout: float = option(0.0, "dropout before the adapters")
    drop_path: float = option(
        0.0, "stochastic depth; at 0 one process and several give the same result"
    )
    image_size: int | None = option(
        None, "side of the model's input in pixels; by default the model's own"
    )
    field: float | None = option(
        None,
        "share of the crop's side, from its middle, that is seen; by default the model's own",
    )
    average_mirrored: bool = option(
        False,
        "answer by the mean log-odds of a photo and its mirror image; the plain transformers "
        "pipeline can't, so its scores differ",
    )
    batch_norm: Literal["auto", "frozen", "moving"] = option(
        "auto",
        "statistics of batch norms: as they are, or moving with the training photos; auto: frozen "
        "where the weights are pretrained",
    )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How it learns."""

    output_dir: str = option("", "run folder to make")
    seed: int = option(0, "seed of the head, the order and the augmentation")
    epochs: int = option(30, "most passes over the training photos")
    patience: int = option(8, "stop after this many epochs that are no better on validation")
    batch_size: int = option(16, "photos a step and process")
    gradient_accumulation: int = option(1, "steps whose gradients are added before an update")
    learning_rate: float | None = option(
        None, "peak rate of the backbone's weights; by default as fits --finetune"
    )
    head_learning_rate: float | None = option(
        None, "peak rate of the head's weights; by default as fits --finetune"
    )
    layer_decay: float = option(
        1.0, "the rate of each block over that of the block after it (0.65 to 0.9, or 1)"
    )
    weight_decay: float | None = option(
        None, "of AdamW; by default 0.05, and 1 with --mitigation group_dro"
    )
    warmup: float = option(0.1, "share of the updates over which the rate rises")
    max_grad_norm: float = option(1.0, "longer gradients are cut to this length")
    imbalance: Literal["none", "class", "class_sex", "sample_class_sex"] = option(
        "class_sex",
        "none; weights in the loss by class, or by class and sex; or photos drawn so that each "
        "class and sex comes as often (all up to 10 times)",
    )
    mitigation: Literal["none", "group_dro", "dfr", "sex_thresholds", "matched_subset"] = option(
        "none",
        "against sex bias: the worst class and sex weighs most (GroupDRO); the last layer learns "
        "again from held-out photos, each class and sex alike (DFR); a threshold for each sex; or "
        "as many women as men of each class train",
    )
    label_smoothing: float = option(0.0, "share of the target that goes to all classes alike")
    focal_gamma: float = option(0.0, "focal loss: easy photos count less; 2 in Lin et al. 2017")
    augment: Literal["auto", "none", "light", "strong"] = option(
        "auto",
        "mirror, turn, zoom, blur and expose training photos anew each epoch; auto: light, "
        "and none where the backbone is frozen",
    )
    framing: Literal["aligned", "any"] = option(
        "aligned",
        "training shows the aligned crop; any: a second network learns from it to answer alike for "
        "the wide view and windows of it, so that photos needn't be aligned later",
    )
    zoom_out: float = option(1.05, "augmentation shows up to this times the crop")
    precision: Literal["fp32", "bf16", "fp16"] = option("fp32", "mixed precision")
    gradient_checkpointing: bool = option(
        False, "compute activations twice instead of keeping them: less memory, more time"
    )
    tracker: str = option(
        "tensorboard", "where curves go: tensorboard (local files), none, or wandb, mlflow, …"
    )
    cpu: bool = option(False, "do not use an accelerator that is there")
    resume: bool = option(False, "go on from the last checkpoint in output_dir")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How scores become probabilities and decisions, by the validation split."""

    calibration: Literal["auto", "none", "temperature", "platt"] = option(
        "auto",
        "how validation corrects the logits, folded into the saved head; auto: platt for two "
        "classes, temperature for several",
    )
    threshold_rule: str = option(
        "f1", "f1, youden, sensitivity:0.9, specificity:0.9 or cost:5, on validation"
    )
    bootstrap: int = option(2000, "draws of patients for the intervals")
    repeatability: int = option(
        REPEATED,
        "test photos that the saved model scores once more, mirrored, saved again and aligned "
        "again, to see how steady its answers are; 0: none",
    )


CONFIG_PARTS = (DataConfig, ModelConfig, TrainingConfig, EvaluationConfig)

DEFAULTS = {item.name: item.default for part in CONFIG_PARTS for item in fields(part)}
"""All options by name: no two parts share one."""
