import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline as plain_pipeline

from hf_cushing.models.adapt import describe
from hf_cushing.models.backbones import BACKBONES
from hf_cushing.models.build import build_classifier, load_classifier
from hf_cushing.models.preprocessing import square_processor
from hf_cushing.schema import UserError
from tests.conftest import shared

TINY = [name for name in BACKBONES if name.startswith("tiny-")]
LABELS = ["control", "cushing", "acromegaly"]


def picture(size=(256, 256)):
    pixels = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def logits(classifier, image):
    with torch.inference_mode():
        inputs = classifier.processor(image, return_tensors="pt")
        return classifier.model.eval()(**inputs).logits


@pytest.mark.parametrize("name", TINY)
def test_saved_model_reloads_exactly_and_runs_in_the_plain_pipeline(name, tmp_path):
    torch.manual_seed(0)
    built = build_classifier(name, LABELS, init="random")
    built.model.save_pretrained(tmp_path)
    built.processor.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    again = load_classifier(str(tmp_path))
    assert torch.equal(logits(built, picture()), logits(again, picture()))
    scores = plain_pipeline("image-classification", model=str(tmp_path))(picture((300, 200)))
    assert {entry["label"] for entry in scores} == set(LABELS)


@pytest.mark.parametrize("name", [n for n in BACKBONES if n not in TINY and "-l" not in n])
def test_every_short_name_builds_without_a_network(name):
    with torch.device("meta"):
        model = build_classifier(name, LABELS, init="random").model
    assert model.config.id2label == dict(enumerate(LABELS))


@pytest.mark.parametrize(
    ("name", "millions"),
    [("vit-b16", 85.8), ("vit-b32", 87.5), ("swin-t", 27.5), ("dinov2-s", 22.1), ("resnet50", 23.5),
     ("densenet121", 7.0), ("farl-b16", 85.8), ("siglip-b16", 92.9), ("dinov3-s", 21.6),
     ("dinov3-b", 85.6), ("convnextv2-t", 27.9), ("convnextv2-b", 87.7)],
)  # fmt: skip
def test_architectures_have_their_published_size(name, millions):
    with torch.device("meta"):
        model = build_classifier(name, ["control", "cushing"], init="random").model
    assert describe(model)["parameters"] / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vit-b16", {}, "Hub can't be reached.*--init random.*fill the cache"),
        ("someone/model", {}, "Hub can't be reached"),
        ("someone/model", {"init": "random"}, "Hub can't be reached"),
        ("dinov2_s", {}, "did you mean dinov2-s"),
        ("tiny-vit", {}, "no pretrained weights; add --init random"),
        ("tiny-vit", {"init": "random", "image_size": 60}, "this vit takes 64 pixels"),
        ("tiny-dinov2", {"init": "random", "image_size": 60}, "a multiple of 7, such as 63"),
    ],
)
def test_model_that_can_not_be_had_says_why_and_what_to_do(name, options, message):
    with pytest.raises(UserError, match=message) as caught:
        build_classifier(name, LABELS, **options)
    assert "\n" not in str(caught.value)


def test_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="can't be loaded as an image model"):
        build_classifier(str(tmp_path), LABELS)


def test_pickled_weights_are_not_read(tmp_path):
    built = build_classifier("tiny-resnet", LABELS, init="random")
    built.model.save_pretrained(tmp_path)
    built.processor.save_pretrained(tmp_path)
    torch.save(built.model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="pickled weights are not read"):
        load_classifier(str(tmp_path))


def test_square_crop_is_kept_whole_and_other_shapes_are_not_stretched():
    y, x = np.mgrid[0:200, 0:300]
    disc = (((x - 150) ** 2 + (y - 100) ** 2) < 60**2)[..., None] * np.full(3, 255, np.uint8)
    pixels = square_processor(100)(Image.fromarray(disc.astype(np.uint8)), return_tensors="np")
    inside = pixels["pixel_values"][0, 0] > 0
    assert inside.any(0).sum() == pytest.approx(inside.any(1).sum(), abs=1)
    assert inside.any(0).sum() == pytest.approx(60, abs=2)


def test_pretrained_backbone_keeps_its_size_and_gets_a_new_head():
    folder = shared("models/face-dinov2-tiny")
    torch.manual_seed(0)
    built = build_classifier(str(folder), ["control", "moon_face"])
    assert built.processor.crop_size["height"] == 98
    assert built.model.classifier.out_features == 2
    from transformers import AutoModel

    pixels = built.processor(picture(), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = AutoModel.from_pretrained(folder).eval()(pixels).last_hidden_state
        assert torch.allclose(built.model.eval().dinov2(pixels).last_hidden_state, expected)


def test_checkpoint_that_does_not_fit_its_config_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    built = build_classifier("tiny-vit", LABELS, init="random")
    built.model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    dropped = next(name for name in weights if "layer" in name)
    del weights[dropped]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="lacks 1 weights of the backbone"):
        build_classifier(str(tmp_path), LABELS)


@pytest.mark.parametrize("run", ["runs/frist", "/no/such/run", "nowhere"])
def test_run_that_is_nowhere_is_named(run):
    with pytest.raises(UserError, match=f"{run} is neither a run folder"):
        load_classifier(run)


def test_folder_of_all_folds_says_what_to_give_instead(tmp_path):
    (tmp_path / "fold_0").mkdir()
    with pytest.raises(UserError, match=r"holds all folds; give .*report, .*fold_0"):
        load_classifier(str(tmp_path))


def test_truncated_weights_are_refused_in_a_sentence(tmp_path):
    built = build_classifier("tiny-resnet", LABELS, init="random")
    built.model.save_pretrained(tmp_path)
    built.processor.save_pretrained(tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(UserError, match="can't be loaded as an image model"):
        load_classifier(str(tmp_path))
