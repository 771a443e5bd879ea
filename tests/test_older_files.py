"""Files made by the first version (2026-11-25, before the folders were put in order) still open.

`older/` holds a dataset of 36 drawn faces at 64 px and a run of a one-layer ViT on it.
"""

import json
from pathlib import Path

import pytest

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.predict.answer import Predictor
from hf_cushing.run import Run

OLDER = Path(__file__).with_name("older")


@pytest.fixture(scope="module")
def run():
    return Run(str(OLDER / "run"))


def test_an_older_dataset_has_the_revision_that_it_had(run):
    data = load_faces(str(OLDER / "dataset"))
    assert data.labels == ["control", "cushing"]
    assert data.revision == run.manifest["dataset_revision"]
    assert sum(len(photos) for photos in data.roles.values()) == 36


def test_what_an_older_run_recorded_is_understood(run):
    recorded = json.loads((OLDER / "run" / "metrics.json").read_text())
    row = run.report.find("cushing", "all")
    old = next(r for r in recorded["subgroups"] if (r["label"], r["subgroup"], r["unit"]) ==
               ("cushing", "all", "photo"))  # fmt: skip
    assert row.values["auroc"].estimate == old["values"]["auroc"]["estimate"]
    assert run.operating_point("cushing").threshold == recorded["operating_points"][0]["threshold"]
    assert run.seen_photo_ids
    assert run.drawn


def test_an_older_run_scores_its_dataset_as_it_did(run):
    options = EvaluationOptions(draws=100, shuffles=100)
    _, again = evaluate_runs([run], options, dataset=str(OLDER / "dataset"), cpu=True)
    test = again.of_split("test")
    old = run.recorded_predictions.of_split("test")
    expected = dict(zip(old.photo_id, old.score("cushing"), strict=True))
    scores = [expected[name] for name in test.photo_id]
    assert test.score("cushing") == pytest.approx(scores, abs=1e-6)


def test_an_older_run_answers_for_a_new_photo(run, faces):
    answer = Predictor(run, cpu=True)(faces[0], "female")
    assert answer.label in ("control", "cushing", "uncertain")
    assert answer.operating_points["cushing"].split == "validation"
