"""Settings of a training run: default < YAML < command line."""

from hf_cushing.config.options import (
    ALL_FOLDS,
    CONFIG_PARTS,
    DEFAULTS,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    TrainingConfig,
)
from hf_cushing.config.recipe import find_recipe, name_problems, read_yaml
from hf_cushing.config.run_config import BASELINES, BY_BLOCKS, RunConfig

__all__ = [
    "ALL_FOLDS",
    "BASELINES",
    "BY_BLOCKS",
    "CONFIG_PARTS",
    "DEFAULTS",
    "DataConfig",
    "EvaluationConfig",
    "ModelConfig",
    "RunConfig",
    "TrainingConfig",
    "find_recipe",
    "name_problems",
    "read_yaml",
]
