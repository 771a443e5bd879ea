"""One answer for a photo: the pipeline's scores, in order, with band, sex and warnings."""

import dataclasses
import io
import json
import math
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import hf_cushing
from hf_cushing.evaluation.conformal import Conformal, Limit
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.faces.photo import PhotoError, open_photo
from hf_cushing.models.build import load_classifier
from hf_cushing.predict import answer as answer_module
from hf_cushing.predict.answer import Answer, Predictor
from hf_cushing.predict.decision import UNCERTAIN, Decision, decide
from hf_cushing.predict.together import Together
from hf_cushing.publish.anonymous import anonymous_predictions, public_manifest
from hf_cushing.run import Run
from hf_cushing.schema import UserError


@pytest.fixture(scope="module")
def predictor(run):
    return Predictor(str(run))


@pytest.fixture(scope="module")
def photos(faces):
    return [open_photo(data) for data in faces]


def with_known(run, *, threshold=None, **known):
    """The run with other operating points or limits than it recorded."""
    own = Run(str(run))
    if threshold is not None:
        points = tuple(dataclasses.replace(p, threshold=threshold) for p in own.operating_points)
        known["operating_points"] = points
    vars(own).update(known)
    return own


def limits(**known):
    """Limits by label and sex, as ``control_female=0.4``."""
    rows = [Limit("m", *name.split("_"), patients=20, limit=x) for name, x in known.items()]
    return Conformal(0.1, tuple(rows))


BAND = limits(control_female=0.6, control_male=0.3, cushing_female=0.8, cushing_male=0.5)


def test_scores_are_those_of_the_pipeline(run, predictor, photos):
    classify = hf_cushing.pipeline(str(run), device="cpu")
    for photo, found in zip(photos, predictor.answers(photos), strict=True):
        expected = classify(photo)
        assert found.probabilities == pytest.approx({e["label"]: e["score"] for e in expected})
        assert list(found.face.face_box) == list(expected[0]["box"].values())
        odds = found.log_odds["cushing"]
        assert 1 / (1 + math.exp(-odds)) == pytest.approx(found.probabilities["cushing"])


def test_file_its_content_and_the_decoded_photo_get_the_same_answer(predictor, clinic):
    path = min((clinic / "images").iterdir())
    forms = [path, str(path), path.read_bytes(), open_photo(path)]
    found = [predictor(form).probabilities["cushing"] for form in forms]
    assert found == pytest.approx([found[0]] * 4)


def test_photos_come_back_in_order_with_errors_in_their_places(predictor, photos, monkeypatch):
    monkeypatch.setattr(answer_module, "AT_ONCE", 2)
    blank = Image.new("RGB", (200, 200), "teal")
    refused = PhotoError("empty", "no bytes")
    mixed = [photos[0], blank, blank, refused, photos[1], photos[2]]
    found = list(predictor.answers(iter(mixed)))
    reasons = [x.reason if isinstance(x, PhotoError) else "" for x in found]
    assert reasons == ["", "no_face", "no_face", "empty", "", ""]
    alone = [predictor(photo) for photo in photos[:3]]
    assert [x.probabilities["cushing"] for x in found if isinstance(x, Answer)] == pytest.approx(
        [x.probabilities["cushing"] for x in alone], abs=1e-5
    )
    with pytest.raises(PhotoError, match="no face"):
        predictor(blank)


def test_many_threads_get_what_one_gets(predictor, photos):
    alone = [x.probabilities["cushing"] for x in predictor.answers(photos)]
    numbers = [n % len(photos) for n in range(20)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: predictor(photos[n]), numbers))
    expected = [alone[n] for n in numbers]
    assert [x.probabilities["cushing"] for x in found] == pytest.approx(expected, abs=1e-6)


