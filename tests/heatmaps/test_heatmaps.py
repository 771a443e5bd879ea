import sys

import numpy as np
import pytest
import torch
from PIL import Image

from hf_cushing.heatmaps import gradients, perturbation
from hf_cushing.heatmaps.attention import attention_gradient, rollout
from hf_cushing.heatmaps.gradients import last_map_layer
from hf_cushing.heatmaps.inputs import blurred, on_loan, score
from hf_cushing.heatmaps.methods import METHODS, explain, explain_many, methods_for
from hf_cushing.heatmaps.perturbation import random_masks
from hf_cushing.models.build import Classifier
from hf_cushing.models.score import input_pixels, log_odds
from hf_cushing.schema import UsageError, UserError
from tests.explain.toys import SIDE, corner, noise, tiny, upper_left

FAMILIES = ["vit", "swin", "dinov2", "dinov2-reg", "resnet", "densenet",
            "clip", "siglip", "dinov3", "convnextv2", "face-resnet"]  # fmt: skip
ATTENTIVE = ("vit", "dinov2", "dinov2-reg", "clip", "siglip")
ATTENTION = {"rollout", "attention-gradient"}


@pytest.fixture
def quick(monkeypatch):
    """Less work for the slow methods."""
    monkeypatch.setattr(perturbation, "MASKS", 8)
    monkeypatch.setattr(perturbation, "WINDOW", 0.5)
    monkeypatch.setattr(gradients, "STEPS", 3)


@pytest.fixture(scope="module")
def built():
    names = {family: f"tiny-{family}" for family in FAMILIES} | {"face-resnet": "face-resnet"}
    return {family: tiny(name) for family, name in names.items()}


def pairs():
    for family in FAMILIES:
        for method in METHODS:
            if method not in ATTENTION or family in ATTENTIVE:
                yield family, method


def traces(model):
    """All that an explanation could leave behind in a model."""
    modules = list(model.modules())
    return {
        "modes": [module.training for module in modules],
        "hooks": [
            len(module._forward_hooks) + len(module._forward_pre_hooks)
            + len(module._backward_hooks) for module in modules
        ],
        "learns": [weight.requires_grad for weight in model.parameters()],
        "gradients": [weight.grad for weight in model.parameters()],
        "attention": model.config._attn_implementation,
    }  # fmt: skip


@pytest.mark.parametrize(("family", "method"), list(pairs()))
def test_every_fitting_method_gives_a_map_and_leaves_the_model_as_it_was(
    built, family, method, quick
):
    classifier = built[family]
    model = classifier.model.train()
    first = next(model.parameters())
    first.requires_grad_(False)
    first.grad = torch.ones_like(first)
    before, weights = traces(model), {k: v.clone() for k, v in model.state_dict().items()}
    photos = [noise(), noise((130, 91), seed=1)]
    maps = explain_many(classifier, photos, method)
    after = traces(model)
    assert after.pop("gradients")[0] is before.pop("gradients")[0] is first.grad
    assert all(weight.grad is None for weight in list(model.parameters())[1:])
    assert after == before
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert [m.values.shape for m in maps] == [(96, 96), (91, 91)]
    for heatmap in maps:
        assert heatmap.values.dtype == np.float32
        assert np.abs(heatmap.values).sum() == pytest.approx(1, abs=1e-4)
        assert heatmap.signed == METHODS[method].signed
        assert heatmap.signed or heatmap.values.min() >= 0
        assert (heatmap.method, heatmap.label) == (method, "cushing")
    again = explain(classifier, photos[1], method)
    np.testing.assert_allclose(again.values, maps[1].values, atol=2e-3 * maps[1].values.max())
    assert not np.allclose(maps[0].values[:91, :91], maps[1].values, rtol=0.01)


def test_same_call_gives_the_same_map(built, quick):
    first, second = (explain(built["resnet"], noise(), "rise") for _ in "ab")
    assert np.array_equal(first.values, second.values)
    assert not torch.equal(random_masks(50, 8, seed=0), random_masks(50, 8, seed=1))


