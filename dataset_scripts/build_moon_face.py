"""Build the benchmark `moon_face` from a copy of Labeled Faces in the Wild.

No photographs of patients with Cushing's syndrome are public, so the figures in the documents
come from a proxy task on real photographs of public figures: tell people whose lower face is
wide for its height from people whose lower face is not. Nobody pictured is ill.

How `moon_face.csv`, the list that lies beside this script, was made:

1. dlib's frontal detector (the face nearest the image's centre) and its 68 landmarks on all
   13,233 photographs of the deep-funneled version.
2. Kept: roll under 12 degrees, near-frontal, mouth nearly closed, detector score 0.3 or more,
   face within 30 pixels of the centre, sex known (Afifi and Abdelhamed 2017): 7,925 photographs.
3. Jaw width (landmarks 4 to 12) by the distance from nose bridge to chin (27 to 8), adjusted
   within each sex by regression on mouth opening, mouth width, pitch and pitch squared.
4. A person's median within the sex: the top fifth is `moon_face`, the bottom 55 % `control`.
   At most three photographs a person, drawn so that the cohort resembles a clinic's.
   `site` is made up. 600 further controls, other persons, lie below the median.
5. By eye: persons under two sexes, two names or the wrong name, and young children are left out.

Steps 4 and 5 can't be run again, so the list names the result: each file by its SHA-256.
"""

import argparse
import csv
import hashlib
import shutil
import sys
from pathlib import Path

LIST = Path(__file__).with_name("moon_face.csv")
COLUMNS = ("file_name", "patient_id", "sex", "label", "age", "view", "site", "source")


def build(lfw: Path, out: Path) -> int:
    """Copy the listed photographs into OUT/lfw_moonface and OUT/lfw_controls; how many."""
    with LIST.open(encoding="utf-8", newline="") as file:
        wanted = {row.pop("sha256"): row for row in csv.DictReader(file)}
    files = sorted(path for path in lfw.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    found = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in files}
    if missing := len(wanted.keys() - found.keys()):
        sys.exit(
            f"{lfw}: {missing} of {len(wanted)} photographs are not among its {len(files)} JPEG "
            "files; unpack lfw-deepfunneled.tgz there (the deep-funneled version, not re-saved)"
        )
    if out.exists():
        sys.exit(f"{out} is there already; name a new folder")
    for folder in ("lfw_moonface", "lfw_controls"):
        rows = {digest: row for digest, row in wanted.items() if row["folder"] == folder}
        (out / folder / "images").mkdir(parents=True)
        for digest, row in rows.items():
            shutil.copyfile(found[digest], out / folder / row["file_name"])
        with (out / folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            table.writerows(
                {"age": "", "view": "frontal", "source": "lfw"} | row for row in rows.values()
            )
    return len(wanted)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lfw", type=Path, help="folder with LFW's photographs, any depth")
    parser.add_argument("--out", type=Path, required=True, help="new folder for both cohorts")
    options = parser.parse_args()
    print(f"{build(options.lfw, options.out)} photographs in {options.out}")
