from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml

from hf_cushing.compare.cells import cells_of_shard, parse_shard
from hf_cushing.compare.grid import make_cells
from hf_cushing.compare.plan import make_study, read_study, with_baselines, with_sizes
from hf_cushing.config import BASELINES, DEFAULTS
from hf_cushing.data.loading import load_faces
from hf_cushing.files import resource
from hf_cushing.schema import UsageError

OLD = SimpleNamespace(revision="0" * 16)
"""Stands for a dataset."""


def study(**values):
    plan = {"models": ["tiny-vit", "tiny-resnet"], "folds": 2, "baselines": "none"}
    return make_study(plan | values, "here")


@pytest.fixture(scope="module")
def data(dataset):
    return load_faces(str(dataset))


def cells_of(plan, data, tmp_path):
    return make_cells(plan, "somewhere", data, tmp_path)[0]


def test_grid_is_models_by_methods_by_imbalance_by_folds_by_seeds(data, tmp_path):
    plan = study(finetune=["head", "full"], imbalance=["none", "class"], seeds=[0, 1, 2])
    cells = cells_of(plan, data, tmp_path)
    assert len(cells) == 2 * 2 * 2 * 2 * 3
    assert len({cell.folder for cell in cells}) == len(cells)
    assert {cell.config.training.seed for cell in cells} == {0, 1, 2}


def test_options_of_a_model_win_over_those_of_a_method_and_of_all(data, tmp_path):
    plan = study(
        finetune=["full"],
        options={"epochs": 9, "patience": 4},
        per_finetune={"full": {"epochs": 8}},
        per_model={"tiny-v*": {"epochs": 7}},
    )
    epochs = {c.arm.model: c.config.training.epochs for c in cells_of(plan, data, tmp_path)}
    assert epochs == {"tiny-vit": 7, "tiny-resnet": 8}


def test_folder_names_change_with_everything_that_decides_the_result(data, tmp_path):
    plain, longer, elsewhere = (
        {
            cell.folder.name
            for cell in cells_of(study(finetune=["full"], options=options), data, out)
        }
        for options, out in (({}, tmp_path), ({"epochs": 3}, tmp_path), ({}, tmp_path / "other"))
    )
    assert plain == elsewhere
    assert not plain & longer


def test_folder_names_of_older_studies_stay(tmp_path):
    plan = study(models=["tiny-vit", "vit-b16", "resnet50"], finetune=["head", "full"], folds=1)
    names = [cell.folder.name for cell in cells_of(plan, OLD, tmp_path)]
    assert names[:5] == [
        "tiny-vit-head-class_sex-f0-s0-e2ad460d", "tiny-vit-full-class_sex-f0-s0-dc034a4b",
        "vit-b16-head-class_sex-f0-s0-0bdeb424", "vit-b16-full-class_sex-f0-s0-16bf50ca",
        "resnet50-head-class_sex-f0-s0-4105781f",
    ]  # fmt: skip
    moving = study(
        models=["resnet50"], finetune=["full"], folds=1, options={"batch_norm": "moving"}
    )
    (before,) = cells_of(moving, OLD, tmp_path)
    assert before.folder.name == "resnet50-full-class_sex-f0-s0-8b0931bf"
    assert names[5] != before.folder.name  # its batch norms are frozen now


def test_combination_that_cannot_be_trained_is_left_out_with_its_reason(data, tmp_path):
    plan = study(finetune=["head", "full"], imbalance=["sample_class_sex"])
    cells, left_out = make_cells(plan, "somewhere", data, tmp_path)
    assert {cell.arm.finetune for cell in cells} == {"full"}
    assert len(left_out) == 2
    assert "a probe draws no photos" in left_out["tiny-vit, head, sample_class_sex"]


def test_arms_of_different_imbalance_have_different_names(data, tmp_path):
    plan = study(models=["tiny-vit"], imbalance=["none", "class", "class_sex"])
    names = {cell.arm.name for cell in cells_of(plan, data, tmp_path)}
    assert names == {"tiny-vit, head, none", "tiny-vit, head, class", "tiny-vit, head"}


def test_no_folds_means_the_splits(data, tmp_path):
    assert {cell.config.data.fold for cell in cells_of(study(folds=0), data, tmp_path)} == {None}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"models": []}, "name at least one of `models`"),
        ({"folds": -1}, "0 for the splits"),
        ({"options": {"fold": 3}}, "'fold': the grid sets it; leave it out"),
        ({"per_model": {"x": {"epoch": 3}}}, "'epoch': no option of train.py"),
        ({"baselines": "magic"}, "baseline 'magic' is not known; choose all, none, or of demo"),
        ({"models": ["colour"]}, "'colour' is a baseline; name it in `baselines`"),
        ({"vary": {"seed": 1}}, "vary: 'seed': the grid sets it"),
        ({"vary": [{"rate": 1}]}, "vary: 'rate': no option of train.py"),
        ({"vary": [{"epochs": 2}, {"epochs": 2}]}, "two sets are the same"),
        ({"sizes": [0.5, 2]}, "sizes: give shares of the training patients above 0, at most 1"),
        ({"sizes": 0.5, "vary": [{"epochs": 2}]}, "sizes and vary are two grids"),
        ({"options": {"train_share": 0.5}}, "'train_share': the grid sets it"),
        ({"vary": [{}]}, "vary: give sets of options"),
        ({"vary": [0.7]}, "vary: give sets of options"),
        ({"vary": [{"epochs": 2}], "options": {"epochs": 3}}, "options: 'epochs': `vary` sets it"),
    ],
)
def test_faulty_study_is_refused(values, words):
    with pytest.raises(UsageError, match=words):
        study(**values)


