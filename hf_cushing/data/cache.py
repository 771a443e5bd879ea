"""Crops and measures kept from one `prepare` to the next, by what the photo's file holds.

A cache is a folder of photographs of faces, and of face descriptors (biometric data) unless faces
were not compared: private, and to be deleted by whoever is done with it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from hf_cushing.files import written_aside
from hf_cushing.schema import UsageError, UserError

NAME = "cache-of-photographs"
"""Of the folder beside OUT."""

NOTE = "READ_ME.txt"
TEXT = """Photographs of faces, as `hf-cushing prepare` cropped them, and face descriptors
(biometric data). They let the next `prepare` take seconds. Keep them where the photographs are,
never publish them, and delete this folder at any time: nothing but time is lost.
"""

FLEETING = ("absent", "unreadable", "outside", "empty", "too_large")
"""Reasons that another installation or folder may not have; they cost nothing to find again."""


def open_cache(folder: Path) -> Path:
    """Make a cache folder, private to its owner; drop what another version left there.

    Returns
    -------
    Path
        The part that this version of the code and its libraries fills.

    Raises
    ------
    UsageError
        A folder of something else.
    UserError
        It can't be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / NOTE).exists() and any(folder.iterdir()):
            raise UsageError(f"--cache {folder} holds something else; choose another folder")
        folder.chmod(0o700)
        (folder / NOTE).write_text(TEXT, encoding="utf-8")
        for other in folder.iterdir():
            if other.is_dir() and other.name != code_version():
                shutil.rmtree(other)
    except OSError as error:
        raise UserError(
            f"the cache {folder} can't be written ({error.strerror}); choose another --cache, or "
            "--no-cache"
        ) from None
    return folder / code_version()


@cache
def code_version() -> str:
    """Hash of all code, and the versions of the libraries, that a crop depends on."""
    package = Path(__file__).parents[1]
    own = [package / "data" / f"{name}.py" for name in ("chunks", "measure", "descriptors")]
    digest = hashlib.sha256()
    for path in (*sorted((package / "faces").glob("*.py")), *own):
        digest.update(path.read_bytes())
    for name in ("numpy", "pillow", "torch"):
        digest.update(f"{name} {importlib.metadata.version(name)};".encode())
    return digest.hexdigest()[:16]


def entry_path(cache: Path, photo_id: str, *settings: Any) -> Path:
    """Path of a photo's entry: its name tells neither the photo nor the patient."""
    name = hashlib.sha256(repr((photo_id, *settings)).encode()).hexdigest()[:32]
    return cache / name[:2] / f"{name}.face"


def write_entry(path: Path, row: dict[str, Any], schema: Any) -> None:
    """Keep a photo's row, sealed by the hash of its bytes; not a fleeting fault."""
    import pyarrow

    if row["reason"] in FLEETING:
        return
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.Table.from_pylist([row], schema)
    with pyarrow.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    with written_aside(path) as aside:
        aside.write_bytes(hashlib.sha256(data).digest() + data)


def read_entry(path: Path) -> dict[str, Any] | None:
    """The row that was kept; None where there is none, or none that is whole."""
    import pyarrow

    try:
        content = path.read_bytes()
    except OSError:
        return None
    seal, data = content[:32], content[32:]
    if hashlib.sha256(data).digest() != seal:
        return None
    return pyarrow.ipc.open_stream(data).read_all().to_pylist()[0]
