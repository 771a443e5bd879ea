"""Align all photos of a cohort on every core; an interrupted run goes on where it stopped."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cushing.data.measure import Measures, measure_crop, measure_fields, measures_from
from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import (
    FileFacts,
    PhotoError,
    encode_crop,
    file_facts,
    open_photo,
    read_file,
)
from hf_cushing.files import written_aside
from hf_cushing.schema import FacePhoto, UserError

if TYPE_CHECKING:
    import pyarrow

CHUNK = 32
"""Photos a chunk: the unit of work, of resuming, and of a row group in the Parquet shards."""

FILE_NAMES = tuple(field.name for field in dataclasses.fields(FileFacts))
MEASURE_NAMES = tuple(field.name for field in dataclasses.fields(Measures))


class WorkerLost(UserError):
    """A worker process was killed: what is done stays, and the command can be run again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo.

    Attributes
    ----------
    index : int
        Place of the photo in the list given to `make_crops`.
    reason : str
        Empty if kept; else one word.
    message : str
        The reason in words, with the remedy; or a note on a kept photo.
    file : FileFacts or None
        None if rejected.
    """

    index: int
    reason: str = ""
    message: str = ""
    file: FileFacts | None = None


@dataclass(frozen=True, slots=True)
class Crop:
    """A kept photo's aligned face.

    Attributes
    ----------
    index : int
        Place of the photo in the list given to `make_crops`.
    image : bytes
        JPEG.
    landmarks : list of float
        68 × 2 values, row by row, pixels of the crop.
    face_box : list of int
        Left, top, right, bottom in the photo.
    """

    index: int
    image: bytes
    landmarks: list[float]
    face_box: list[int]


def locate(root: Path, file_name: str) -> Path:
    """Path of a photo, which must lie inside `root` even if links are followed.

    Raises
    ------
    PhotoError
        ``outside``.
    """
    path = os.path.join(root, file_name)
    folder = _real_folder(str(root))
    if os.path.commonpath((folder, os.path.realpath(path))) != folder:
        raise PhotoError("outside", "it lies outside the folder; put a copy into the folder")
    return Path(path)


@cache
def _real_folder(root: str) -> str:
    return os.path.realpath(root)


def make_crops(
    root: Path,
    photos: list[tuple[int, FacePhoto]],
    *,
    work: Path,
    side: int,
    identity: bool,
    num_proc: int,
    advance: Callable[[int], None],
) -> list[Path]:
    """Align and measure photos, in chunks, into Parquet files under `work`.

    Chunks that are already there are taken over. `advance` is told the number of photos done.

    Parameters
    ----------
    root : Path
        Folder of the photos.
    photos : list of (int, FacePhoto)
        Index by which the photo is known later, and the photo.
    side : int
        Side of the crops in pixels.
    identity : bool
        Compute face descriptors too.

    Returns
    -------
    list of Path
        The chunk files, in the order of the photos.
    """
    tasks, paths = [], []
    for start in range(0, len(photos), CHUNK):
        path = work / f"chunk-{start // CHUNK:06d}.parquet"
        some = [(index, p.file_name, p.view) for index, p in photos[start : start + CHUNK]]
        paths.append(path)
        if path.exists():
            advance(len(some))
        else:
            tasks.append((root, some, side, identity, path))
    for done in run_tasks(_crop_chunk, tasks, num_proc=num_proc):
        advance(done)
    return paths


def run_tasks(function: Callable[..., Any], tasks: list[tuple], *, num_proc: int) -> Iterator[Any]:
    """Call `function` for each task in worker processes; yield results as they come."""
    if num_proc == 1 or len(tasks) < 2:
        for task in tasks:
            yield function(*task)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(num_proc, len(tasks))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_ctrl_c) as pool:
        try:
            for done in as_completed([pool.submit(function, *task) for task in tasks]):
                yield done.result()
        except BrokenProcessPool:
            raise WorkerLost(
                "a worker process was ended from outside (out of memory?); run the command "
                "again to go on, with a smaller --num-proc if it happens again"
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def read_outcomes(paths: list[Path]) -> Iterator[Outcome]:
    """What became of each photo, without its picture."""
    for row in _rows(paths, ["index", "reason", "message", *FILE_NAMES]):
        facts = {name: row.pop(name) for name in FILE_NAMES}
        yield Outcome(**row, file=None if row["reason"] else FileFacts(**facts))


def read_crops(paths: list[Path]) -> Iterator[list[Crop]]:
    """The kept photos' crops, one list a chunk file."""
    for path in paths:
        names = ["index", "image", "landmarks", "face_box"]
        yield [Crop(**row) for row in _rows([path], names) if row["image"]]


def read_measures(paths: list[Path]) -> tuple[np.ndarray, np.ndarray, Measures]:
    """Index (n,), face box (n, 4) and measures of the kept photos."""
    columns: dict[str, list[Any]] = {n: [] for n in ("index", "face_box", *MEASURE_NAMES)}
    for row in _rows(paths, list(columns)):
        if row["thumbprint"]:
            for name, values in columns.items():
                values.append(row[name])
    boxes = np.array(columns.pop("face_box"), np.int32).reshape(-1, 4)
    return np.array(columns.pop("index"), np.int64), boxes, measures_from(columns)


def _rows(paths: list[Path], names: list[str]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    for path in paths:
        yield from pyarrow.parquet.read_table(path, columns=names).to_pylist()


def crop_photo(
    root: Path, file_name: str, view: str, *, side: int, identity: bool
) -> dict[str, Any]:
    """Open, align and measure one photo; one that can't be used gives a reason, no exception."""
    try:
        data = read_file(locate(root, file_name))
        face = align_face(open_photo(data), side)
    except FileNotFoundError:
        return {"reason": "absent", "message": "no such file; add it or delete the row"}
    except PhotoError as error:
        if error.reason == "no_face" and view in ("left", "right"):
            return {"reason": "profile", "message": PROFILE_MESSAGE}
        return {"reason": error.reason, "message": str(error)}
    except OSError as error:
        return {"reason": "unreadable", "message": f"{error.strerror}; check the file"}
    image, landmarks = encode_crop(face.image), np.round(face.landmarks, 3)
    return {
        "message": f"{face.others} smaller face(s) passed over" if face.others else "",
        "image": image,
        "landmarks": landmarks.ravel().tolist(),
        "face_box": list(face.face_box),
        **dataclasses.asdict(file_facts(data)),
        **measure_crop(image, landmarks, identity=identity),
    }


PROFILE_MESSAGE = (
    "no face was found: the detector knows faces turned by up to about 45 degrees, not full "
    "profiles; use the frontal or oblique photo of this visit"
)


def _leave_ctrl_c() -> None:
    """Let the first process alone answer Ctrl-C; the workers finish their chunk."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _crop_chunk(
    root: Path, photos: list[tuple[int, str, str]], side: int, identity: bool, path: Path
) -> int:
    import pyarrow
    import pyarrow.parquet

    schema = _schema()
    rows = []
    for index, name, view in photos:
        row = {"index": index, "reason": ""}
        rows.append(row | crop_photo(root, name, view, side=side, identity=identity))
    with written_aside(path) as aside:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), aside)
    return len(photos)


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
            "format": pyarrow.string(),
            **dict.fromkeys(("width", "height", "bytes", "jpeg_quality"), pyarrow.int64()),
            **measure_fields(),
        }
    )
