"""A served model: the same scores as the pipeline, answers, bands, and where it looks."""

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
from hf_cushing.evaluation.command import model_revision
from hf_cushing.evaluation.conformal import Conformal, Limit
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.faces.photo import PhotoError, open_photo
from hf_cushing.models.build import load_classifier
from hf_cushing.predict import answer as reading_module
from hf_cushing.predict import model as serving_module
from hf_cushing.predict.answer import (
    UNCERTAIN,
    Reading,
    look,
    patients_behind,
    read_photos,
    uncertain_band,
)
from hf_cushing.predict.model import load_service
from hf_cushing.predict.together import Together
from hf_cushing.publish.anonymous import anonymous_predictions, public_manifest
from hf_cushing.schema import UserError


@pytest.fixture(scope="module")
def service(run):
    return load_service(str(run))


@pytest.fixture(scope="module")
def photos(faces):
    return [open_photo(data) for data in faces]


def limits(**known):
    """Limits by label and sex, as ``control_female=0.4``."""
    rows = [Limit("m", *name.split("_"), patients=20, limit=x) for name, x in known.items()]
    return Conformal(0.1, tuple(rows))


BAND = limits(control_female=0.6, control_male=0.3, cushing_female=0.8, cushing_male=0.5)


def test_scores_are_those_of_the_pipeline(run, service, photos):
    classify = hf_cushing.pipeline(str(run), device="cpu")
    for photo, found in zip(photos, read_photos(service, photos), strict=True):
        expected = classify(photo)
        assert found.probabilities == pytest.approx({e["label"]: e["score"] for e in expected})
        assert list(found.face.box) == list(expected[0]["box"].values())
        odds = found.log_odds["cushing"]
        assert 1 / (1 + math.exp(-odds)) == pytest.approx(found.probabilities["cushing"])


def test_photos_come_back_in_order_with_errors_in_their_places(service, photos, monkeypatch):
    monkeypatch.setattr(reading_module, "TOGETHER", 2)
    blank = Image.new("RGB", (200, 200), "teal")
    refused = PhotoError("empty", "no bytes")
    mixed = [photos[0], blank, blank, refused, photos[1], photos[2]]
    found = list(read_photos(service, iter(mixed)))
    reasons = [x.reason if isinstance(x, PhotoError) else "" for x in found]
    assert reasons == ["", "no_face", "no_face", "empty", "", ""]
    alone = [next(read_photos(service, [photo])) for photo in photos[:3]]
    assert [x.probabilities["cushing"] for x in found if isinstance(x, Reading)] == pytest.approx(
        [x.probabilities["cushing"] for x in alone], abs=1e-5
    )


def test_many_threads_get_what_one_gets(service, photos):
    alone = [x.probabilities["cushing"] for x in read_photos(service, photos)]
    numbers = [n % len(photos) for n in range(20)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: next(read_photos(service, [photos[n]])), numbers))
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


def test_an_unknown_sex_is_refused(service, photos):
    with pytest.raises(UserError, match="female, male, unknown"):
        list(read_photos(service, photos[:1], ["woman"]))


def test_threshold_and_limits_come_from_the_run(run, service):
    point = service.point("cushing")
    recorded = json.loads((run / "metrics.json").read_text())["operating_points"][0]
    assert (point.threshold, point.split) == (recorded["threshold"], "validation")
    rows = load_predictions(run).of_split("validation")
    assert service.shares["cushing"] == pytest.approx(np.mean(rows.label == "cushing"))
    assert {x.label for x in service.limits.limits} == {"control", "cushing"}
    women = len(set(rows.patient_id[(rows.sex == "female") & (rows.label == "cushing")]))
    assert patients_behind(service, "female") <= women
    assert service.drawn


def test_the_threshold_of_a_sex_is_used_where_there_is_one(service):
    points = tuple(
        OperatingPoint(label="cushing", threshold=t, rule="f1", split="validation",
                       model_revision="m", sex=sex)
        for sex, t in (("all", 0.5), ("female", 0.4))
    )  # fmt: skip
    own = dataclasses.replace(service, points=points)
    found = [own.point("cushing", sex).threshold for sex in ("female", "male", "unknown")]
    assert found == [0.4, 0.5, 0.5]


def made(probability, threshold, plausible):
    return Reading(
        probabilities={"control": 1 - probability, "cushing": probability},
        log_odds={},
        thresholds={"cushing": threshold},
        called=("cushing",) if probability >= threshold else (),
        plausible=plausible,
        sex="unknown",
        face=None,
        crop=None,
        landmarks=None,
    )


