import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import pipeline as plain_pipeline

import hf_cushing
from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import PhotoError, open_photo
from hf_cushing.predict.answer import Predictor
from hf_cushing.schema import UsageError


@pytest.fixture(scope="module")
def classify(run):
    return hf_cushing.pipeline(str(run))


@pytest.fixture(scope="module")
def paths(clinic):
    return [str(path) for path in sorted((clinic / "images").iterdir())[:4]]


def test_output_is_that_of_transformers_plus_the_face_box(classify, run, paths):
    entries = classify(paths[0])
    plain = plain_pipeline("image-classification", model=str(run))(paths[0])
    assert [set(entry) for entry in plain] == [{"label", "score"}] * 2
    assert [set(entry) for entry in entries] == [{"label", "score", "box"}] * 2
    assert sum(entry["score"] for entry in entries) == pytest.approx(1)
    assert tuple(entries[0]["box"].values()) == align_face(open_photo(paths[0])).face_box


def test_raw_photo_scores_as_its_aligned_crop_does(classify, run, paths):
    from hf_cushing.models.build import load_classifier

    classifier = load_classifier(str(run))
    crop = align_face(open_photo(paths[0])).image
    logits = classifier.model(**classifier.processor(crop, return_tensors="pt")).logits
    expected = logits.softmax(-1)[0].tolist()
    scores = {entry["label"]: entry["score"] for entry in classify(paths[0])}
    assert [scores["control"], scores["cushing"]] == pytest.approx(expected, abs=1e-6)


def test_batches_paths_and_images_give_the_same_scores(classify, paths):
    one_by_one = [classify(path) for path in paths]
    batched = classify(paths, batch_size=4)
    images = classify([Image.open(path) for path in paths])
    for first, second, third in zip(one_by_one, batched, images, strict=True):
        assert [e["box"] for e in first] == [e["box"] for e in second] == [e["box"] for e in third]
        scores = [[e["score"] for e in entries] for entries in (first, second, third)]
        assert np.allclose(scores[0], scores[1], atol=1e-5)
        assert np.allclose(scores[0], scores[2], atol=1e-5)


def test_sideways_photo_with_exif_is_turned_first(classify, paths):
    upright = Image.open(paths[0])
    exif = Image.Exif()
    exif[0x0112] = 8
    buffer = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_270).save(buffer, "PNG", exif=exif)
    turned = classify(Image.open(buffer))
    assert [e["score"] for e in turned] == pytest.approx(
        [e["score"] for e in classify(upright)], abs=1e-5
    )


def test_photo_without_a_face_is_refused_not_scored(classify):
    with pytest.raises(PhotoError, match="no face was found"):
        classify(Image.new("RGB", (300, 300), "grey"))


@pytest.fixture(scope="module")
def pair(paths):
    """Two people: the larger on the left, the one on the right nearer to the middle."""
    large, other = (Image.open(paths[0]).resize((side, side)) for side in (340, 200))
    photo = Image.new("RGB", (900, 340), "grey")
    photo.paste(large, (0, 0))
    photo.paste(other, (350, 70))
    return photo


def test_several_faces_are_refused_unless_the_largest_or_the_central_one_is_asked_for(
    classify, pair
):
    with pytest.raises(PhotoError, match="2 faces were found"):
        classify(pair)
    boxes = {rule: classify(pair, on_several=rule)[0]["box"] for rule in ("largest", "central")}
    assert boxes["largest"]["xmax"] < 340
    assert boxes["central"]["xmin"] > 350
    with pytest.raises(UsageError, match="refuse or largest or central"):
        classify(pair, on_several="both")


@pytest.mark.parametrize("batch_size", [1, 3])
def test_list_of_photos_survives_bad_ones_and_says_why(classify, paths, pair, batch_size, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(Path(paths[0]).read_bytes()[:2000])
    bad = [str(tmp_path / "broken.jpg"), str(tmp_path / "missing.jpg"), pair]
    found = classify([*bad, *paths[:2]], on_bad="skip", batch_size=batch_size)
    assert [entries[0].get("error") for entries in found] == [
        "unreadable", "unreadable", "several_faces", None, None
    ]  # fmt: skip
    assert "2 faces were found" in found[2][0]["message"]
    assert not any(str(tmp_path) in entries[0]["message"] for entries in found[:3])
    expected = [classify(path) for path in paths[:2]]
    for entries, alone in zip(found[3:], expected, strict=True):
        assert [e["score"] for e in entries] == pytest.approx([e["score"] for e in alone], abs=1e-5)
    with pytest.raises(PhotoError, match="no file, address or base64"):
        classify(bad[1])
    with pytest.raises(UsageError, match="raise or skip"):
        classify(paths[0], on_bad="ignore")


def test_predict_takes_the_same_face_as_the_pipeline(run, classify, pair):
    for rule in ("largest", "central"):
        answer = Predictor(str(run), on_several=rule)(pair)
        assert answer.face.face_box == tuple(classify(pair, on_several=rule)[0]["box"].values())
        assert [remark.message for remark in answer.warnings if remark.reason == "other_faces"] == [
            "1 other face(s) passed over"
        ]
