"""One process against two on a CPU, with the same global batch.

    python benchmarks/processes.py --work build/processes

Trains on ../shared/data/lfw_moonface (prepared into WORK/dataset) with the backbone of
../shared/models, fold 0. Prints the largest difference of any weight and of any probability, and
AUROC for all, women and men.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from moon import MODEL, ROOT, prepare_moon
from safetensors.torch import load_file

from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json

METHODS = ("head", "last_n", "lora", "full", "lp-ft")


def train(dataset: Path, run: Path, method: str, processes: int, epochs: int) -> None:
    """One run, unless it is there."""
    if (run / "manifest.json").exists():
        return
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, *(start if processes > 1 else []), str(ROOT / "train.py")]
    command += ["--dataset", str(dataset), "--model", str(MODEL), "--finetune", method]
    command += ["--output_dir", str(run), "--fold", "0", "--cpu", "--epochs", str(epochs)]
    command += ["--batch_size", str(16 // processes), "--features_dir", str(run / "features")]
    if method not in ("head", "lp-ft"):
        command = command[:-2]
    threads = os.environ | {"OMP_NUM_THREADS": str(max(1, 2 // processes))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=threads)
    if done.returncode:
        sys.exit(done.stderr)


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    dataset = prepare_moon(options.work / "dataset")
    print("| finetune | processes | AUROC all / women / men | largest difference of a weight | of a"
          " probability |\n| --- | --- | --- | --- | --- |")  # fmt: skip
    for method in METHODS:
        runs = [options.work / f"{method}-{count}" for count in (1, 2)]
        for count, run in enumerate(runs, start=1):
            train(dataset, run, method, count, options.epochs)
        weights = [load_file(run / "model.safetensors") for run in runs]
        apart = max(float((weights[0][k] - weights[1][k]).abs().max()) for k in weights[0])
        scores = [load_predictions(run).probabilities for run in runs]
        moved = np.abs(scores[0] - scores[1]).max()
        for count, run in enumerate(runs, start=1):
            rows = read_json(run / "metrics.json")["subgroups"]
            aurocs = " / ".join(f"{row['values']['auroc']['estimate']:.4f}" for row in rows)
            last = f"{apart:.1e} | {moved:.1e}" if count == 2 else "|"
            print(f"| {method} | {count} | {aurocs} | {last} |", flush=True)


if __name__ == "__main__":
    main()
