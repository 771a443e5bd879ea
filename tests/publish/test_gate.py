import io
import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from hf_cushing.data.cohort import hash_ids
from hf_cushing.data.intake import Intake
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.publish import clean_process, rules_model
from hf_cushing.publish.clean_process import clean_environment
from hf_cushing.publish.gate import RULES
from hf_cushing.publish.rules_files import HOME
from hf_cushing.schema import FacePhoto
from tests.publish.stages import (
    as_photographs,
    case_of,
    change_json,
    change_rows,
    messages,
    with_options,
)


def revealing(row):
    """Put EXIF into a crop."""
    image = Image.open(io.BytesIO(row["image"]["bytes"]))
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    row["image"] = {"bytes": buffer.getvalue(), "path": None}


def rewrite(path, change):
    path.write_text(change(path.read_text()))


def shift_patient(case):
    """Give a validation photo the patient of a test photo."""
    scored = load_predictions(case.source)
    patient = scored.patient_id.copy()
    patient[np.flatnonzero(scored.split == "validation")[0]] = scored.of_split("test").patient_id[0]
    replace(scored, patient_id=patient).save(case.source / "predictions.parquet")


def same_patient(case):
    for split in ("train", "test"):
        change_rows(case.folder, lambda row: row.update(patient_id="one"), split)


def metrics(change):
    return lambda case: change_json(case.folder / "metrics.json", change)


def without_counts(content):
    row = next(r for r in content["subgroups"] if r["subgroup"] == "male" and r["unit"] == "photo")
    del row["positive_patients"]


def without_women(content):
    content["subgroups"] = [r for r in content["subgroups"] if r["subgroup"] != "female"]


def point(**values):
    return metrics(lambda content: content["operating_points"][0].update(values))


def own_predictions(case):
    load_predictions(case.source).save(case.folder / "predictions.parquet")


def photographs(*, gated=True, **options):
    def spoil(case):
        as_photographs(case)
        return with_options(replace(case, gated=gated), **options)

    return spoil


