"""What a clinic's dataset must not take to the Hub, each way in tried against the gate."""

import datetime
import io
import shutil
import struct

import pyarrow
import pyarrow.parquet
import pytest
from huggingface_hub import DatasetCard
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hf_cushing.publish.image_bytes import foreign_parts
from hf_cushing.publish.options import DatasetOptions
from hf_cushing.publish.staging import stage_dataset
from hf_cushing.schema import UserError
from tests.publish.stages import LICENCE, case_of, change_json, messages


def jpeg(**options):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "JPEG", **options)
    return buffer.getvalue()


def revealing():
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    return jpeg(exif=exif)


COLUMNS = {
    "mrn": pyarrow.scalar(4711),
    "born": pyarrow.scalar(datetime.date(1970, 1, 2)),
    "surname": pyarrow.scalar("Doe", pyarrow.large_string()),
    "note": pyarrow.scalar("Doe"),
    "names": pyarrow.scalar(["Jane", "Doe"]),
    "document": pyarrow.scalar(revealing()),
    "scan": pyarrow.scalar({"bytes": revealing(), "path": None}),
    "weight": pyarrow.scalar(70.5),
}
"""Columns that are none of ours, by type: numbers, dates, text of all kinds, lists, pictures."""


def shard(folder):
    return next((folder / "data").glob("test-*.parquet"))


def rewrite(folder, change):
    """Rewrite the test shard by a function on its table; what the file says of itself stays."""
    path = shard(folder)
    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(path)), path)


def with_column(name, value):
    def change(table):
        column = pyarrow.array([value.as_py()] * len(table), value.type)
        return table.append_column(name, column)

    return change


def staged_anew(case, tmp_path):
    options = DatasetOptions(repo_id="me/photos", license=LICENCE)
    return stage_dataset(case.source, options, tmp_path / "work")


@pytest.fixture
def case(run, dataset, tmp_path):
    return case_of("dataset", run, dataset, tmp_path)


@pytest.mark.parametrize("name", COLUMNS)
def test_column_that_is_not_on_the_list_is_refused_whatever_its_type(case, name, tmp_path):
    assert messages("columns", case) == []
    rewrite(case.source, with_column(name, COLUMNS[name]))
    (found,) = [f.message for f in staged_anew(case, tmp_path).findings if f.rule == "columns"]
    kind = str(COLUMNS[name].type).replace("item:", "element:")
    assert found == f"column '{name}' ({kind}) is not one that may go"


def test_column_of_words_kept_by_number_is_refused(case, tmp_path):
    rewrite(case.source, lambda table: table.append_column(
        "surname", pyarrow.array(["Doe"] * len(table)).dictionary_encode()))  # fmt: skip
    assert "column 'surname' (string)" in staged_anew(case, tmp_path).findings[0].message


def test_column_of_a_type_that_datasets_does_not_know_stops_the_staging(case, tmp_path):
    kind = pyarrow.map_(pyarrow.string(), pyarrow.string())
    rewrite(case.source, lambda table: table.append_column(
        "notes", pyarrow.array([[("name", "Doe")]] * len(table), kind)))  # fmt: skip
    with pytest.raises(UserError, match="a column of an unknown type"):
        staged_anew(case, tmp_path)


@pytest.mark.parametrize(("name", "kind"), [
    ("visit", pyarrow.date32()), ("age", pyarrow.string()), ("bmi", pyarrow.int64()),
    ("site", pyarrow.large_string()), ("face_box", pyarrow.list_(pyarrow.string())),
])  # fmt: skip
def test_known_column_of_another_type_is_refused(case, name, kind, tmp_path):
    def change(table):
        place = table.schema.get_field_index(name)
        return table.set_column(place, name, pyarrow.nulls(len(table), kind))

    rewrite(case.source, change)
    found = " ".join(f.message for f in staged_anew(case, tmp_path).findings)
    assert f"column '{name}' " in found


def test_labels_are_names_of_diseases(case, tmp_path):
    def change(table):
        text = table.schema.metadata[b"huggingface"].replace(b'"cushing"', b'"Jane Doe"')
        return table.replace_schema_metadata({b"huggingface": text})

    rewrite(case.source, change)
    found = [f.message for f in staged_anew(case, tmp_path).findings]
    assert "column 'label' (int64) is not one that may go" in found


def test_what_a_shard_says_beside_its_columns_is_left_behind(case, tmp_path):
    def change(table):
        told = {**table.schema.metadata, b"photographer": b"Jane Doe"}
        told[b"huggingface"] = told[b"huggingface"].replace(
            b'{"info": {', b'{"owner": "Jane Doe", "info": {"description": "Jane Doe", '
        )
        field = table.schema.field("view").with_metadata({b"by": b"Jane Doe"})
        table = table.set_column(table.schema.get_field_index("view"), field, table["view"])
        return table.replace_schema_metadata(told)

    rewrite(case.source, change)
    made = staged_anew(case, tmp_path)
    assert made.findings == ()
    assert b"Jane Doe" in shard(case.source).read_bytes()
    assert all(b"Jane Doe" not in path.read_bytes() for path in made.files.values())
    rewrite(case.folder, change)  # and were it copied, the gate would see it
    assert messages("columns", case) == ["a shard holds more than its columns and their types"]


