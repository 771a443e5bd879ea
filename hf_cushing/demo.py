"""`hf-cushing demo`: from nothing to a trained, evaluated model, by the commands a user types."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from hf_cushing.data.loading import load_faces
from hf_cushing.data.options import Progress
from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.files import plain, read_json
from hf_cushing.schema import UserError
from hf_cushing.training.cli import parse
from hf_cushing.training.run_folder import run_plan

RAW, TRUTH, DATASET, RUN = (
    Path(name) for name in ("data/demo/raw", "data/demo/truth", "data/demo/dataset", "runs/demo")
)


def run_demo(photos: int, *, progress: Progress) -> None:
    """Draw a cohort, then run prepare, training and evaluation as separate commands.

    What is there already, made with the same settings, is not made again.
    """
    advance = progress("Drawing faces", photos)
    make_cohort(RAW, TRUTH, CohortOptions(photos=photos), advance=advance)
    # Drawn faces: dlib's descriptor knows photographs
    _run("prepare", RAW, "--out", DATASET, "--overwrite", "--no-identity")
    options = ["--dataset", str(DATASET), "--config", "quick", "--cpu", "--output_dir", str(RUN)]
    options.append("--resume")
    if not _holds(RUN / "manifest.json", options):
        if not _holds(RUN / "plan.json", options):
            shutil.rmtree(RUN, ignore_errors=True)
        _run("train", *options, quiet=True)
    _run("evaluate", RUN, "--out", RUN / "report")
    photo = min((RAW / "images").iterdir())
    sys.stderr.write(
        "\nThese faces are drawn, so the figures say nothing about patients. Try next:\n"
        f"  hf-cushing predict {RUN} {photo}\n"
        f"  hf-cushing explain {RUN} --dataset {DATASET} --out reports/where --limit 30\n"
        "  hf-cushing prepare YOUR_FOLDER --out YOUR_DATASET\n"
    )


def _holds(record: Path, options: list[str]) -> bool:
    """Say whether the run folder's manifest (or plan) is of this very training."""
    if not record.exists():
        return False
    found, plan = read_json(record), plain(run_plan(parse(options), load_faces(str(DATASET))))
    return all(found.get(name) == value for name, value in plan.items())


def _run(*arguments: object, quiet: bool = False) -> None:
    """Run a command in a process of its own, shown as a user would type it.

    With `quiet` its result isn't shown: the evaluation says the same at the end.
    """
    words = [str(argument) for argument in arguments]
    shown = " ".join(["hf-cushing", *words])
    sys.stderr.write(f"\n$ {shown}\n")
    sys.stderr.flush()
    command, out = [sys.executable, "-m", "hf_cushing.cli", *words], None
    if quiet:
        out = subprocess.DEVNULL
    if subprocess.run(command, check=False, stdout=out).returncode:
        raise UserError(f"the demo stopped at: {shown}")
