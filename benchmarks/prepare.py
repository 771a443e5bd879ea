"""Speed, memory and safety of `prepare`, on photographs of ../shared/data/lfw_moonface.

    python benchmarks/prepare.py WHAT --work build/prepare

speed   12-megapixel photos against the plain way: dlib on the full photo, upsampled once, in one
        process. Ratio of times, faces found by both, distance of the landmarks.
descriptors   the whole work on a photo with dlib's own descriptors and with torch's.
context what the wide views cost: processor time and bytes a photo, with and without them.
memory  peak memory of the first process and of its largest worker with 500 and 5,000 photos.
scale   seconds, memory and disk for 1,250, 5,000 and 20,000 drawn photos (no photographs needed).
rows    a table of a million rows, of which 30 have a photo.
kills   kill -9 at ten moments, then run again: are the bytes those of an undisturbed run?
"""

import argparse
import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dlib
import numpy as np
from PIL import Image

from hf_cushing.data.chunks import CHUNK, crop_chunk, crop_photo, read_crops
from hf_cushing.data.descriptors import identity_vectors
from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.faces.identity import face_chip
from hf_cushing.faces.landmarks import dlib_model, find_face
from hf_cushing.faces.photo import PhotoError, open_photo
from hf_cushing.files import sha256_file

RAW = Path(__file__).parents[2] / "shared" / "data" / "lfw_moonface"
HEADER = ("file_name", "patient_id", "sex", "label")


def rows() -> list[dict[str, str]]:
    """The table of the real photographs."""
    with open(RAW / "metadata.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(folder: Path, lines: list[tuple[str, ...]]) -> None:
    """Write a clinic folder's table."""
    with open(folder / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *lines])


def prepare(raw: Path, out: Path, *more: str) -> tuple[float, float, float]:
    """Run the command; seconds, and peak GiB of the first process and its largest worker."""
    code = (
        "import sys, resource\nfrom hf_cushing.cli import app\n"
        "if __name__ == '__main__':\n"
        "    try:\n        app(sys.argv[1:], standalone_mode=False)\n"
        "    finally:\n"
        "        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):\n"
        "            print(resource.getrusage(who).ru_maxrss / 2**20)\n"
    )
    script = out.with_name("measure.py")
    script.write_text(code)
    command = [sys.executable, str(script), "prepare", str(raw), "--out", str(out), "--allow"]
    started = time.perf_counter()
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    own, worker = (float(line) for line in done.stdout.split()[-2:])
    return time.perf_counter() - started, own, worker


def draw_large(folder: Path, count: int) -> list[str]:
    """Write 4000 × 3000 photos in which the face is 400 to 1,400 pixels wide."""
    rng, names = np.random.default_rng(0), []
    (folder / "large").mkdir(parents=True, exist_ok=True)
    for row in rows():
        photo = Image.open(RAW / row["file_name"])
        try:
            find_face(photo)
        except PhotoError:
            continue
        side = int(250 * rng.uniform(4, 12))
        colours = photo.resize((4, 3), Image.Resampling.BOX)  # no ghost of the face remains
        canvas = colours.resize((4000, 3000), Image.Resampling.BICUBIC)
        place = (int(rng.uniform(0, 4000 - side)), int(rng.uniform(0, 3000 - side)))
        canvas.paste(photo.resize((side, side), Image.Resampling.LANCZOS), place)
        names.append(f"large/{len(names)}.jpg")
        canvas.save(folder / names[-1], quality=92)
        if len(names) == count:
            break
    return names


