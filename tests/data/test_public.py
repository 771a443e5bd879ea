import csv

import pytest

from hf_cushing.data.intake import read_intake
from hf_cushing.data.public import build_controls
from hf_cushing.schema import UserError


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def rows(out):
    with open(out / "metadata.csv", newline="") as file:
        return list(csv.DictReader(file))


def sexes_and_ages(out):
    found = {}
    for row in rows(out):
        found[(out / row["file_name"]).read_bytes().decode()] = (row["sex"], row["age"])
    return found


def test_lfw_takes_the_sex_from_a_table_and_gives_nobody_away(tmp_path):
    source = tmp_path / "lfw"
    put(source, "Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg", "Bob_Ray/Bob_Ray_0001.jpg")
    put(source, "No_Body/No_Body_0001.jpg")
    table = tmp_path / "sex.csv"
    table.write_text("name,sex\nAnn_Lee,female\nBob_Ray_0001.jpg,male\n")
    out = tmp_path / "out"
    count, left_out = build_controls(source, out, layout="lfw", sex_table=table)
    assert (count, left_out) == (3, {"sex unknown": 1})
    assert len({row["patient_id"] for row in rows(out)}) == 2
    assert {row["label"] for row in rows(out)} == {"control"}
    said = (out / "metadata.csv").read_text() + " ".join(p.name for p in out.rglob("*"))
    assert "Ann" not in said
    assert "Ray" not in said
    assert "research" in (out / "PROVENANCE.md").read_text()


def test_utkface_is_read_from_the_file_names(tmp_path):
    source = tmp_path / "utk"
    put(source, "part1/26_1_0_2017.jpg.chip.jpg", "61_0_2_2017.jpg", "7_1_0_2017.jpg", "x.jpg")
    out = tmp_path / "out"
    count, left_out = build_controls(source, out, layout="utkface")
    assert (count, left_out) == (2, {"under age": 1, "sex unknown": 1})
    assert sexes_and_ages(out) == {
        "part1/26_1_0_2017.jpg.chip.jpg": ("female", "26"),
        "61_0_2_2017.jpg": ("male", "61"),
    }


def test_fairface_takes_the_middle_of_an_age_band(tmp_path):
    source = tmp_path / "fair"
    put(source, "train/1.jpg", "train/2.jpg", "train/3.jpg")
    lines = ["file,age,gender,race,service_test", "train/1.jpg,50-59,Male,Black,True"]
    lines += ["train/2.jpg,3-9,Female,White,False", "train/3.jpg,more than 70,Female,White,True"]
    (source / "fairface_label_train.csv").write_text(
        "\n".join([*lines, "train/9.jpg,20-29,Male,,"])
    )
    out = tmp_path / "out"
    count, left_out = build_controls(source, out, layout="fairface")
    assert (count, left_out) == (2, {"under age": 1, "file absent": 1})
    assert sexes_and_ages(out) == {"train/1.jpg": ("male", "55"), "train/3.jpg": ("female", "75")}


@pytest.mark.parametrize("kind", ["txt", "csv"])
def test_celeba_takes_sex_and_persons_from_its_lists(tmp_path, kind):
    source = tmp_path / "celeba"
    put(source, *(f"img_align_celeba/00000{n}.jpg" for n in (1, 2, 3)))
    if kind == "txt":
        text = "3\nBald Male Young\n000001.jpg -1 -1  1\n000002.jpg -1  1  1\n000003.jpg 1 1 -1\n"
    else:
        text = "image_id,Bald,Male\n000001.jpg,-1,-1\n000002.jpg,-1,1\n000003.jpg,1,1\n"
    (source / f"list_attr_celeba.{kind}").write_text(text)
    (source / "identity_CelebA.txt").write_text("000001.jpg 7\n000002.jpg 8\n000003.jpg 8\n")
    out = tmp_path / "out"
    build_controls(source, out, layout="celeba")
    assert [row["sex"] for row in rows(out)] == ["female", "male", "male"]
    assert rows(out)[1]["patient_id"] == rows(out)[2]["patient_id"] != rows(out)[0]["patient_id"]


def test_result_is_a_clinic_folder_and_the_limit_is_drawn_by_seed(tmp_path):
    source = tmp_path / "utk"
    put(source, *(f"{20 + n}_{n % 2}_0_{n}.jpg" for n in range(30)))
    chosen = []
    for seed in (0, 0, 1):
        out = tmp_path / f"out{len(chosen)}"
        build_controls(source, out, layout="utkface", limit=10, seed=seed)
        intake = read_intake(out, labels=["control"])
        assert len(intake.photos) == 10
        assert intake.unlisted == ["PROVENANCE.md"]
        chosen.append([photo.patient_id for photo in intake.photos])
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("fairface", "fairface_label"),
        ("celeba", "list_attr_celeba"),
        ("lfw", "--sex-table"),
        ("utkface", "no photo to be used"),
    ],
)
def test_folder_laid_out_otherwise_is_refused_by_name(tmp_path, layout, words):
    with pytest.raises(UserError, match=words):
        build_controls(tmp_path, tmp_path / "out", layout=layout)
    assert not (tmp_path / "out").exists()


def test_existing_folder_is_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="exists"):
        build_controls(tmp_path, tmp_path / "out", layout="utkface")
