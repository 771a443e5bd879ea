"""What is kept of a photo while the page is open, so that it can be shown anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hf_cushing.app import pictures
from hf_cushing.app.served_model import ServedModel
from hf_cushing.explain.photo import PhotoHeatmap, photo_heatmap
from hf_cushing.faces.uploads import open_upload
from hf_cushing.predict.answer import Answer
from hf_cushing.predict.batch import PhotoSource


@dataclass(eq=False)
class Seen:
    """A photo that was scored: its answer and a small copy, not the photo itself.

    Attributes
    ----------
    model : ServedModel
    answer : Answer
    photo : str
        A small copy with the found face, as a data URI.
    drawn : bool
        Whether it is one of the examples.
    """

    model: ServedModel
    answer: Answer
    photo: str
    drawn: bool = False

    @cached_property
    def heat(self) -> PhotoHeatmap:
        """Where the model looks; made when it is first asked for."""
        return photo_heatmap(self.model.predictor, self.answer, self.model.method)


def see(model: ServedModel, source: PhotoSource, *, drawn: bool = False) -> Seen:
    """Find the face of a photo and score it.

    Raises
    ------
    PhotoError
        A photo that can't be used.
    """
    answer = model.predictor(source.photo, source.sex)
    marked = pictures.marked_photo(open_upload(source.photo), answer.face.face)
    return Seen(model, answer, pictures.jpeg_uri(marked), drawn)
