"""Shared fixtures: no network, caches in a temporary folder, one drawn cohort for all."""

import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hf-home-")
os.environ["MPLBACKEND"] = "agg"
if "PYTEST_XDIST_WORKER" in os.environ:  # several threads in several processes wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"

import csv
import gc
import hashlib
import io
import socket
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

settings.register_profile("some", max_examples=100, deadline=None)
settings.register_profile("thousand", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "some"))

SHARED = Path(__file__).parents[2] / "shared"

gc.set_threshold(50_000, 20, 100)


def pytest_collection_finish(session):
    """Take what imports made out of the garbage collector's sight.

    It searches a million objects otherwise, whenever a Trainer ends or a network is saved.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        host = address[0] if isinstance(address, tuple) else ""
        if self.family != socket.AF_UNIX and host not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {host}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session", autouse=True)
def cropped_once():
    """Let this process crop a photo once: for the same bytes the answer is the same.

    What can't be used is looked at anew each time, and worker processes crop for themselves.
    """
    from hf_cushing.data import chunks

    crop, known = chunks.crop_photo, {}

    def remembering(root, file_name, view, **how):
        try:
            content = chunks.read_file(chunks.locate(root, file_name))
        except (OSError, chunks.PhotoError):
            return crop(root, file_name, view, **how)
        key = (hashlib.sha256(content).digest(), view, *how.items())
        row = known.get(key) or crop(root, file_name, view, **how)
        if not row.get("reason"):
            known[key] = row
        return dict(row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "crop_photo", remembering)
        yield


@pytest.fixture(scope="session", autouse=True)
def small_figures():
    """Draw figures small, without fitting their parts to each other: that takes most of the time.

    Give `true_figures` to a test of them as users see them.
    """
    from matplotlib.figure import Figure

    save = Figure.savefig

    def small(figure, *given, **how):
        figure.set_layout_engine("none")
        save(figure, *given, **how | {"dpi": 50, "bbox_inches": None})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", small)
        yield save


@pytest.fixture(scope="module")
def true_figures(small_figures):
    """Draw figures as users see them, until the module's end."""
    from matplotlib.figure import Figure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", small_figures)
        yield


def shared(path):
    """A path in ../shared, or a skip that says so."""
    if not (SHARED / path).exists():
        pytest.skip(f"../shared/{path} is not on this machine")
    return SHARED / path


@pytest.fixture(scope="session")
def clinic(tmp_path_factory):
    """A clinic folder of 72 drawn photos, and its truth beside it (read only)."""
    from hf_cushing.data.synthetic import CohortOptions, make_cohort

    raw = tmp_path_factory.mktemp("clinic") / "raw"
    make_cohort(raw, raw.with_name("truth"), CohortOptions(photos=72, seed=3), num_proc=1)
    return raw


@pytest.fixture(scope="session")
def dataset(clinic):
    """The prepared dataset of `clinic` (read only)."""
    from hf_cushing.data.options import PrepareOptions
    from hf_cushing.data.prepare import prepare

    out = clinic.with_name("dataset")
    prepare(clinic, out, PrepareOptions(identity=False), num_proc=1)
    return out


@pytest.fixture(scope="session")
def run(dataset):
    """A finished run folder: two epochs of a tiny ResNet on `dataset` (read only)."""
    from hf_cushing.training.cli import parse
    from hf_cushing.training.fine_tune import fine_tune

    out = dataset.with_name("run")
    fine_tune(parse(train_options(dataset, out, "--epochs", "2", "--repeatability", "200")))
    return out


def train_options(dataset, out, *more, model="tiny-resnet"):
    """Command line of a short training on a CPU."""
    options = ["--dataset", str(dataset), "--output_dir", str(out), "--model", model, "--cpu"]
    return [*options, "--init", "random", "--bootstrap", "100", "--repeatability", "0", *more]


@pytest.fixture(scope="session")
def faces(clinic):
    """Content (JPEG bytes) of five drawn photos."""
    return [path.read_bytes() for path in sorted((clinic / "images").iterdir())[:5]]


@pytest.fixture
def make_clinic(tmp_path, faces):
    """Write a clinic folder from rows of (file_name, patient_id, sex, label, ...)."""

    def make(rows, columns=("file_name", "patient_id", "sex", "label"), photos=True):
        raw = tmp_path / "raw"
        raw.mkdir()
        with open(raw / "metadata.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(rows)
        for number, row in enumerate(rows):
            if photos and row[0] and not (raw / row[0]).exists():
                (raw / row[0]).write_bytes(distinct_png(faces[number % len(faces)], number))
        return raw

    return make


@cache
def distinct_png(content, number):
    """The same picture with other bytes, so that its photo_id is its own."""
    image = Image.open(io.BytesIO(content)).copy()
    image.putpixel((0, 0), (number % 256, number // 256, 7))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def cohort_rows(patients=12):
    """Rows of a small, valid cohort: one photo a patient, both labels, both sexes."""
    return [
        (f"{n}.png", f"{n:03d}", ("female", "male")[n // 2 % 2], ("control", "cushing")[n % 2])
        for n in range(patients)
    ]


@pytest.fixture
def rng():
    return np.random.default_rng(0)
