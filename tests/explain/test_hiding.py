import numpy as np
import pytest
from PIL import Image

from hf_cushing.explain.hiding import HOW, hiding_effects, region_only, replace_region
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.schema import UsageError

SIDE = 64
GREY = Image.new("RGB", (SIDE, SIDE), (120, 120, 120))


def square(low, high):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[low:high, low:high] = True
    return mask


SKIN = square(12, 52)


def labels():
    """Nose in the middle, malar_right around it, outside elsewhere."""
    found = np.full((SIDE, SIDE), REGIONS.index("outside"), np.uint8)
    found[16:48, 16:48] = REGIONS.index("malar_right")
    found[24:40, 24:40] = REGIONS.index("nose")
    return found


def painted(color, mask, ground=(120, 120, 120)):
    pixels = np.full((SIDE, SIDE, 3), ground, np.uint8)
    pixels[mask] = color
    return Image.fromarray(pixels)


@pytest.mark.parametrize("how", HOW)
def test_only_the_region_and_its_edge_change(how, rng):
    crop = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    before, after = np.asarray(crop), np.asarray(replace_region(crop, square(24, 40), how, SKIN))
    assert (before[~square(20, 44)] == after[~square(20, 44)]).all()
    assert (before[square(24, 40)] != after[square(24, 40)]).any(1).mean() > 0.95
    none = np.zeros((SIDE, SIDE), bool)
    assert (np.asarray(replace_region(crop, none, how, SKIN)) == before).all()


@pytest.mark.parametrize("how", ["mean_skin", "inpaint"])
def test_nothing_of_the_region_shows_through(how):
    mask = square(20, 37)
    one, two = (painted(c, mask) for c in ((255, 0, 0), (0, 0, 255)))
    hidden = [np.asarray(replace_region(crop, mask, how, SKIN)) for crop in (one, two)]
    assert (hidden[0] == hidden[1]).all()
    assert (hidden[0] == 120).all()


def test_inpainting_continues_a_slope():
    slope = np.broadcast_to(np.arange(SIDE)[:, None, None] * 3, (SIDE, SIDE, 3)).astype(np.uint8)
    filled = np.asarray(
        replace_region(Image.fromarray(slope), square(20, 44), "inpaint", SKIN), int
    )
    assert np.abs(filled - slope)[square(20, 44)].max() <= 6  # harmonic: a plane stays a plane


def test_mean_skin_takes_the_skin_that_is_seen():
    skin = square(8, 56)
    crop = painted((200, 10, 10), square(24, 40), (90, 90, 90))
    hidden = np.asarray(replace_region(crop, square(24, 40), "mean_skin", skin))
    assert (hidden[30, 30] == 90).all()


@pytest.mark.parametrize("how", HOW)
def test_region_only_keeps_the_region(how, rng):
    crop = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    kept = np.asarray(region_only(crop, square(16, 48), how, SKIN))
    middle = square(20, 44)
    assert (kept[middle] == np.asarray(crop)[middle]).all()
    assert kept[:8].std() < 0.7 * np.asarray(crop)[:8].std()


def redness(pictures):
    """A model that looks only at the middle: red minus blue of the nose."""
    pixels = np.stack([np.asarray(p, float) for p in pictures])
    return (pixels[:, 27:37, 27:37, 0] - pixels[:, 27:37, 27:37, 2]).mean((1, 2)) / 100


@pytest.mark.parametrize("alone", [False, True])
def test_effects_are_those_of_the_region_the_model_sees(alone):
    crops = [painted((220, 120, 20), labels() == REGIONS.index("nose")), GREY]
    effects = hiding_effects(
        redness, iter(crops), iter([labels()] * 2), how="mean_skin", alone=alone
    )
    columns = list(GROUPS)
    assert effects.shape == (2, len(columns))
    nose, malar, eyes = (effects[:, columns.index(name)] for name in ("nose", "malar", "eyes"))
    # hidden: the skin that is left (grey), or else all of it, a quarter of which is nose
    assert nose[0] == pytest.approx(1.5 if alone else 2.0, abs=0.03)
    assert abs(malar[0]) < 0.25
    assert np.allclose([nose[1], malar[1]], 0)
    assert np.isnan(eyes).all()  # no pixel: undefined, not 0


def test_no_photos_have_no_effects():
    assert hiding_effects(redness, [], []).shape == (0, len(GROUPS))


def test_errors():
    with pytest.raises(UsageError, match="known: blur"):
        replace_region(GREY, square(0, 4), "paint", SKIN)
    with pytest.raises(UsageError, match="known: blur"):
        hiding_effects(redness, [GREY], [labels()], how="paint")
    with pytest.raises(ValueError, match="shape"):
        replace_region(GREY, np.zeros((2, 2), bool), "blur", SKIN)
    with pytest.raises(ValueError, match="score returned"):
        hiding_effects(lambda pictures: np.zeros(1), [GREY], [labels()])
    with pytest.raises(ValueError, match="shorter"):
        hiding_effects(redness, [GREY, GREY], [labels()])
