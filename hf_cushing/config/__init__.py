"""Settings of a training run: default < YAML < command line."""

from hf_cushing.config.checks import LAYERED
from hf_cushing.config.options import (
    CONFIG_PARTS,
    DEFAULT_RATES,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    RunConfig,
    TrainingConfig,
)
from hf_cushing.config.recipe import read_yaml

__all__ = [
    "CONFIG_PARTS",
    "DEFAULT_RATES",
    "LAYERED",
    "DataConfig",
    "EvaluationConfig",
    "ModelConfig",
    "RunConfig",
    "TrainingConfig",
    "read_yaml",
]
