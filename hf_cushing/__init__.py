"""Fine-tune and honestly evaluate vision transformers on face photographs.

Research use only; not a medical device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Predictor", "Run", "__version__", "pipeline"]

if TYPE_CHECKING:
    from hf_cushing.predict.answer import Predictor
    from hf_cushing.predict.pipeline import AlignedImageClassificationPipeline
    from hf_cushing.run import Run


def pipeline(model: str, **options: Any) -> AlignedImageClassificationPipeline:
    """Classify raw photographs: the face is found and aligned first.

    See `hf_cushing.predict.pipeline.pipeline`.
    """
    from hf_cushing.predict.pipeline import pipeline as build

    return build(model, **options)


def __getattr__(name: str) -> Any:
    """`Run` and `Predictor`, imported when they are first asked for: torch takes seconds."""
    if name == "Run":
        from hf_cushing.run import Run

        return Run
    if name == "Predictor":
        from hf_cushing.predict.answer import Predictor

        return Predictor
    raise AttributeError(f"module 'hf_cushing' has no attribute '{name}'")
