"""Finds and aligns the face of a photograph, then preprocesses as the saved processor does.

transformers runs this with ``trust_remote_code=True`` alone; the work is done by hf-cushing, which
must be installed. Research use only; not a medical device.
"""

from typing import Any

from transformers import BatchFeature, BitImageProcessorPil
from transformers.image_transforms import to_pil_image

try:
    from hf_cushing.faces.align import align_face
    from hf_cushing.faces.landmarks import load_dlib
    from hf_cushing.faces.photo import clean_photo
except ImportError as error:
    raise ImportError(
        f"hf-cushing, which aligns the face, can't be imported ({error}): run `pip install "
        "hf-cushing`, or leave trust_remote_code out and give the model aligned crops"
    ) from None


class AlignedImageProcessor(BitImageProcessorPil):
    """The saved image processor on the aligned face instead of the photo."""

    def __init__(self, **settings: Any):
        load_dlib()  # refuses with a sentence where it is missing
        super().__init__(**settings)

    def preprocess(self, images: Any, *args: Any, **settings: Any) -> BatchFeature:
        """Align each photo; one without a face, or with several, raises `PhotoError`."""
        photos = images if isinstance(images, (list, tuple)) else [images]
        crops = [align_face(clean_photo(to_pil_image(photo))).image for photo in photos]
        return super().preprocess(crops, *args, **settings)
