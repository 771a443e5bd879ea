"""Faces to try the page with: drawn anew at every start, of nobody."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hf_cushing.app import texts
from hf_cushing.data.drawing import Signs, draw
from hf_cushing.data.synthetic import DISEASES, invent_person, take_shot
from hf_cushing.schema import CONTROL

SEVERITY = 0.85
"""Of the signs, where there are some."""


@dataclass(frozen=True)
class Example:
    """A drawn face.

    Attributes
    ----------
    sex : str
    disease : str
        Whose signs were drawn; empty without.
    photo : bytes
        JPEG.
    """

    sex: str
    disease: str
    photo: bytes

    def title(self, words: dict) -> str:
        """What was drawn, in words."""
        disease = texts.disease_name(self.disease or CONTROL, words)
        return words["example_with" if self.disease else "example_without"].format(
            who=words[f"a_{self.sex}"], disease=disease
        )


def draw_examples(diseases: Iterable[str]) -> Iterator[Example]:
    """A woman and a man without signs, and with those of the first disease that can be drawn."""
    drawable = next((label for label in diseases if label in DISEASES), DISEASES[0])
    for seed, sex in enumerate(("female", "male")):
        for disease in ("", drawable):
            rng = np.random.default_rng([7, seed, len(disease)])
            person, shot = invent_person(rng, sex, 45), take_shot(rng, "reflex")
            signs = Signs(**{disease: SEVERITY}) if disease else Signs()
            buffer = io.BytesIO()
            Image.fromarray(draw(person, shot, signs)[0]).save(buffer, "JPEG", quality=92)
            yield Example(sex, disease, buffer.getvalue())