def test_all_faults_of_a_study_are_told_at_once():
    faults = {"folds": -1, "mitigation": "magic", "options": {"fold": 3, "epoch": 3}}
    with pytest.raises(UsageError) as caught:
        study(**faults)
    for text in ("here: folds is", "'magic' is not", "needs 'none' too", "'fold':", "'epoch':"):
        assert text in str(caught.value)


def test_shards_share_the_arms_out_and_keep_folds_together(data, tmp_path):
    cells = cells_of(study(finetune=["head", "full", "lp-ft"]), data, tmp_path)
    parts = [cells_of_shard(cells, (number, 4)) for number in range(4)]
    assert sorted(c.folder.name for part in parts for c in part) == sorted(
        c.folder.name for c in cells
    )
    for arm in {cell.arm for cell in cells}:
        assert sum(any(cell.arm == arm for cell in part) for part in parts) == 1


def test_baselines_are_all_unless_the_study_says_otherwise(data, tmp_path):
    plain = make_study({"models": ["tiny-vit"]}, "here")
    assert plain.baselines == study(baselines="all").baselines == BASELINES
    assert study(baselines=[]) == study(baselines="none") == study()
    assert with_baselines(plain, "colour,geometry") == make_study(
        {"models": ["tiny-vit"], "baselines": ["colour", "geometry"]}, "here"
    )


def test_baselines_take_part_in_no_grid_and_no_option_of_networks(data, tmp_path):
    plan = study(
        finetune=["full", "lora"], imbalance=["none", "class"], baselines=["colour"],
        options={"init": "random", "image_size": 64, "epochs": 2, "threshold_rule": "youden"},
        per_model={"*": {"patience": 3}}, vary=[{"learning_rate": 1e-4}],
    )  # fmt: skip
    own = [cell for cell in cells_of(plan, data, tmp_path) if cell.arm.is_baseline]
    assert [cell.config.data.fold for cell in own] == [0, 1]
    changed = {n: v for n, v in own[0].config.values.items() if v != DEFAULTS[n]}
    assert changed.pop("output_dir").startswith(str(tmp_path / "cells" / "colour-head-"))
    assert changed == {
        "dataset": "somewhere", "model": "colour", "finetune": "head", "tracker": "none",
        "resume": True, "fold": 0, "threshold_rule": "youden",
    }  # fmt: skip
    assert own[0].arm.name == "colour, baseline"


def test_baselines_of_a_study_of_mitigation_go_without_public_controls(data, tmp_path):
    plan = study(models=["tiny-vit"], mitigation=["none"], baselines=["colour"])
    used = {c.config.data.public_controls for c in cells_of(plan, data, tmp_path)}
    assert used == {"none"}


def test_baselines_that_need_landmarks_are_left_out_without(data, tmp_path):
    photos = {role: rows.remove_columns("landmarks") for role, rows in data.roles.items()}
    plan = study(models=["tiny-vit"], baselines=["demographics", "colour"])
    cells, left_out = make_cells(plan, "somewhere", replace(data, roles=photos), tmp_path)
    assert {cell.arm.model for cell in cells} == {"tiny-vit", "demographics"}
    assert "no landmarks" in left_out["colour, baseline"]


def test_each_set_of_options_that_varies_makes_an_arm(data, tmp_path):
    plan = study(
        models=["tiny-vit"], finetune=["full"],
        vary=[{"learning_rate": 1e-5, "epochs": 2}, {"epochs": 3}],
    )  # fmt: skip
    cells = cells_of(plan, data, tmp_path)
    assert {cell.arm.name: cell.config.training.epochs for cell in cells} == {
        "tiny-vit, full, learning_rate 1e-05, epochs 2": 2, "tiny-vit, full, epochs 3": 3,
    }  # fmt: skip
    assert cells[0].config.training.learning_rate == 1e-5
    assert cells[0].folder.name.startswith(
        "tiny-vit-full-class_sex-learning_rate-1e-05-epochs-2-f0-s0-"
    )
    assert len({cell.folder for cell in cells}) == len(cells) == 4


@pytest.mark.parametrize("text", ["2/2", "-1/2", "a/b", "1", "1/0"])
def test_impossible_shard_is_refused(text):
    with pytest.raises(UsageError, match="with i from 0 to n - 1"):
        parse_shard(text)


def test_every_shipped_study_can_be_planned(data, tmp_path):
    folder = resource("configs/studies")
    names = [path for path in sorted(folder.glob("*.yaml")) if path.stem != "published"]
    assert {path.stem for path in names} == {
        "liu2025",
        "wei2020",
        "quick",
        "moon",
        "mitigation",
        "face_resnet",
        "face_resnet_field",
        "face_resnet_rates",
    }
    for path in names:
        cells, left_out = make_cells(read_study(path), "somewhere", data, tmp_path)
        assert cells
        assert not left_out or path.stem == "mitigation"  # a probe draws no photos
        assert yaml.safe_load(path.read_text())["finetune"]


def test_sizes_add_cells_and_leave_those_of_all_patients_as_they_are(data, tmp_path):
    before = {cell.folder.name for cell in cells_of(study(folds=1), data, tmp_path)}
    plan = with_sizes(study(folds=1), "0.25,0.5,1")
    cells = cells_of(plan, data, tmp_path)
    assert len(cells) == 6
    assert before < {cell.folder.name for cell in cells}
    names = {cell.arm.name: cell.config.data.train_share for cell in cells}
    assert names["tiny-vit, head, 25 % of the patients"] == 0.25
    assert names["tiny-vit, head"] == 1.0
    with pytest.raises(UsageError, match="--sizes: sizes: give shares"):
        with_sizes(study(), "half")
