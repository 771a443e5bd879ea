"""Fine-tune and honestly evaluate vision transformers on face photographs.

Research use only; not a medical device.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hf_cushing.api import evaluate, predict, prepare, train
    from hf_cushing.evaluation.subgroup_metric import subgroup_f1_path
    from hf_cushing.predict.answer import Predictor
    from hf_cushing.predict.pipeline import pipeline
    from hf_cushing.run import Run
    from hf_cushing.schema import UserError

__all__ = [
    "Predictor",
    "Run",
    "UserError",
    "__version__",
    "evaluate",
    "pipeline",
    "predict",
    "prepare",
    "subgroup_f1_path",
    "train",
]

HOMES = {
    **dict.fromkeys(("prepare", "train", "evaluate", "predict"), "hf_cushing.api"),
    "Predictor": "hf_cushing.predict.answer",
    "Run": "hf_cushing.run",
    "UserError": "hf_cushing.schema",
    "pipeline": "hf_cushing.predict.pipeline",
    "subgroup_f1_path": "hf_cushing.evaluation.subgroup_metric",
}
"""Modules of the names in `__all__`, imported when these are first asked for: torch takes
seconds."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'hf_cushing' has no attribute '{name}'")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Submodule(ModuleType):
    """A module that is called like the function of its name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(HOMES[name]), name)(*arguments, **options)


class _Package(ModuleType):
    """Keeps `predict` and `train` functions when the modules of these names are imported.

    Python then sets them as attributes of the package, in the place of the functions.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in HOMES and isinstance(value, ModuleType):
            value.__class__ = _Submodule
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