SPOILT = [
    ("licence", "model", lambda case: with_options(case, license=""), "no licence is given"),
    ("licence", "dataset", lambda case: with_options(case, license="mit"),
     "doesn't name the licence"),
    ("notice", "model", lambda case: rewrite(case.folder / "README.md", lambda text: text.replace(
        "Not a medical device", "A device")), "lacks the notice"),
    ("notice", "space", lambda case: (case.folder / "README.md").unlink(), "lacks the notice"),
    ("patient in two splits", "model", shift_patient, "1 patient scored in more than one"),
    ("patient in two splits", "dataset", same_patient, "1 patient in more than one split"),
    ("patient in two splits", "dataset", lambda case: change_json(
        case.source / "audit.json", lambda a: a.update(leaks=2)), "leaks between splits or folds"),
    ("patient in two splits", "dataset", lambda case: (case.source / "audit.json").unlink(),
     "was not audited"),
    ("patient in two splits", "dataset", photographs(), "did not compare faces"),
    ("counts", "model", metrics(without_counts), "male: positive_patients missing or wrong"),
    ("counts", "model", metrics(without_women), "no figures of cushing, female"),
    ("threshold", "model", point(split="test"), r"threshold of cushing \(all\) was chosen on test"),
    ("threshold", "model", point(split=None), "chosen on an unknown split"),
    ("threshold", "model", metrics(lambda c: c.update(operating_points=[])), "no threshold for"),
    ("weights", "model", point(model_revision="0" * 16), "belong to the weights 0000000000000000"),
    ("weights", "model", lambda case: (case.folder / "model.safetensors").unlink(), "there is no"),
    ("image metadata", "dataset", lambda case: change_rows(case.folder, revealing), "APP1"),
    ("image metadata", "dataset", lambda case: change_rows(
        case.folder, lambda row: row["image"].update(path="Jane.jpg")), "file name"),
    ("image metadata", "model", lambda case: (case.folder / "x.png").write_bytes(b"no image"),
     "no plain JPEG or PNG"),
    ("columns", "dataset", lambda case: change_rows(
        case.folder, lambda row: row.update(context=row["image"])), "column 'context' .* not one"),
    ("consent", "model", lambda case: with_options(
        replace(case, drawn=False), public=True), "consent, ethics_approval, licence, access$"),
    ("dataset id", "model", lambda case: with_options(case, dataset_id="data/clinic"),
     "data/clinic is not on the Hub"),
    ("free text", "dataset", lambda case: change_rows(
        case.folder, lambda row: row.update(visit="2021-03-04")), "'visit' holds text or dates"),
    ("free text", "model", own_predictions, "predictions.parquet holds"),
    ("free text", "model", lambda case: change_json(
        case.folder / "manifest.json", lambda m: m.update(seen_photo_ids=[])), "lists the photos"),
    ("patient ids", "dataset", photographs(), "patient ids are the clinic's own"),
    ("datasheet", "dataset", photographs(), "lacks 12 answers: purpose"),
    ("public photographs", "dataset", photographs(public=True), "would be public"),
    ("public photographs", "space", lambda case: (
        (case.folder / "example.jpg").write_bytes(b""), with_options(case, public=True))[1],
     "would be public"),
    ("ungated photographs", "dataset", photographs(gated=False), "would not be gated"),
    ("pickle", "model", lambda case: (case.folder / "pytorch_model.bin").write_bytes(b""),
     "pytorch_model.bin is, or may hold, a pickle"),
    ("pickle", "model", lambda case: (case.folder / "notes.txt").write_bytes(pickle.dumps([1])),
     "notes.txt"),
    ("remote code", "model", lambda case: (case.folder / "modeling.py").write_text(""), "is code"),
    ("remote code", "model", lambda case: change_json(
        case.folder / "config.json", lambda c: c.update(auto_map={})), "auto_map"),
    ("traces of this machine", "model", lambda case: change_json(
        case.folder / "manifest.json", lambda m: m.update(x="/home/jane/faces")), "/home/jane"),
    ("traces of this machine", "model", lambda case: change_json(
        case.folder / "metrics.json", lambda m: m.update(x="--out /gpfs/ward7/x")), "/gpfs/ward7"),
    ("traces of this machine", "model", lambda case: change_json(
        case.folder / "config.json", lambda c: c.update(x="hf_" + 17 * "aB")),
     "line \\d+ holds a token of the Hub$"),
    ("app", "space", lambda case: (case.folder / "app.py").unlink(), "app.py is missing"),
    ("app", "space", lambda case: rewrite(case.folder / "README.md", lambda text: re.sub(
        "python_version.*", "", text)), "lets the Space run Python 3.10"),
    ("reproduces", "model", lambda case: change_json(
        case.source / "manifest.json", lambda m: m.update(dataset_revision="other")),
     "is not the dataset that the run was trained on"),
]  # fmt: skip


def name(spoilt):
    rule, kind, _, words = spoilt
    return f"{rule}, {kind}: {words}"


@pytest.mark.parametrize("spoilt", SPOILT, ids=name)
def test_rule_trips_on_the_spoilt_folder_and_passes_the_clean_one(spoilt, run, dataset, tmp_path):
    rule, kind, spoil, words = spoilt
    case = case_of(kind, run, dataset, tmp_path)
    if rule not in ("reproduces", "app"):  # `test_staging` shows that these pass
        assert messages(rule, case) == []
    result = spoil(case)
    case = result if isinstance(result, type(case)) else case
    found = messages(rule, case)
    assert re.search(words, "; ".join(found)), found


@pytest.mark.parametrize("path", [
    "/data/clinic", "/ward/jane/faces", "/srv/photos/a.jpg", "/gpfs/u/x", "/Volumes/Disk/x", "/a/b",
    "D:\\clinic\\faces", "\\\\ward7\\share", "file:///x/y",
])  # fmt: skip
@pytest.mark.parametrize("text", ["{}", "see `{}`.", "--out={} --x", "jane@w7:{}", "<td>{}</td>"])
def test_absolute_paths_are_traces_wherever_they_stand(path, text):
    assert HOME.search(text.format(path))
    assert HOME.search(json.dumps({"x": text.format(path)}))


@pytest.mark.parametrize("text", [
    "https://example.org/a/b/c", "http://127.0.0.1:7860/gradio_api/upload", "see //host.org/a/b",
    "`POST /api/models/x`", "/gradio_api/file=x", "women/men/unknown", "kg/m/s, 1/2/3", "a / b / c",
    "../a/b", "./a/b", "a/b/c", "OWNER/NAME", "[page](/docs/en/page)", "<br/><p/>", "</td></tr>",
    "$HOME/faces/x", "{folder}/a/b", "**/a/b", "/", "/help", "as in and/or", "note:\nnext",
])  # fmt: skip
def test_urls_routes_and_relative_paths_are_no_traces(text):
    assert not HOME.search(text)
    assert not HOME.search(json.dumps({"x": text}))


