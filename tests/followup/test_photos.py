from datetime import date, timedelta

import numpy as np
import pytest

from hf_cushing.followup.command import run_followup
from hf_cushing.followup.options import FollowupOptions
from hf_cushing.followup.photos import read_dataset
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError
from tests.followup.visit_csv import quiet, read_csv, write_table


@pytest.fixture(scope="session")
def own_photos(dataset):
    """(photo_id, patient_id) of the dataset's test split."""
    from hf_cushing.data.loading import load_faces

    photos = load_faces(str(dataset)).roles["test"]
    return list(zip(photos["photo_id"][:], photos["patient_id"][:], strict=True))


def dated_rows(own_photos, step=90):
    """One photo a visit, a visit each 90 days."""
    count, rows = {}, []
    for photo, patient in own_photos:
        number = count[patient] = count.get(patient, -1) + 1
        rows.append((photo, str(date(2020, 1, 1) + timedelta(number * step)), "yes"))
    return rows


VISIT_COLUMNS = ("photo_id", "date", "stable")


def test_dates_of_a_dataset_come_from_a_table_by_photo_id(run, dataset, own_photos, tmp_path):
    rows = dated_rows(own_photos)[:-1]
    table = write_table(tmp_path / "v.csv", rows, VISIT_COLUMNS)
    found = read_dataset(Run(run), str(dataset), split="test", visits=table)
    assert {(p.photo, str(p.day)) for p in found.photos} == {row[:2] for row in rows}
    assert [p.photo for p in found.photos] == found.crops["photo_id"][:]
    assert dict(own_photos)[found.photos[0].photo] == found.photos[0].patient_id
    assert found.left_out == {f"1 of {len(rows) + 1} photos": "v.csv does not name them"}


def test_a_photo_that_the_dataset_does_not_have_is_named(run, dataset, own_photos, tmp_path):
    rows = [*dated_rows(own_photos), ("0123456789abcdef", "2020-01-01", "")]
    table = write_table(tmp_path / "v.csv", rows, VISIT_COLUMNS)
    with pytest.raises(UserError, match=f"row {len(rows) + 1}: photo 0123456789abcdef is not amo"):
        read_dataset(Run(run), str(dataset), split="test", visits=table)


def test_another_patient_than_the_datasets_is_named(run, dataset, own_photos, tmp_path):
    rows = [(photo, "2020-01-01", "someone") for photo, _ in own_photos[:1]]
    table = write_table(tmp_path / "v.csv", rows, ("photo_id", "date", "patient_id"))
    with pytest.raises(UserError, match="in the dataset, not someone"):
        read_dataset(Run(run), str(dataset), split="test", visits=table)


def test_a_dataset_without_dates_says_how_to_give_them(run, dataset):
    with pytest.raises(UserError, match="give --visits TABLE"):
        read_dataset(Run(run), str(dataset), split="test", visits=None)


def test_an_unknown_split_is_wrong_usage():
    with pytest.raises(UsageError, match="train or validation or test or all"):
        FollowupOptions(split="some")


def own_photos_that_trained_the_model_are_refused(run, dataset, tmp_path):
    from hf_cushing.data.loading import load_faces

    photos = load_faces(str(dataset)).roles["train"]["photo_id"][:4]
    rows = [(photo, "2020-01-01", "") for photo in photos]
    table = write_table(tmp_path / "v.csv", rows, VISIT_COLUMNS)
    options = FollowupOptions(split="train", visits=table, cpu=True)
    with pytest.raises(UserError, match="4 of the 4 photos were among the train or validation"):
        run_followup(Run(run), str(dataset), tmp_path / "out", options, progress=quiet)


def test_a_dataset_is_followed_up_to_its_report(run, dataset, own_photos, tmp_path):
    table = write_table(tmp_path / "v.csv", dated_rows(own_photos), VISIT_COLUMNS)
    options = FollowupOptions(visits=table, regions=True, cpu=True)
    out = tmp_path / "out"
    found = run_followup(Run(run), str(dataset), out, options, progress=quiet)
    recorded = {row["photo"]: float(row["log_odds"]) for row in read_csv(out / "photos.csv")}
    from hf_cushing.evaluation.predictions import load_predictions

    test = load_predictions(run).of_split("test")
    odds = np.log(test.score("cushing")) - np.log(test.score("control"))
    for photo, value in zip(test.photo_id.tolist(), odds, strict=True):
        assert recorded[photo] == pytest.approx(value, abs=1e-4)
    assert found.shares.means.sum(1) == pytest.approx(1, abs=1e-5)
    assert len(read_csv(out / "regions.csv")) == len(found.cohort.visits)
    assert not out.with_name(".out.partial").exists()
