"""`hf-cushing demo`: from nothing to a trained, evaluated model, by the commands a user types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hf_cushing.data.prepare import Progress
from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.files import resource
from hf_cushing.schema import UserError

RAW, TRUTH, DATASET, RUN = (
    Path(name) for name in ("data/demo/raw", "data/demo/truth", "data/demo/dataset", "runs/demo")
)


def run_demo(photos: int, model: str, *, progress: Progress) -> None:
    """Draw a cohort, then run prepare, training and evaluation as separate commands."""
    if (RUN / "manifest.json").exists():
        sys.stderr.write(f"{RUN} is there already: training is skipped (delete it to repeat)\n")
    if not RAW.exists():
        advance = progress("Drawing faces", photos)
        make_cohort(RAW, TRUTH, CohortOptions(photos=photos), advance=advance)
    hf_cushing = [sys.executable, "-m", "hf_cushing.cli"]
    _run([*hf_cushing, "prepare", str(RAW), "--out", str(DATASET)])
    if not (RUN / "manifest.json").exists():
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1"]
        recipe = str(resource("configs/demo.yaml"))
        _run([*launch, str(resource("train.py")), "--config", recipe, "--dataset", str(DATASET),
              "--model", model, "--output_dir", str(RUN), "--resume"])  # fmt: skip
    report = RUN / "report"
    _run([*hf_cushing, "evaluate", str(RUN), "--out", str(report)])
    photo = next((RAW / "images").iterdir())
    sys.stderr.write(
        "\nThese faces are drawn, so the figures say nothing about patients. Try next:\n"
        f"  hf-cushing predict {RUN} {photo}\n"
        f"  tensorboard --logdir {RUN}/tensorboard\n"
        "  hf-cushing prepare YOUR_FOLDER --out YOUR_DATASET\n"
    )


def _run(command: list[str]) -> None:
    shown = " ".join(command[2:] if command[1] == "-m" else command)
    sys.stderr.write(f"\n$ {shown}\n")
    sys.stderr.flush()
    if subprocess.run(command, check=False).returncode:
        raise UserError(f"the demo stopped at: {shown}")