def test_each_family_names_what_fits_and_refuses_the_rest(built):
    for family in FAMILIES:
        lacks = set(METHODS) - set(methods_for(built[family].model))
        assert lacks == (set() if family in ATTENTIVE else ATTENTION)
        for method in lacks:
            with pytest.raises(UsageError, match=r"gives no attention.*choose grad-cam, grad"):
                explain(built[family], noise(), method)
    assert methods_for(corner().model) == ["integrated-gradients", "occlusion", "rise"]
    with pytest.raises(UsageError, match="densenet121 gives no attention"):
        explain(built["densenet"], noise(), "rollout")
    with pytest.raises(UsageError, match=r"toy has no layer.*choose integrated-gradients"):
        explain(corner(), noise(), "grad-cam")
    with pytest.raises(UsageError, match="no heatmap method lime; choose grad-cam"):
        explain(built["vit"], noise(), "lime")


def test_label_must_be_known_and_named_where_there_are_three(quick):
    three = corner(labels=["control", "cushing", "acromegaly"])
    with pytest.raises(UsageError, match=r"name the label.*control, cushing, acromegaly"):
        explain(three, noise(), "occlusion")
    with pytest.raises(UsageError, match=r"no label flu; choose control, cushing, acromegaly"):
        explain(three, noise(), "occlusion", "flu")
    assert explain(three, noise(), "occlusion", "control").label == "control"


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion", "rise"])
def test_only_the_quarter_that_decides_is_found(method, monkeypatch):
    monkeypatch.setattr(perturbation, "MASKS", 400)
    heatmap = explain(corner(), noise(), method)
    inside = heatmap.values[upper_left()]
    outside = heatmap.values[~upper_left()]
    assert inside.sum() > 0.4, "contrast there speaks for the label"
    assert inside.mean() > 5 * np.abs(outside.mean())
    if method != "rise":
        assert inside.sum() > 0.85
        assert np.abs(outside).sum() < 0.1
    against = explain(corner(), noise(), method, "control")
    np.testing.assert_allclose(against.values, -heatmap.values, atol=1e-7)


def test_integrated_gradients_add_up_to_the_change_of_the_log_odds(monkeypatch):
    monkeypatch.setattr(gradients, "STEPS", 50)
    classifier = tiny("tiny-vit")
    pixels = input_pixels([noise()], classifier)
    with on_loan(classifier.model) as model:
        maps = METHODS["integrated-gradients"].function(model, pixels, 1)
        change = score(model, pixels, 1) - score(model, blurred(pixels), 1)
    assert maps.sum().item() == pytest.approx(change.item(), rel=0.02)


def test_a_network_that_ignores_the_photo_gives_zeros(quick):
    classifier = corner(gain=0.0)
    for method in methods_for(classifier.model):
        assert not explain(classifier, noise(), method).values.any()


def test_values_that_are_not_finite_are_reported(quick):
    with pytest.raises(UserError, match="not finite"):
        explain(corner(gain=float("nan")), noise(), "occlusion")


@pytest.mark.parametrize("size", [(140, 96), (96, 141)])
def test_of_another_shape_the_centre_square_counts(size, quick):
    wide = noise(size)
    left, top = (size[0] - 96) // 2, (size[1] - 96) // 2
    square = wide.crop((left, top, left + 96, top + 96))
    maps = [explain(corner(), photo, "occlusion") for photo in (wide, square)]
    assert np.array_equal(maps[0].values, maps[1].values)


def test_a_margin_that_the_processor_cuts_off_stays_zero(quick):
    classifier = corner()
    classifier.processor.size["shortest_edge"] = 2 * SIDE
    heatmap = explain(classifier, noise(), "occlusion")
    assert heatmap.values[24:48, 24:48].any()
    heatmap.values[24:72, 24:72] = 0
    assert not heatmap.values.any()


