"""Settings of a training run: default < YAML < command line."""

from hf_cushing.config.options import (
    CONFIG_PARTS,
    DEFAULTS,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    TrainingConfig,
)
from hf_cushing.config.recipe import read_yaml
from hf_cushing.config.run_config import BASELINES, BY_BLOCKS, RunConfig

__all__ = [
    "BASELINES",
    "BY_BLOCKS",
    "CONFIG_PARTS",
    "DEFAULTS",
    "DataConfig",
    "EvaluationConfig",
    "ModelConfig",
    "RunConfig",
    "TrainingConfig",
    "read_yaml",
]
