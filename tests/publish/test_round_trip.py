import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

import hf_cushing
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.publish.hub import upload
from hf_cushing.publish.options import PublishOptions
from hf_cushing.publish.staging import stage_metric
from hf_cushing.schema import UsageError
from tests.publish.loopback_hub import WRITE_TOKEN
from tests.publish.stages import staged

METRIC = PublishOptions(repo_id="me/subgroup_f1")
KINDS = ("model", "dataset", "space")
SCRIPT = Path(__file__).with_name("clean_process.py")


def clean_environment(hub, home):
    """A user's shell: an empty cache, a token, and of this process the package under test."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": WRITE_TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "2",
        "PYTHONPATH": str(Path(hf_cushing.__file__).parents[1]),
    }


def in_clean_process(hub, folder):
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        cwd=folder,
        env=clean_environment(hub, folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_published_repos_give_a_stranger_the_recorded_predictions(
    hub, api, run, dataset, clinic, tmp_path
):
    stages = [staged(kind, run, dataset) for kind in KINDS]
    stages.append(stage_metric(METRIC, tmp_path))
    for stage in stages:
        upload(stage, api=api)
    shutil.copyfile(min((clinic / "images").iterdir()), tmp_path / "photo.jpg")
    seen = in_clean_process(hub, tmp_path)

    own = load_predictions(run / "predictions.parquet").of_split("test")
    expected = dict(zip(own.photo_id, own.score("cushing"), strict=True))
    assert sorted(seen["photo_id"]) == sorted(expected)
    scores = [expected[photo] for photo in seen["photo_id"]]
    assert seen["exact"] == pytest.approx(scores, abs=1e-5)
    assert seen["scores"] == pytest.approx(scores, abs=2e-3)  # torchvision resizes otherwise
    recorded = sorted((row["label"], row["prob_cushing"]) for row in seen["recorded"]
                      if row["framing"] == "aligned")  # fmt: skip
    again = sorted(zip(seen["label"], seen["exact"], strict=True))
    assert [label for label, _ in recorded] == [label for label, _ in again]
    assert [p for _, p in recorded] == pytest.approx([p for _, p in again], abs=1e-5)

    assert seen["without_our_package"]
    assert seen["blocks"] == 2
    called = [score > 0.5 for score in seen["scores"]]
    sick = [label == "cushing" for label in seen["label"]]
    assert seen["f1"] == pytest.approx(f1_score(sick, called, zero_division=np.nan), nan_ok=True)
    assert seen["counts"] == Counter(seen["sex"])
    sizes = {name: path.stat().st_size for name, path in stages[2].files.items()}
    assert seen["space"].items() >= sizes.items()
    (collection,) = hub.collections.values()
    assert {item["id"] for item in collection["items"]} == {s.repo_id for s in stages}


def test_private_repos_are_not_there_for_somebody_without_a_token(hub, api, tmp_path):
    upload(stage_metric(METRIC, tmp_path), api=api)
    code = "import huggingface_hub as h; h.snapshot_download('me/subgroup_f1', repo_type='space')"
    environment = clean_environment(hub, tmp_path) | {"HF_TOKEN": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RepositoryNotFoundError" in done.stderr


def test_metric_space_must_have_the_name_that_evaluate_looks_for(tmp_path):
    with pytest.raises(UsageError, match="must be called OWNER/subgroup_f1"):
        stage_metric(PublishOptions(repo_id="me/fairness"), tmp_path)