@pytest.mark.parametrize("name", ["tiny-resnet", "face-resnet"])
def test_grad_cam_is_the_gradient_weighted_sum_of_the_last_maps(name):
    classifier = tiny(name)
    pixels = input_pixels([noise()], classifier)
    model = classifier.model.eval()
    kept = []
    handle = last_map_layer(model).register_forward_hook(lambda m, i, out: kept.append(out))
    odds = log_odds(model(pixel_values=pixels).logits, 1)
    handle.remove()
    (gradient,) = torch.autograd.grad(odds.sum(), kept)
    assert kept[0].shape[-1] > 1
    expected = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1).clamp(min=0)
    with on_loan(model):
        found = METHODS["grad-cam"].function(model, pixels, 1)
    torch.testing.assert_close(found, expected.detach())


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-dinov2-reg", "tiny-clip", "tiny-siglip"])
def test_attention_follows_the_layers_of_transformers_own_attentions(name):
    classifier = tiny(name)
    model, pixels = classifier.model.eval(), input_pixels([noise()], classifier)
    with on_loan(model, eager=True):
        maps = rollout(model, pixels, 1)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = model(pixel_values=pixels, output_attentions=True).attentions
    flow = torch.eye(attentions[0].shape[-1])
    for layer in attentions:
        flow = (layer[0].mean(0) + torch.eye(len(flow))) / 2 @ flow
    extra = len(flow) - 64
    of_class, of_patches = flow[0, extra:], flow[extra:, extra:].mean(0)
    expected = {
        "tiny-vit": of_class,
        "tiny-dinov2-reg": (of_class + of_patches) / 2,
    }.get(name, of_patches)
    torch.testing.assert_close(maps.flatten(), expected)


def test_attention_weighted_by_gradients_depends_on_the_label():
    classifier = tiny("tiny-vit", ["control", "cushing", "acromegaly"])
    pixels = input_pixels([noise()], classifier)
    with on_loan(classifier.model, eager=True) as model:
        maps = [attention_gradient(model, pixels, index) for index in (1, 2)]
        same = [rollout(model, pixels, index) for index in (1, 2)]
    assert not torch.allclose(maps[0] / maps[0].sum(), maps[1] / maps[1].sum(), rtol=0.01)
    assert torch.equal(*same)


@pytest.mark.parametrize(
    "name",
    ["tiny-vit", "tiny-swin", "tiny-dinov2-reg", "tiny-clip", "tiny-siglip", "tiny-dinov3"],
)
def test_tokens_return_to_their_place_in_the_photo(name):
    """A change of one corner's patches changes the first layer's map in that corner only."""
    classifier = tiny(name)
    plain = Image.new("RGB", (96, 96), "tan")
    marked = plain.copy()
    marked.paste(noise((24, 24)), (72, 0))
    from hf_cushing.heatmaps.gradients import _reshape

    model, kept = classifier.model.eval(), []
    layer = last_map_layer(model)
    with torch.no_grad():
        for photo in (plain, marked):
            handle = layer.register_forward_hook(lambda m, i, out: kept.append(out))
            model(pixel_values=input_pixels([photo], classifier))
            handle.remove()
    maps = [_reshape(model)(tokens)[0] for tokens in kept]
    change = (maps[1] - maps[0]).square().sum(0)
    grid = len(change)
    row, column = divmod(int(change.argmax()), grid)
    assert row < grid / 4 + 1
    assert column >= 3 * grid / 4 - 1


def test_log_odds_are_those_of_the_probability():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    probability = logits.softmax(1)[:, 2]
    torch.testing.assert_close(log_odds(logits, 2), torch.logit(probability))


def test_random_masks_leave_half_open_everywhere():
    masks = random_masks(50, 500, seed=0)
    assert masks.shape == (500, 50, 50)
    assert masks.min() >= 0
    assert masks.max() <= 1
    torch.testing.assert_close(masks.mean(0), torch.full((50, 50), 0.5), atol=0.08, rtol=0)


def test_blur_keeps_a_plain_photo_and_the_mean_light():
    plain = torch.full((1, 3, 40, 40), 0.3)
    torch.testing.assert_close(blurred(plain), plain)
    rough = torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    assert blurred(rough).std() < 0.15


def test_a_model_comes_back_after_an_error_and_under_inference_mode():
    classifier = tiny("tiny-vit")
    before = traces(classifier.model)
    with pytest.raises(RuntimeError, match="stop"), on_loan(classifier.model, eager=True):
        raise RuntimeError("stop")
    assert traces(classifier.model) == before
    with torch.inference_mode():
        explain(classifier, noise(), "attention-gradient")


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++", "integrated-gradients"])
def test_missing_library_is_named_with_its_remedy(method, built, monkeypatch):
    for name in ("pytorch_grad_cam", "captum.attr"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r'pip install "hf-cushing\[explain\]"'):
        explain(built["resnet"], noise(), method)


def test_no_photos_give_no_maps(built):
    assert explain_many(Classifier(built["vit"].model, None), [], "rollout") == []
