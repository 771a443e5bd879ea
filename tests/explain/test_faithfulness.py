import math

import numpy as np
import pytest
import torch

from hf_cushing.explain.faithfulness import (
    deletion_insertion,
    random_heatmap,
    randomised,
    sanity_correlation,
)
from hf_cushing.heatmaps.methods import Heatmap, explain
from hf_cushing.schema import UsageError
from tests.explain.toys import corner, noise, tiny, upper_left


def heatmap_of(values, *, signed=False, label="cushing"):
    values = np.asarray(values, np.float32)
    return Heatmap(values, signed, "by hand", label)


PERFECT = heatmap_of(upper_left() / upper_left().sum())


def test_perfect_heatmap_beats_chance_and_its_opposite():
    classifier = corner()
    perfect = deletion_insertion(classifier, noise(), PERFECT)
    opposite = deletion_insertion(
        classifier, noise(), heatmap_of(-PERFECT.values, signed=True), steps=20
    )
    chance = [
        deletion_insertion(classifier, noise(), random_heatmap(96, "cushing", seed))
        for seed in range(5)
    ]
    assert perfect.deletion < min(each.deletion for each in chance)
    assert perfect.insertion > max(each.insertion for each in chance)
    assert perfect.deletion < perfect.insertion - 0.3
    assert opposite.deletion > opposite.insertion


def test_areas_are_those_of_curves_made_one_photo_at_a_time():
    """Two steps by hand: the photo with its best half blurred, and with its other half."""
    from hf_cushing.heatmaps.inputs import blurred
    from hf_cushing.models.score import input_pixels

    classifier = corner()
    pixels = input_pixels([noise()], classifier)
    left = torch.zeros(1, 1, 48, 48)
    left[..., :24] = 1

    def probability(sharp):
        seen = sharp * pixels + (1 - sharp) * blurred(pixels)
        return classifier.model(seen).logits.softmax(1)[0, 1].item()

    half = np.zeros((96, 96))
    half[:, :48] = 1
    found = deletion_insertion(classifier, noise(), heatmap_of(half), steps=2)
    whole, none = probability(torch.ones_like(left)), probability(torch.zeros_like(left))
    assert found.deletion == pytest.approx((whole + 2 * probability(1 - left) + none) / 4, abs=1e-5)
    assert found.insertion == pytest.approx((whole + 2 * probability(left) + none) / 4, abs=1e-5)


def test_heatmap_of_another_photo_or_label_is_refused():
    with pytest.raises(ValueError, match=r"shape \(96, 96\).*photo of 64 pixels"):
        deletion_insertion(corner(), noise((64, 80)), PERFECT)
    with pytest.raises(UsageError, match="no label flu"):
        deletion_insertion(corner(), noise(), heatmap_of(PERFECT.values, label="flu"))


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-resnet", "tiny-densenet"])
def test_randomised_copy_has_other_weights_and_leaves_the_model_alone(name):
    classifier = tiny(name)
    before = {k: v.clone() for k, v in classifier.model.state_dict().items()}
    copies = [randomised(classifier, seed) for seed in (1, 1, 2)]
    assert all(torch.equal(v, before[k]) for k, v in classifier.model.state_dict().items())
    states = [dict(copy.model.named_parameters()) for copy in copies]
    for key, weight in classifier.model.named_parameters():
        assert torch.equal(states[0][key], states[1][key])
        if weight.std(correction=0) > 0:
            assert not torch.equal(states[0][key], weight)
            assert not torch.equal(states[0][key], states[2][key])
    found = [explain(c, noise(), "occlusion") for c in (classifier, copies[0])]
    assert abs(sanity_correlation(*found)) < 0.9


def test_correlation_of_a_map_with_itself_its_negative_and_noise():
    first, second = (random_heatmap(96, "cushing", seed) for seed in (0, 1))
    negative = heatmap_of(-first.values, signed=True)
    assert sanity_correlation(first, first) == pytest.approx(1)
    assert sanity_correlation(first, negative) == pytest.approx(1)
    assert abs(sanity_correlation(first, second)) < 0.5
    assert math.isnan(sanity_correlation(first, heatmap_of(np.zeros((96, 96)))))
