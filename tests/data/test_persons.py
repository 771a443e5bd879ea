import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from hf_cushing.cli import app
from hf_cushing.data import crops, persons
from hf_cushing.data.persons import Alike, find_alike, read_decisions
from hf_cushing.schema import FacePhoto, UserError
from tests.conftest import cohort_rows

SMALL = ("--folds", "3", "--validation-size", "0.25", "--test-size", "0.25", "--num-proc", "1")


def photos(count):
    return [FacePhoto(row=n + 2, file_name="x", patient_id=f"P{n}", photo_id=f"{n:016x}",
                      label="control", sex="female") for n in range(count)]  # fmt: skip


def faces(rng, count):
    vectors = rng.normal(size=(count, 128))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) * 0.25).astype(np.float32)


def states(alike):
    return {pair.patient_ids: pair.state for pair in alike}


def test_near_faces_are_found_and_less_near_ones_left_to_a_person(rng):
    vectors = faces(rng, 40)
    steps = faces(rng, 2) / 0.25  # of length 1; strangers are some 0.35 apart
    vectors[1] = vectors[0] + steps[0] * 0.15
    vectors[4] = vectors[3] + steps[1] * 0.33
    found = states(find_alike(photos(40), vectors, ()))
    assert found["P0", "P1"] == "found"
    assert found["P3", "P4"] == "unsure"


def test_what_a_person_decided_stands_whatever_the_faces_say(rng):
    vectors = faces(rng, 40)
    vectors[1] = vectors[0]
    names = [photo.photo_id for photo in photos(40)]
    decisions = ((names[0], names[1], "different"), (names[6], names[7], "same"))
    assert states(find_alike(photos(40), vectors, decisions))["P0", "P1"] == "different"
    assert states(find_alike(photos(40), vectors, decisions))["P6", "P7"] == "same"
    assert states(find_alike(photos(40), None, decisions)) == {
        ("P0", "P1"): "different", ("P6", "P7"): "same"}  # fmt: skip


def test_no_more_pairs_are_shown_than_a_person_looks_at(rng, monkeypatch):
    monkeypatch.setattr(persons, "SHOWN_PAIRS", 3)
    one = rng.normal(size=128)
    crowd = one / np.linalg.norm(one) + rng.normal(size=(60, 128)) * 0.02
    found = list(states(find_alike(photos(60), crowd.astype(np.float32), ())).values())
    assert found.count("unsure") == 3


def test_both_words_for_one_pair_are_refused():
    names = [photo.photo_id for photo in photos(2)]
    with pytest.raises(UserError, match="P0 and P1 are called the same and different"):
        find_alike(photos(2), None, ((*names, "same"), (*names, "different")))


@pytest.mark.parametrize("word", ["", "Same", "DIFFERENT"])
def test_decisions_are_read_whatever_their_capitals(tmp_path, word):
    path = tmp_path / "pairs.csv"
    path.write_text(f"decision;photo_id_1;photo_id_2\n{word};b;a\n")
    assert read_decisions(path) == ((("a", "b", word.lower()),) if word else ())


def test_unknown_decision_is_refused_by_row(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("decision,photo_id_1,photo_id_2\nsame,a,b\nmaybe,c,d\n")
    with pytest.raises(UserError, match=r"row 3: .*same, different or nothing"):
        read_decisions(path)


def run(*arguments):
    found = CliRunner().invoke(app, ["prepare", *map(str, arguments), *SMALL])
    return found.exit_code, found.output + str(found.exception or "")


def test_one_person_under_two_ids_is_put_together_and_told(clinic, tmp_path, monkeypatch):
    linked = []

    def found(photos, descriptors, decisions):
        some = photos[0]
        other = next(p for p in photos if p.patient_id != some.patient_id
                     and (p.label, p.sex) == (some.label, some.sex))  # fmt: skip
        linked[:] = [some.patient_id, other.patient_id]
        names = (some.photo_id, other.photo_id)
        return [Alike(names, tuple(linked), (str(some.row), str(other.row)), 0.5, "found")]

    monkeypatch.setattr(crops, "find_alike", found)
    code, said = run(clinic, "--out", tmp_path / "out", "--no-identity")
    assert code == 0, said
    assert "warning: 1 person under several patient ids" in said
    assert f"{linked[0]} + {linked[1]} (rows " in said
    card = (tmp_path / "out" / "README.md").read_text()
    assert not any(patient in card for patient in linked)


def test_contradiction_across_ids_exits_1_until_a_person_says_they_differ(make_clinic, tmp_path):
    raw, out = make_clinic(cohort_rows()), tmp_path / "out"  # twelve patients, five faces
    code, said = run(raw, "--out", out)
    assert code == 1
    assert "one person seems to stand under two ids with two labels or sexes" in said
    assert "--decisions pairs.csv --overwrite" in said
    page = (out / "pairs.html").read_text()
    assert page.count("<fieldset") == page.count('value="same"') > 5
    with open(out / "pairs.csv", newline="") as file:
        pairs = list(csv.DictReader(file))
    with open(tmp_path / "pairs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(pairs[0]))
        writer.writeheader()
        writer.writerows(pair | {"decision": "different"} for pair in pairs)
    code, said = run(raw, "--out", out, "--overwrite", "--decisions", tmp_path / "pairs.csv")
    assert code == 0, said
    assert "stand under several" not in said
    assert (out / "pairs.html").read_text().count(" checked") == len(pairs)
    assert CliRunner().invoke(app, ["audit", str(out), "--num-proc", "1"]).exit_code == 0
