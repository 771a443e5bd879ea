import numpy as np
import pytest

from hf_cushing.data import pairs
from hf_cushing.data.pairs import close_pairs, local_scales


def cohort(rng, n=60, d=16):
    return rng.normal(size=(n, d)).astype(np.float32), np.arange(n) // 2


@pytest.mark.parametrize("block", [1, 7 * 60, 10**6])
def test_scales_and_pairs_equal_brute_force(rng, monkeypatch, block):
    monkeypatch.setattr(pairs, "BLOCK", block)
    vectors, persons = cohort(rng)
    distance = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    strangers = [
        np.sort(distance[i][persons != persons[i]])[:10].mean() for i in range(len(vectors))
    ]
    scales = local_scales(vectors, persons)
    np.testing.assert_allclose(scales, strangers, rtol=1e-4)
    found = close_pairs(vectors, scales, ratio=0.9, distance=4.5)
    half = (scales[:, None] + scales[None]) / 2
    expected = {
        (i, j)
        for i in range(60)
        for j in range(i + 1, 60)
        if distance[i, j] <= 0.9 * half[i, j] and distance[i, j] <= 4.5
    }
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected
    assert expected
    assert (np.diff(found.ratio) >= 0).all()


def test_without_strangers_there_is_no_scale_and_no_pair(rng):
    vectors, _ = cohort(rng, n=4)
    scales = local_scales(vectors, np.zeros(4))
    assert np.isnan(scales).all()
    assert len(close_pairs(vectors, scales, ratio=9, distance=9)) == 0


def test_crowded_strangers_are_not_taken_for_one_person(rng):
    """A group whose members all lie near each other, as dlib's descriptors of some groups do."""
    wide = rng.normal(size=(200, 32)) * 0.15
    crowd = rng.normal(size=(60, 32)) * 0.09 + 2
    twins = np.stack([crowd[0], crowd[0] + rng.normal(size=32) * 0.02])
    vectors = np.concatenate([wide, crowd[1:], twins]).astype(np.float32)
    persons = np.arange(len(vectors))
    distance = np.linalg.norm(vectors[-1] - vectors[-2])
    nearest_wide = np.min([np.linalg.norm(wide[0] - other) for other in wide[1:]])
    fixed = close_pairs(vectors, np.ones(len(vectors)), ratio=9, distance=0.78 * nearest_wide)
    scaled = close_pairs(vectors, local_scales(vectors, persons), ratio=0.78, distance=9)
    assert distance < nearest_wide
    assert len(fixed) > 5
    assert list(zip(scaled.first, scaled.second, strict=True)) == [(259, 260)]


def test_photo_filed_under_a_dozen_ids_is_still_found(rng):
    vectors, _ = cohort(rng, n=50)
    vectors[:12] = vectors[0]
    found = close_pairs(vectors, local_scales(vectors, np.arange(50)), ratio=0.5, distance=9)
    assert len(found) == 12 * 11 // 2