@pytest.mark.parametrize("name", ["jane-doe.parquet", "test-jane.parquet", "notes.txt",
                                  "test-00001-of-00002-jane.parquet"])  # fmt: skip
def test_further_file_among_the_shards_stops_the_staging(case, name, tmp_path):
    shutil.copyfile(shard(case.source), case.source / "data" / name)
    with pytest.raises(UserError, match="holds 1 files that `hf-cushing prepare` did not write"):
        staged_anew(case, tmp_path)
    assert not (tmp_path / "work").exists()


def test_further_parquet_file_is_opened_by_every_rule(case):
    path = case.folder / "data" / "other.parquet"
    table = pyarrow.parquet.read_table(shard(case.folder))
    pyarrow.parquet.write_table(with_column("mrn", COLUMNS["mrn"])(table), path)
    assert any("column 'mrn'" in message for message in messages("columns", case))


@pytest.mark.parametrize("what", ["data", "intake.json"])
def test_link_out_of_the_dataset_folder_is_refused(case, what, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(case.source / what, elsewhere)
    (case.source / what).symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a link that leads elsewhere"):
        staged_anew(case, tmp_path)


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def after_start(part):
    return lambda plain: plain[:2] + part + plain[2:]


IMAGES = {
    "segment APP1": lambda plain: revealing(),
    "segment APP2": lambda plain: jpeg(icc_profile=b"Jane Doe"),
    "segment FE": lambda plain: jpeg(comment=b"Jane Doe"),
    "segment APP9": after_start(segment(0xE9, b"Jane Doe")),
    "segment APP13": after_start(segment(0xED, b"Photoshop 3.0\0Jane Doe")),
    "segment APP0": after_start(segment(0xE0, b"JFXX\0\x10" + jpeg())),
    "bytes after its end": lambda plain: plain + b"Jane Doe",
    "it is cut off": lambda plain: plain[:-30],
    "it is no plain JPEG or PNG": lambda plain: b"GIF89a",
}


@pytest.mark.parametrize("part", IMAGES)
def test_jpeg_that_holds_more_than_a_picture_is_refused(case, part):
    content = IMAGES[part](jpeg())
    assert foreign_parts(jpeg()) == foreign_parts(jpeg(progressive=True)) == []
    assert part in foreign_parts(content)

    def change(table):
        kind = table.schema.field("image").type
        image = pyarrow.array([{"bytes": content, "path": None}] * len(table), kind)
        return table.set_column(table.schema.get_field_index("image"), "image", image)

    rewrite(case.folder, change)
    (found,) = messages("image metadata", case)
    assert part in found


def test_png_with_text_or_bytes_after_its_end_is_refused():
    def png(text=None):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=text)
        return buffer.getvalue()

    text = PngInfo()
    text.add_text("Author", "Jane Doe")
    assert foreign_parts(png()) == []
    assert foreign_parts(png(text)) == ["chunk tEXt"]
    assert foreign_parts(png() + b"Jane") == ["bytes after its end"]
    assert foreign_parts(png()[:-8]) == ["it is cut off"]


def test_photo_id_that_is_no_hash_is_refused(case):
    def change(table):
        place = table.schema.get_field_index("photo_id")
        return table.set_column(place, "photo_id", [["Jane Doe"] * len(table)])

    rewrite(case.folder, change)
    assert "column 'photo_id' holds text or dates in 1 values" in messages("free text", case)


def test_page_is_made_anew_and_names_no_row_of_the_clinics_table(case, tmp_path):
    (case.source / "README.md").write_text("# By Jane Doe")
    change_json(case.source / "intake.json", lambda found: found["warnings"].append(
        "row 7: Jane Doe and jane doe were taken for one person"))  # fmt: skip
    page = (staged_anew(case, tmp_path).folder / "README.md").read_text()
    assert "Jane" not in page
    assert "row 7" not in page


def test_drawn_faces_can_not_be_mistaken_for_people(case, tmp_path):
    card = DatasetCard.load(staged_anew(case, tmp_path).folder / "README.md")
    assert "synthetic" in card.data.tags
    lines = [line for line in card.text.splitlines() if line]
    assert lines[0] == "# Drawn faces for hf-cushing"
    assert lines[1].startswith("> **Drawn faces, no people.**")
    assert "Photographs of faces identify people" not in card.text
    assert "Not ready to be published" not in card.text
    assert "To be filled in before publishing" not in card.text
