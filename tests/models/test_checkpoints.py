"""Checkpoints as others publish them: image towers, timm's, old names, no preprocessor file."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification

from hf_cushing.models.backbones import CLIP_MEAN, HALF, IMAGENET_MEAN, TINY_TOWER
from hf_cushing.models.build import build_classifier, load_classifier
from hf_cushing.models.preprocessing import native_side
from hf_cushing.schema import UserError
from tests.models.test_build import LABELS

TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "vocab_size": 99, "bos_token_id": 1,
        "eos_token_id": 2}  # fmt: skip
STAGES = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}
PLAIN = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 64, "image_size": 64, "patch_size": 16}  # fmt: skip
HEADS = {"num_attention_heads": [1, 1, 2, 2]}
HIERA = {"embed_dim": 16, "depths": [1] * 4, "num_heads": [1, 2, 2, 2], "image_size": [64, 64]}


def saved(kind, folder, **settings):
    """A tiny classifier of a family as a folder without a preprocessor file."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, num_labels=5, **settings)
    model = AutoModelForImageClassification.from_config(config)
    model.save_pretrained(folder)
    return model.eval()


def written(built, folder):
    """What a run writes, read again."""
    built.model.save_pretrained(folder)
    built.processor.save_pretrained(folder)
    return load_classifier(str(folder))


def pixels(side):
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kind", "mean"), [("clip", CLIP_MEAN), ("siglip", HALF)])
@pytest.mark.parametrize("part", ["both halves", "tower", "tower under its older names"])
def test_tower_of_a_network_of_images_and_texts_becomes_a_classifier(kind, mean, part, tmp_path):
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vision_config=TINY_TOWER, text_config=TEXT)
    whole = AutoModel.from_config(config).eval()
    (whole if part == "both halves" else whole.vision_model).save_pretrained(tmp_path)
    if "older" in part:
        weights = load_file(tmp_path / "model.safetensors")
        weights = {f"vision_model.{name}": tensor for name, tensor in weights.items()}
        save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    built = build_classifier(str(tmp_path), LABELS)
    tower = built.model.eval().vision_model
    expected = whole.vision_model(pixels(64)).last_hidden_state
    assert torch.equal(tower(pixels(64)).last_hidden_state, expected)
    assert tuple(built.processor.image_mean) == mean
    assert built.processor.crop_size["height"] == 64
    again = written(built, tmp_path / "run")
    assert torch.equal(again.model(pixels(64)).logits, built.model(pixels(64)).logits)


def test_first_names_of_convnext_v2_are_read_and_the_present_ones_written(tmp_path):
    model = saved("convnextv2", tmp_path, **STAGES)
    weights = load_file(tmp_path / "model.safetensors")
    older = {name.replace("grn.weight", "grn.gamma").replace("grn.bias", "grn.beta"): tensor + 0.5
             if "grn" in name else tensor for name, tensor in weights.items()}  # fmt: skip
    save_file(older, tmp_path / "model.safetensors", {"format": "pt"})
    model.load_state_dict({n: t + 0.5 if "grn" in n else t for n, t in weights.items()})
    built = build_classifier(str(tmp_path), LABELS)
    features = model.convnextv2(pixels(64)).pooler_output
    assert torch.equal(built.model.eval().convnextv2(pixels(64)).pooler_output, features)
    again = written(built, tmp_path / "run")
    assert torch.equal(again.model(pixels(64)).logits, built.model(pixels(64)).logits)


def timm_folder(folder):
    """A DINOv3 as timm publishes it: no head, the preprocessing inside config.json."""
    import timm

    sizes = {"embed_dim": 48, "depth": 2, "num_heads": 3}
    network = timm.create_model("vit_small_patch16_dinov3", num_classes=0, **sizes).eval()
    settings = {"input_size": [3, 64, 64], "mean": [0.4, 0.4, 0.3], "std": [0.2, 0.2, 0.1]}
    facts = {"architecture": "vit_small_patch16_dinov3", "num_classes": 0, "num_features": 48,
             "global_pool": "avg", "model_args": sizes, "pretrained_cfg": settings}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(facts))
    save_file(network.state_dict(), folder / "model.safetensors", {"format": "pt"})
    return network


