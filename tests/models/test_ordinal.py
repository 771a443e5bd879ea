import numpy as np
import pytest
import torch
from torch import nn

from hf_cushing.config import ModelConfig
from hf_cushing.models.adapt import adapt
from hf_cushing.models.build import build_classifier
from hf_cushing.models.ordinal import constrain_head, grade_places, release
from hf_cushing.schema import UserError

LABELS = ["control", "grave", "mild"]
PLACES = grade_places(("control", "mild", "grave"), LABELS)


def constrained(name, method):
    torch.manual_seed(0)
    classifier = build_classifier(name, LABELS, init="random")
    side = classifier.processor.crop_size["height"]
    model = adapt(classifier.model, ModelConfig(model=name, finetune=method), patients=9, side=side)
    constrain_head(model, PLACES)
    return model, torch.randn(2, 3, side, side)


def test_places_follow_the_grades_whatever_the_order_of_the_labels():
    assert grade_places(("a", "b", "c", "d"), ["d", "a", "c", "b"]).tolist() == [
        1.5,
        -1.5,
        0.5,
        -0.5,
    ]


@pytest.mark.parametrize(
    ("name", "method"),
    [("tiny-vit", "full"), ("tiny-vit", "lora"), ("tiny-resnet", "last_n"), ("tiny-resnet", "lora"),
     ("tiny-dinov2", "head"), ("tiny-swin", "full")],
)  # fmt: skip
def test_updates_leave_the_head_one_direction_and_release_changes_no_logit(name, method):
    model, pixels = constrained(name, method)
    learning = [p for p in model.parameters() if p.requires_grad]
    rate = torch.optim.SGD(learning, lr=0.1)
    for _ in range(2):
        rate.zero_grad()
        nn.functional.cross_entropy(
            model(pixel_values=pixels).logits, torch.tensor([1, 2])
        ).backward()
        rate.step()
    model.eval()
    before = model(pixel_values=pixels).logits
    release(model)
    assert torch.equal(model(pixel_values=pixels).logits, before)
    assert not [name for name in model.state_dict() if "parametrizations" in name]
    if method == "lora":
        model = model.merge_and_unload()
        assert torch.allclose(model(pixel_values=pixels).logits, before, atol=1e-5)
    weight = next(
        w for n, w in model.state_dict().items() if n.startswith("classifier") and w.ndim == 2
    )
    direction = weight[1]  # of "grave", whose place is 1
    assert direction.abs().max() > 0
    assert torch.equal(weight, torch.stack([-direction, direction, 0 * direction]))


def test_head_of_that_form_stays_as_it_is_when_it_is_constrained():
    head = nn.Linear(4, 3)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(PLACES)[:, None] * torch.randn(1, 4))
    before = head.weight.detach().clone()
    network = nn.Module()
    network.classifier = head
    constrain_head(network, PLACES)
    assert torch.allclose(head.weight, before, atol=1e-6)
    assert sum(p.numel() for p in head.parameters()) == 4 + 3


@pytest.mark.parametrize(
    "head",
    [
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)),
        nn.Conv2d(4, 3, 1),
        nn.Linear(4, 3, bias=False),
    ],
    ids=["two layers", "convolution", "no bias"],
)
def test_head_that_is_no_linear_layer_is_refused(head):
    network = nn.Module()
    network.classifier = head
    with pytest.raises(UserError, match="no single linear layer with a bias"):
        constrain_head(network, PLACES)


def test_softmax_of_the_head_is_the_adjacent_categories_model(rng):
    direction, steps = rng.normal(size=4), np.array([0.4, -0.7])
    places = grade_places(("a", "b", "c"), ["a", "b", "c"])
    head = nn.Linear(4, 3).double()
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(places[:, None] * direction))
        head.bias.copy_(torch.from_numpy(np.concatenate([[0], np.cumsum(steps)])))
    rows = rng.normal(size=(5, 4))
    shares = torch.softmax(head(torch.from_numpy(rows)), 1).detach().numpy()
    odds = np.log(shares[:, 1:] / shares[:, :-1])
    assert np.allclose(odds, (rows @ direction)[:, None] + steps)