@pytest.mark.parametrize(
    ("probability", "plausible", "answer"),
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
def test_an_answer_needs_threshold_and_plausible_labels_to_agree(probability, plausible, answer):
    assert made(probability, 0.5, plausible).answer == answer


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("sex", ["female", "male", "unknown"])
def test_there_is_an_answer_outside_the_shown_band_and_nowhere_else(service, sex, threshold):
    points = tuple(dataclasses.replace(p, threshold=threshold) for p in service.points)
    own = dataclasses.replace(service, limits=BAND, revision="m", points=points)
    low, high = uncertain_band(own, "cushing", sex)
    grid = np.linspace(0.005, 0.995, 100)
    scores = np.stack([1 - grid, grid], 1)
    for value, labels in zip(
        grid, reading_module._plausible(own, scores, [sex] * len(grid)), strict=True
    ):
        answer = made(value, threshold, labels).answer
        assert (answer == UNCERTAIN) == (low - 1e-9 < value < high + 1e-9)
        if value < low:
            assert answer == "control"


def test_too_few_patients_leave_one_answer_open_for_ever(service):
    known = limits(control_female=0.6, control_male=0.3, cushing_female=0.8, cushing_male=math.inf)
    points = tuple(dataclasses.replace(p, threshold=0.25) for p in service.points)
    own = dataclasses.replace(service, limits=known, points=points)
    assert uncertain_band(own, "cushing", "female") == pytest.approx((0.2, 0.6))
    assert uncertain_band(own, "cushing", "male") == (0.0, 0.3)
    assert uncertain_band(own, "cushing") == (0.0, 0.6)


def test_a_look_shares_the_heat_among_the_regions(service, photos):
    found = look(service, next(read_photos(service, photos[:1])))
    assert found.heat.shape == (256, 256)
    assert found.heat.min() >= 0
    assert found.heat.sum() == pytest.approx(1, abs=1e-4)
    assert sum(found.shares.values()) == pytest.approx(1, abs=1e-4)
    assert sum(found.areas.values()) == pytest.approx(1)


def test_the_judged_heatmap_is_used_if_it_fits_the_network(run, tmp_path, service):
    assert (service.method, service.judged) == ("grad-cam", False)
    for name, expected in (("occlusion", ("occlusion", True)), ("rollout", ("grad-cam", False)),
                           (None, ("grad-cam", False))):  # fmt: skip
        report = {"best_method": name, "model_revision": model_revision(str(run))}
        (tmp_path / "explain.json").write_text(json.dumps(report))
        own = load_service(str(run), explanation=tmp_path)
        assert (own.method, own.judged) == expected


def test_explanation_of_another_model_is_refused(run, tmp_path):
    report = {"best_method": "occlusion", "model_revision": "of another"}
    (tmp_path / "explain.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"explain\.json was made with another model"):
        load_service(str(run), explanation=tmp_path)


def test_a_model_alone_is_served_without_band_and_operating_point(run, tmp_path, photos):
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        shutil.copy(run / name, alone)
    own = load_service(str(alone))
    found = next(read_photos(own, photos[:1]))
    assert (own.limits, own.point("cushing"), found.plausible) == (None, None, None)
    assert found.thresholds == {"cushing": 0.5}
    assert uncertain_band(own, "cushing") == (0, 0)
    assert not own.calibrated
    assert not own.drawn


def test_a_published_model_still_says_that_it_learnt_from_drawings(run, tmp_path):
    own = tmp_path / "published"
    shutil.copytree(run, own)
    for drawn in (True, False):
        anonymous_predictions(load_predictions(run)).save(own / "predictions.parquet")
        manifest = public_manifest(json.loads((run / "manifest.json").read_text()), drawn=drawn)
        (own / "manifest.json").write_text(json.dumps(manifest))
        assert load_service(str(own)).drawn is drawn


def test_of_a_model_on_the_hub_the_records_are_fetched_too(run, monkeypatch):
    asked = []

    def snapshot_download(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(run)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr(serving_module, "load_classifier", lambda name: load_classifier(str(run)))
    own = load_service("me/model")
    assert own.name == "me/model"
    assert own.point("cushing").split == "validation"
    ((name, patterns),) = asked
    assert name == "me/model"
    assert {"metrics.json", "manifest.json", "predictions.parquet", "README.md"} <= set(patterns)


def test_reports_of_another_model_or_from_nowhere_are_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"holds no followup\.json"):
        load_service(str(run), followup=tmp_path)
    (tmp_path / "followup.json").write_text(json.dumps({"model_revision": "another"}))
    with pytest.raises(UserError, match="another"):
        load_service(str(run), followup=tmp_path)


def test_repeatability_is_read_from_a_followup(run, tmp_path):
    revision = json.loads((run / "manifest.json").read_text())["model_revision"]
    facts = {"photo_square": 1.0, "photo_freedom": 40, "visit_square": 0.7, "visit_freedom": 20}
    facts |= {"inverse": 0.5, "patients": 20, "source": "stable visits", "photo_sd": 1.0}
    report = {"model_revision": revision, "label": "cushing", "repeatability": facts}
    (tmp_path / "followup.json").write_text(json.dumps(report))
    spread = load_service(str(run), followup=tmp_path).spread["cushing"]
    assert (spread.visit_square, spread.source) == (0.7, "stable visits")


def test_orientation_does_not_change_the_score(service, faces):
    photo = open_photo(faces[0])
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3
    photo.rotate(180).save(buffer, "PNG", exif=exif)
    pair = list(read_photos(service, [photo, open_photo(buffer.getvalue())]))
    assert pair[0].probabilities == pytest.approx(pair[1].probabilities)
