"""The corpus of bad photographs: no crash, and a sentence a clinician understands for each."""

import io
import json
import os
import resource
from functools import cache

import numpy as np
import pytest
from PIL import Image

from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.faces import photo as photo_module
from hf_cushing.faces.landmarks import find_face
from tests.conftest import cohort_rows

SMALL = PrepareOptions(folds=3, validation_size=0.25, test_size=0.25, identity=False)


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(image, orientation):
    """A photo as a camera held askew stores it: turned, and marked as such."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that EXIF will undo
    if orientation > 1:
        image = image.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, "JPEG", quality=95, exif=exif)


def side_by_side(image, count):
    sheet = Image.new("RGB", (image.width * count, image.height))
    for number in range(count):
        sheet.paste(image, (number * image.width, 0))
    return sheet


@cache
def bomb():
    """A PNG of 30,000 × 30,000 pixels that takes 110 kB."""
    return encode(Image.new("1", (30_000, 30_000)))


def heic_is_read():
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def corpus(face):
    """Name to (content, expected reason; empty if the photo is to be kept)."""
    sixteen = Image.fromarray(np.asarray(face.convert("L"), np.uint16) * 257)
    jpeg, grey = encode(face, "JPEG", quality=92), np.asarray(face.convert("L"))
    avif, dds = bytearray(encode(face, "AVIF")), bytearray(encode(face, "DDS"))
    avif[len(avif) // 2 :] = bytes(len(avif) - len(avif) // 2)
    dds[80:84] = bytes(4)  # a kind of pixels that Pillow doesn't know
    phone = {"phone.heic": (encode(face, "HEIF"), "")} if heic_is_read() else {}
    third = face.width // 3
    points = find_face(face).landmarks
    chin = round(0.9 * points[:, 1].max() + 0.1 * points[:, 1].min())
    return {
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "unreadable"),
        "zero.jpg": (b"", "empty"),
        "text.jpg": (b"Dear colleague, the photo follows by post.", "unreadable"),
        "heic.jpg": (b"\x00\x00\x00\x18ftypheic" + bytes(200), "unreadable"),
        "pdf.jpg": (b"%PDF-1.7 " + bytes(200), "unreadable"),
        "cmyk.jpg": (encode(face.convert("CMYK"), "JPEG", quality=95), ""),
        "sixteen.png": (encode(sixteen), ""),
        "palette.png": (encode(face.quantize(64)), ""),
        "palette_clear.png": (encode(face.quantize(64), transparency=0), ""),
        "rgba.png": (encode(face.convert("RGBA")), ""),
        "grey.jpg": (encode(face.convert("L"), "JPEG", quality=95), ""),
        "anim.gif": (encode(face, "GIF", save_all=True, append_images=[face] * 2), ""),
        "anim.webp": (encode(face, "WEBP", save_all=True, append_images=[face] * 2), ""),
        "tiff.tif": (encode(face, "TIFF"), ""),
        "sixteen_clear.png": (encode(sixteen, transparency=1), ""),
        "twelve.tif": (encode(Image.fromarray(grey.astype(np.uint16) * 16), "TIFF"), ""),
        "whole.tif": (encode(Image.fromarray(grey.astype(np.int32) * 257), "TIFF"), ""),
        "float.tif": (encode(Image.fromarray(np.float32(grey / 255)), "TIFF"), ""),
        "dim.tif": (encode(Image.fromarray(np.float32(grey / 99)), "TIFF"), "unreadable"),
        "damaged.avif": (bytes(avif), "unreadable"),
        "damaged.dds": (bytes(dds), "unreadable"),
        **phone,
        "film.heic": (b"\x00\x00\x00\x18ftypqt  " + bytes(200), "unreadable"),
        "bomb.png": (bomb(), "too_large"),
        "tiny.png": (encode(face.resize((20, 20))), "too_small"),
        "thumbnail.jpg": (encode(face.resize((40, 40)), "JPEG"), "too_small"),
        "one_pixel.png": (encode(face.resize((1, 1))), "too_small"),
        "strip.png": (encode(face.resize((3000, 2))), "too_small"),
        "noface.png": (encode(Image.new("RGB", (300, 300), "grey")), "no_face"),
        "five.png": (encode(side_by_side(face, 5)), "several_faces"),
        "half.png": (encode(face.crop((0, 0, face.width // 2, face.height))), "cut_off"),
        "chinless.png": (encode(face.crop((0, 0, face.width, chin))), "cut_off"),
        "upside_down.png": (encode(face.transpose(Image.Transpose.ROTATE_180)), ""),
        "sideways.png": (encode(face.transpose(Image.Transpose.ROTATE_90)), ""),
        "border.png": (encode(face.crop((0, third // 2, face.width, face.height))), ""),
        **{f"turn{n}.jpg": (oriented(face, n), "") for n in range(1, 9)},
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, faces):
    """The intake report of a cohort with every bad photo in it, and what was expected of each."""
    base = tmp_path_factory.mktemp("bad")
    raw, out = base / "raw", base / "out"
    raw.mkdir()
    face = Image.open(io.BytesIO(faces[0])).convert("RGB")
    cases = corpus(face)
    expected = {name: reason for name, (_, reason) in cases.items()}
    for name, (content, _) in cases.items():
        (raw / name).write_bytes(content)
    for number, row in enumerate(cohort_rows()):
        image = face.copy()
        image.putpixel((0, 0), (number, 0, 7))
        (raw / row[0]).write_bytes(encode(image))
    (base / "secret.png").write_bytes(encode(face))
    (raw / "link.png").symlink_to(base / "secret.png")
    (raw / "Case.png").write_bytes((raw / "rgba.png").read_bytes() + b" ")
    expected |= {"link.png": "outside", "../secret.png": "outside", "Case.png": ""}
    expected |= {str(base / "secret.png"): "outside", "gone.png": "absent", "raw.png": "absent"}
    (raw / "raw.png").mkdir()
    rows = [*cohort_rows(), *((name, f"x{n}", "female", "control")
                              for n, name in enumerate(expected))]  # fmt: skip
    lines = [",".join(row) for row in [("file_name", "patient_id", "sex", "label"), *rows]]
    (raw / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    prepare(raw, out, SMALL, num_proc=1)
    report = json.loads((out / "intake.json").read_text())
    return report, expected


def test_every_bad_photo_has_its_outcome(prepared):
    report, expected = prepared
    reasons = {row["file_name"]: row["reason"] for row in report["rows"]}
    assert {name: reasons[name] for name in expected} == expected


def test_every_rejection_comes_with_a_sentence_and_a_remedy(prepared):
    report, _ = prepared
    for row in report["rows"]:
        if row["status"] == "rejected":
            assert len(row["message"].split()) >= 4, row
            assert "Error" not in row["message"].split(";")[-1], row
            remedies = ("export", "make", "use", "crop", "put", "add", "write", "check", "delete")
            assert any(word in row["message"] for word in remedies), row


def test_name_that_differs_in_capitals_is_found(prepared):
    rows = {row["file_name"]: row for row in prepared[0]["rows"]}
    assert rows["Case.png"]["status"] == "kept"
    assert "case.png" not in rows


def test_turned_photos_give_the_same_face(prepared):
    report, _ = prepared
    sides = [row["file"] for row in report["rows"] if row["file_name"].startswith("turn")]
    assert len(sides) == 8
    assert {fact["format"] for fact in sides} == {"JPEG"}


def test_the_account_names_the_turn_of_a_photo(prepared):
    rows = {row["file_name"]: row["message"] for row in prepared[0]["rows"]}
    assert "turned by 180 degrees" in rows["upside_down.png"]
    assert "turned by 90 degrees" in rows["sideways.png"]


def test_file_that_is_too_large_to_be_a_photo_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_module, "MAX_BYTES", 1000)
    path = tmp_path / "film.jpg"
    path.write_bytes(bytes(1001))
    with pytest.raises(photo_module.PhotoError) as caught:
        photo_module.open_photo(path)
    assert caught.value.reason == "too_large"


@pytest.mark.skipif(os.name != "posix", reason="memory is limited by POSIX rlimits")
def test_decompression_bomb_takes_no_memory(tmp_path):
    content = bomb()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(photo_module.PhotoError):
        photo_module.open_photo(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_table_as_excel_writes_it_is_read(make_clinic, tmp_path):
    raw = make_clinic(cohort_rows())
    text = (raw / "metadata.csv").read_text()
    lines = [";".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()]
    (raw / "metadata.csv").write_bytes("\ufeff".encode() + "\r\n".join(lines).encode() + b"\r\n")
    assert len(prepare(raw, tmp_path / "out", SMALL, num_proc=1).kept) == 12
