import numpy as np
import pytest
from PIL import Image

from hf_cushing.explain.occlusion import (
    HOW,
    mask_of,
    occlusion_effects,
    region_only,
    replace_region,
)
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.schema import UsageError

SIDE = 64
GREY = Image.new("RGB", (SIDE, SIDE), (120, 120, 120))


def square(low, high):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[low:high, low:high] = True
    return mask


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
    before, after = np.asarray(crop), np.asarray(replace_region(crop, square(24, 40), how))
    assert (before[~square(20, 44)] == after[~square(20, 44)]).all()
    assert (before[square(24, 40)] != after[square(24, 40)]).any(1).mean() > 0.95
    none = np.zeros((SIDE, SIDE), bool)
    assert (np.asarray(replace_region(crop, none, how)) == before).all()


@pytest.mark.parametrize("how", ["mean_skin", "inpaint"])
def test_nothing_of_the_region_shows_through(how):
    mask = square(20, 37)
    one, two = (painted(c, mask) for c in ((255, 0, 0), (0, 0, 255)))
    hidden = [np.asarray(replace_region(crop, mask, how)) for crop in (one, two)]
    assert (hidden[0] == hidden[1]).all()
    assert (hidden[0] == 120).all()


def test_inpainting_continues_a_slope():
    slope = np.broadcast_to(np.arange(SIDE)[:, None, None] * 3, (SIDE, SIDE, 3)).astype(np.uint8)
    filled = np.asarray(replace_region(Image.fromarray(slope), square(20, 44), "inpaint"), int)
    assert np.abs(filled - slope)[square(20, 44)].max() <= 6  # harmonic: a plane stays a plane


def test_mean_skin_takes_the_skin_that_is_seen():
    skin = square(8, 56)
    crop = painted((200, 10, 10), square(24, 40), (90, 90, 90))
    hidden = np.asarray(replace_region(crop, square(24, 40), "mean_skin", skin=skin))
    assert (hidden[30, 30] == 90).all()


@pytest.mark.parametrize("how", HOW)
def test_region_only_keeps_the_region(how, rng):
    crop = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    kept = np.asarray(region_only(crop, square(16, 48), how))
    middle = square(20, 44)
    assert (kept[middle] == np.asarray(crop)[middle]).all()
    assert kept[:8].std() < 0.7 * np.asarray(crop)[:8].std()


def redness(pictures):
    """A model that looks only at the middle: red minus blue of the nose."""
    pixels = np.stack([np.asarray(p, float) for p in pictures])
    return (pixels[:, 27:37, 27:37, 0] - pixels[:, 27:37, 27:37, 2]).mean((1, 2)) / 100


@pytest.mark.parametrize("mode", ["absent", "only"])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_effects_are_those_of_the_region_the_model_sees(mode, batch_size):
    crops = [painted((220, 120, 20), labels() == REGIONS.index("nose")), GREY]
    steps = []
    effects = occlusion_effects(
        redness, iter(crops), iter([labels()] * 2), how="mean_skin", mode=mode,
        batch_size=batch_size, advance=steps.append,
    )  # fmt: skip
    columns = list(GROUPS)
    assert effects.shape == (2, len(columns))
    assert steps == [1, 1]
    nose, malar, eyes = (effects[:, columns.index(name)] for name in ("nose", "malar", "eyes"))
    # hidden: the skin that is left (grey), or in `only` all of it, a quarter of which is nose
    assert nose[0] == pytest.approx(2.0 if mode == "absent" else 1.5, abs=0.03)
    assert abs(malar[0]) < 0.25
    assert np.allclose([nose[1], malar[1]], 0)
    assert np.isnan(eyes).all()  # no pixel: undefined, not 0


def test_batches_are_no_larger_than_asked():
    sizes = []

    def score(pictures):
        sizes.append(len(pictures))
        return redness(pictures)

    parts = {"nose": ("nose",), "rest": ("malar_right", "outside")}
    found = occlusion_effects(score, [GREY] * 3, [labels()] * 3, regions=parts, batch_size=4)
    assert found.shape == (3, 2)
    assert sizes == [4, 4, 1]
    assert occlusion_effects(score, [], [], regions=parts).shape == (0, 2)


def test_errors():
    with pytest.raises(UsageError, match="known: blur"):
        replace_region(GREY, square(0, 4), "paint")
    with pytest.raises(ValueError, match="shape"):
        replace_region(GREY, np.zeros((2, 2), bool))
    with pytest.raises(UsageError, match="unknown region 'ear'"):
        mask_of(labels(), ["ear"])
    with pytest.raises(UsageError, match="mode"):
        occlusion_effects(redness, [], [], mode="both")
    with pytest.raises(UsageError, match="ear"):
        occlusion_effects(redness, [], [], regions={"ear": ("ear",)})
    with pytest.raises(ValueError, match="score returned"):
        occlusion_effects(lambda pictures: np.zeros(1), [GREY], [labels()])
    with pytest.raises(ValueError, match="shorter"):
        occlusion_effects(redness, [GREY, GREY], [labels()])
