import io

import numpy as np
import pytest
from PIL import Image
from transformers import pipeline as plain_pipeline

import hf_cushing
from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import PhotoError, open_photo


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
