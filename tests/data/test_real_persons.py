"""Photographs of real persons, some filed under a second id: who is found again."""

import csv
import json
import shutil

import numpy as np
import pytest

from hf_cushing.data.audit_report import audit
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from tests.conftest import shared


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Twelve persons with three photos each, the third under another id (read only)."""
    raw, folder = shared("data/lfw_moonface"), tmp_path_factory.mktemp("real") / "raw"
    with open(raw / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    several = [r for r in rows if sum(o["patient_id"] == r["patient_id"] for o in rows) == 3]
    chosen = [row for row in several if row["label"] == "moon_face"][:18]
    chosen += [row for row in several if row["label"] == "control"][:18]
    (folder / "images").mkdir(parents=True)
    for number, row in enumerate(chosen):
        shutil.copy(raw / row["file_name"], folder / row["file_name"])
        row["patient_id"] += "b" * (number % 3 == 2)
    with open(folder / "metadata.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    return folder


def test_real_persons_under_two_ids_are_brought_together(clinic, tmp_path):
    options = PrepareOptions(folds=3, validation_size=0.25, test_size=0.25)
    result = prepare(clinic, tmp_path / "out", options, num_proc=1)
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert len(result.merged) >= 8
    assert found["leaks"] == 0
    assert np.mean([c["patient_id"].endswith("b") for c in result.columns]) < 0.1


def test_real_persons_filed_anew_are_mostly_found_and_strangers_hardly(clinic, tmp_path):
    found = audit(clinic, tmp_path / "out", num_proc=1)
    pairs = {frozenset(f["patient_ids"]) for f in found["findings"] if f["kind"] == "same_person"}
    names = [names for names in pairs if len({name.rstrip("b") for name in names}) == 1]
    assert len(names) >= 8
    assert len(pairs) - len(names) <= 1
