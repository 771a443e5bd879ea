"""What public negatives do, on the real photographs of ../shared/data.

    python benchmarks/public_controls.py --work runs/public [--finetune head full]

The clinic is lfw_moonface, the public collection lfw_controls (one photo a person, matched by
sex). Prints what `source` and the background predict, and the AUROC of models trained
  without      on the clinic's photos alone
  train        with public controls in train (the default): the test split is the same
  all          with public controls in all splits; for it the AUROC of its whole test split is
               printed too: what a careless study would report.
Both collections are one (LFW), so a difference by camera is not to be expected; `planted` saves
the public photos at JPEG quality 40 first, as another source might.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.wording import format_value
from hf_cushing.files import read_json

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
CLINIC = SHARED / "data" / "lfw_moonface"


def plant_camera(source: Path, target: Path) -> Path:
    """Save a clinic folder's photos at JPEG quality 40."""
    (target / "images").mkdir(parents=True, exist_ok=True)
    (target / "metadata.csv").write_bytes((source / "metadata.csv").read_bytes())
    for path in (source / "images").iterdir():
        Image.open(path).convert("RGB").save(target / "images" / path.name, quality=40)
    return target


def run(command: list[str]) -> None:
    """Run one of our commands quietly."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def prepare(out: Path, controls: Path | None, split: str) -> Path:
    """Prepare the clinic with or without controls."""
    more = ["--controls", str(controls), "--controls-split", split, "--match", "sex"]
    more += ["--ratio", "2"]
    command = ["-m", "hf_cushing.cli", "prepare", str(CLINIC), "--out", str(out), "--allow"]
    run([*command, *(more if controls else [])])
    return out


def train(dataset: Path, folder: Path, finetune: str) -> Path:
    """Fine-tune the face-pretrained DINOv2, unless it is there."""
    if not (folder / "manifest.json").exists():
        model = str(SHARED / "models" / "face-dinov2-tiny")
        command = [str(ROOT / "train.py"), "--dataset", str(dataset), "--model", model, "--cpu"]
        run([*command, "--finetune", finetune, "--output_dir", str(folder), "--resume",
             "--epochs", "20"])  # fmt: skip
    return folder


def print_row(name: str, finetune: str, run_folder: Path, *, public: bool) -> None:
    """AUROC for all, women and men; on the clinic's test photos, or on all of the test split."""
    predictions = load_predictions(run_folder)
    theirs = np.char.startswith(predictions.patient_id.astype(str), "public-")
    if not public:
        predictions = predictions.select((predictions.split != "test") | ~theirs)
    report = evaluate(predictions)
    cells = [format_value(row.values["auroc"]) for row in report.subgroups if row.unit == "photo"]
    which = "all of its test split" if public else "the clinic's test photos"
    print(f"| {name} | {finetune} | {which} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Prepare, train, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--finetune", nargs="+", default=["head", "full"])
    options = parser.parse_args()
    work = options.work
    public = SHARED / "data" / "lfw_controls"
    planted = plant_camera(public, work / "planted-raw")
    variants = {
        "without": prepare(work / "without", None, ""),
        "train": prepare(work / "train", public, "train"),
        "train, planted": prepare(work / "planted", planted, "train"),
        "all, planted": prepare(work / "all", planted, "all"),
    }
    for name, dataset in variants.items():
        audit = read_json(dataset / "audit.json")
        for probe in audit["probes"]:
            if probe["name"] in ("source", "background", "file format and JPEG quality"):
                said = probe["reason"] or f"{probe['auroc']} ({probe['low']}–{probe['high']})"
                print(f"{name}: {probe['name']}: {said}{' RAISED' if probe['raised'] else ''}")
    print("| public controls | finetune | AUROC on | all | female | male |\n" + "| --- " * 6 + "|")
    for finetune in options.finetune:
        for name, dataset in variants.items():
            folder = train(dataset, work / f"{dataset.name}-{finetune}", finetune)
            print_row(name, finetune, folder, public=False)
            if name.startswith("all"):
                print_row(name, finetune, folder, public=True)


if __name__ == "__main__":
    main()
