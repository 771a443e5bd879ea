"""Does the follow-up find patients whose disease recedes, and leave stable ones alone?

    python benchmarks/followup.py [--studies 1000] [--patients 20]
    python benchmarks/followup.py --images runs/followup-benchmark

First, simulated scores. A photo's log-odds is the person's level (SD 1.5), a day effect and a
photo effect, whose SDs are given. Each study measures repeatability on its own stable pairs, and
judges new patients: stable ones (type I error, at 5 %), and ones whose score falls by so many
log-odds (detection). Also with repeatability from photos of one visit only, which leaves the day
out, and the coverage of the mixed model's interval of the slope.

With --images, drawn faces: a tiny model is trained on one drawn cohort, then other persons are
drawn over three visits: two stable ones, and one after treatment, or not, or by a worse camera in
half the light. Every photo has its own pose and expression, every visit its own light, background
and clothes. Aligned, scored and judged as the command does it, by the first 2, 3 or 5 photos.
"""

import argparse
import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hf_cushing.stats.reliable_change import (
    FELL,
    NEITHER,
    ROSE,
    Repeatability,
    make_visits,
    reliable_change,
    repeatability,
)

PHOTOS = (1, 2, 3, 5)
FALLS = (0.5, 1.0, 2.0)
SPREADS = ((0.3, 0.5), (0.5, 0.5))
"""SD of the day and of the photo, log-odds."""

PAIRS = (8, 20, 60)
"""Patients with two stable visits, on whom repeatability is measured."""