def test_timm_checkpoint_gives_its_features_and_a_run_that_can_be_read_and_trained_on(tmp_path):
    network = timm_folder(tmp_path)
    built = build_classifier(str(tmp_path), LABELS)
    model = built.model.eval().timm_model
    features = model.forward_head(model.forward_features(pixels(64)), pre_logits=True)
    assert torch.allclose(features, network(pixels(64)), atol=1e-6)
    assert built.processor.image_mean == (0.4, 0.4, 0.3)
    again = written(built, tmp_path / "run")
    assert torch.equal(again.model(pixels(64)).logits, built.model(pixels(64)).logits)
    assert build_classifier(str(tmp_path / "run"), LABELS).processor.image_mean == (0.4, 0.4, 0.3)


def test_timm_checkpoint_refuses_a_side_that_its_patches_do_not_divide(tmp_path):
    timm_folder(tmp_path)
    assert build_classifier(str(tmp_path), LABELS, image_size=96).processor.crop_size["width"] == 96
    with pytest.raises(UserError, match=r"can't take images of 70 x 70 .*try another --image_size"):
        build_classifier(str(tmp_path), LABELS, image_size=70)


@pytest.mark.parametrize(
    ("kind", "settings", "side", "mean"),
    [
        ("vit", PLAIN, 64, HALF),
        ("beit", PLAIN, 64, HALF),
        ("swin", {"embed_dim": 24, "depths": [1, 1], "num_heads": [2, 4], "image_size": 64,
                  "window_size": 4}, 64, IMAGENET_MEAN),
        ("resnet", {"embedding_size": 8, **STAGES}, 224, IMAGENET_MEAN),
        ("convnextv2", STAGES, 224, IMAGENET_MEAN),
        ("hiera", HIERA, 64, IMAGENET_MEAN),
        ("pvt_v2", {**STAGES, **HEADS, "image_size": 64}, 64, IMAGENET_MEAN),
    ],
)  # fmt: skip
def test_without_a_preprocessor_file_the_familys_own_mean_is_taken(
    kind, settings, side, mean, tmp_path
):
    saved(kind, tmp_path, **settings)
    processor = build_classifier(str(tmp_path), LABELS).processor
    assert tuple(processor.image_mean) == mean
    assert processor.crop_size["height"] == side


def test_without_a_preprocessor_file_an_unknown_family_is_refused(tmp_path):
    saved("mobilenet_v2", tmp_path, depth_multiplier=0.35)
    with pytest.raises(UserError, match=r"mean and standard deviation of a mobilenet_v2 are not"):
        build_classifier(str(tmp_path), LABELS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"image_processor_type": "MobileViTImageProcessor"}, "swaps or scales the colours"),
     ({"image_processor_type": "ViTImageProcessor", "rescale_factor": 1 / 127.5}, "or scale")],
)  # fmt: skip
def test_preprocessing_that_can_not_be_repeated_is_refused(settings, message, tmp_path):
    saved("resnet", tmp_path, embedding_size=8, **STAGES)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=message):
        build_classifier(str(tmp_path), LABELS)


def test_pixels_that_were_not_normalised_stay_so(tmp_path):
    saved("resnet", tmp_path, embedding_size=8, **STAGES)
    settings = {"image_processor_type": "ConvNextImageProcessor", "do_normalize": False,
                "size": {"shortest_edge": 64}}  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    processor = build_classifier(str(tmp_path), LABELS).processor
    assert (set(processor.image_mean), set(processor.image_std)) == ({0.0}, {1.0})
    assert processor.crop_size["height"] == 64


@pytest.mark.parametrize(
    ("kind", "message"),
    [("siglip2", "NaFlex takes lists of patches"), ("dinov3_vit", "give dinov3-s, dinov3-b"),
     ("dinov3_convnext", "give dinov3-s"), ("shieldgemma2", "has no head to train"),
     ("imagegpt", "colour clusters"), ("bert", "no image classifier for a bert; choose another")],
)  # fmt: skip
def test_what_can_not_work_is_refused_before_weights_are_looked_for(kind, message, tmp_path):
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        build_classifier(str(tmp_path), LABELS)
    assert "\n" not in str(caught.value)


def test_dinov3_of_its_makers_is_refused_without_asking_the_hub():
    with pytest.raises(UserError, match="give dinov3-s, dinov3-b or another timm/"):
        build_classifier("facebook/dinov3-vits16-pretrain-lvd1689m", LABELS)


def test_input_that_is_not_square_is_refused():
    with pytest.raises(UserError, match="only squares are made here"):
        native_side(AutoConfig.for_model("hiera", image_size=[64, 96]))


@pytest.mark.parametrize("name", ["tiny-clip", "tiny-siglip"])
def test_fixed_side_of_a_tower_is_told(name):
    with pytest.raises(UserError, match=r"this (clip|siglip) takes 64 pixels"):
        build_classifier(name, LABELS, init="random", image_size=96)
