"""Fine-tune and honestly evaluate vision transformers on face photographs.

Research use only; not a medical device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "pipeline"]

if TYPE_CHECKING:
    from hf_cushing.predict.pipeline import AlignedImageClassificationPipeline


def pipeline(model: str, **options: Any) -> AlignedImageClassificationPipeline:
    """Classify raw photographs: the face is found and aligned first.

    See `hf_cushing.predict.pipeline.pipeline`.
    """
    from hf_cushing.predict.pipeline import pipeline as build

    return build(model, **options)
