"""Rules that look at the files themselves: images, columns, card, pickles, code, paths.

Each yields what it found, one message a fault; nothing means that the rule is kept.
"""

from __future__ import annotations

import getpass
import io
import json
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from PIL import Image, UnidentifiedImageError

from hf_cushing.data.audit_report import read_audit
from hf_cushing.data.datasheet import Datasheet
from hf_cushing.data.intake_report import read_intake_report
from hf_cushing.data.row_checks import ANY_DATE
from hf_cushing.models.foreign_code import ALIGNMENT, asked_code
from hf_cushing.publish.alignment import CODE, PROCESSOR, is_own_code
from hf_cushing.publish.staged import Staged
from hf_cushing.schema import (
    CONTEXT_COLUMNS,
    DRAWN_SOURCE,
    RESEARCH_NOTICE,
    SPLITS,
    TEXT_COLUMNS,
)

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic",
          ".heif", ".avif")  # fmt: skip
PHOTOGRAPHS = (".jpg", ".jpeg", ".webp", ".heic", ".tif", ".tiff", ".bmp")
HARMLESS = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "gamma", "srgb",
            "progressive", "progression", "adobe", "adobe_transform", "transparency"}  # fmt: skip
"""What Pillow calls info and that says nothing of a person, a place or a camera."""

PICKLES = (".pkl", ".pickle", ".bin", ".pt", ".pth", ".ckpt", ".joblib", ".npy", ".npz", ".h5",
           ".dill", ".msgpack")  # fmt: skip
"""Formats that hold, or may hold, a pickle."""

PICTURES = {"image", CONTEXT_COLUMNS[0]}
"""Columns of pictures in a dataset."""

LEAST_PYTHON = (3, 11)
CODE_FILES = (".py", ".pyc", ".so", ".ipynb", ".sh")
TEXT = (".md", ".json", ".txt", ".yaml", ".yml", ".csv", ".html")
MOST_LETTERS, MOST_WORDS = 40, 4
"""Of a code in a column of text; more is prose."""

HASHED = re.compile(r"(public-)?[0-9a-f]{16}")
"""A patient id as ``prepare --hash-ids`` makes it."""

HOME = re.compile(
    r"(?<![\w./<~*})\]])(?<!\]\()/(?!api/|gradio_api/)(?:\w[\w.@+-]*/)+\w[\w.@+-]*"
    r"|file://\S+|(?<!\w)[A-Za-z]:\\{1,2}\w[\w.-]*|(?<![\w\\])\\{2,4}\w[\w.-]*\\{1,2}\w"
)
"""An absolute path of two parts or more, on Windows of one: no URL, link or route of an API."""


TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{20,}\b")


def licence(staged: Staged) -> Iterator[str]:
    """A licence must be given, and stand in the card."""
    if not staged.options.license:
        yield "no licence is given: nobody would know what they may do"
    elif _metadata(staged.folder).get("license") != staged.options.license:
        yield f"README.md doesn't name the licence {staged.options.license}"


def notice(staged: Staged) -> Iterator[str]:
    """The research notice must stand in the card."""
    path = staged.folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if RESEARCH_NOTICE not in " ".join(text.replace("\n>", "\n").split()):
        yield "README.md lacks the notice that this is for research only"


def crossing(staged: Staged) -> Iterator[str]:
    """No patient in two splits, and no leak that the audit found."""
    seen: dict[str, str] = {}
    crossing: set[str] = set()
    for name, table in _tables(staged, ["patient_id"]):
        split = name.partition("-")[0]
        for patient in set(table["patient_id"]):
            if seen.setdefault(patient, split) != split:
                crossing.add(patient)
    if crossing:
        yield f"{len(crossing)} patients are in more than one split"
    if not (staged.source / "audit.json").is_file():
        yield "the dataset was not audited; run `hf-cushing audit` on it"
        return
    audit = read_audit(staged.source)
    if audit["leaks"]:
        yield f"the audit found leaks between splits or folds: {audit['leaks']}"
    if holds_photographs(staged) and not audit["identity_checked"]:
        yield "the audit did not compare faces, so one person under two ids would be unnoticed"