def test_every_rule_is_tripped_by_a_case():
    tripped = {(rule, kind) for rule, kind, _, _ in SPOILT}
    for rule in RULES:
        assert any((rule.name, kind) in tripped for kind in rule.kinds), rule.name


@pytest.mark.parametrize(
    ("backend", "shift", "refused"),
    [("pil", 9e-4, False), ("pil", 2e-3, True), ("default", 0.01, False), ("default", 0.05, True)],
)
def test_scores_may_differ_by_rounding_alone(
    run, dataset, tmp_path, monkeypatch, backend, shift, refused
):
    case = case_of("model", run, dataset, tmp_path)

    def shifted(folder, paths, *, work, **settings):
        recorded = rules_model._test_photos(case, work)
        moved = [{label: p + shift for label, p in row.items()} for row in recorded]
        return {"pil": recorded, "default": recorded} | {backend: moved}

    monkeypatch.setattr(rules_model, "clean_scores", shifted)
    assert bool(messages("reproduces", case)) == refused


def test_model_that_takes_too_long_is_refused(run, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(clean_process, "TIMEOUT", 0.01)
    (message,) = messages("reproduces", case_of("model", run, dataset, tmp_path))
    assert "within 0.01 s" in message


def test_space_with_an_app_passes(run, dataset, tmp_path):
    case = case_of("space", run, dataset, tmp_path)
    (case.folder / "app.py").write_text("")
    assert messages("app", case) == []


@pytest.mark.slow
def test_changed_weights_no_longer_reproduce_the_predictions(run, dataset, tmp_path):
    case = case_of("model", run, dataset, tmp_path)
    weights = load_file(case.folder / "model.safetensors")
    bias = next(name for name in weights if name.startswith("classifier") and "bias" in name)
    weights[bias][0] += 1
    save_file(weights, case.folder / "model.safetensors", {"format": "pt"})
    found = messages("reproduces", case)
    assert len(found) == 2  # with either way of resizing
    assert "away from its predictions (allowed: 0.001)" in found[0]


def test_without_a_dataset_the_model_is_loaded_but_counts_as_not_checked(
    run, dataset, tmp_path, monkeypatch
):
    loaded = []
    monkeypatch.setattr(
        rules_model, "clean_scores", lambda *given, **settings: loaded.append(given)
    )
    case = with_options(case_of("model", run, dataset, tmp_path), dataset=None)
    assert messages("reproduces", case) == [
        "not checked against its own predictions: no photos were at hand"
    ]
    assert len(loaded) == 1


def test_clean_process_has_no_token_and_no_cache_of_the_user(tmp_path):
    outer = {"HF_TOKEN": "x", "HF_HOME": "/mine", "PYTHONPATH": "/mine", "PATH": "/bin"}
    clean = clean_environment(outer, tmp_path)
    assert clean == {
        "PATH": "/bin",
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def hashed(word):
    """An id as `prepare --hash-ids` makes it."""
    photo = FacePhoto(row=1, file_name="a.jpg", patient_id=word, label="control", sex="female")
    return hash_ids(Intake(Path("t.csv"), [photo], [], []), "salt").photos[0].patient_id


def rename_patients(case, name, *, told):
    """Give every patient another id, and record whether `prepare` hashed them."""
    for split in ("train", "validation", "test"):
        change_rows(case.folder, lambda row: row.update(patient_id=name(row["patient_id"])), split)
    change_json(case.source / "intake.json", lambda found: found["options"].update(hash_ids=told))


def test_ids_that_prepare_hashed_pass_and_numbers_like_them_do_not(run, dataset, tmp_path):
    case = case_of("dataset", run, dataset, tmp_path)
    as_photographs(case)
    rename_patients(case, hashed, told=True)
    assert messages("patient ids", case) == []
    rename_patients(case, lambda word: f"2023{int(word, 16) % 10**12:012}", told=False)
    (message,) = messages("patient ids", case)
    assert "nothing says that the patient ids were hashed" in message


def test_drawn_faces_need_neither_gate_nor_datasheet(run, dataset, tmp_path):
    case = with_options(case_of("dataset", run, dataset, tmp_path), public=True)
    for rule in ("public photographs", "ungated photographs", "datasheet", "patient ids"):
        assert messages(rule, case) == []
