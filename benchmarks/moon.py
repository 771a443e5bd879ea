"""Cross-validate --finetune methods on the real photographs of ../shared/data/lfw_moonface.

    python benchmarks/moon.py --work runs/moon-cv [--finetune head full …] [--folds 5]

Prints AUROC and F1 of the pooled folds, for all, women and men, with the seconds of all folds and
the number of weights that learn. Further options go to train.py.
The label is a proxy (lower-face width), not a diagnosis. Finished folds are not repeated.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.wording import format_value
from hf_cushing.files import read_json
from hf_cushing.run import Run

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
MODEL = SHARED / "models" / "face-dinov2-tiny"
METHODS = ["head", "last_n", "lora", "full", "lp-ft"]


def train_fold(dataset: Path, run: Path, finetune: str, fold: int, more: list[str]) -> dict:
    """Train one fold unless it is there; the facts of its manifest."""
    if not (run / "manifest.json").exists():
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            "--dataset",
            str(dataset),
            "--model",
            str(MODEL),
            "--finetune",
            finetune,
            "--fold",
            str(fold),
            "--output_dir",
            str(run),
            "--cpu",
            "--resume",
            *more,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return read_json(run / "manifest.json")["run"]


def print_rows(finetune: str, report: Report, facts: list[dict]) -> None:
    """Print one line for each subgroup."""
    seconds, learning = sum(fact["seconds"] for fact in facts), facts[0]["trainable"]
    for row in (row for row in report.subgroups if row.unit == "photo"):
        auroc, f1 = (format_value(row.values[name]) for name in ("auroc", "f1"))
        last = f"{seconds:.0f} | {learning:,}" if row.subgroup == "all" else "|"
        print(f"| {finetune} | {row.subgroup} | {auroc} | {f1} | {last} |", flush=True)


def prepare_moon(dataset: Path) -> Path:
    """Prepare the photographs, unless they are."""
    command = [sys.executable, "-m", "hf_cushing.cli", "prepare", str(SHARED / "data/lfw_moonface")]
    command += ["--out", str(dataset), "--allow"]  # one pair of look-alikes, who are two people
    subprocess.run(command, check=True)
    return dataset


def main() -> None:
    """Prepare, train, pool, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--finetune", nargs="+", default=METHODS)
    parser.add_argument("--folds", type=int, default=5)
    options, more = parser.parse_known_args()
    dataset = prepare_moon(options.work / "dataset")
    print("| finetune | | AUROC (95 %) | F1 (95 %) | seconds | weights that learn |")
    print("| --- | --- | --- | --- | ---: | ---: |")
    for finetune in options.finetune:
        runs = [options.work / f"{finetune}-{fold}" for fold in range(options.folds)]
        facts = [train_fold(dataset, r, finetune, f, more) for f, r in enumerate(runs)]
        report, _ = evaluate_runs([Run(run) for run in runs], EvaluationOptions())
        print_rows(finetune, report, facts)


if __name__ == "__main__":
    main()
