"""How near is one photo to itself, saved anew, and how near to other photos?

    python benchmarks/copies.py [--photos 240]

Takes photographs of ../shared/data/lfw_moonface, saves each again in five ways, aligns all, and
prints the ratio by which the audit tells near-duplicates (`COPY_RATIO` is its limit): quantiles
for the copies, and the smallest values for other photos.
"""

import argparse
import csv
import io
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cushing.data.measure import thumbprint
from hf_cushing.data.pairs import COPY_RATIO, grey_vectors, local_scales
from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import PhotoError, encode_crop

RAW = Path(__file__).parents[2] / "shared" / "data" / "lfw_moonface"
WAYS = ("JPEG quality 30", "half the size", "border of 5 % cut", "stretched", "brighter")


def save_anew(photo: Image.Image, way: str) -> Image.Image:
    """Change a photo as saving, sending or editing it would."""
    width, height = photo.size
    if way == "half the size":
        photo = photo.resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    elif way == "border of 5 % cut":
        cut = (0.05 * width, 0.05 * height, 0.95 * width, 0.95 * height)
        photo = photo.crop(tuple(map(int, cut)))
    elif way == "stretched":
        cut = (0.1 * width, 0.06 * height, 0.94 * width, 0.9 * height)
        photo = photo.crop(tuple(map(int, cut))).resize((width, int(1.02 * height)))
    elif way == "brighter":
        photo = photo.point(lambda level: min(255, int(1.15 * level + 8)))
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=30 if "30" in way else 80)
    return Image.open(buffer).convert("RGB")


def miniature(photo: Image.Image) -> np.ndarray | None:
    """The audit's miniature of the aligned face; None where no face is found."""
    try:
        crop = encode_crop(align_face(photo).image)
    except PhotoError:
        return None
    return thumbprint(Image.open(io.BytesIO(crop)).convert("RGB"))


def miniatures(row: dict[str, str]) -> list[np.ndarray | None]:
    """Miniatures of one photo and of its copies."""
    photo = Image.open(RAW / row["file_name"]).convert("RGB")
    return [miniature(photo), *(miniature(save_anew(photo, way)) for way in WAYS)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=240)
    count = parser.parse_args().photos
    with open(RAW / "metadata.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:count]
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(miniatures, rows, chunksize=8))
    kept = [(row["patient_id"], f) for row, f in zip(rows, found, strict=True) if f[0] is not None]
    patients = np.array([patient for patient, _ in kept])
    vectors = grey_vectors(np.stack([f[0] for _, f in kept]))
    scales = local_scales(vectors, patients)
    print(f"{len(kept)} photos; limit {COPY_RATIO}")
    for place, way in enumerate(WAYS, start=1):
        there = [i for i, (_, f) in enumerate(kept) if f[place] is not None]
        copies = grey_vectors(np.stack([kept[i][1][place] for i in there]))
        ratio = np.linalg.norm(copies - vectors[there], axis=1) / scales[there]
        shown = " ".join(f"{q:.2f}" for q in np.quantile(ratio, [0.5, 0.95, 1]))
        print(f"{way}: median, 95 %, largest {shown}; found {np.mean(ratio <= COPY_RATIO):.1%}")
    first, second = np.triu_indices(len(kept), 1)
    apart = np.linalg.norm(vectors[first] - vectors[second], axis=1)
    ratio = apart / (scales[first] + scales[second]) * 2
    for name, mask in (("person", patients[first] == patients[second]), ("strangers", None)):
        mask = patients[first] != patients[second] if mask is None else mask
        print(f"other photos, {name}: {mask.sum()} pairs, smallest {np.sort(ratio[mask])[:3]}")


if __name__ == "__main__":
    main()
