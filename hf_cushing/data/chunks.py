"""Align photos on every core into chunk files; an interrupted run goes on where it stopped."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cushing.data.cache import entry_path, read_entry, write_entry
from hf_cushing.data.intake import locate
from hf_cushing.data.measure import MEASURE_NAMES, describe_crops, measure_crop
from hf_cushing.faces.align import align_face
from hf_cushing.faces.context import wide_view
from hf_cushing.faces.photo import (
    FileFacts,
    PhotoError,
    encode_crop,
    file_facts,
    open_photo,
    read_file,
)
from hf_cushing.files import written_aside
from hf_cushing.schema import CONTEXT_COLUMNS, UserError

if TYPE_CHECKING:
    import pyarrow

CHUNK = 32
"""Photos a chunk: the unit of work, of resuming, and of a row group in the Parquet shards."""

FILE_NAMES = tuple(field.name for field in dataclasses.fields(FileFacts))


SIDE_VIEWS = ("left", "right")


GUARD = (
    'a script that calls this must do so under `if __name__ == "__main__":`, since worker '
    "processes import it; or give num_proc=1"
)


class WorkerLost(UserError):
    """A worker process was killed: what is done stays, and the command can be run again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo.

    Attributes
    ----------
    reason : str
        Empty if kept; else one word.
    message : str
        The reason in words, with the remedy; or a note on a kept photo.
    file : FileFacts or None
    face_box : list of int
        Left, top, right, bottom in the photo.
    measures : dict
        Row of `Measures`. All three only if kept.
    """

    reason: str = ""
    message: str = ""
    file: FileFacts | None = None
    face_box: list[int] | None = None
    measures: dict[str, bytes] | None = None


def run_tasks(function: Callable[..., Any], tasks: list[tuple], *, num_proc: int) -> Iterator[Any]:
    """Call `function` for each task in worker processes; yield results as they come."""
    if num_proc == 1 or len(tasks) < 2:
        for task in tasks:
            yield function(*task)
        return
    _refuse_unguarded_script()
    context = multiprocessing.get_context("spawn")
    workers = min(num_proc, len(tasks))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        try:
            begun = False
            for done in as_completed([pool.submit(function, *task) for task in tasks]):
                yield done.result()
                begun = True
        except BrokenProcessPool:
            raise WorkerLost(
                "a worker process was ended from outside (out of memory?); run the command "
                "again to go on, with a smaller --num-proc if it happens again"
                + ("" if begun else f". From Python: {GUARD}")
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _refuse_unguarded_script() -> None:
    """Stop where a worker process imports a script that would start workers again."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UserError(GUARD)


def read_outcomes(paths: list[Path]) -> dict[int, Outcome]:
    """What became of each photo, by index, without its picture."""
    outcomes = {}
    names = ["index", "reason", "message", "face_box", *FILE_NAMES, *MEASURE_NAMES]
    for row in _rows(paths, names):
        file, measures = ({n: row.pop(n) for n in part} for part in (FILE_NAMES, MEASURE_NAMES))
        index, kept = row.pop("index"), not row["reason"]
        more = {"file": FileFacts(**file), "measures": measures} if kept else {}
        outcomes[index] = Outcome(**row | more)
    return outcomes


def read_crops(paths: list[Path]) -> Iterator[dict[int, dict[str, Any]]]:
    """The kept photos' crops by index, one dict a chunk file: a dataset's columns image (JPEG),
    landmarks (68 × 2, pixels of the crop), face_box (left, top, right, bottom in the photo), and
    those of the wide view, None where none was made.
    """
    names = ("image", "landmarks", "face_box", *CONTEXT_COLUMNS)
    for path in paths:
        rows = (row for row in _rows([path], ["index", *names]) if row["image"])
        yield {row["index"]: {name: _stored(name, row[name]) for name in names} for row in rows}


def _stored(name: str, value: Any) -> Any:
    """A value of a chunk file as the dataset has it."""
    if name == "landmarks":
        return np.reshape(value, (68, 2)).tolist()
    return {"bytes": value, "path": None} if isinstance(value, bytes) else value


