"""Align all photos of a cohort on every core; an interrupted run goes on where it stopped."""

from __future__ import annotations

import dataclasses
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import PhotoError, encode_crop, open_photo
from hf_cushing.files import written_aside
from hf_cushing.schema import FacePhoto, UserError

if TYPE_CHECKING:
    import pyarrow

CHUNK = 32
"""Photos a chunk: the unit of work, of resuming, and of a row group in the Parquet shards."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """What became of one photo.

    Attributes
    ----------
    index : int
        Place of the photo in the list given to `make_crops`.
    reason : str
        Empty if kept; else one word.
    message : str
        The reason in words, with the remedy; or a note on a kept photo.
    image : bytes
        JPEG of the crop; empty if rejected.
    landmarks : list of float
        68 × 2 values, row by row, pixels of the crop; empty if rejected.
    face_box : list of int
        Left, top, right, bottom in the photo; empty if rejected.
    """

    index: int
    reason: str = ""
    message: str = ""
    image: bytes = b""
    landmarks: list[float] = dataclasses.field(default_factory=list)
    face_box: list[int] = dataclasses.field(default_factory=list)


def make_crops(
    raw: Path,
    photos: list[FacePhoto],
    *,
    work: Path,
    side: int,
    num_proc: int,
    advance: Callable[[int], None],
) -> list[Path]:
    """Align `photos`, in chunks, into Parquet files under `work`.

    Chunks that are already there are taken over. `advance` is told the number of photos done.

    Returns
    -------
    list of Path
        The chunk files, in the order of the photos.
    """
    tasks, paths = [], []
    for start in range(0, len(photos), CHUNK):
        path = work / f"chunk-{start // CHUNK:06d}.parquet"
        names = [photo.file_name for photo in photos[start : start + CHUNK]]
        paths.append(path)
        if path.exists():
            advance(len(names))
        else:
            tasks.append((raw, names, start, side, path))
    if num_proc == 1 or len(tasks) < 2:
        for task in tasks:
            advance(_crop_chunk(*task))
        return paths
    context = multiprocessing.get_context("spawn")
    workers = min(num_proc, len(tasks))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_ctrl_c) as pool:
        try:
            for done in as_completed([pool.submit(_crop_chunk, *task) for task in tasks]):
                advance(done.result())
        except BrokenProcessPool:
            raise UserError(
                "a worker process was ended from outside (out of memory?); run the command "
                "again to go on, with a smaller --num-proc if it happens again"
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return paths


def read_chunks(paths: list[Path]) -> Iterator[list[Crop]]:
    """Read chunk files back, one list of crops a file."""
    import pyarrow.parquet

    for path in paths:
        yield [Crop(**row) for row in pyarrow.parquet.read_table(path).to_pylist()]


def crop_photo(path: Path, index: int, side: int) -> Crop:
    """Open and align one photo; a photo that can't be used gives a reason, not an exception."""
    try:
        face = align_face(open_photo(path), side)
    except FileNotFoundError:
        return Crop(index=index, reason="absent", message="no such file; add it or delete the row")
    except PhotoError as error:
        return Crop(index=index, reason=error.reason, message=str(error))
    except OSError as error:
        return Crop(index=index, reason="unreadable", message=f"{error.strerror}; check the file")
    return Crop(
        index=index,
        message=f"{face.others} smaller face(s) passed over" if face.others else "",
        image=encode_crop(face.image),
        landmarks=np.round(face.landmarks, 3).ravel().tolist(),
        face_box=list(face.face_box),
    )


def _leave_ctrl_c() -> None:
    """Let the first process alone answer Ctrl-C; the workers finish their chunk."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _crop_chunk(raw: Path, names: list[str], start: int, side: int, path: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    crops = [crop_photo(raw / name, start + i, side) for i, name in enumerate(names)]
    table = pyarrow.Table.from_pylist([dataclasses.asdict(crop) for crop in crops], _schema())
    with written_aside(path) as aside:
        pyarrow.parquet.write_table(table, aside)
    return len(names)


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
        }
    )