def draw_scores(
    rng: np.random.Generator,
    patients: int,
    photos: tuple[int, int],
    spread: tuple[float, float],
    fall: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, patient and visit of every photo; two visits a patient."""
    visit = np.tile(np.repeat([0, 1], photos), patients)
    patient = np.repeat(np.arange(patients), sum(photos))
    level = rng.normal(0, 1.5, patients)
    day = rng.normal(0, spread[0], (patients, 2))
    noise = rng.normal(0, spread[1], len(visit))
    return level[patient] + day[patient, visit] - fall * visit + noise, patient, visit


def measure(
    rng: np.random.Generator, pairs: int, photos: int, spread: tuple[float, float], stable: bool
) -> Repeatability:
    """Repeatability of a study's own stable pairs."""
    scores, patient, visit = draw_scores(rng, pairs, (photos, photos), spread)
    period = np.full(len(scores), "stable" if stable else "")
    return repeatability(scores, make_visits(patient.astype(str), visit, period))


def called(
    rng: np.random.Generator,
    measured: Repeatability,
    photos: tuple[int, int],
    spread: tuple[float, float],
    patients: int,
    fall: float,
) -> float:
    """Share of new patients called changed (stable), or fallen (with a fall)."""
    scores, patient, visit = draw_scores(rng, patients, photos, spread, fall)
    sums = np.zeros((patients, 2))
    np.add.at(sums, (patient, visit), scores)
    means = sums / photos
    change = reliable_change(
        means[:, 0],
        means[:, 1],
        measured=measured,
        photos=(np.full(patients, photos[0]), np.full(patients, photos[1])),
    )
    words = change.verdict()
    return float(np.mean(words == FELL if fall else words != NEITHER))


def scores_table(studies: int, patients: int) -> None:
    """Type I error and detection by photos a visit, spread and number of stable pairs."""
    print(f"{studies} studies, {patients} new patients each")
    print("| day SD | photo SD | stable pairs | photos | type I | " +
          " | ".join(f"falls {fall}" for fall in FALLS) + " | type I, 1 more photo |")  # fmt: skip
    print("| ---: " * (6 + len(FALLS)) + "|")
    for spread in SPREADS:
        for pairs in PAIRS:
            for photos in PHOTOS:
                show(line(studies, patients, spread, pairs, photos, True), spread, pairs, photos)
    print("\nRepeatability from photos of one visit: the day is not in it")
    for spread in SPREADS:
        for photos in PHOTOS[1:]:
            show(line(studies, patients, spread, 60, photos, False), spread, 60, photos)


def line(
    studies: int, each: int, spread: tuple[float, float], pairs: int, photos: int, stable: bool
) -> np.ndarray:
    """Mean shares over studies: type I, detections, type I with another number of photos."""
    rng = np.random.default_rng([pairs, photos, int(100 * spread[0]), stable])
    kinds = [((photos, photos), fall) for fall in (0.0, *FALLS)] + [((photos, photos + 1), 0.0)]
    rows = []
    for _ in tqdm(range(studies), leave=False, disable=None):
        measured = measure(rng, pairs, photos, spread, stable)
        rows.append(
            [called(rng, measured, counts, spread, each, fall)
             if photos > 1 or counts[0] == counts[1] else np.nan for counts, fall in kinds]
        )  # fmt: skip
    return np.mean(rows, axis=0)


def show(found: np.ndarray, spread: tuple[float, float], pairs: int, photos: int) -> None:
    cells = [f"{value:.3f}" if np.isfinite(value) else "–" for value in found]
    print(f"| {spread[0]} | {spread[1]} | {pairs} | {photos} | {' | '.join(cells)} |", flush=True)


def trend_table(fits: int) -> None:
    """Coverage of the 95 % intervals of the mixed model's slopes, and how often it fell back."""
    from hf_cushing.followup.trend import SLOPES, fit_trend

    print(f"\nMixed model, {fits} fits, 4 visits over a year, slope −0.2 a month in both sexes")
    print("| patients | SD of slopes | all | women − men | own slopes |\n" + "| ---: " * 5 + "|")
    for patients in (20, 60):
        for own in (0.0, 0.1):
            rng = np.random.default_rng([patients, int(100 * own)])
            hits, slopes = [], []
            for _ in tqdm(range(fits), leave=False, disable=None):
                who = np.repeat(np.arange(patients), 4)
                months = np.tile([0.0, 3, 6, 12], patients)
                level, slope = rng.normal(0, 1.5, patients), rng.normal(-0.2, own, patients)
                noise = rng.normal(0, 0.5, len(who))
                sexes = np.where(who % 2, "male", "female")
                found = fit_trend(
                    level[who] + slope[who] * months + noise, months, who.astype(str), sexes
                )
                by = {row.group: row for row in found.slopes}
                if by:
                    hits.append([by["all"].low <= -0.2 <= by["all"].high,
                                 by["women − men"].low <= 0 <= by["women − men"].high])  # fmt: skip
                slopes.append(found.effects == SLOPES)
            shares = " | ".join(f"{share:.3f}" for share in np.mean(hits, axis=0))
            print(f"| {patients} | {own} | {shares} | {np.mean(slopes):.2f} |", flush=True)


def draw_patients(folder: Path, *, photos: int, patients: int, seed: int) -> list[list[str]]:
    """Draw persons over three visits into `folder`; returns the rows of a table for `followup`.

    The first two visits are stable. Before the third, a third of the patients are treated and
    their signs fall from 0.8 to 0.1; the others stay as they are, and of these half are taken by
    a worse camera, in half the light.
    """
    from hf_cushing.data.synthetic import invent_person

    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(patients):
        sex = ("female", "male")[number % 2]
        person = invent_person(rng, sex, int(rng.integers(25, 65)))
        kind = ("treated", "stable", "moved")[number // 2 % 3]
        name = f"{kind}-{number:03d}"
        for visit, (day, strength) in enumerate(
            zip(("2020-01-10", "2020-04-10", "2021-04-10"),
                (0.8, 0.8, 0.1 if kind == "treated" else 0.8), strict=True), 1,
        ):  # fmt: skip
            period = "period:before" if visit < 3 else ""
            moved = kind == "moved" and visit == 3
            for photo in draw_visit(
                rng, folder, f"{name}_{visit}", person=person, strength=strength, photos=photos,
                moved=moved,
            ):  # fmt: skip
                treated = "2020-05-01" if kind == "treated" else ""
                rows.append([photo, name, day, sex, treated, period])
    return rows


def write_table(folder: Path, rows: list[list[str]], photos: int) -> Path:
    """The table of the first so many photos of each visit."""
    table = folder / f"visits-{photos}.csv"
    names = ["file_name", "patient_id", "date", "sex", "treatment_date", "stable"]
    few = [row for row in rows if int(Path(row[0]).stem.rsplit("_", 1)[1]) < photos]
    with open(table, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *few])
    return table


def draw_visit(
    rng: np.random.Generator,
    folder: Path,
    name: str,
    *,
    person: object,
    strength: float,
    photos: int,
    moved: bool,
) -> Iterator[str]:
    """Photos of one visit: pose and expression their own, light and camera the visit's."""
    from dataclasses import replace

    from PIL import Image

    from hf_cushing.data.drawing import Signs, draw
    from hf_cushing.data.synthetic import take_shot

    room = take_shot(rng, "compact")
    exposure = 0.5 if moved else room.exposure
    for number in range(photos):
        shot = take_shot(rng, "compact")
        shot = replace(
            shot, light=room.light, exposure=exposure, warmth=room.warmth,
            background=room.background, clothes=room.clothes,
            blur=1.4 if moved else shot.blur, noise=0.02 if moved else shot.noise,
        )  # fmt: skip
        path = f"images/{name}_{number}.jpg"
        Image.fromarray(draw(person, shot, Signs(cushing=strength))[0]).save(
            folder / path, quality=92
        )
        yield path


def images(out: Path, patients: int) -> None:
    """Train, draw, follow up; detection and false alarms by photos a visit."""
    from hf_cushing.cli.common import progress_bars
    from hf_cushing.data.options import PrepareOptions
    from hf_cushing.data.prepare import prepare
    from hf_cushing.data.synthetic import CohortOptions, make_cohort
    from hf_cushing.followup.command import run_followup
    from hf_cushing.followup.options import FollowupOptions
    from hf_cushing.run import Run
    from hf_cushing.training.cli import parse
    from hf_cushing.training.fine_tune import fine_tune

    run = out / "run"
    if not (run / "metrics.json").exists():
        make_cohort(
            out / "raw", out / "truth", CohortOptions(photos=900, severity=(0.7, 0.7), seed=11)
        )
        prepare(out / "raw", out / "dataset", PrepareOptions(identity=False), num_proc=2)
        fine_tune(
            parse(["--dataset", str(out / "dataset"), "--output_dir", str(run), "--model",
                   "tiny-resnet", "--init", "random", "--cpu", "--epochs", "20",
                   "--bootstrap", "100"])
        )  # fmt: skip
    subgroups = json.loads((run / "metrics.json").read_text())["subgroups"]
    auroc = next(row["values"]["auroc"]["estimate"] for row in subgroups
                 if row["subgroup"] == "all" and row["unit"] == "photo")  # fmt: skip
    print(f"AUROC of the model on its own test photos: {auroc:.3f}")
    print("| photos | third visit | patients | day SD | photo SD | fell | rose | alarm |")
    print("| ---: | --- " + "| ---: " * 6 + "|")
    rows = draw_patients(out / "visits", photos=PHOTOS[-1], patients=patients, seed=5)
    for photos in PHOTOS[1:]:
        table = write_table(out / "visits", rows, photos)
        start = time.perf_counter()
        with progress_bars() as progress:
            found = run_followup(
                Run(run), str(table), out / f"report-{photos}", FollowupOptions(num_proc=2),
                progress=progress,
            )  # fmt: skip
        took = time.perf_counter() - start
        words = np.array([visit.verdict for visit in found.last.values()])
        alarms = np.array([visit.alarms.any() for visit in found.last.values()])
        who = np.array(list(found.last))
        for kind in ("treated", "stable", "moved"):
            own = np.char.startswith(who, kind)
            print(f"| {photos} | {kind} | {own.sum()} | {found.spread.day_sd:.2f} | "
                  f"{found.spread.photo_sd:.2f} | {np.sum(words[own] == FELL)} | "
                  f"{np.sum(words[own] == ROSE)} | {alarms[own].sum()} |", flush=True)  # fmt: skip
        print(f"{took:.0f} s, left out: {len(found.left_out)}", flush=True)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--fits", type=int, default=300)
    parser.add_argument("--images", type=Path, help="folder to draw, train and follow up in")
    parser.add_argument("--image-patients", type=int, default=72)
    options = parser.parse_args()
    if options.images:
        images(options.images, options.image_patients)
        return
    scores_table(options.studies, options.patients)
    trend_table(options.fits)


if __name__ == "__main__":
    main()