def test_who_waits_is_taken_along_and_nobody_waits_for_a_full_batch():
    sizes, started, go_on = [], threading.Event(), threading.Event()

    def function(items):
        sizes.append(len(items))
        started.set()
        go_on.wait(10)
        return [10 * item for item in items]

    together = Together(function, most=3)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(together, [0])
        started.wait(10)
        others = [pool.submit(together, [n]) for n in range(1, 6)]
        while len(together._waiting) < 5:
            time.sleep(0.001)
        go_on.set()
        assert [job.result(10) for job in (first, *others)] == [[10 * n] for n in range(6)]
    assert sizes == [1, 3, 2]


def test_a_fault_of_the_function_reaches_its_callers_and_the_next_call_works():
    together = Together(lambda items: [1 / item for item in items], most=2)
    with pytest.raises(ZeroDivisionError):
        together([0])
    assert together([2]) == [0.5]


def test_an_unknown_sex_is_refused(predictor, photos):
    with pytest.raises(UserError, match="female, male, unknown"):
        predictor(photos[0], "woman")


def test_model_of_other_labels_is_refused(predictor, monkeypatch):
    other = Run(predictor.run.name)
    vars(other)["labels"] = ("cat", "dog")
    with pytest.raises(UserError, match="cat, dog: it is no model of hf-cushing"):
        Predictor(other)


def test_threshold_and_limits_come_from_the_run(run, predictor, photos):
    found = predictor(photos[0], "female")
    recorded = json.loads((run / "metrics.json").read_text())["operating_points"][0]
    assert found.thresholds == {"cushing": recorded["threshold"]}
    assert found.operating_points["cushing"].split == "validation"
    rows = load_predictions(run).of_split("validation")
    women = len(set(rows.patient_id[(rows.sex == "female") & (rows.label == "cushing")]))
    assert found.limit_patients <= women


def test_the_threshold_of_a_sex_is_used_where_there_is_one(run):
    (point,) = Run(str(run)).operating_points
    women = dataclasses.replace(point, sex="female", threshold=0.4)
    shared = dataclasses.replace(point, threshold=0.5)
    own = with_known(run, operating_points=(shared, women), limits=None)
    sexes = ("female", "male", "unknown")
    found = decide(own, np.array([[0.55, 0.45]] * 3), sexes)
    assert [each.thresholds["cushing"] for each in found] == [0.4, 0.5, 0.5]
    assert [each.label for each in found] == ["cushing", "control", "control"]


@pytest.mark.parametrize(
    ("probability", "plausible", "label"),
    [
        (0.9, ("cushing",), "cushing"),
        (0.1, ("control",), "control"),
        (0.9, ("control", "cushing"), UNCERTAIN),
        (0.9, (), UNCERTAIN),
        (0.9, ("control",), UNCERTAIN),  # threshold and limits disagree
        (0.1, ("cushing",), UNCERTAIN),
        (0.9, None, "cushing"),  # without limits the threshold decides
        (0.1, None, "control"),
    ],
)
def test_an_answer_needs_threshold_and_plausible_labels_to_agree(probability, plausible, label):
    made = Decision(
        probabilities={"control": 1 - probability, "cushing": probability},
        operating_points={"cushing": None},  # then the threshold is 0.5
        plausible=plausible,
        sex="unknown",
        band=None,
        limit_patients=0,
    )
    assert made.label == label


def test_two_diseases_at_once_are_uncertain():
    made = Decision(
        probabilities={"control": 0.0, "cushing": 0.5, "acromegaly": 0.5},
        operating_points={"cushing": None, "acromegaly": None},
        plausible=None,
        sex="unknown",
        band=None,
        limit_patients=0,
    )
    assert (made.called, made.label) == (("cushing", "acromegaly"), UNCERTAIN)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("sex", ["female", "male", "unknown"])
def test_there_is_an_answer_outside_the_shown_band_and_nowhere_else(run, sex, threshold):
    own = with_known(run, threshold=threshold, limits=BAND)
    grid = np.linspace(0.005, 0.995, 100)
    for decision in decide(own, np.stack([1 - grid, grid], 1), [sex] * len(grid)):
        (low, high), value = decision.band, decision.probabilities["cushing"]
        assert (decision.label == UNCERTAIN) == (low - 1e-9 < value < high + 1e-9)
        if value < low:
            assert decision.label == "control"


