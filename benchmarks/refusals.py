"""What is refused, and what is taken wrongly: faces cut by the photo's edge, photos turned.

    python benchmarks/refusals.py cut PHOTOS [--half test] [--limit 100]
    python benchmarks/refusals.py turned PHOTOS [--half test] [--limit 100]

PHOTOS is a clinic folder of photos that show whole, upright faces. ``cut`` crops each at the
landmarks' box, less a share of it, on each side in turn; a negative share leaves a margin.
``turned`` turns each by 90, 180 and 270 degrees. Persons fall into halves by a hash of their id:
the limits were set on ``dev``.
"""

import argparse
import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cushing.data.intake import read_intake
from hf_cushing.faces.align import align_face, crop_face
from hf_cushing.faces.landmarks import TURNS, Face, find_face
from hf_cushing.faces.photo import PhotoError, open_photo

SHARES = (-0.05, 0.0, 0.05, 0.1, 0.2, 0.3)
SIDES = ("left", "top", "right", "bottom")


def photos(folder: Path, half: str, limit: int) -> Iterator[tuple[Image.Image, Face]]:
    """The photos of one half of the persons in which a face is found, with it."""
    left = limit
    for row in read_intake(folder).photos:
        odd = int(hashlib.sha256(row.patient_id.encode()).hexdigest(), 16) % 2
        if half != "all" and ("test", "dev")[odd] != half:
            continue
        photo = open_photo(folder / row.file_name)
        try:
            face = find_face(photo)
        except PhotoError as error:
            print(f"{row.file_name}: {error.reason}")
            continue
        yield photo, face
        left -= 1
        if not left:
            return


def outcome(photo: Image.Image) -> str:
    """Why a photo is refused; ``accepted``."""
    try:
        find_face(photo)
    except PhotoError as error:
        return error.reason
    return "accepted"


def cut(photo: Image.Image, face: Face, side: str, share: float) -> Image.Image:
    """The photo without a share of the landmarks' box on one side."""
    low, high = face.landmarks.min(0), face.landmarks.max(0)
    ends = np.concatenate([low + share * (high - low), high - share * (high - low)])
    box = [0, 0, *photo.size]
    box[SIDES.index(side)] = round(float(ends[SIDES.index(side)]))
    return photo.crop(tuple(np.clip(box, 0, [*photo.size, *photo.size]).tolist()))


def measure_cut(cases: Iterator[tuple[Image.Image, Face]]) -> None:
    """Count outcomes by side and share."""
    counts = {(side, share): Counter() for side in SIDES for share in SHARES}
    for photo, face in cases:
        for (side, share), found in counts.items():
            found[outcome(cut(photo, face, side, share))] += 1
    for (side, share), found in counts.items():
        print(f"{side:>6} {share:5.0%}: {dict(found.most_common())}", flush=True)


def measure_turned(cases: Iterator[tuple[Image.Image, Face]]) -> None:
    """Count, by turn, the same crop, a refusal or another crop, with the time that it took."""
    counts = {turn: Counter() for turn in (0, *TURNS)}
    seconds = dict.fromkeys(counts, 0.0)
    for photo, face in cases:
        right = crop_face(photo, face).image
        for turn, found in counts.items():
            turned = photo.transpose(TURNS[turn]) if turn else photo
            start = time.process_time()
            try:
                crop = align_face(turned).image
                found["the same crop" if crop == right else "another crop"] += 1
            except PhotoError as error:
                found[error.reason] += 1
            seconds[turn] += time.process_time() - start
    for turn, found in counts.items():
        each = 1000 * seconds[turn] / found.total()
        print(f"{turn:>3} degrees: {dict(found.most_common())}, {each:.0f} ms a photo", flush=True)


def main() -> None:
    """Read the options, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("cut", "turned"))
    parser.add_argument("photos", type=Path)
    parser.add_argument("--half", choices=("all", "dev", "test"), default="test")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    cases = photos(options.photos, options.half, options.limit)
    (measure_cut if options.what == "cut" else measure_turned)(cases)


if __name__ == "__main__":
    main()
