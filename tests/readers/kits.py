"""Small reading kits of the drawn cohort."""

import json
import shutil

import numpy as np

from hf_cushing.data.loading import class_words, load_faces
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.readers.kit import Reader
from hf_cushing.readers.make_kit import make_kit
from hf_cushing.readers.options import KitOptions
from hf_cushing.run import Run

READERS = (Reader(name="Anna", level="expert"), Reader(name="李 明", level="student"))


def silent(title, total):
    return lambda count: None


def make(dataset, out, *, run=None, readers=READERS, **options):
    """Make a kit; gives the login codes."""
    run = Run(run) if run else None
    return make_kit(str(dataset), out, readers, KitOptions(**options), run=run, progress=silent)


def fake_run(dataset, out, keep=None, splits=("test",)):
    """A run folder that holds nothing but predictions; gives the scores by photo_id."""
    data = load_faces(str(dataset))
    parts = []
    for split in splits:
        photos = data.roles[split].select(range(keep or len(data.roles[split])))
        scores = np.linspace(0.05, 0.95, len(photos))
        text = {name: np.array(photos[name][:]) for name in ("photo_id", "patient_id")}
        text |= {name: class_words(photos, name) for name in ("label", "sex")}
        part = Predictions(
            **text,
            split=np.full(len(photos), split),
            fold=np.zeros(len(photos), int),
            seed=np.zeros(len(photos), int),
            probabilities=np.column_stack([1 - scores, scores]),
            labels=tuple(data.labels),
            model_revision="m1",
            dataset_revision=data.revision,
        )
        parts.append(part)
    out.mkdir(parents=True)
    rows = concatenate(parts)
    rows.save(out / "predictions.parquet")
    return dict(zip(rows.photo_id.tolist(), rows.score("cushing").tolist(), strict=True))


def copy_of(kit, folder):
    """The kit in a folder of its own, so that a test may answer in it."""
    return shutil.copytree(kit, folder / "kit")


def as_version_1(kit, threshold):
    """Rewrite a kit as it was made before it said what the model calls."""
    facts = json.loads((kit / "kit.json").read_text())
    (kit / "kit.json").write_text(json.dumps(facts | {"version": 1, "threshold": threshold}))
    scores = json.loads((kit / "scores.json").read_text())
    plain = {case: answer["probability"] for case, answer in scores.items()}
    (kit / "scores.json").write_text(json.dumps(plain))
