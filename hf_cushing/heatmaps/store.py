"""Results of photos in batches, kept as they are done: a stopped explanation goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hf_cushing.data.options import Progress
from hf_cushing.files import written_aside

if TYPE_CHECKING:
    from datasets import Dataset


def key_of(facts: object) -> str:
    """Hash of plain facts that names a piece of work: 16 hex digits."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


class Store:
    """Results of photos in batches, each kept as a file when it is done.

    Parameters
    ----------
    folder : Path
    photos : datasets.Dataset
    size : int
        Photos a batch.
    progress : callable
    """

    def __init__(self, folder: Path, photos: Dataset, size: int, progress: Progress):
        self.folder, self.photos, self.size, self.progress = folder, photos, size, progress

    def get(
        self,
        kind: str,
        compute: Callable[[list[Image.Image], slice], dict[str, np.ndarray]],
        count: int | None = None,
        *,
        title: str,
    ) -> dict[str, np.ndarray]:
        """All photos' results of a kind, or those of the first `count`; `title` is of the bar."""
        count = len(self.photos) if count is None else min(count, len(self.photos))
        advance = self.progress(title, count)
        parts = []
        for start in range(0, count, self.size):
            part = slice(start, min(start + self.size, count))
            path = self.folder / f"{kind}-{part.start:06d}-{part.stop:06d}.npz"
            if not path.exists():
                rows = self.photos.select(range(part.start, part.stop))
                crops = [image.convert("RGB") for image in rows["image"][:]]
                with written_aside(path) as aside, open(aside, "wb") as file:
                    np.savez(file, **compute(crops, part))
            with np.load(path, allow_pickle=False) as kept:
                parts.append(dict(kept))
            advance(part.stop - part.start)
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