def plain_way(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Box and landmarks of the largest face, searched in the full photo, upsampled once."""
    photo = np.asarray(Image.open(path).convert("RGB"))
    boxes = dlib.get_frontal_face_detector()(photo, 1)
    if not boxes:
        return None
    box = max(boxes, key=lambda b: b.area())
    predictor = dlib.shape_predictor(str(dlib_model("shape_predictor_68_face_landmarks.dat")))
    points = [(p.x, p.y) for p in predictor(photo, box).parts()]
    return np.array([box.left(), box.top(), box.right(), box.bottom()]), np.array(points, float)


def speed(work: Path) -> None:
    """Print the ratio of times and how well both agree."""
    names = draw_large(work, 60)
    plain_way(work / names[0])  # loads dlib's models
    crop_photo(work, names[0], "", side=256, context=True)
    started = time.perf_counter()
    plain = [plain_way(work / name) for name in names]
    slow = (time.perf_counter() - started) / len(names)
    started = time.perf_counter()
    for name in names:
        crop_photo(work, name, "", side=256, context=True)
    alone = (time.perf_counter() - started) / len(names)
    print(f"a 12-megapixel photo: plain way {slow:.2f} s; crop, views and measures {alone:.2f} s "
          f"({slow / alone:.0f}×)")  # fmt: skip
    same, errors = 0, []
    for name, there in zip(names, plain, strict=True):
        here = find_face(open_photo(work / name))
        if there is not None and _overlap(np.array(here.box), there[0]) > 0.5:
            same += 1
            eyes = there[1][42:48].mean(0) - there[1][36:42].mean(0)
            apart = np.linalg.norm(here.landmarks - there[1], axis=1).mean()
            errors.append(apart / np.hypot(*eyes))
    errors = np.array(errors)
    found = sum(result is not None for result in plain)
    print(f"same face: {same} of the {found} that the plain way finds in {len(names)} photos; "
          f"landmarks apart by {errors.mean():.2%} of the distance of the eyes (median "
          f"{np.median(errors):.2%}, largest {errors.max():.2%}); within 2 % in "
          f"{(errors <= 0.02).sum()} photos")  # fmt: skip


def descriptors(work: Path) -> None:
    """Print processor time of the whole work on a photo, with descriptors by dlib and by torch."""
    network = dlib.face_recognition_model_v1(
        str(dlib_model("dlib_face_recognition_resnet_model_v1.dat"))
    )
    small = [row["file_name"] for row in rows()[:64]]
    for what, root, names in (("250 × 250", RAW, small), ("12 MP", work, draw_large(work, 32))):
        photos = [(number, "", name, "") for number, name in enumerate(names)]
        chunk = work / "chunk.parquet"
        crop_chunk(root, photos[:2], 256, True, True, None, chunk)  # loads the models
        started = time.process_time()
        for start in range(0, len(photos), CHUNK):
            crop_chunk(root, photos[start : start + CHUNK], 256, True, True, None, chunk)
        fast = time.process_time() - started
        started = time.process_time()
        for start in range(0, len(photos), CHUNK):
            crop_chunk(root, photos[start : start + CHUNK], 256, False, True, None, chunk)
        crops = [crop for part in read_crops([chunk]) for crop in part.values()]
        plain, chips = time.process_time() - started, []
        for crop in crops:
            image = Image.open(io.BytesIO(crop["image"]["bytes"])).convert("RGB")
            chips.append(face_chip(image, np.array(crop["landmarks"], np.float32)))
        started = time.process_time()
        theirs = [network.compute_face_descriptor([chip, chip[:, ::-1].copy()]) for chip in chips]
        slow = plain + (time.process_time() - started) / len(chips) * len(photos)
        both = np.array(theirs).sum(1)
        apart = np.abs(identity_vectors(chips) - both / np.linalg.norm(both, axis=1)[:, None])
        print(f"{len(names)} photos of {what}: {1000 * slow / len(names):.0f} ms a photo with "
              f"dlib's descriptors, {1000 * fast / len(names):.0f} ms with torch's "
              f"({slow / fast:.1f}×); descriptors differ by at most {apart.max():.1e}",
              flush=True)  # fmt: skip


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inside = float(np.prod(np.maximum(sides, 0)))
    return inside / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside)


def context(work: Path) -> None:
    """Print time with and without wide views, in turn on the same photos, and their size."""
    small = [row["file_name"] for row in rows()[:200]]
    for what, root, names in (("250 × 250", RAW, small), ("12 MP", work, draw_large(work, 40))):
        seconds, kept = {False: 0.0, True: 0.0}, []
        crop_photo(root, names[0], "", side=256, context=True)
        for name in names:
            for wide in seconds:
                started = time.process_time()
                row = crop_photo(root, name, "", side=256, context=wide)
                seconds[wide] += time.process_time() - started
            kept += [row] if "image" in row else []
        without, with_views = (1000 * s / len(names) for s in seconds.values())
        crop, view = (np.mean([len(row[n]) for row in kept]) / 1000 for n in ("image", "context"))
        whole = np.mean([row["context_share"] == 1 for row in kept])
        print(f"{len(names)} photos of {what}: {without:.0f} ms a photo without, {with_views:.0f} "
              f"ms with wide views ({with_views / without - 1:+.1%}); crop {crop:.0f} kB, view "
              f"{view:.0f} kB; {whole:.0%} show the whole photo", flush=True)  # fmt: skip


def memory(work: Path) -> None:
    """Print peak memory for two sizes of one cohort."""
    for count in (500, 5000):
        raw = work / f"raw{count}"
        shutil.rmtree(raw, ignore_errors=True)
        raw.mkdir(parents=True)
        table, lines = rows(), []
        for number in range(count):
            row = table[number % len(table)]
            name = f"{number}.jpg"
            (raw / name).write_bytes((RAW / row["file_name"]).read_bytes() + number.to_bytes(4))
            again = number // len(table)
            lines.append((name, f"{row['patient_id']}-{again}", row["sex"], row["label"]))
        write_table(raw, lines)
        seconds, own, worker = prepare(raw, work / f"out{count}", "--no-identity", "--overwrite")
        print(f"{count} photos: {seconds:.0f} s, first process {own:.2f} GiB, largest worker "
              f"{worker:.2f} GiB", flush=True)  # fmt: skip


def scale(work: Path) -> None:
    """Print what grows with the number of photos."""
    for count in (1250, 5000, 20000):
        raw, out = work / f"drawn{count}", work / f"prepared{count}"
        started = time.perf_counter()
        make_cohort(raw, work / f"truth{count}", CohortOptions(photos=count))
        drawing = time.perf_counter() - started
        seconds, own, worker = prepare(raw, out, "--no-identity", "--no-cache", "--num-proc", "2")
        disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        print(f"{count} photos: drawn in {drawing:.0f} s; prepared in {seconds:.0f} s "
              f"({1000 * seconds / count:.0f} ms each), first process {own:.2f} GiB, largest "
              f"worker {worker:.2f} GiB; dataset {disk / 2**20:.0f} MiB", flush=True)  # fmt: skip


def million(work: Path) -> None:
    """Print time and memory for a table of a million rows."""
    raw = work / "rows"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    lines = []
    for number, row in enumerate(rows()[:60]):
        shutil.copy(RAW / row["file_name"], raw / f"{number}.jpg")
        lines.append((f"{number}.jpg", row["patient_id"], row["sex"], row["label"]))
    labels = ("control", "moon_face")
    lines += [(f"x/{n}.jpg", f"x{n // 3}", "female", labels[n // 3 % 2]) for n in range(10**6 - 60)]
    write_table(raw, lines)
    more = ("--no-identity", "--folds", "3", "--overwrite", "--test-size", "0.3")
    seconds, own, _ = prepare(raw, work / "rows-out", *more)
    size = (work / "rows-out" / "intake.json").stat().st_size
    print(f"1,000,000 rows: {seconds:.0f} s, first process {own:.2f} GiB, intake.json "
          f"{size / 2**20:.0f} MiB")  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256_file(path) for path in paths}


def kills(work: Path) -> None:
    """Kill at ten moments of a run, each time from nothing, and run again."""
    raw = work / "kill-raw"
    shutil.rmtree(raw, ignore_errors=True)
    (raw / "images").mkdir(parents=True)
    chosen = rows()[:200]
    for row in chosen:
        os.link(RAW / row["file_name"], raw / row["file_name"])
    write_table(raw, [tuple(row[name] for name in HEADER) for row in chosen])
    seconds, _, _ = prepare(raw, work / "whole")
    whole = contents(work / "whole")
    command = [sys.executable, "-m", "hf_cushing.cli", "prepare", str(raw), "--allow", "--out"]
    for moment in range(10):
        out, after = work / f"killed{moment}", seconds * (moment + 0.7) / 10.5
        process = subprocess.Popen([*command, str(out)], stderr=subprocess.DEVNULL,
                                   start_new_session=True)  # fmt: skip
        time.sleep(after)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        left = len(list((work / f".{out.name}.partial").rglob("chunk-*")))
        subprocess.run([*command, str(out)], capture_output=True, check=True)
        same = contents(out) == whole
        print(f"killed after {after:.1f} of {seconds:.1f} s, {left} chunks done: "
              f"{'identical' if same else 'DIFFERENT'}", flush=True)  # fmt: skip


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ways = {
        "speed": speed,
        "descriptors": descriptors,
        "context": context,
        "memory": memory,
        "scale": scale,
        "rows": million,
        "kills": kills,
    }
    parser.add_argument("what", choices=ways)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    ways[options.what](options.work.resolve())


if __name__ == "__main__":
    main()
