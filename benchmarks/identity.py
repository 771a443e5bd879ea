"""How the audit's identity check was set, and how fast it is.

    python benchmarks/identity.py [--photos 20000]

On the real photographs of ../shared/data: the share of one person's pairs found and the number
of strangers' pairs raised, by the check (ratio to the distance of look-alikes) and by a fixed
distance; each cohort alone and both together. Then time and memory of the search alone on
random descriptors.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from hf_cushing.data.audit import OTHER_FACE_RATIO
from hf_cushing.data.audit_photos import photos_of_clinic
from hf_cushing.data.options import no_progress
from hf_cushing.data.pairs import (
    IDENTITY_DISTANCE,
    IDENTITY_RATIO,
    close_pairs,
    local_scales,
)

SHARED = Path(__file__).parents[2] / "shared" / "data"


def all_pairs(vectors: np.ndarray, persons: np.ndarray) -> tuple[np.ndarray, ...]:
    """Distance and ratio of every pair, and whether it is of one person."""
    pairs = close_pairs(vectors, local_scales(vectors, persons), ratio=np.inf, distance=np.inf)
    return pairs.distance, pairs.ratio, persons[pairs.first] == persons[pairs.second]


def print_rates(name: str, vectors: np.ndarray, persons: np.ndarray) -> None:
    """Print found and raised pairs of both ways."""
    distance, ratio, same = all_pairs(vectors, persons)
    print(f"\n{name}: {len(vectors)} photos, {len(set(persons.tolist()))} persons, "
          f"{same.sum()} pairs of one person, {(~same).sum()} of strangers")  # fmt: skip
    for limit in (0.70, 0.74, IDENTITY_RATIO, 0.82):
        hit = (ratio <= limit) & (distance <= IDENTITY_DISTANCE)
        found, raised = hit[same].mean(), int(hit[~same].sum())
        fixed = np.quantile(distance[same], found)
        as_many = (distance[~same] <= fixed).sum()
        print(f"  ratio {limit:.2f}: found {found:.1%}, raised {raised}; a fixed distance "
              f"({fixed:.2f}) that finds as many raises {as_many}")  # fmt: skip
    other = ratio > OTHER_FACE_RATIO
    print(f"  'another face' above {OTHER_FACE_RATIO}: {other[~same].mean():.1%} of strangers' "
          f"pairs, {int(other[same].sum())} of one person's")  # fmt: skip


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=20_000)
    options = parser.parse_args()
    sets = {}
    for name in ("lfw_moonface", "lfw_controls"):
        with tempfile.TemporaryDirectory() as work:
            photos = photos_of_clinic(
                SHARED / name, Path(work), identity=True, num_proc=2, progress=no_progress
            )
        sets[name] = (photos.measures.descriptor, photos.columns["patient_id"])
        print_rates(name, *sets[name])
    print_rates("both", *(np.concatenate(part) for part in zip(*sets.values(), strict=True)))
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(options.photos, 128)) * 0.05).astype(np.float32)
    started = time.perf_counter()
    scales = local_scales(vectors, np.arange(options.photos) // 2)
    close_pairs(vectors, scales, ratio=IDENTITY_RATIO, distance=IDENTITY_DISTANCE)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nsearch among {options.photos:,} descriptors: {time.perf_counter() - started:.1f} s; "
          f"peak memory of the process {peak:.2f} GiB")  # fmt: skip


if __name__ == "__main__":
    main()
