import io

import numpy as np
from PIL import Image, ImageDraw

from hf_cushing.data.measure import context_surround


def test_wide_background_sees_the_room_and_not_the_face():
    def seen(face, wall):
        view = Image.new("RGB", (200, 300), wall)
        ImageDraw.Draw(view).ellipse((60, 80, 140, 190), fill=face)
        jpeg = io.BytesIO()
        view.save(jpeg, "JPEG", quality=95)
        return context_surround(jpeg.getvalue(), [60, 90, 140, 170]).astype(int)

    plain = seen("pink", "white")
    assert plain.shape == (768,)
    assert np.abs(plain - seen("red", "white")).max() <= 2
    assert np.abs(plain - seen("pink", "navy")).mean() > 50
