from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.data.controls import choose_controls, read_controls
from hf_cushing.data.loading import load_faces
from hf_cushing.data.options import ControlsOptions, PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.schema import NO_FOLD, FacePhoto, UsageError, UserError

SMALL = PrepareOptions(folds=3, validation_size=0.25, test_size=0.25, identity=False)


def people(count, sex="female", age=None, start=0, label="control"):
    return [
        FacePhoto(
            row=n, file_name=f"{n}.jpg", patient_id=f"{label}{n}", label=label, sex=sex,
            age=None if age is None else age + n,
        )
        for n in range(start, start + count)
    ]  # fmt: skip


def choose(candidates, cases, match=(), ratio=1.0, seed=0):
    options = ControlsOptions(match=match, ratio=ratio)
    return choose_controls(candidates, cases, options, seed=seed)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.5, 3.0])
def test_ratio_counts_persons_for_each_patient(ratio):
    cases = people(10, label="cushing")
    chosen = choose([*people(50), *people(50)], [*cases, *cases], ratio=ratio)
    assert len(chosen) == len({p.patient_id for p in chosen}) == round(10 * ratio)


def test_sexes_are_matched_one_to_one():
    cases = [*people(8, label="cushing"), *people(3, "male", start=8, label="cushing")]
    candidates = [*people(40, "male"), *people(40, start=40), *people(9, "unknown", start=80)]
    sexes = [p.sex for p in choose(candidates, cases, ("sex",), 2)]
    assert (sexes.count("female"), sexes.count("male")) == (16, 6)


def test_ages_are_matched_within_five_years_and_the_rest_goes_short():
    cases = people(1, age=40, label="cushing")
    candidates = people(60, age=20)
    chosen = choose(candidates, cases, ("age",), 30)
    assert sorted(p.age for p in chosen) == list(range(35, 46))
    assert choose(candidates, cases, ("age",), 1)[0].age == 40


def test_matching_what_nobody_has_is_refused():
    with pytest.raises(UserError, match="--match age: none of the public controls has a known age"):
        choose(people(5), people(5, age=30, label="cushing"), ("sex", "age"))


def test_choice_depends_on_the_seed_alone():
    cases, candidates = people(5, label="cushing"), people(50)
    assert choose(candidates, cases) == choose(candidates, cases)
    assert choose(candidates, cases) != choose(candidates, cases, seed=1)


@pytest.mark.parametrize(
    "options", [{"match": ("height",)}, {"ratio": 0}, {"ratio": 2000}, {"splits": "test"}]
)
def test_impossible_options_are_refused(tmp_path, options):
    with pytest.raises(UsageError):
        ControlsOptions(folder=tmp_path, **options)


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """Drawn control persons, elsewhere."""
    import csv
    import shutil

    from hf_cushing.data.synthetic import CohortOptions, make_cohort

    base = tmp_path_factory.mktemp("public")
    make_cohort(base / "raw", base / "truth", CohortOptions(photos=40, seed=11), num_proc=1)
    with open(base / "raw" / "metadata.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "control"]
    (base / "public" / "images").mkdir(parents=True)
    for row in rows:
        shutil.copy(base / "raw" / row["file_name"], base / "public" / row["file_name"])
    with open(base / "public" / "metadata.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return base / "public"


@pytest.fixture(scope="module")
def mixed(clinic, public, tmp_path_factory):
    """The drawn clinic with public controls, matched by sex, in train."""
    out = tmp_path_factory.mktemp("mixed") / "out"
    controls = ControlsOptions(folder=public, match=("sex",), ratio=0.5)
    prepare(clinic, out, PrepareOptions(identity=False, controls=controls), num_proc=1)
    return out


def is_public(photos):
    return np.char.startswith(np.array(photos["patient_id"]), "public-")


def test_public_controls_only_train_and_leave_the_clinics_splits_alone(dataset, mixed):
    before, after = load_faces(str(dataset)).roles, load_faces(str(mixed)).roles
    assert is_public(after["train"]).sum() >= 5
    assert set(np.array(after["train"]["source"])[is_public(after["train"])]) == {
        "public:synthetic"
    }
    for split in ("validation", "test"):
        assert sorted(after[split]["photo_id"]) == sorted(before[split]["photo_id"])
        assert not is_public(after[split]).any()


@pytest.mark.parametrize("fold", range(5))
def test_public_controls_train_in_every_fold(mixed, fold):
    roles = load_faces(str(mixed), fold=fold).roles
    everywhere = load_faces(str(mixed)).roles["train"]
    assert is_public(roles["train"]).sum() == is_public(everywhere).sum()
    assert not is_public(roles["test"]).any()
    assert not is_public(roles["validation"]).any()
    assert set(np.array(roles["train"]["fold"])[is_public(roles["train"])]) == {NO_FOLD}


def test_card_and_report_say_why_they_only_train(mixed):
    for name in ("README.md", "intake.md"):
        text = (mixed / name).read_text()
        assert "telling the collections apart would pass for telling the disease" in text


def test_they_are_dealt_like_the_others_if_asked(clinic, public, tmp_path):
    controls = ControlsOptions(folder=public, ratio=0.5, splits="all")
    options = PrepareOptions(identity=False, controls=controls)
    prepare(clinic, tmp_path / "out", options, num_proc=1)
    roles = load_faces(str(tmp_path / "out")).roles
    assert all(is_public(photos).any() for photos in roles.values())


def test_photo_of_the_clinic_is_not_added_as_a_control(clinic, tmp_path):
    controls = ControlsOptions(folder=clinic, ratio=0.5)
    with pytest.raises(UserError, match="label 'cushing' is not one of control"):
        prepare(clinic, tmp_path / "out", replace(SMALL, controls=controls), num_proc=1)


def test_ids_of_the_two_tables_never_meet(public):
    intake = read_controls(public)
    assert all(photo.patient_id.startswith("public-") for photo in intake.photos)
    assert all(photo.public for photo in intake.photos)
