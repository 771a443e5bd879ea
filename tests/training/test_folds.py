import json

import pytest

from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.training import cli, fine_tune
from tests.conftest import train_options


def arguments(dataset, out, *more):
    more = ("--finetune", "head", "--fold", "all", *more)
    return train_options(dataset, out, *more, model="demographics")


@pytest.fixture(scope="module")
def done(dataset, tmp_path_factory):
    """All folds of a baseline without a network (read only)."""
    out = tmp_path_factory.mktemp("folds") / "all"
    cli.main(arguments(dataset, out))
    return out


def test_every_patient_is_tested_once_and_the_report_pools_them(done, dataset):
    runs = sorted(done.glob("fold_*"))
    assert len(runs) == 5
    assert all((run / "manifest.json").exists() for run in runs)
    pooled = load_predictions(done / "report").of_split("test")
    parts = [load_predictions(run).of_split("test") for run in runs]
    assert len(pooled) == sum(map(len, parts)) == len(set(pooled.photo_id.tolist()))
    for fold, part in enumerate(parts):
        assert set(part.fold.tolist()) == {fold}
        checked = load_predictions(runs[fold]).of_split("validation")
        assert set(checked.fold.tolist()) == {(fold + 1) % 5}
    origin = json.loads((done / "report" / "metrics.json").read_text())["origin"]
    assert origin["runs"] == "fold_0 … fold_4 (5 runs)"
    assert (done / "report" / "report.html").exists()


def test_called_again_with_other_settings_it_refuses(done, dataset, monkeypatch, capsys):
    def never(config):
        raise AssertionError("trained again")

    monkeypatch.setattr(fine_tune, "fine_tune", never)
    with pytest.raises(SystemExit) as end:
        cli.main(arguments(dataset, done, "--seed", "7"))
    assert end.value.code == 1
    assert "fold_0 was trained with another config" in capsys.readouterr().err


def test_called_again_it_trains_the_fold_that_is_missing_alone(
    done, dataset, monkeypatch, tmp_path, capsys
):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(done, copy)
    shutil.rmtree(copy / "fold_3")
    trained = []
    real = fine_tune.fine_tune
    monkeypatch.setattr(
        fine_tune, "fine_tune", lambda own: trained.append(own.data.fold) or real(own)
    )
    cli.main(arguments(dataset, copy))
    assert trained == [3]
    said = capsys.readouterr().out
    assert "AUROC" in said
    assert f"Report: {copy / 'report' / 'report.html'}" in said
    assert (copy / "report" / "metrics.json").read_bytes() == (
        done / "report" / "metrics.json"
    ).read_bytes()