def image_metadata(staged: Staged) -> Iterator[str]:
    """No image may carry EXIF, comments, profiles or its old file name."""
    found: list[str] = []
    for path in staged.files.values():
        if path.suffix.lower() in IMAGES:
            found += [f"{path.name}: {word}" for word in _metadata_of(path.read_bytes())]
    for name, table in _tables(staged, [*PICTURES, "photo_id"]):
        for column in PICTURES & table.keys():
            for image, photo_id in zip(table[column], table["photo_id"], strict=True):
                words = _metadata_of(image["bytes"]) + (["file name"] if image["path"] else [])
                found += [f"{name}, photo {photo_id}: {word}" for word in words]
    if found:
        yield f"{len(found)} × metadata in images, such as {found[0]}"


def _metadata_of(content: bytes | None) -> list[str]:
    """Names of what an image carries beside its pixels."""
    if content is None:
        return ["no content, only a path"]
    try:
        with warnings.catch_warnings(action="ignore"):
            image = Image.open(io.BytesIO(content))
            exif = bool(image.getexif())
    except (UnidentifiedImageError, OSError, SyntaxError):
        return ["can't be read as an image"]
    words = [name for name, value in image.info.items() if not _harmless(str(name), value)]
    return words if "exif" in words or not exif else [*words, "exif"]


def _harmless(name: str, value: Any) -> bool:
    """Also what matplotlib writes of itself into a figure."""
    return name in HARMLESS or (name == "Software" and str(value).startswith("Matplotlib"))


def pictures(staged: Staged) -> Iterator[str]:
    """No picture beside the crop, save a wide view that was asked for."""
    shown = PICTURES if staged.options.context else PICTURES - {CONTEXT_COLUMNS[0]}
    names = {
        field.name
        for path in _shards(staged)
        for field in pyarrow.parquet.read_schema(path)
        if pyarrow.types.is_struct(field.type) or pyarrow.types.is_binary(field.type)
    }
    yield from (f"column '{name}' holds pictures or other bytes" for name in sorted(names - shown))


def free_text(staged: Staged) -> Iterator[str]:
    """No column beyond the known ones, and only codes in the columns of text."""
    words: dict[str, set[str]] = {}
    for path in _shards(staged):
        schema = pyarrow.parquet.read_schema(path)
        text = [f.name for f in schema if pyarrow.types.is_string(f.type)]
        unknown = [name for name in text if name not in ("patient_id", "photo_id", *TEXT_COLUMNS)]
        for name in unknown:
            words.setdefault(name, set())
        known = [name for name in text if name in TEXT_COLUMNS]
        for name, values in pyarrow.parquet.read_table(path, columns=known).to_pydict().items():
            odd = {value for value in values if value and _is_prose(value)}
            if odd:
                words.setdefault(name, set()).update(odd)
    for name, odd in sorted(words.items()):
        what = f"holds text or dates in {len(odd)} values" if odd else "is text of the clinic's own"
        yield f"column '{name}' {what}"


def _is_prose(value: str) -> bool:
    long = len(value) > MOST_LETTERS or len(value.split()) > MOST_WORDS
    return long or "@" in value or bool(ANY_DATE.search(value))


def patient_ids(staged: Staged) -> Iterator[str]:
    """The clinic's own ids stay at the clinic."""
    if not holds_photographs(staged):
        return
    ids = {name for _, table in _tables(staged, ["patient_id"]) for name in table["patient_id"]}
    plain = sum(not HASHED.fullmatch(name) for name in ids)
    report = read_intake_report(staged.source)
    if plain:
        yield f"{plain} of {len(ids)} patient ids are the clinic's own"
    elif report is None or not report.options.get("hash_ids"):
        yield "nothing says that the patient ids were hashed: a clinic's numbers may look the same"


def datasheet(staged: Staged) -> Iterator[str]:
    """What only a person can say of photographs, consent above all, must be said."""
    if not holds_photographs(staged):
        return
    report = read_intake_report(staged.source)
    missing = Datasheet(**report.datasheet if report else {}).missing
    if missing:
        yield f"the datasheet lacks {len(missing)} answers: {', '.join(missing)}"


