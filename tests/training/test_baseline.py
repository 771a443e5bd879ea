"""Runs without a network: what they see, and that they end in the same kind of folder."""

import numpy as np
import pytest
from PIL import Image

from hf_cushing.config import BASELINES
from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.first_screen import first_screen
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.record import report_to_json
from hf_cushing.files import plain
from hf_cushing.models.baselines import FEATURES, to_lab
from hf_cushing.reports.screen import screen_text
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from tests.conftest import train_options


@pytest.fixture(scope="module")
def train(dataset):
    return load_faces(str(dataset)).roles["train"]


def run_of(dataset, out, name):
    options = train_options(dataset, out, "--finetune", "head", model=name)
    return fine_tune(parse(options))


def test_names_of_the_settings_are_those_of_the_features():
    assert set(BASELINES) == set(FEATURES)


@pytest.mark.parametrize(
    ("name", "width"),
    [("colour", 30), ("geometry", 136), ("geometry-no-jaw", 102), ("descriptor", 128)],
)
def test_each_photo_becomes_so_many_numbers(train, name, width):
    photos = train.select(range(6))
    found = FEATURES[name](photos, train)
    assert found.shape == (6, width)
    assert np.isfinite(found).all()
    assert (found.std(0) > 0).sum() > width / 2


def test_unknown_age_is_the_mean_and_marked(train):
    photos = train.select(range(4)).map(lambda row, n: {"age": None if n == 0 else row["age"]},
                                        with_indices=True)  # fmt: skip
    found = FEATURES["demographics"](photos, photos)
    ages = np.array(photos["age"][1:], float)
    assert found[0, 3:5].tolist() == pytest.approx([ages.mean(), 1])
    assert found[1, 3:5].tolist() == pytest.approx([ages[0], 0])


def test_geometry_knows_neither_place_nor_size_nor_turn(train):
    photos = train.select(range(3))
    points = np.array(photos["landmarks"][:], float)
    angle = 0.2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = photos.map(
        lambda row, n: {"landmarks": (1.3 * points[n] @ turn + 7).astype(np.float32)},
        with_indices=True,
    )
    for name in ("geometry", "geometry-no-jaw"):
        before, after = FEATURES[name](photos, train), FEATURES[name](moved, train)
        assert after == pytest.approx(before, abs=1e-5)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [((255, 255, 255), (100, 0, 0)), ((255, 0, 0), (54.3, 80.8, 69.9)), ((0, 0, 0), (0, 0, 0))],
)
def test_lab_is_that_of_the_profile_connection_space(rgb, lab):
    """Red in D50 by the ICC's sRGB profile: L 54.3, a 80.8, b 69.9."""
    assert to_lab(Image.new("RGB", (2, 2), rgb))[0, 0] == pytest.approx(lab, abs=0.6)


def test_run_is_a_folder_like_a_networks_and_is_compared_with_one(dataset, run, tmp_path):
    report = run_of(dataset, tmp_path / "colour", "colour")
    own = Run(str(tmp_path / "colour"))
    assert plain(report_to_json(own.report)) == plain(report_to_json(report))
    assert own.operating_point("cushing").split == "validation"
    assert set(own.recorded_predictions.photo_id) == set(
        Run(str(run)).recorded_predictions.photo_id
    )
    options = EvaluationOptions(draws=100, shuffles=100)
    both, _ = evaluate_runs([own], options, against=[Run(str(run))])
    text = screen_text(first_screen(both), "")
    assert "this minus tiny-resnet, full, run:" in " ".join(text.split())
    assert "baseline without a network" in (own.folder / "README.md").read_text()


def test_baseline_answers_for_no_photo_and_is_not_published(dataset, tmp_path):
    run_of(dataset, tmp_path / "d", "demographics")
    with pytest.raises(UserError, match="neither asked about photos nor published"):
        _ = Run(str(tmp_path / "d")).classifier


def test_baseline_is_a_fitted_head_and_nothing_else(dataset, tmp_path):
    with pytest.raises(UsageError, match="give --finetune head"):
        parse(train_options(dataset, tmp_path, "--finetune", "full", model="colour"))
