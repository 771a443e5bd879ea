import numpy as np
import pytest
import torch
from PIL import Image
from transformers import default_data_collator

from hf_cushing.data.loading import FacePhotos, class_words, load_faces
from hf_cushing.data.parquet import content_revision
from hf_cushing.models.preprocessing import square_processor
from hf_cushing.schema import UserError


@pytest.fixture(scope="module")
def data(dataset):
    return load_faces(str(dataset))


def test_folds_take_turns_in_testing_every_photo_once(dataset, data):
    tested = []
    for fold in range(5):
        roles = load_faces(str(dataset), fold=fold).roles
        assert set(roles["test"]["fold"]) == {fold}
        assert set(roles["validation"]["fold"]) == {(fold + 1) % 5}
        tested += roles["test"]["photo_id"]
    everything = [photo for rows in data.roles.values() for photo in rows["photo_id"]]
    assert sorted(tested) == sorted(everything)


def test_missing_fold_and_folder_are_refused(dataset, clinic, tmp_path):
    with pytest.raises(UserError, match="has the folds 0 to 4"):
        load_faces(str(dataset), fold=5)
    with pytest.raises(UserError, match="not a prepared dataset; run `hf-cushing prepare"):
        load_faces(str(clinic))
    with pytest.raises(UserError, match="no such folder"):
        load_faces(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="not to be had from the Hub"):
        load_faces("someone/something")


def test_revision_follows_the_content_and_not_the_place(dataset, data, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    assert load_faces(str(copy)).revision == data.revision
    (copy / "README.md").write_text("another card")
    assert load_faces(str(copy)).revision == data.revision
    roles = data.roles | {"test": data.roles["test"].select(range(5))}
    assert content_revision(roles) != data.revision


def test_patient_in_two_splits_is_refused(dataset, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    shard = next((copy / "data").glob("test-*"))
    shutil.copy(next((copy / "data").glob("validation-*")), shard)
    with pytest.raises(UserError, match="a patient of the test photos is among the validation"):
        load_faces(str(copy))


def batch(photos, workers, epoch):
    photos.set_epoch(epoch)
    loader = torch.utils.data.DataLoader(
        photos, 4, num_workers=workers, collate_fn=default_data_collator
    )
    return next(iter(loader))["pixel_values"]


def test_augmentation_depends_on_seed_epoch_and_photo_but_not_on_workers(data):
    processor = square_processor(64)
    photos = FacePhotos(data.roles["train"], processor, strength="light", seed=1)
    first = batch(photos, 0, 0)
    assert torch.equal(first, batch(photos, 2, 0))
    assert not torch.equal(first, batch(photos, 0, 1))
    assert torch.equal(first, batch(photos, 0, 0))
    other = FacePhotos(data.roles["train"], processor, strength="light", seed=2)
    assert not torch.equal(first, batch(other, 0, 0))


def test_a_loaders_living_processes_see_the_next_epoch(data):
    photos = FacePhotos(data.roles["train"], square_processor(64), strength="light", seed=1)
    expected = [batch(photos, 0, epoch) for epoch in (0, 1)]
    loader = torch.utils.data.DataLoader(
        photos, 4, num_workers=1, collate_fn=default_data_collator, persistent_workers=True
    )
    for epoch, pixels in enumerate(expected):
        photos.set_epoch(epoch)
        shown = [rows["pixel_values"] for rows in loader]
        assert torch.equal(shown[0], pixels)


def test_photos_without_every_label_can_not_be_learned_from(dataset, tmp_path):
    import shutil

    import pyarrow.parquet

    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    for shard in (copy / "data").glob("train-*"):
        table = pyarrow.parquet.read_table(shard)
        keep = [label == 0 for label in table["label"].to_pylist()]
        pyarrow.parquet.write_table(table.filter(keep), shard)
    with pytest.raises(UserError, match="the train photos lack cushing; prepare it from"):
        load_faces(str(copy))


def test_evaluation_sees_the_whole_crop(data):
    row = data.roles["test"][0]
    pixels = FacePhotos(data.roles["test"], square_processor(64))[0]["pixel_values"].numpy()
    expected = np.asarray(row["image"].resize((64, 64), Image.Resampling.BICUBIC), float) / 255
    expected = (expected - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.abs(pixels.transpose(1, 2, 0) - expected).max() < 0.02


def test_words_are_those_of_the_dataset(data):
    assert set(class_words(data.roles["train"], "label")) == {"control", "cushing"}
    assert set(class_words(data.roles["train"], "sex")) <= {"female", "male"}
