"""How the check for one person under two ids was set, and how fast it is.

    python benchmarks/identity.py [--photos 20000]

On the real photographs of ../shared/data, both cohorts together: the persons are halved, limits
are chosen on one half and reported on the other, and on all. Of each person with several photos
some are filed under a second id, twelve times at random: the share of second ids found, the pairs
of strangers raised, and how many second ids lie among those raised or shown. Then pairs of
photos, for the limit of "another face". Then time and memory of the search alone on random vectors.
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
    LOOK_ALIKES,
    LOOK_RATIO,
    close_pairs,
    local_scales,
)
from hf_cushing.data.persons import SHOWN_PAIRS

SHARED = Path(__file__).parents[2] / "shared" / "data"
DRAWS = 12


def refiled(persons: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Persons' ids with some of the photos of each who has several under ``ID+``."""
    ids = persons.astype("U40")
    for person in np.unique(persons):
        rows = rng.permutation(np.flatnonzero(persons == person))
        if len(rows) > 1:
            ids[rows[: rng.integers(1, len(rows))]] = f"{person}+"
    return ids


def id_pairs(vectors: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio of each pair of ids (their nearest photos) below 1.2, nearest first; whether one."""
    scales = local_scales(vectors, ids, LOOK_ALIKES)
    pairs = close_pairs(vectors, scales, ratio=1.2, distance=IDENTITY_DISTANCE)
    best: dict[tuple[str, str], float] = {}
    for i, j, ratio in zip(pairs.first, pairs.second, pairs.ratio, strict=True):
        if ids[i] != ids[j]:
            best.setdefault(tuple(sorted((ids[i], ids[j]))), float(ratio))
    same = [one.rstrip("+") == other.rstrip("+") for one, other in best]
    return np.array(list(best.values())), np.array(same)


def print_second_ids(name: str, vectors: np.ndarray, persons: np.ndarray) -> None:
    """Print what is found, raised and shown of planted second ids."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(DRAWS):
        ids = refiled(persons, rng)
        planted = len(set(ids.tolist())) - len(set(persons.tolist()))
        ratio, same = id_pairs(vectors, ids)
        hit, look = ratio <= IDENTITY_RATIO, ratio <= LOOK_RATIO
        shown = look & ~hit & (np.cumsum(look & ~hit) <= SHOWN_PAIRS)
        wrong = np.cumsum(~same)
        at_one = same[wrong <= 1].sum()
        found.append([
            (hit & same).sum() / planted, (hit & ~same).sum(), shown.sum(),
            ((hit | shown) & same).sum() / planted, at_one / planted,
        ])  # fmt: skip
    mean = np.mean(found, 0)
    people = len(set(persons.tolist()))
    print(f"{name}: {people} persons, {planted} second ids: found {mean[0]:.1%} "
          f"with {mean[1]:.1f} false pairs ({mean[4]:.1%} before the second false pair); with the "
          f"{mean[2]:.0f} pairs that are shown {mean[3]:.1%}")  # fmt: skip


def print_pairs(name: str, vectors: np.ndarray, persons: np.ndarray) -> None:
    """Print pairs of photos of one person and of strangers beyond the limits."""
    scales = local_scales(vectors, persons, LOOK_ALIKES)
    pairs = close_pairs(vectors, scales, ratio=np.inf, distance=np.inf)
    same = persons[pairs.first] == persons[pairs.second]
    hit = (pairs.ratio <= IDENTITY_RATIO) & (pairs.distance <= IDENTITY_DISTANCE)
    other = pairs.ratio > OTHER_FACE_RATIO
    found = hit[same].mean()
    fixed = (pairs.distance[~same] <= np.quantile(pairs.distance[same], found)).sum()
    print(f"{name}: {len(vectors)} photos; of {same.sum()} pairs of one person {found:.1%} found, "
          f"of {(~same).sum()} of strangers {int(hit[~same].sum())} raised (a fixed distance that "
          f"finds as many: {fixed}); 'another face' above {OTHER_FACE_RATIO}: "
          f"{other[~same].mean():.1%} of strangers', {other[same].sum()} of one's")  # fmt: skip


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=20_000)
    options = parser.parse_args()
    parts = []
    for name in ("lfw_moonface", "lfw_controls"):
        with tempfile.TemporaryDirectory() as work:
            photos = photos_of_clinic(
                SHARED / name, Path(work), identity=True, num_proc=2, progress=no_progress
            )
        persons = np.char.add(name, photos.columns["patient_id"])
        parts.append((photos.measures.descriptor, persons))
    vectors, persons = (np.concatenate(column) for column in zip(*parts, strict=True))
    names = np.unique(persons)
    chosen = dict(zip(names, np.random.default_rng(0).random(len(names)) < 0.5, strict=True))
    half = np.array([chosen[name] for name in persons])
    for name, rows in (("chosen on", half), ("reported on", ~half), ("all", np.full_like(half, 1))):
        print_second_ids(name, vectors[rows], persons[rows])
        print_pairs(name, vectors[rows], persons[rows])
    rng = np.random.default_rng(0)
    random = (rng.normal(size=(options.photos, 128)) * 0.05).astype(np.float32)
    started = time.perf_counter()
    scales = local_scales(random, np.arange(options.photos) // 2)
    close_pairs(random, scales, ratio=IDENTITY_RATIO, distance=IDENTITY_DISTANCE)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"search among {options.photos:,} descriptors: {time.perf_counter() - started:.1f} s; "
          f"peak memory of the process {peak:.2f} GiB")  # fmt: skip


if __name__ == "__main__":
    main()
