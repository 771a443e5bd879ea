"""Peak memory of training by method, each in a process of its own.

    python benchmarks/memory.py --dataset build/moon --model dinov2-s [--batch 16]

Random weights, one epoch of 48 training photos; the peak is that of the resident memory, beside
that of a process that only loads the data and the network.
"""

import argparse
import subprocess
import sys
import tempfile

METHODS = {
    "load only": [],
    "head": ["--finetune", "head"],
    "lora": ["--finetune", "lora"],
    "last_n (2)": ["--finetune", "last_n"],
    "full": ["--finetune", "full"],
    "full, gradient checkpointing": ["--finetune", "full", "--gradient_checkpointing", "true"],
    "full, batch 4, 4 accumulated": [
        "--finetune", "full", "--batch_size", "4", "--gradient_accumulation", "4"
    ],
}  # fmt: skip
MEASURE = """
import resource, sys
from unittest import mock
from hf_cushing.data import loading
from hf_cushing.models.build import build_classifier
from hf_cushing.training import fine_tune as module
from hf_cushing.training.cli import parse

config = parse(sys.argv[2:])
original = loading.load_faces

def fewer(*args, **kwargs):
    data = original(*args, **kwargs)
    roles = {role: rows.select(range(min(48, len(rows)))) for role, rows in data.roles.items()}
    return loading.FaceData(roles, data.labels, data.revision, data.folds)

if sys.argv[1] == "load only":
    build_classifier(config.model.model, fewer(config.data.dataset).labels, init="random")
else:
    with mock.patch.object(module, "load_faces", fewer):
        module.fine_tune(config)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def main() -> None:
    """Measure one after the other and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--model", default="dinov2-s")
    parser.add_argument("--batch", default="16")
    options = parser.parse_args()
    common = ["--dataset", options.dataset, "--model", options.model, "--init", "random", "--cpu"]
    common += ["--epochs", "1", "--bootstrap", "100", "--batch_size", options.batch]
    peaks = {}
    for name, more in METHODS.items():
        with tempfile.TemporaryDirectory() as work:
            command = [sys.executable, "-c", MEASURE, name, *common, "--output_dir", f"{work}/run"]
            done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        peaks[name] = float(done.stdout.split()[-1])
        print(f"{name}: {peaks[name]:.2f} GiB", flush=True)
    base = peaks["load only"]
    for name in ("head", "lora", "last_n (2)"):
        share = (peaks[name] - base) / (peaks["full"] - base)
        print(f"{name}: {share:.0%} of what full needs beyond loading")


if __name__ == "__main__":
    main()
