"""What Inference Endpoints runs: classifies the aligned face of a photograph.

Research use only; not a medical device.
"""

import base64
import binascii
from typing import Any

from PIL import Image

try:
    import hf_cushing
    from hf_cushing.faces.uploads import open_upload
except ImportError as error:
    raise ImportError(
        f"hf-cushing, which aligns the face, can't be imported ({error}): the endpoint must be "
        "able to install what requirements.txt names"
    ) from None

PARAMETERS = ("top_k", "function_to_apply", "on_several")


class EndpointHandler:
    """Made once with the folder of the repo, then called for each request."""

    def __init__(self, path: str = ""):
        self.classify = hf_cushing.pipeline(path)

    def __call__(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Classify ``data["inputs"]``: an image, its bytes, or these as base64.

        ``data["parameters"]`` may hold `PARAMETERS`. Gives a list of ``label``, ``score``, ``box``.
        What is refused raises an error; the endpoint answers with its sentence and status 400.
        """
        parameters = data.get("parameters") or {}
        unknown = sorted(set(parameters) - set(PARAMETERS))
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}; give {', '.join(PARAMETERS)}")
        return self.classify(_opened(data.get("inputs")), **parameters)


def _opened(photo: Any) -> Image.Image:
    """The image; text is base64 and never a path or address, which would be read for strangers."""
    if isinstance(photo, str):
        try:
            photo = base64.b64decode(photo.partition("base64,")[2] or photo, validate=True)
        except (ValueError, binascii.Error):
            raise ValueError("inputs is no base64 text of an image") from None
    if isinstance(photo, (bytes, bytearray)):
        return open_upload(bytes(photo))
    if not isinstance(photo, Image.Image):
        raise ValueError("give inputs: an image, its bytes, or these as base64 text")
    return photo
