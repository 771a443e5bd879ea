"""Small reading kits of the drawn cohort."""

import shutil

import numpy as np

from hf_cushing.data.loading import class_words, load_faces
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.readers.kit import KitOptions, make_kit
from hf_cushing.readers.kit_folder import Reader

READERS = (Reader(name="Anna", level="expert"), Reader(name="李 明", level="student"))


def silent(title, total):
    return lambda count: None


def make(dataset, out, *, run=None, readers=READERS, **options):
    """Make a kit; gives the login codes."""
    options = KitOptions(readers=readers, **options)
    return make_kit(str(dataset), out, options, run=run and str(run), progress=silent)


def fake_run(dataset, out, keep=None):
    """A run folder that holds nothing but predictions of the test split."""
    data = load_faces(str(dataset))
    photos = data.roles["test"].select(range(keep or len(data.roles["test"])))
    scores = np.linspace(0.05, 0.95, len(photos))
    out.mkdir(parents=True)
    text = {name: np.array(photos[name][:]) for name in ("photo_id", "patient_id")}
    text |= {name: class_words(photos, name) for name in ("label", "sex")}
    Predictions(
        **text,
        split=np.full(len(photos), "test"),
        fold=np.zeros(len(photos), int),
        seed=np.zeros(len(photos), int),
        probabilities=np.column_stack([1 - scores, scores]),
        labels=tuple(data.labels),
        model_revision="m1",
        dataset_revision=data.revision,
    ).save(out / "predictions.parquet")
    return dict(zip(text["photo_id"].tolist(), scores.tolist(), strict=True))


def copy_of(kit, folder):
    """The kit in a folder of its own, so that a test may answer in it."""
    return shutil.copytree(kit, folder / "kit")
