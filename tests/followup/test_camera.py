import numpy as np
import pytest
from PIL import Image, ImageEnhance

from hf_cushing.data.drawing import Signs, draw
from hf_cushing.data.synthetic import invent_person, take_shot
from hf_cushing.followup.camera import MEASURES, measure_photo


@pytest.fixture(scope="module")
def face():
    from hf_cushing.faces.align import align_face

    rng = np.random.default_rng(2)
    drawn, _ = draw(invent_person(rng, "female", 40), take_shot(rng, "reflex"), Signs())
    aligned = align_face(Image.fromarray(drawn))
    return aligned.image, aligned.landmarks, list(aligned.face_box)


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("brightness", lambda image: ImageEnhance.Brightness(image).enhance(0.6)),
        ("contrast", lambda image: ImageEnhance.Contrast(image).enhance(0.5)),
        ("sharpness", lambda image: image.resize((64, 64)).resize(image.size)),
        ("colour_cast", lambda image: Image.merge(
            "RGB", [*image.split()[:2], image.split()[2].point(lambda v: v * 0.8)])),
        ("side_light", lambda image: Image.fromarray(np.uint8(
            np.asarray(image) * np.linspace(0.5, 1, image.width)[None, :, None]))),
    ],
)  # fmt: skip
def test_each_measure_sees_its_own_change(face, name, edit):
    image, landmarks, box = face
    before, after = (measure_photo(i, landmarks, box) for i in (image, edit(image)))
    place = list(MEASURES).index(name)
    assert abs(after[place] - before[place]) > 0.1
    pose = [list(MEASURES).index(n) for n in ("yaw", "pitch", "mouth_open", "face_size")]
    assert after[pose] == pytest.approx(before[pose])


def test_redness_of_the_face_is_no_colour_cast(face):
    image, landmarks, box = face
    red = Image.merge("RGB", [image.split()[0].point(lambda v: min(255, v * 1.2)),
                              *image.split()[1:]])  # fmt: skip
    place = list(MEASURES).index("colour_cast")
    values = [measure_photo(i, landmarks, box)[place] for i in (image, red)]
    assert values[1] == pytest.approx(values[0])