def test_too_few_patients_leave_one_answer_open_for_ever(run):
    known = limits(control_female=0.6, control_male=0.3, cushing_female=0.8, cushing_male=math.inf)
    own = with_known(run, threshold=0.25, limits=known)
    women, men, unknown = decide(own, np.array([[0.9, 0.1]] * 3), ("female", "male", "unknown"))
    assert women.band == pytest.approx((0.2, 0.6))
    assert men.band == (0.0, 0.3)
    assert unknown.band == (0.0, 0.6)


@pytest.mark.parametrize(("patients", "few"), [(8, True), (9, False)])
def test_few_validation_patients_are_told_where_they_leave_a_label_open(run, photos, patients, few):
    everything = limits(control_female=1.0, control_male=1.0, cushing_female=1.0, cushing_male=1.0)
    fewer = tuple(dataclasses.replace(x, patients=patients) for x in everything.limits)
    found = Predictor(with_known(run, limits=Conformal(0.1, fewer)))(photos[0])
    remarks = [r for r in found.warnings if r.reason == "few_patients"]
    assert [r.count for r in remarks] == [patients] * few
    assert all("state the sex" in r.message for r in remarks)


def test_smaller_faces_and_poor_quality_are_told(predictor, photos):
    wide = Image.new("RGB", (photos[0].width * 2, photos[0].height), "grey")
    wide.paste(photos[0], (0, 0))
    small = photos[1].resize((photos[1].width // 3, photos[1].height // 3))
    wide.paste(small, (photos[0].width + 10, 10))
    dark = photos[0].point(lambda value: value // 4)
    found = [{r.reason: r for r in predictor(photo).warnings} for photo in (wide, dark)]
    assert found[0]["other_faces"].count == 1
    assert "dimly lit" in found[1]["quality"].flags


def test_a_model_alone_answers_without_band_and_operating_point(run, tmp_path, photos):
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        shutil.copy(run / name, tmp_path)
    found = Predictor(str(tmp_path))(photos[0])
    assert (found.band, found.plausible, found.operating_points) == (None, None, {"cushing": None})
    assert found.thresholds == {"cushing": 0.5}


def test_a_published_model_still_says_that_it_learnt_from_drawings(run, tmp_path):
    shutil.copytree(run, tmp_path / "published")
    own = tmp_path / "published"
    for drawn in (True, False):
        anonymous_predictions(load_predictions(run)).save(own / "predictions.parquet")
        manifest = public_manifest(json.loads((run / "manifest.json").read_text()), drawn=drawn)
        (own / "manifest.json").write_text(json.dumps(manifest))
        assert Run(str(own)).drawn is drawn


def test_of_a_model_on_the_hub_the_records_are_fetched_too(run, photos, monkeypatch):
    asked = []

    def snapshot_download(name, revision, allow_patterns):
        asked.append((name, revision, allow_patterns))
        return str(run)

    def weights(name, file, revision):
        asked.append((name, revision, [file]))
        return str(run / file)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", weights)
    monkeypatch.setattr(
        "hf_cushing.run.load_classifier", lambda name, revision: load_classifier(str(run))
    )
    own = Run("me/model", "v1")
    found = Predictor(own)(photos[0])
    assert own.title == "me/model"
    assert found.operating_points["cushing"].split == "validation"
    assert {(name, revision) for name, revision, _ in asked} == {("me/model", "v1")}
    fetched = {pattern for _, _, patterns in asked for pattern in patterns}
    assert {"metrics.json", "manifest.json", "predictions.parquet", "README.md"} <= fetched


def test_orientation_does_not_change_the_score(predictor, faces):
    photo = open_photo(faces[0])
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3
    photo.rotate(180).save(buffer, "PNG", exif=exif)
    upright, turned = predictor.answers([photo, buffer.getvalue()])
    assert upright.probabilities == pytest.approx(turned.probabilities)
