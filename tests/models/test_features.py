import json
from operator import attrgetter

import numpy as np
import pytest
import torch

from hf_cushing.data.loading import load_faces
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import build_classifier, load_classifier
from hf_cushing.models.features import FeatureStore, backbone_hash, picture_hashes
from hf_cushing.models.score import score
from tests.models.test_build import TINY


@pytest.fixture(scope="module")
def photos(dataset):
    return load_faces(str(dataset)).roles["validation"]


def store(name, folder, seed=0, **options):
    torch.manual_seed(seed)
    init = "random" if name in TINY else "pretrained"
    classifier = build_classifier(name, ["control", "cushing"], init=init)
    return FeatureStore(classifier, folder, cpu=True, **options)


def forbid(monkeypatch, kept):
    """Make any further pass of the backbone fail."""

    def forward(*args, **kwargs):
        raise AssertionError("the backbone was asked again")

    monkeypatch.setattr(kept.classifier.model, "forward", forward)


@pytest.mark.parametrize("name", [*TINY, "face-resnet"])
def test_cached_logits_equal_those_of_the_whole_network(name, photos, tmp_path):
    kept = store(name, tmp_path)
    expected = score(kept.classifier, photos, cpu=True)
    assert np.allclose(kept.logits(photos), expected, atol=1e-5)
    assert np.allclose(kept.logits(photos), expected, atol=1e-5)  # now from disk


def test_each_photo_passes_the_backbone_once(photos, tmp_path, monkeypatch):
    kept = store("tiny-vit", tmp_path)
    first = kept.features(photos)
    forbid(monkeypatch, kept)
    assert np.array_equal(kept.features(photos), first)
    backwards = list(range(len(photos)))[::-1]
    assert np.array_equal(kept.features(photos.select(backwards)), first[::-1])
    other_head = store("tiny-vit", tmp_path)
    torch.nn.init.ones_(head_linear(other_head.classifier.model).weight)
    forbid(monkeypatch, other_head)
    assert np.array_equal(other_head.features(photos), first)


def test_features_do_not_depend_on_what_was_there_before(photos, tmp_path):
    whole = store("tiny-dinov2", tmp_path / "a").features(photos)
    parts = store("tiny-dinov2", tmp_path / "b")
    parts.features(photos.select([3, 1]))
    assert np.array_equal(parts.features(photos), whole)


@pytest.mark.parametrize("options", [{"seed": 1}, {"precision": "bf16"}, {"dtype": "float16"}])
def test_other_weights_or_precision_are_kept_apart(photos, tmp_path, options):
    first = store("tiny-vit", tmp_path).features(photos)
    assert not np.array_equal(store("tiny-vit", tmp_path, **options).features(photos), first)
    assert len(list(tmp_path.iterdir())) == 2
    assert np.array_equal(store("tiny-vit", tmp_path).features(photos), first)


def test_half_precision_takes_half_the_disk_and_stays_close(photos, tmp_path):
    full = store("tiny-vit", tmp_path / "full").features(photos)
    half = store("tiny-vit", tmp_path / "half", dtype="float16").features(photos)
    assert np.abs(full - half).max() < 1e-2
    kinds = [np.load(next((tmp_path / n).rglob("*.npy"))).dtype for n in ("full", "half")]
    assert kinds == [np.float32, np.float16]


def test_views_are_fixed_and_differ(photos, tmp_path):
    kept = store("tiny-vit", tmp_path / "a")
    plain, one, two = (kept.features(photos, view=view) for view in range(3))
    assert not np.array_equal(plain, one)
    assert not np.array_equal(one, two)
    again = store("tiny-vit", tmp_path / "b").features(photos, view=1)
    assert np.array_equal(again, one)


@pytest.mark.parametrize("fault", ["truncated", "a row short", "without index", "half an index"])
def test_damaged_shard_is_computed_anew(photos, tmp_path, fault):
    kept = store("tiny-vit", tmp_path)
    first = kept.features(photos)
    shard, index = next(tmp_path.rglob("*.npy")), next(tmp_path.rglob("*.json"))
    if fault == "truncated":
        shard.write_bytes(shard.read_bytes()[:500])
    elif fault == "a row short":
        np.save(shard, np.load(shard)[:-1])
    elif fault == "without index":
        index.unlink()
    else:
        index.write_text(index.read_text()[:20])
    assert np.array_equal(kept.features(photos), first)


def test_shards_hold_hashes_of_crops_and_no_names(photos, tmp_path):
    store("tiny-vit", tmp_path).features(photos)
    names = json.loads(next(tmp_path.rglob("*.json")).read_text())
    assert sorted(names) == sorted(picture_hashes(photos))
    everything = "".join(p.name + p.read_bytes().hex() for p in tmp_path.rglob("*.*"))
    for patient in set(photos["patient_id"]):
        assert patient.encode().hex() not in everything


def test_hash_of_the_backbone_leaves_the_head_out(tmp_path):
    kept = store("tiny-resnet", tmp_path)
    kept.classifier.model.save_pretrained(tmp_path)
    kept.classifier.processor.save_pretrained(tmp_path)
    again = load_classifier(str(tmp_path)).model
    torch.nn.init.zeros_(head_linear(again).weight)
    assert backbone_hash(again) == kept.backbone
    torch.nn.init.zeros_(next(again.parameters()))
    assert backbone_hash(again) != kept.backbone


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [("model.config", "num_attention_heads", 2), ("processor", "image_mean", [0.1, 0.1, 0.1])],
)
def test_another_architecture_or_preprocessing_of_the_same_weights_is_kept_apart(
    photos, tmp_path, part, name, value
):
    one, two = store("tiny-vit", tmp_path), store("tiny-vit", tmp_path)
    setattr(attrgetter(part)(two.classifier), name, value)
    assert one.backbone == two.backbone
    one.features(photos)
    two.features(photos)
    assert len(list(tmp_path.iterdir())) == 2
