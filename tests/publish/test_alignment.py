"""The code of ``--align-on-hub``: run where its reader asks for it, and nowhere else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import pipeline as plain_pipeline

import hf_cushing
from hf_cushing.files import sha256_file
from hf_cushing.publish.alignment import CODE, SOURCE, add_alignment
from hf_cushing.publish.hub import upload
from tests.publish.stages import case_of, messages
from tests.publish.test_round_trip import clean_environment


@pytest.fixture
def aligning(run, dataset, tmp_path):
    """A staged model with the code."""
    case = case_of("model", run, dataset, tmp_path)
    add_alignment(case.folder)
    return case


def as_stranger(hub, folder, which):
    script = Path(__file__).with_name("stranger.py")
    done = subprocess.run(
        [sys.executable, str(script), which],
        cwd=folder,
        env=clean_environment(hub, folder),
        input="y\n" * 20,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[y/N]" not in done.stdout + done.stderr

    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def published(hub, api, aligning, clinic, tmp_path):
    upload(aligning, api=api)
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(min((clinic / "images").iterdir()), home / "photo.jpg")
    return home


@pytest.mark.slow
def test_without_trust_no_code_runs_nothing_is_asked_and_scores_are_the_plain_ones(
    hub, published, run
):
    seen = as_stranger(hub, published, "without")
    expected = plain_pipeline("image-classification", model=str(run))(str(published / "photo.jpg"))
    for scores in seen["plain"]:
        assert scores == pytest.approx({e["label"]: e["score"] for e in expected}, abs=1e-5)
    assert seen["imported"] == []
    assert "can't be imported" in seen["trusted"]
    assert "pip install hf-cushing" in seen["trusted"]


@pytest.mark.slow
def test_with_trust_the_hub_and_the_endpoint_score_as_our_own_pipeline(hub, published):
    seen = as_stranger(hub, published, "with")
    assert "dlib, which finds the face, is missing: run `pip install dlib-bin`" in seen[
        "without dlib"
    ]  # fmt: skip
    assert seen["processor"] == "AlignedImageProcessor"
    for scores in (seen["aligned"], *seen["endpoint"]):
        assert scores == pytest.approx(seen["own"], abs=1e-3)
    assert len(seen["first"]) == 1
    assert set(seen["first"][0]) == {"label", "score", "box"}
    for said, words in zip(seen["refused"], (
        "no base64", "no base64", "unknown num_workers", "no face was found", "give inputs"
    ), strict=True):  # fmt: skip
        assert words in said


def test_trusted_folder_scores_as_our_own_pipeline(aligning, clinic):
    folder, photo = str(aligning.folder), str(min((clinic / "images").iterdir()))
    trusted = plain_pipeline("image-classification", model=folder, trust_remote_code=True)(photo)
    scores = {entry["label"]: entry["score"] for entry in trusted}
    own = {entry["label"]: entry["score"] for entry in hf_cushing.pipeline(folder)(photo)}
    assert scores == pytest.approx(own, abs=1e-3)


def test_gate_lets_exactly_this_code_pass(aligning):
    assert {path.name: sha256_file(path) for path in SOURCE.iterdir() if path.is_file()} == CODE
    assert messages("remote code", aligning) == []


SPOILT = [
    ("handler.py", lambda text: text + "\n", "handler.py is code other than ours"),
    ("hf_cushing_alignment.py", lambda text: "", "hf_cushing_alignment.py is code other"),
    ("requirements.txt", lambda text: "evil", "requirements.txt is code other than ours"),
    ("preprocessor_config.json", lambda text: text.replace("hf_cushing_alignment.", "other."),
     "preprocessor_config.json asks for code of its own .auto_map"),
    ("video_preprocessor_config.json",
     lambda text: '{"auto_map": {"AutoVideoProcessor": "hf_cushing_alignment.X"}}',
     "video_preprocessor_config.json asks for code"),
    ("config.json", lambda text: text.replace("{", '{"x": [{"auto_map": {}}],', 1),
     "config.json asks for code of its own .auto_map"),
    ("config.json", lambda text: text.replace("{", '{"_attn_implementation": "a/b",', 1),
     "_attn_implementation a/b"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "words"), SPOILT)
def test_gate_refuses_any_other_code(aligning, name, change, words):
    path = aligning.folder / name
    path.write_text(change(path.read_text()))
    found = " ".join(messages("remote code", aligning))
    assert words.replace(" .", " (") in found
