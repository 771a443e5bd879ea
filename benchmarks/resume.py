"""kill -9 at every kind of moment, then --resume: are the bytes those of an undisturbed run?

    python benchmarks/resume.py --work build/resume

Method × loader workers × moment, on drawn faces with tiny networks that have stochastic depth or
dropout. Compared are model.safetensors, metrics.json and predictions.parquet.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hf_cushing.data.options import PrepareOptions  # noqa: E402
from hf_cushing.data.prepare import prepare  # noqa: E402
from hf_cushing.data.synthetic import CohortOptions, make_cohort  # noqa: E402
from tests.training.kill_at import CALLS, OF_A_PROBE, OF_TRAINING  # noqa: E402

TRAINED = ("--epochs", "3", "--patience", "2")
METHODS = {
    "full": (OF_TRAINING, "tiny-swin", *TRAINED, "--drop_path", "0.2"),
    "lora": (OF_TRAINING, "tiny-vit", "--finetune", "lora", "--lora_dropout", "0.1", *TRAINED),
    "probe": (OF_A_PROBE, "tiny-dinov2", "--finetune", "head", "--views", "1"),
}
FILES = ("model.safetensors", "metrics.json", "predictions.parquet")


def train(run: Path, dataset: Path, options: list[str], moment: str = "never") -> int:
    """Run train.py, killed at a moment; its exit status."""
    script = ROOT / "tests" / "training" / "kill_at.py"
    command = [sys.executable, str(script), moment, str(CALLS.get(moment, 1))]
    command += ["--dataset", str(dataset), "--output_dir", str(run), "--cpu", "--init", "random"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *options], capture_output=True, check=False, env=environment
    ).returncode


def main() -> None:
    """Go through the matrix and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    make_cohort(work / "raw", work / "truth", CohortOptions(photos=72, seed=3))
    prepare(work / "raw", work / "dataset", PrepareOptions(identity=False))
    print("| finetune | killed | 0 workers | 2 workers |\n| --- | --- | --- | --- |", flush=True)
    for method, (moments, model, *options) in METHODS.items():
        common = ["--model", model, "--bootstrap", "100", *options]
        shutil.rmtree(work / method, ignore_errors=True)
        calm = work / method / "calm" / "run"
        if train(calm, work / "dataset", common):
            sys.exit(f"{method} fails undisturbed")
        for moment in moments:
            cells = []
            for workers in ("0", "2"):
                run = work / method / f"{moment}-{workers}".replace(" ", "-") / "run"
                more = [*common, "--num_workers", workers]
                killed = train(run, work / "dataset", more, moment) == -signal.SIGKILL
                ended = train(run, work / "dataset", [*more, "--resume"]) == 0
                same = ended and all(
                    (run / name).read_bytes() == (calm / name).read_bytes() for name in FILES
                )
                cells.append("identical" if killed and same else f"DIFFERS ({killed}, {ended})")
            print(f"| {method} | {moment} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