def public_photographs(staged: Staged) -> Iterator[str]:
    """Faces don't go into a public repo."""
    if not staged.private and holds_photographs(staged):
        yield "the repo would be public, and it holds photographs of faces"


def ungated_photographs(staged: Staged) -> Iterator[str]:
    """Faces don't go into a repo that hands them to anybody who may see it."""
    if not staged.gated and holds_photographs(staged):
        yield "the repo would not be gated, and it holds photographs of faces"


def app(staged: Staged) -> Iterator[str]:
    """A Space starts something, on a Python that can run it."""
    for name in ("app.py", "hf_cushing/app/app.py", "requirements.txt"):
        if not (staged.folder / name).is_file():
            yield f"{name} is missing"
    asked = str(_metadata(staged.folder).get("python_version", "3.10"))
    if tuple(map(int, asked.split(".")[:2])) < LEAST_PYTHON:
        yield f"README.md lets the Space run Python {asked}, and the package needs 3.11"


def holds_photographs(staged: Staged) -> bool:
    """Whether there are images that may show persons: all but drawn faces and our figures."""
    for path in staged.files.values():
        if path.suffix.lower() in PHOTOGRAPHS:
            return True
        if path.suffix == ".html" and "data:image/jpeg" in path.read_text(encoding="utf-8"):
            return True
    return any(set(table["source"]) != {DRAWN_SOURCE} for _, table in _tables(staged, ["source"]))


def pickles(staged: Staged) -> Iterator[str]:
    """No file that runs code when it is read."""
    for name, path in staged.files.items():
        with open(path, "rb") as file:
            start = file.read(2)
        pickled = start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")
        if path.suffix.lower() in PICKLES or pickled:
            yield f"{name} is, or may hold, a pickle"


def remote_code(staged: Staged) -> Iterator[str]:
    """A model or dataset is data: no code that a reader's computer would run, but our own."""
    own = {name for name, path in staged.files.items() if is_own_code(name, path)}
    for name, path in staged.files.items():
        if (path.suffix in CODE_FILES and name not in own) or (name in CODE and name not in own):
            yield f"{name} is code" + (" other than ours of that name" if name in CODE else "")
        elif path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            if name == PROCESSOR and own == set(CODE) and content.get("auto_map") == ALIGNMENT:
                del content["auto_map"]
            for setting in asked_code(content):
                yield f"{name} asks for code of its own ({setting})"


def traces(staged: Staged) -> Iterator[str]:
    """No path, user, host or token of the machine that made the files."""
    patterns = [HOME, *(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in _own_names())]
    for name, path in staged.files.items():
        if path.suffix in TEXT:
            text = path.read_text(encoding="utf-8")
            if token := TOKEN.search(text):
                line = text.count("\n", 0, token.start()) + 1
                yield f"{name}, line {line} holds a token of the Hub"
            found = next((m for p in patterns if (m := p.search(text))), None)
            if found:
                line = text.count("\n", 0, found.start()) + 1
                yield f"{name}, line {line} holds '{found.group()}'"


def _own_names() -> list[str]:
    """User and host of this machine, unless they are everyday words."""
    names = {str(Path.home()), socket.gethostname()}
    with suppress(KeyError, OSError):
        names.add(getpass.getuser())
    return sorted(n for n in names if len(n) > 3 and (re.search(r"[^a-z]", n) or len(n) > 8))


def _shards(staged: Staged) -> list[Path]:
    data = staged.folder / "data"
    return [path for split in SPLITS for path in sorted(data.glob(f"{split}-*.parquet"))]


def _tables(staged: Staged, columns: list[str]) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """File name and some columns of the shards, one row group at a time."""
    for path in _shards(staged):
        file = pyarrow.parquet.ParquetFile(path)
        for group in range(file.metadata.num_row_groups):
            yield path.name, file.read_row_group(group, columns=columns).to_pydict()


def _metadata(folder: Path) -> dict[str, Any]:
    """The YAML at the head of the card."""
    from huggingface_hub import RepoCard

    if not (folder / "README.md").is_file():
        return {}
    return RepoCard.load(folder / "README.md", ignore_metadata_errors=True).data.to_dict()
