"""Score photos as a stranger would: transformers alone, no network, an empty cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hf_cushing.schema import UserError

SCRIPT = """
import json, sys
from transformers import AutoImageProcessor, pipeline
folder, backends, *paths = sys.argv[1:]
scores = {}
for backend in backends.split(","):
    own = {"trust_remote_code": False}
    if backend != "default":
        own["image_processor"] = AutoImageProcessor.from_pretrained(
            folder, backend=backend, trust_remote_code=False
        )
    classify = pipeline("image-classification", model=folder, device="cpu", top_k=None, **own)
    scores[backend] = [{e["label"]: e["score"] for e in classify(path)} for path in paths]
print(json.dumps(scores))
"""
"""What runs there: nothing of ours."""


TIMEOUT = 600.0
"""Seconds for the model to load and score."""


def clean_scores(
    folder: Path, paths: Sequence[Path], *, backends: Sequence[str], work: Path
) -> dict[str, list[dict[str, float]]]:
    """Scores of photos by a model folder, from a fresh Python process on the CPU.

    Parameters
    ----------
    folder : Path
        The model.
    paths : sequence of Path
        Photos.
    backends : sequence of str
        Ways of resizing: ``pil`` (ours), ``default`` (what transformers chooses by itself).
    work : Path
        Empty folder for the cache.

    Returns
    -------
    dict
        Backend to one dict a photo: label to probability.

    Raises
    ------
    UserError
        The model doesn't load, or not within `TIMEOUT`.
    """
    command = [sys.executable, "-I", "-c", SCRIPT, str(Path(folder).resolve()), ",".join(backends)]
    command += [str(path.resolve()) for path in paths]
    environment = clean_environment(os.environ, work / "cache")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT,
            env=environment, cwd=work, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UserError(f"the model did not load and score within {TIMEOUT:g} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"transformers can't load the model in a clean process: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def clean_environment(outer: Mapping[str, str], cache: Path) -> dict[str, str]:
    """The user's environment without settings, tokens and caches of these libraries."""
    prefixes = ("HF_", "HUGGING", "TRANSFORMERS_", "PYTHON")
    kept = {name: value for name, value in outer.items() if not name.startswith(prefixes)}
    return kept | {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