def _rows(paths: list[Path], names: list[str]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    for path in paths:
        yield from pyarrow.parquet.read_table(path, columns=names).to_pylist()


def crop_chunk(
    root: Path,
    photos: list[tuple[int, str, str, str]],
    side: int,
    identity: bool,
    context: bool,
    cache: Path | None,
    path: Path,
) -> int:
    """Align and measure photos of the folder `root` into one Parquet file; give their number.

    Parameters
    ----------
    photos : list of (int, str, str, str)
        Index by which the photo is known in the file, its photo_id, file name and view.
    side : int
        Side of the crops in pixels.
    identity : bool
        Compute face descriptors too.
    context : bool
        Keep wide views too.
    cache : Path or None
        Of `open_cache`: what is there isn't computed again, and what isn't is kept there.
    """
    import pyarrow
    import pyarrow.parquet

    schema, entries = _schema(), {}
    if cache is not None:
        for index, photo_id, _, view in photos:
            entries[index] = cache_entry(cache, photo_id, view, side, identity, context)
    rows, fresh = [], []
    for index, _, name, view in photos:
        row = read_entry(entries[index]) if entries else None
        if row is None:
            row = {"reason": ""} | crop_photo(root, name, view, side=side, context=context)
            fresh.append(row)
        row["index"] = index
        rows.append(row)
    if identity:
        _describe(fresh)
    for row in fresh if entries else ():
        write_entry(entries[row["index"]], row, schema)
    with written_aside(path) as aside:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), aside)
    return len(photos)


def cache_entry(cache: Path, photo_id: str, view: str, *settings: Any) -> Path:
    """Path of a photo's entry in a cache; whether it is a side view decides on a message."""
    return entry_path(cache, photo_id, view in SIDE_VIEWS, *settings)


def _describe(rows: list[dict[str, Any]]) -> None:
    """Add the faces' descriptors to the rows of kept photos."""
    kept = [row for row in rows if not row["reason"]]
    if not kept:  # torch takes seconds to import
        return
    crops = [(row["image"], np.reshape(row["landmarks"], (68, 2))) for row in kept]
    for row, vector in zip(kept, describe_crops(crops), strict=True):
        row["descriptor"] = vector


def crop_photo(
    root: Path, file_name: str, view: str, *, side: int, context: bool
) -> dict[str, Any]:
    """Open, align and measure one photo; one that can't be used gives a reason, no exception."""
    try:
        data = read_file(locate(root, file_name))
        photo = open_photo(data)
        face = align_face(photo, side)
    except FileNotFoundError:
        return {"reason": "absent", "message": "no such file; add it or delete the row"}
    except PhotoError as error:
        if error.reason == "no_face" and view in SIDE_VIEWS:
            return {"reason": "profile", "message": PROFILE_MESSAGE}
        return {"reason": error.reason, "message": str(error)}
    except OSError as error:
        return {"reason": "unreadable", "message": f"{error.strerror}; check the file"}
    notes = list(face.notes.values())
    if face.others and context:
        notes.append("other faces are filled with one colour in the wide view")
    image, landmarks = encode_crop(face.image), np.round(face.landmarks, 3)
    wide = wide_view(photo, face.face) if context else None
    stored = (encode_crop(wide.image), list(wide.box)) if wide else None
    return {
        "message": "; ".join(notes),
        "image": image,
        "landmarks": landmarks.ravel().tolist(),
        "face_box": list(face.face_box),
        **dataclasses.asdict(file_facts(data)),
        **(dict(zip(CONTEXT_COLUMNS, (*stored, wide.share), strict=True)) if stored else {}),
        **measure_crop(image, landmarks, stored),
    }


PROFILE_MESSAGE = (
    "no face was found: the detector knows faces turned by up to about 45 degrees, not full "
    "profiles; use the frontal or oblique photo of this visit"
)


def _start_worker() -> None:
    """One thread each; the first process alone answers Ctrl-C, the workers finish their chunk."""
    os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is first imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _schema() -> pyarrow.Schema:
    import pyarrow

    return pyarrow.schema(
        {
            "index": pyarrow.int64(),
            "reason": pyarrow.string(),
            "message": pyarrow.string(),
            "image": pyarrow.binary(),
            "landmarks": pyarrow.list_(pyarrow.float32()),
            "face_box": pyarrow.list_(pyarrow.int32()),
            "context": pyarrow.binary(),
            "context_box": pyarrow.list_(pyarrow.int32()),
            "context_share": pyarrow.float32(),
            "format": pyarrow.string(),
            **dict.fromkeys(("width", "height", "bytes", "jpeg_quality"), pyarrow.int64()),
            **dict.fromkeys(MEASURE_NAMES, pyarrow.binary()),
        }
    )
